"""The gains of NAL-R, by hand and for random audiograms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.challenge.rules import CAD1
from validator.checks.nalr import FREQUENCIES, is_normal_hearing, nalr_gains, response

audiograms = st.lists(st.floats(-20, 130), min_size=6, max_size=6)


def test_gains_follow_byrne_and_dillon():
    # By hand: summed loss 35 + 45 + 55 = 135, 0.05 x 135 = 6.75.
    gains = nalr_gains([30, 35, 45, 55, 60, 65])
    expected = [0.0, 6.75 + 0.31 * 35 - 8, 6.75 + 0.31 * 45 + 1, 6.75 + 0.31 * 55 - 1, 23.35, 24.9]
    np.testing.assert_allclose(gains, expected, atol=1e-12)


def test_gain_grows_more_slowly_above_a_summed_loss_of_180_db():
    above = nalr_gains([70, 70, 70, 70, 70, 70])  # summed 210
    np.testing.assert_allclose(above[2], 9.0 + 0.116 * 30 + 0.31 * 70 + 1, atol=1e-12)


def test_frequencies_are_those_of_the_metric():
    assert CAD1.frequencies == FREQUENCIES


@given(audiograms)
def test_gains_are_those_of_the_publication(levels):
    summed = sum(levels[1:4])
    common = 0.05 * min(summed, 180) + 0.116 * max(summed - 180, 0)
    bias = (-17, -8, 1, -1, -2, -2)
    expected = [max(common + 0.31 * level + k, 0) for level, k in zip(levels, bias, strict=True)]
    np.testing.assert_allclose(nalr_gains(levels), expected, rtol=0, atol=1e-12)


@given(audiograms)
def test_response_passes_through_the_gains(levels):
    expected = np.zeros(6) if max(levels) <= 0 else nalr_gains(levels)
    np.testing.assert_array_equal(response(levels, np.array(FREQUENCIES)), expected)
    np.testing.assert_array_equal(response(levels, np.array([0.0, 20000.0])), expected[[0, -1]])


def test_normal_hearing_is_not_amplified():
    assert is_normal_hearing([0.0] * 6)
    assert not is_normal_hearing([0.0] * 5 + [1.0])
    assert nalr_gains([0.0] * 6)[2] == 1.0  # the formula alone would amplify
    assert not np.any(response([0.0] * 6, np.array([500.0, 1000.0])))


@pytest.mark.parametrize("levels", [[1.0] * 5, [1.0] * 5 + [float("nan")], [float("inf")] * 6])
def test_invalid_levels_are_rejected(levels):
    with pytest.raises(ValueError, match="six finite hearing levels"):
        nalr_gains(levels)
