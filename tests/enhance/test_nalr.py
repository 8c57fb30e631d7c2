from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.enhance.nalr import convolve, nalr_taps
from validator.checks.nalr import nalr_gains

GOLDEN = json.loads(Path(__file__).with_name("nalr_golden.json").read_text(encoding="utf-8"))


def test_golden_file_is_from_pyclarity():
    assert GOLDEN["made_by"]["pyclarity"] == "0.3.2"
    assert len(GOLDEN["cases"]) == 24


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['name']}, {c['sample_rate']}")
def test_taps_equal_pyclarity(case):
    taps = nalr_taps(
        frequencies=case["frequencies"],
        levels=case["levels"],
        sample_rate=case["sample_rate"],
        order=case["order"],
    )
    expected = np.array([float.fromhex(tap) for tap in case["taps"]])
    assert taps.shape == (case["order"] + 1,)
    np.testing.assert_allclose(taps, expected, rtol=0, atol=1e-12)


def test_filter_is_symmetric_and_amplifies_as_prescribed():
    levels = [25, 30, 35, 45, 55, 60, 65, 70]
    frequencies = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
    taps = nalr_taps(frequencies=frequencies, levels=levels)
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-14)
    response = np.abs(np.fft.rfft(taps, 44100))
    gains = nalr_gains([25, 30, 35, 45, 60, 65])
    for frequency, gain in zip((1000, 2000, 4000), gains[2:5], strict=True):
        assert 20 * np.log10(response[frequency]) == pytest.approx(gain, abs=0.7)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frequencies": [250, 500, 6000], "levels": [1, 2]}, "one hearing level for each"),
        ({"frequencies": [500, 250, 6000], "levels": [1, 2, 3]}, "increasing"),
        ({"frequencies": [500, 6000], "levels": [1, 2]}, "must cover 250 to 6000 Hz"),
        ({"sample_rate": 12000}, "above 12000 Hz"),
        ({"order": 219}, "must be even"),
        ({"levels": [1, float("nan"), 3, 4]}, "six finite hearing levels"),
    ],
)
def test_invalid_arguments_are_rejected(change, sentence):
    good = {"frequencies": [250, 1000, 4000, 6000], "levels": [10, 20, 30, 40]}
    with pytest.raises(ValueError, match=sentence):
        nalr_taps(**{**good, **change})


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 9000),
    taps=st.integers(1, 400),
    start=st.integers(0, 9500),
    span=st.integers(0, 9500),
    seed=st.integers(0, 99),
)
def test_convolution_is_a_part_of_the_full_one(length, taps, start, span, seed):
    noise = np.random.default_rng(seed)
    signal, kernel = noise.uniform(-1, 1, length).astype(np.float32), noise.uniform(-1, 1, taps)
    full = np.convolve(signal, kernel)
    np.testing.assert_allclose(convolve(signal, kernel), full, atol=1e-12)
    part = convolve(signal, kernel, start=start, stop=start + span)
    np.testing.assert_allclose(part, full[start : start + span], atol=1e-12)


def test_silence_stays_silent_next_to_sound():
    signal = np.zeros(50000)
    signal[:100] = 1.0
    out = convolve(signal, np.full(221, 0.1))
    assert np.any(out[:300] != 0)
    assert np.all(out[8192:] == 0)


@pytest.mark.parametrize("signal", [np.zeros((2, 5)), np.zeros(0)])
def test_convolution_rejects_an_invalid_signal(signal):
    with pytest.raises(ValueError, match="one dimension and at least one sample"):
        convolve(signal, np.ones(3))


def test_convolution_rejects_a_filter_longer_than_its_blocks():
    with pytest.raises(ValueError, match="1 to 2048 taps"):
        convolve(np.ones(10), np.ones(2049))
