"""The draw of the audit: repeatable from values, submission and salt, and not known without the salt."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.protocol.aggregation import default_number, draw_audits, mean
from tests.values import values

VALUES = {
    (f"S{song}", f"L{listener}"): values(*(stem / 10 for stem in range(7)), None)
    for song in range(5)
    for listener in range(6)
}


@pytest.mark.parametrize(("examples", "number"), [(1, 3), (600, 3), (601, 4), (2597, 13)])
def test_one_stem_per_200_examples_and_at_least_3(examples: int, number: int) -> None:
    assert default_number(examples) == number


def test_submission_and_salt_determine_the_draw() -> None:
    first = draw_audits(VALUES, submission="a" * 64, salt="1", number=5)
    assert draw_audits(dict(reversed(VALUES.items())), submission="a" * 64, salt="1", number=5) == first
    assert draw_audits(VALUES, submission="a" * 64, salt="2", number=5) != first
    assert draw_audits(VALUES, submission="b" * 64, salt="1", number=5) != first


def test_a_draw_is_the_same_on_every_python() -> None:
    """Bundles are verified for years."""
    drawn = draw_audits(VALUES, submission="a" * 64, salt="1" * 32, number=3)
    assert drawn == [("S0", "L4", "left_drums"), ("S2", "L5", "left_vocals"), ("S3", "L3", "right_bass")]


def test_only_stems_with_a_value_are_drawn_each_once() -> None:
    drawn = draw_audits(VALUES, submission="a" * 64, salt="", number=10_000)
    assert len(drawn) == len(set(drawn)) == 5 * 6 * 7
    assert drawn == sorted(drawn)
    assert all(VALUES[song, listener][name] is not None for song, listener, name in drawn)
    assert draw_audits(VALUES, submission="a" * 64, salt="", number=0) == []


def test_repacking_frees_no_song_from_every_audit() -> None:
    """Whatever the submission's hash is, each song is drawn about equally often over the salts."""
    drawn: Counter[str] = Counter()
    for salt in range(1000):
        drawn.update(
            song for song, _, _ in draw_audits(VALUES, submission="a" * 64, salt=f"{salt}", number=3)
        )
    assert set(drawn) == {f"S{song}" for song in range(5)}
    assert min(drawn.values()) > 500


def test_the_mean_leaves_out_only_undefined_values() -> None:
    assert mean([None]) is None
    assert mean([0.1] * 10 + [None]) == 0.1
