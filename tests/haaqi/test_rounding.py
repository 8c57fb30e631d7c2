"""Elementary functions, sums and the transform have the bits of NumPy 1.24 on the fixed target, on any machine."""

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
SIGNAL32 = SIGNAL.astype(np.float32)
TAPS = RNG.uniform(-1, 1, 141)
SPECTRUM = RNG.uniform(-1, 1, 1024) + 1j * RNG.uniform(-1, 1, 1024)

# The computed values, NumPy's, and the CRC-32 of NumPy 1.24.4's bytes on the fixed target.
FUNCTIONS: dict[str, tuple[Callable[[], Any], Callable[[], Any], int]] = {
    "exp": (lambda: rounding.exp(X), lambda: np.exp(X), 56954110),
    "cos": (lambda: rounding.cos(X), lambda: np.cos(X), 2028184490),
    "log10": (lambda: rounding.log10(np.abs(X)), lambda: np.log10(np.abs(X)), 1785383984),
    "power": (lambda: rounding.power(10, X), lambda: 10**X, 2870083864),
    "sixth power": (lambda: rounding.power(np.abs(X), 6), lambda: np.abs(X) ** 6, 91181510),
    "sum": (lambda: rounding.pairwise_sum(SIGNAL), lambda: np.add.reduce(SIGNAL), 1414389064),
    "float32 sum": (lambda: rounding.pairwise_sum(SIGNAL32), lambda: np.add.reduce(SIGNAL32), 1124625720),
    "FIR filter": (
        lambda: rounding.fir_filter(SIGNAL, TAPS),
        lambda: np.convolve(SIGNAL, TAPS)[140:20141],
        2506580988,
    ),
    "transform": (lambda: inverse_fft.real_inverse(SPECTRUM), lambda: np.fft.ifft(SPECTRUM).real, 3023946635),
}


def _crc(value: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(value).tobytes())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_equal_the_stored_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    computed, _, stored = FUNCTIONS[name]
    assert _crc(computed()) == stored


@pytest.mark.skipif(
    not (rounding.USE_NUMPY and is_fixed()), reason="needs the locked NumPy on the fixed target"
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_equal_numpys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    computed, numpys, stored = FUNCTIONS[name]
    assert _crc(numpys()) == stored
    assert _crc(computed()) == stored
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    assert _crc(computed()) == stored


@pytest.mark.parametrize("taps", [1, 15, 16, 17, 141])
@pytest.mark.parametrize("length", [141, 142, 500])
def test_fir_filter_is_the_tail_of_a_convolution(
    taps: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "USE_NUMPY", False)
    expected = np.convolve(SIGNAL[:length], TAPS[:taps])[taps - 1 :]
    np.testing.assert_allclose(
        rounding.fir_filter(SIGNAL[:length], TAPS[:taps]), expected, rtol=0, atol=1e-13
    )


def test_log10_of_zero_is_minus_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    for use_numpy in (False, True):
        monkeypatch.setattr(rounding, "USE_NUMPY", use_numpy)
        assert rounding.log10(np.array([0.0, 100.0])).tolist() == [-np.inf, 2.0]


def test_hamming_window_equals_scipys() -> None:
    from scipy.signal.windows import hamming

    np.testing.assert_allclose(nalr.hamming(), hamming(141), rtol=0, atol=1e-15)
