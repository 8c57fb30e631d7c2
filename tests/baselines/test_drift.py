"""Drift between stored and new scores."""

from __future__ import annotations

import math

import pytest

from harness.baselines.drift import OTHER_CPU, SAME_BITS, Scores, Values, compare, song_means
from tests.values import values

STORED: Scores = {
    ("Song", "L1"): values(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    ("Song", "L2"): values(0.2, 0.2, None, 0.2, 0.2, 0.2, 0.2, 0.2),
}


def changed(example: tuple[str, str], column: str, value: float | None) -> Scores:
    """The stored scores with one other value."""
    return {**STORED, example: {**STORED[example], column: value}}


def test_equal_scores_are_steady() -> None:
    comparison = compare(STORED, STORED)
    assert comparison.steady
    assert comparison.compared == 16
    assert comparison.largest == 0
    assert comparison.lines() == ["All 16 values are unchanged within 1e-09; the largest change is 0.0e+00."]


def test_a_changed_value_is_named_with_the_change() -> None:
    comparison = compare(STORED, changed(("Song", "L1"), "right_drums", 0.4 - 2e-6))
    (drift,) = comparison.drifts
    assert (drift.song, drift.listener, drift.column) == ("Song", "L1", "right_drums")
    assert drift.by == pytest.approx(-2e-6)
    assert not comparison.steady
    assert comparison.lines()[0] == "1 of 16 values changed by more than 1e-09."
    assert comparison.lines()[2].startswith("Song, L1, right_drums: 0.4 became 0.399998")
    assert comparison.lines()[2].endswith("(-2.000e-06)")


def test_changes_within_the_tolerance_are_ignored() -> None:
    moved = changed(("Song", "L1"), "left_bass", 0.1 + 5e-7)
    assert not compare(STORED, moved, tolerance=SAME_BITS).steady
    across = compare(STORED, moved, tolerance=OTHER_CPU)
    assert across.steady
    assert across.largest == pytest.approx(5e-7)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_value_that_is_no_longer_a_number_is_a_drift(value: float | None) -> None:
    (drift,) = compare(STORED, changed(("Song", "L1"), "left_bass", value), tolerance=1.0).drifts
    assert drift.by == math.inf


def test_an_undefined_value_must_stay_undefined() -> None:
    (drift,) = compare(STORED, changed(("Song", "L2"), "left_drums", 0.5), tolerance=1.0).drifts
    assert str(drift) == "Song, L2, left_drums: undefined became 0.5"


def test_the_largest_change_comes_first_and_long_lists_are_cut() -> None:
    moved = {
        key: {
            name: None if value is None else value + 0.01 * index
            for index, (name, value) in enumerate(stored.items())
        }
        for key, stored in STORED.items()
    }
    comparison = compare(STORED, moved)
    assert [abs(drift.by) for drift in comparison.drifts] == sorted(
        (abs(drift.by) for drift in comparison.drifts), reverse=True
    )
    assert comparison.lines(most=3)[-1] == "… and 10 more."


def test_missing_and_unexpected_examples_are_not_steady() -> None:
    fewer = {("Song", "L1"): STORED["Song", "L1"]}
    assert compare(STORED, fewer).missing == (("Song", "L2"),)
    assert compare(fewer, STORED).unexpected == (("Song", "L2"),)
    assert "Song, L2: not scored" in compare(STORED, fewer).lines()
    assert not compare({}, {}).steady


def test_wrong_arguments_are_refused() -> None:
    seven: Values = {name: 0.1 for name in values(0.1) if name != "left_bass"}
    for wrong in (seven, {**values(0.1), "left_guitar": 0.1}):
        with pytest.raises(ValueError, match=r"has the values .*; expected left_bass, right_bass"):
            compare(STORED, {("Song", "L1"): wrong})
    for tolerance in (-1.0, math.nan):
        with pytest.raises(ValueError, match="the tolerance must be at least 0"):
            compare(STORED, STORED, tolerance=tolerance)


def test_song_means_leave_undefined_values_out() -> None:
    assert song_means({**STORED, ("Mute", "L1"): values(None)}) == {"Song": pytest.approx((0.45 + 0.2) / 2)}
