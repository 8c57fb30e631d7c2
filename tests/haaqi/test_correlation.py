"""The broadband lag: that of SciPy's own correlation, or no answer where rounding decides."""

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


def _scipys(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> int:
    covariance = np.abs(correlate(ours, theirs, method="fft"))
    return len(ours) - 1 - int(np.argmax(covariance))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 6000),
    delay=st.integers(-3000, 3000),
    short=st.booleans(),
    gain=st.sampled_from([1.0, -1.0, 1e-6, 3e4]),
)
def test_the_lag_is_scipys(seed: int, length: int, delay: int, short: bool, gain: float) -> None:
    rng = np.random.RandomState(seed)
    ours = rng.standard_normal(length)
    theirs = gain * (broadband.shift(ours, -delay) + 0.3 * rng.standard_normal(length))
    if short:
        ours, theirs = ours.astype(np.float32), theirs.astype(np.float32)
    found = peak_lag(ours, theirs)
    exact = np.abs(np.correlate(theirs.astype(np.float64), ours.astype(np.float64), "full"))
    best, second = np.sort(np.append(exact, 0.0))[[-1, -2]]
    clear = best - second > 1e-4 * np.linalg.norm(ours) * np.linalg.norm(theirs)
    if clear:
        assert found == _scipys(ours, theirs)
    else:
        assert found in (None, _scipys(ours, theirs))
    assert peak_lag(ours, theirs, spectrum=half_spectrum(ours)) == found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_peaks_of_the_same_height_are_no_answer(dtype: type[np.floating]) -> None:
    pulse = np.random.RandomState(1).standard_normal(300)
    ours, theirs = np.zeros(4000, dtype), np.zeros(4000, dtype)
    ours[1000:1300] = pulse
    theirs[1500:1800] = pulse
    theirs[2500:2800] = pulse
    assert peak_lag(ours, theirs) is None
    theirs[2500:2800] *= dtype(0.999)
    assert peak_lag(ours, theirs) == 500


@pytest.mark.parametrize(
    "theirs", [np.zeros(5000, np.float32), np.full(5000, 1e30, np.float32)], ids=["silence", "overflow"]
)
def test_what_float32_cannot_hold_is_no_answer(theirs: NDArray[np.float32]) -> None:
    ours = np.full(5000, 1e30, np.float32)
    with np.errstate(all="ignore"):
        assert peak_lag(ours, theirs) is None


@pytest.mark.parametrize("second", [1.0, 1.0 - 2e-7, 1.0 + 2e-7])
def test_where_rounding_decides_the_delay_is_scipys(second: float) -> None:
    pulse = np.random.RandomState(2).standard_normal(300).astype(np.float32)
    ours, theirs = np.zeros(40000, np.float32), np.zeros(40000, np.float32)
    ours[9000:9300] = pulse
    theirs[11000:11300] = pulse
    theirs[25000:25300] = pulse * np.float32(second)
    centred = theirs - np.mean(theirs)
    expected = round(_scipys(ours - np.mean(ours), centred) - broadband.EAR_DISPERSION)
    kept = broadband.BroadbandAligner(reference=ours, keep_spectrum=True)
    assert [kept.delay(theirs), kept.delay(theirs)] == [expected, expected]
    assert expected in {2000 - 48, 16000 - 48}


@pytest.mark.parametrize("which", [0, 1], ids=["reference", "processed"])
def test_signals_of_different_precision_are_scipys(which: int) -> None:
    rng = np.random.RandomState(3)
    ours = rng.standard_normal(20000)
    theirs = broadband.shift(ours, -700) + 0.1 * rng.standard_normal(20000)
    pair = [ours, theirs]
    pair[which] = pair[which].astype(np.float32)
    assert broadband.BroadbandAligner(reference=pair[0]).delay(pair[1]) == 700 - 48


@pytest.mark.skipif(
    not rounding.USE_NUMPY, reason="needs a SciPy that pyclarity runs on: later ones round otherwise"
)
@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4")])
@pytest.mark.parametrize("length", [20000, 20011])
def test_the_covariance_has_scipys_bits(kinds: tuple[str, str], length: int) -> None:
    both = np.random.RandomState(4).standard_normal((2, length))
    ours, theirs = both[0].astype(kinds[0]), both[1].astype(kinds[1])
    expected = correlate(ours - np.mean(ours), theirs, method="fft")
    np.testing.assert_array_equal(broadband._covariance(ours, theirs), expected)
