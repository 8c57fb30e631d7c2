"""Elementary functions, sums and the transform: the bits of NumPy 1.24 on the fixed target, anywhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.haaqi import is_fixed, nalr
from harness.haaqi.kernels import inverse_fft, rounding

RNG = np.random.RandomState(50)
X = RNG.uniform(-3, 3, 4000)
SIGNAL = RNG.uniform(-1, 1, 20001)
SHORT = SIGNAL.astype(np.float32)
TAPS = RNG.uniform(-1, 1, 141)
SPECTRUM = RNG.uniform(-1, 1, 1024) + 1j * RNG.uniform(-1, 1, 1024)

# Ours, NumPy's, and the CRC-32 of the bytes that NumPy 1.24.4 gave on the fixed target.
FUNCTIONS: dict[str, tuple[Callable[[], Any], Callable[[], Any], int]] = {
    "exp": (lambda: rounding.exp(X), lambda: np.exp(X), 56954110),
    "cos": (lambda: rounding.cos(X), lambda: np.cos(X), 2028184490),
    "log10": (lambda: rounding.log10(np.abs(X)), lambda: np.log10(np.abs(X)), 1785383984),
    "power": (lambda: rounding.power(10, X), lambda: 10**X, 2870083864),
    "sixth power": (lambda: rounding.power(np.abs(X), 6), lambda: np.abs(X) ** 6, 91181510),
    "total": (lambda: rounding.pairwise_sum(SIGNAL), lambda: np.add.reduce(SIGNAL), 1414389064),
    "short total": (lambda: rounding.pairwise_sum(SHORT), lambda: np.add.reduce(SHORT), 1124625720),
    "filtered": (
        lambda: rounding.fir_filter(SIGNAL, TAPS),
        lambda: np.convolve(SIGNAL, TAPS)[140:20141],
        2506580988,
    ),
    "transform": (lambda: inverse_fft.real_inverse(SPECTRUM), lambda: np.fft.ifft(SPECTRUM).real, 3023946635),
}


def _crc(value: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(value).tobytes())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bits_are_those_stored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    ours, _, stored = FUNCTIONS[name]
    assert _crc(ours()) == stored


@pytest.mark.skipif(
    not (rounding.USE_NUMPY and is_fixed()), reason="needs the locked NumPy on the fixed target"
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bits_are_numpys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, numpys, stored = FUNCTIONS[name]
    assert _crc(numpys()) == stored
    assert _crc(ours()) == stored
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    assert _crc(ours()) == stored


@pytest.mark.parametrize("taps", [1, 15, 16, 17, 141])
@pytest.mark.parametrize("length", [141, 142, 500])
def test_filtered_is_the_late_part_of_a_convolution(
    taps: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    expected = np.convolve(SIGNAL[:length], TAPS[:taps])[taps - 1 :]
    np.testing.assert_allclose(rounding.fir_filter(SIGNAL[:length], TAPS[:taps]), expected, rtol=0, atol=1e-13)


def test_nothing_has_a_logarithm_of_minus_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    for numpys in (False, True):
        monkeypatch.setattr(rounding, "USE_NUMPY", numpys)
        assert rounding.log10(np.array([0.0, 100.0])).tolist() == [-np.inf, 2.0]


def test_hammings_window_is_scipys() -> None:
    from scipy.signal.windows import hamming

    np.testing.assert_allclose(nalr.hamming(), hamming(141), rtol=0, atol=1e-15)
