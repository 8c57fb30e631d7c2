"""The broadband lag: equal to that of SciPy's correlation, or None where rounding errors could decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import correlate

from harness.haaqi.alignment import broadband
from harness.haaqi.alignment.correlation import half_spectrum, peak_lag
from harness.haaqi.kernels import rounding


def _scipys_lag(reference: NDArray[np.floating], processed: NDArray[np.floating]) -> int:
    covariance = np.abs(correlate(reference, processed, method="fft"))
    return len(reference) - 1 - int(np.argmax(covariance))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 6000),
    delay=st.integers(-3000, 3000),
    single=st.booleans(),
    gain=st.sampled_from([1.0, -1.0, 1e-6, 3e4]),
)
def test_lag_equals_scipys(seed: int, length: int, delay: int, single: bool, gain: float) -> None:
    rng = np.random.RandomState(seed)
    reference = rng.standard_normal(length)
    processed = gain * (broadband.shift(reference, -delay) + 0.3 * rng.standard_normal(length))
    if single:
        reference, processed = reference.astype(np.float32), processed.astype(np.float32)
    found = peak_lag(reference, processed)
    exact = np.abs(np.correlate(processed.astype(np.float64), reference.astype(np.float64), "full"))
    best, second = np.sort(np.append(exact, 0.0))[[-1, -2]]
    clear = best - second > 1e-4 * np.linalg.norm(reference) * np.linalg.norm(processed)
    if clear:
        assert found == _scipys_lag(reference, processed)
    else:
        assert found in (None, _scipys_lag(reference, processed))
    assert peak_lag(reference, processed, spectrum=half_spectrum(reference)) == found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_peaks_give_no_lag(dtype: type[np.floating]) -> None:
    pulse = np.random.RandomState(1).standard_normal(300)
    reference, processed = np.zeros(4000, dtype), np.zeros(4000, dtype)
    reference[1000:1300] = pulse
    processed[1500:1800] = pulse
    processed[2500:2800] = pulse
    assert peak_lag(reference, processed) is None
    processed[2500:2800] *= dtype(0.999)
    assert peak_lag(reference, processed) == 500


@pytest.mark.parametrize(
    "processed", [np.zeros(5000, np.float32), np.full(5000, 1e30, np.float32)], ids=["silence", "overflow"]
)
def test_float32_overflow_and_silence_give_no_lag(processed: NDArray[np.float32]) -> None:
    reference = np.full(5000, 1e30, np.float32)
    with np.errstate(all="ignore"):
        assert peak_lag(reference, processed) is None


@pytest.mark.parametrize("second", [1.0, 1.0 - 2e-7, 1.0 + 2e-7])
def test_near_ties_get_scipys_delay(second: float) -> None:
    pulse = np.random.RandomState(2).standard_normal(300).astype(np.float32)
    reference, processed = np.zeros(40000, np.float32), np.zeros(40000, np.float32)
    reference[9000:9300] = pulse
    processed[11000:11300] = pulse
    processed[25000:25300] = pulse * np.float32(second)
    centred = processed - np.mean(processed)
    expected = round(_scipys_lag(reference - np.mean(reference), centred) - broadband.EAR_DISPERSION)
    aligner = broadband.BroadbandAligner(reference=reference, keep_spectrum=True)
    assert [aligner.delay(processed), aligner.delay(processed)] == [expected, expected]
    assert expected in {2000 - 48, 16000 - 48}


@pytest.mark.parametrize("which", [0, 1], ids=["reference", "processed"])
def test_signals_of_different_precision_are_aligned(which: int) -> None:
    rng = np.random.RandomState(3)
    reference = rng.standard_normal(20000)
    processed = broadband.shift(reference, -700) + 0.1 * rng.standard_normal(20000)
    pair = [reference, processed]
    pair[which] = pair[which].astype(np.float32)
    assert broadband.BroadbandAligner(reference=pair[0]).delay(pair[1]) == 700 - 48


@pytest.mark.skipif(
    not rounding.USE_NUMPY,
    reason="needs a SciPy version that supports pyclarity; later ones round differently",
)
@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4")])
@pytest.mark.parametrize("length", [20000, 20011])
def test_covariance_has_scipys_bits(kinds: tuple[str, str], length: int) -> None:
    both = np.random.RandomState(4).standard_normal((2, length))
    reference, processed = both[0].astype(kinds[0]), both[1].astype(kinds[1])
    expected = correlate(reference - np.mean(reference), processed, method="fft")
    np.testing.assert_array_equal(broadband._covariance(reference, processed), expected)
