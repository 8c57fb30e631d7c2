"""Deadlines and batches follow from the length of the audio."""

from __future__ import annotations

import pytest

from harness.protocol import limits


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.5, 8), (30.0, 8), (30.1, 8), (60.0, 4), (120.0, 2), (130.0, 1), (300.0, 1)]
)
def test_a_batch_is_as_large_as_its_audio_is_short(seconds: float, size: int) -> None:
    assert limits.batch("fast", seconds=seconds) == size
    assert limits.batch("pyclarity", seconds=seconds) == 1


def test_a_deadline_is_ten_times_what_the_fast_engine_takes() -> None:
    one, eight = (limits.deadline("fast", stem_seconds=number * 8 * 30.0) for number in (1, 8))
    assert eight - limits.START_SECONDS == 8 * (one - limits.START_SECONDS)
    assert one > 10 * 8 * 30 * 0.06
