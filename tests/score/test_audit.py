"""The submission's hash alone determines which stems are audited."""

from __future__ import annotations

from harness.ledger.entities import StoredExample
from harness.score.audit import draw
from tests.values import values

EXAMPLES = {
    (f"S{song}", f"L{listener}"): StoredExample(
        f"S{song}", f"L{listener}", values(*((song * 100 + listener * 10 + stem) / 1000 for stem in range(8)))
    )
    for song in range(5)
    for listener in range(6)
}


def test_the_hash_determines_the_draw() -> None:
    first = draw(EXAMPLES, submission="a" * 64, number=5)
    again = draw(dict(reversed(EXAMPLES.items())), submission="a" * 64, number=5)
    assert first == again
    assert draw(EXAMPLES, submission="b" * 64, number=5) != first


def test_each_draw_has_the_value_of_its_own_stem() -> None:
    for one in draw(EXAMPLES, submission="a" * 64, number=240):
        assert one.fast == EXAMPLES[one.stem.song, one.stem.listener].values[one.stem.value]


def test_draws_at_most_all_stems_and_none_without_a_value() -> None:
    one = {("S", "L"): StoredExample("S", "L", values(*[None] * 7, 0.5))}
    (only,) = draw(one, submission="a" * 64, number=None)
    assert only.stem.value == "right_vocals"
    assert draw(EXAMPLES, submission="a" * 64, number=0) == []
