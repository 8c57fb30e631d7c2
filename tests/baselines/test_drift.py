from __future__ import annotations

import json
import math
from importlib.resources import files

import pytest

from harness.baselines.drift import OTHER_CPU, PUBLISHED, SAME_BITS, compare, compare_published, song_means
from validator.challenge.rules import CAD1

STORED = {
    ("Song", "L1"): [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    ("Song", "L2"): [0.2, 0.2, None, 0.2, 0.2, 0.2, 0.2, 0.2],
}


def changed(example, column, value):
    scores = {key: list(values) for key, values in STORED.items()}
    scores[example][CAD1.columns.index(column)] = value
    return scores


def test_equal_scores_are_steady():
    comparison = compare(STORED, STORED)
    assert comparison.steady
    assert comparison.compared == 16
    assert comparison.largest == 0
    assert comparison.lines() == [
        "All 16 values are what they were, within 1e-09; the largest movement is 0.0e+00."
    ]


def test_a_moved_value_is_named_with_how_far():
    comparison = compare(STORED, changed(("Song", "L1"), "right_drums", 0.4 - 2e-6))
    (drift,) = comparison.drifts
    assert (drift.song, drift.listener, drift.column) == ("Song", "L1", "right_drums")
    assert drift.by == pytest.approx(-2e-6)
    assert not comparison.steady
    assert comparison.lines()[0] == "1 of 16 values moved by more than 1e-09."
    assert comparison.lines()[2].startswith("Song, L1, right_drums: 0.4 became 0.399998")
    assert comparison.lines()[2].endswith("(-2.000e-06)")


def test_tolerance_is_a_bound_on_the_movement():
    moved = changed(("Song", "L1"), "left_bass", 0.1 + 5e-7)
    assert not compare(STORED, moved, tolerance=SAME_BITS).steady
    across = compare(STORED, moved, tolerance=OTHER_CPU)
    assert across.steady
    assert across.largest == pytest.approx(5e-7)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_value_that_is_no_longer_a_number_is_a_drift(value):
    (drift,) = compare(STORED, changed(("Song", "L1"), "left_bass", value), tolerance=1.0).drifts
    assert drift.by == math.inf


def test_a_value_that_was_undefined_must_stay_so():
    (drift,) = compare(STORED, changed(("Song", "L2"), "left_drums", 0.5), tolerance=1.0).drifts
    assert str(drift) == "Song, L2, left_drums: undefined became 0.5"


def test_the_furthest_comes_first_and_long_lists_are_cut():
    moved = {
        key: [None if value is None else value + 0.01 * index for index, value in enumerate(values)]
        for key, values in STORED.items()
    }
    comparison = compare(STORED, moved)
    assert [abs(drift.by) for drift in comparison.drifts] == sorted(
        (abs(drift.by) for drift in comparison.drifts), reverse=True
    )
    assert comparison.lines(most=3)[-1] == "… and 10 more."


def test_examples_that_come_or_go_are_not_steady():
    fewer = {("Song", "L1"): STORED["Song", "L1"]}
    assert compare(STORED, fewer).missing == (("Song", "L2"),)
    assert compare(fewer, STORED).unexpected == (("Song", "L2"),)
    assert "Song, L2: not scored" in compare(STORED, fewer).lines()
    assert not compare({}, {}).steady


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="has 7 values"):
        compare(STORED, {("Song", "L1"): [0.1] * 7})
    for tolerance in (-1.0, math.nan):
        with pytest.raises(ValueError, match="makes no sense"):
            compare(STORED, STORED, tolerance=tolerance)


def test_song_means_leave_undefined_values_out():
    assert song_means({**STORED, ("Mute", "L1"): [None] * 8}) == {"Song": pytest.approx((0.45 + 0.2) / 2)}


def test_published_songs_are_those_of_the_split_and_average_to_the_published_average():
    roster = json.loads(files("validator").joinpath("rosters", "valid.json").read_text("utf-8"))
    for published in PUBLISHED.values():
        assert set(published.songs) == set(roster["songs"])
        assert sum(published.songs.values()) / 14 == pytest.approx(published.average, abs=1e-3)
    assert PUBLISHED["demucs"].average == 0.2592


def test_published_figures_are_reached_within_their_rounding():
    scores = {
        (song, listener): [figure + shift] * 8
        for song, figure in PUBLISHED["demucs"].songs.items()
        for listener, shift in (("L1", 0.01), ("L2", -0.01))
    }
    differences = compare_published("demucs", scores)
    assert len(differences) == 15
    assert all(difference.reached for difference in differences)
    assert str(differences[0]) == "average: 0.2592, published 0.2592 (as published)"
    scores["ANiMAL - Rockshow", "L1"] = [0.1943 + 0.0004] * 8
    off = [difference for difference in compare_published("demucs", scores) if not difference.reached]
    assert [difference.song for difference in off] == ["ANiMAL - Rockshow"]
    assert "+0.0002, as may be expected: the published one was separated in 2023" in str(off[0])
    assert all(difference.expected for difference in off)
    scores["ANiMAL - Rockshow", "L1"] = [0.1943 + 0.004] * 8
    (far,) = [difference for difference in compare_published("demucs", scores) if not difference.expected]
    assert str(far) == (
        "ANiMAL - Rockshow: 0.1863, published 0.1843 (+0.0020, more than the 0.001 that may be expected)"
    )


def test_open_unmix_s_published_average_is_not_that_of_its_songs_but_expected():
    scores = {(song, "L1"): [figure] * 8 for song, figure in PUBLISHED["openunmix"].songs.items()}
    average, *songs = compare_published("openunmix", scores)
    assert all(song.reached for song in songs)
    assert average.expected
    assert not average.reached
    assert "average 0.2270, not 0.2273" in str(average)


def test_some_songs_have_no_average():
    differences = compare_published("openunmix", {("Leaf - Summerghost", "L1"): [0.2] * 8})
    assert [difference.song for difference in differences] == ["Leaf - Summerghost"]
    with pytest.raises(KeyError):
        compare_published("oracle", {})
