"""The evaluator's job: the values of an engine by name, and what goes wrong."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.evaluator import engines
from harness.evaluator.inbox import BatchSamples, Inbox
from harness.evaluator.job import JobRunner, by_name, failure_of
from harness.evaluator.references import References
from harness.haaqi.listening import Listening, Values
from harness.protocol.errors import SetupError
from harness.protocol.frames import PCM, FrameError, frame
from harness.protocol.records import (
    EndMessage,
    Engine,
    ExampleFailure,
    ExampleScore,
    Line,
    SongReferences,
)
from harness.sandbox.feed import BatchQuestion, Pieces, SongQuestion, message
from tests.values import values
from validator import Challenge
from validator.archive.submission import open_submission
from validator.challenge.audio import AudioReader, read_references
from validator.challenge.rules import CAD1
from validator.formats.flac import InProcessDecoder

NONCE = "0" * 32


class Lines:
    """Keeps the lines that it gets."""

    nonce = NONCE

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def send(self, line: Line) -> None:
        self.lines.append(line)


def evaluated(submission: Path, root: Path, *, batch: int, engine: Engine = "fast") -> list[Line]:
    """The lines for all examples of the first song."""
    challenge = Challenge.load(root, split="test")
    song = challenge.songs[0]
    stream = io.BytesIO()

    def send(pieces: Pieces) -> None:
        for piece in pieces:
            stream.write(piece)

    with open_submission(submission) as opened:
        reader = AudioReader(opened, challenge)
        send(SongQuestion(song.name, read_references(song).stems).pieces())
        found = [reader.read(song.name, one.id, InProcessDecoder()) for one in challenge.listeners]
    for first in range(0, len(found), batch):
        send(BatchQuestion(song.name, tuple(found[first : first + batch])).pieces())
    send(message(EndMessage()))
    stream.seek(0)
    lines = Lines()
    JobRunner(engine, Inbox(stream), lines).run()
    first_line, *rest = lines.lines
    assert isinstance(first_line, SongReferences)
    assert first_line.sha256 == read_references(song).sha256
    return rest


def scores(lines: list[Line]) -> dict[str, object]:
    """The values by listener."""
    return {line.listener: line.values for line in lines if isinstance(line, ExampleScore)}


def test_a_batch_gives_the_values_of_single_examples_and_a_share_of_the_time(
    oracle_zip: Path, synthetic_root: Path
) -> None:
    single = evaluated(oracle_zip, synthetic_root, batch=1)
    lines = evaluated(oracle_zip, synthetic_root, batch=8)
    assert len(lines) > 1
    assert scores(lines) == scores(single)
    assert [line.type for line in lines] == ["example"] * len(lines)
    assert len({line.seconds for line in lines if isinstance(line, ExampleScore)}) == 1


@pytest.mark.parametrize(
    ("bad", "fault", "message"),
    [
        ([float("nan")] * 8, "setup", "HAAQI of left_drums is not a number"),
        ([2.0] * 8, "bug", "less than or equal to 1"),
        (ZeroDivisionError("oh"), "bug", "ZeroDivisionError: oh"),
    ],
)
def test_a_failure_of_one_example_does_not_affect_the_others(
    bad: Values | Exception,
    fault: str,
    message: str,
    oracle_zip: Path,
    synthetic_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class OneBad:
        def __init__(self, references: References) -> None:
            pass

        def score_all(self, listenings: Sequence[Listening]) -> Sequence[Values | Exception]:
            good: Values = [0.5] * 8
            return [bad, *[good] * (len(listenings) - 1)]

    monkeypatch.setitem(engines.ENGINES, "fast", OneBad)
    first, *others = evaluated(oracle_zip, synthetic_root, batch=8)
    assert isinstance(first, ExampleFailure)
    assert first.fault == fault
    assert message in first.message
    assert others
    assert list(scores(others).values()) == [values(0.5)] * len(others)


def test_a_failure_of_the_whole_batch_is_reported_for_each_example(
    oracle_zip: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AllBad:
        def __init__(self, references: References) -> None:
            pass

        def score_all(self, listenings: Sequence[Listening]) -> list[Values | Exception]:
            raise MemoryError

    monkeypatch.setitem(engines.ENGINES, "fast", AllBad)
    lines = evaluated(oracle_zip, synthetic_root, batch=8)
    assert len(lines) > 1
    assert {line.fault for line in lines if isinstance(line, ExampleFailure)} == {"memory"}


def test_values_are_named_in_the_order_of_scores_csv() -> None:
    ordered: list[float | None] = [position / 10 for position in range(8)]
    named = by_name(ordered)
    assert tuple(named) == CAD1.columns
    assert [named[name] for name in CAD1.scoring_order] == ordered
    assert named["left_drums"] == 0.0
    assert named["left_bass"] == 0.2


def test_an_undefined_value_stays_undefined_and_nan_is_an_error() -> None:
    assert by_name([None] * 8) == values(None)
    with pytest.raises(SetupError, match="HAAQI of right_drums is not a number"):
        by_name([0.5, float("nan"), *[0.5] * 6])


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (SetupError("no reference"), "setup"),
        (MemoryError(), "memory"),
        (ZeroDivisionError("oh"), "bug"),
    ],
)
def test_the_cause_of_a_failure(error: Exception, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = failure_of(error, nonce=NONCE, song="S", listener="L")
    assert record.fault == fault
    assert ("ZeroDivisionError" in capsys.readouterr().err) == (fault == "bug")


def test_a_message_that_is_too_long_is_cut() -> None:
    assert len(failure_of(SetupError("x" * 5000), nonce=NONCE, song="S", listener="L").message) == 2000


def test_the_samples_of_a_batch_can_be_taken_in_any_order_and_the_rest_is_skipped() -> None:
    pieces = [bytes([number, 0]) for number in range(6)]
    stream = io.BytesIO(b"".join(b"".join(frame(PCM, one)) for one in pieces) + b"rest")
    samples = BatchSamples(Inbox(stream), listeners=2, stems=3)
    assert samples.take(1, 1).tolist() == [3]
    assert samples.take(0, 0).tolist() == [0]
    samples.skip_rest()
    assert stream.read() == b"rest"


def test_an_input_that_ends_early_is_an_error() -> None:
    whole = b"".join(frame(PCM, b"abcd"))
    for length in (0, 5, len(whole) - 1):
        with pytest.raises(FrameError, match="ended"):
            Inbox(io.BytesIO(whole[:length])).samples()
