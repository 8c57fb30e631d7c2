"""The tricks that `bench/gaming.py` measures do what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from bench.tricks import (
    RATE,
    SEARCH_HZ,
    TRICKS,
    Stem,
    Trick,
    band_powers,
    power,
    searched,
    sharpened,
    stepped,
)


def stem(signal: np.ndarray, *, song: str = "Shore", name: str = "left_drums") -> Stem:
    return Stem(
        key=(song, "L1", name),
        signal=signal,
        opposite=signal,
        mixture=signal,
        true=signal,
        usual=np.ones(len(band_powers(signal))),
        loss=(20, 20, 30, 40, 50, 60),
    )


@pytest.fixture
def sound() -> np.ndarray:
    return np.random.RandomState(1).randn(RATE) * np.linspace(0.001, 0.3, RATE)


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_a_trick_returns_finite_samples_and_leaves_its_input_alone(trick: Trick, sound: np.ndarray) -> None:
    before = sound.copy()
    assert np.all(np.isfinite(trick.change(stem(sound))))
    assert np.all(np.isfinite(trick.change(stem(np.zeros(RATE)))))
    assert np.array_equal(sound, before)


def test_the_powers_of_the_bands_sum_to_the_power_of_the_signal(sound: np.ndarray) -> None:
    assert band_powers(sound).sum() == pytest.approx(power(sound), rel=1e-3)


def test_a_level_and_a_spectrum_that_are_right_already_stay(sound: np.ndarray) -> None:
    for name in (
        "level of the true stem (T)",
        "usual level of the stem (S)",
        "spectrum of the true stem (T)",
    ):
        (trick,) = [one for one in TRICKS if one.name == name]
        assert np.allclose(trick.change(stem(sound)), sound, rtol=1e-3)
    assert np.allclose(sharpened(sound, 1.0), sound)


def test_all_of_the_prescribed_gain_less_a_share_is_softer_where_there_is_a_loss(sound: np.ndarray) -> None:
    (trick,) = [one for one in TRICKS if one.name.startswith("0% of NAL-R")]
    changed = 10 * np.log10(band_powers(trick.change(stem(sound))) / band_powers(sound))
    assert changed[-3] < changed[3] - 5


def test_noise_differs_from_stem_to_stem_and_is_the_same_every_time(sound: np.ndarray) -> None:
    (trick,) = [one for one in TRICKS if one.name.startswith("noise at -60 dB instead")]
    left, right = stem(sound), stem(sound, name="right_drums")
    assert np.array_equal(trick.change(left), trick.change(left))
    assert abs(np.corrcoef(trick.change(left), trick.change(right))[0, 1]) < 0.05


def test_the_search_finds_the_gains_that_score_best_and_carries_them_to_the_other_song(
    sound: np.ndarray,
) -> None:
    stems = [stem(sound, song="Shore"), stem(sound, song="Reef")]
    targets = [
        stepped(sound, SEARCH_HZ, np.array([0.0, 0, 8, 0, 0, -4])),
        stepped(sound, SEARCH_HZ, np.array([0.0, 0, 0, 0, 4, 0])),
    ]

    def score(signals: list[np.ndarray]) -> np.ndarray:
        return np.array([-power(one - target) for one, target in zip(signals, targets, strict=True)])

    here, elsewhere = searched(stems, score)
    assert np.allclose(here.change(stems[0]), targets[0])
    assert np.allclose(here.change(stems[1]), targets[1])
    assert np.allclose(elsewhere.change(stems[0]), targets[1])
