"""What the audio of a submission shows: silence, swapped stems, a wrong level and the like.

Scoring decodes every file anyway, so each example is compared with its references on the way. What is kept of it is
a line of a file beside the ledger; an interrupted run forgets nothing, and nothing is decoded twice.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.ledger.entities import Key
from harness.protocol.errors import SetupError
from harness.protocol.records import Example
from harness.ranking.files import write_atomically, write_error
from validator import Challenge, Finding, Report
from validator.challenge.audio import DecodedFile
from validator.challenge.rules import side_and_stem
from validator.checks.audio import check_audio
from validator.checks.groups import REMIX, FileKey
from validator.checks.matching import SongReferences
from validator.checks.measurement import summarise
from validator.checks.summary import AudioSummary

FOLDER = "findings"
"""The folder of a store with what the validator found."""


class _Line(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex", ser_json_inf_nan="strings"
    )

    song: str
    listener: str
    files: tuple[AudioSummary, ...]


class Observations:
    """The summaries of the decoded files of one submission to one challenge.

    Args:
        store: The folder of the ledger.
        key: The submission and the challenge; the scorer does not matter.
    """

    def __init__(self, store: Path, key: Key) -> None:
        self._path = _path(store, key.submission, key.challenge, suffix="jsonl")
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[AudioSummary, ...]] = {}

    def load(self) -> None:
        """Reads what earlier runs kept; only the run that holds the lease may do so.

        Raises:
            SetupError: It can't be read.
        """
        if not self._path.exists():
            return
        whole, rest = _split(self._path)
        if rest:  # a run was killed while it wrote the line: its example has no score, and comes again
            write_atomically(self._path, b"".join(whole))
        self._found = {(line.song, line.listener): line.files for line in _parse(self._path, whole)}

    def add(self, song: str, listener: str, files: Iterable[AudioSummary]) -> None:
        """Keeps what was seen of an example.

        Raises:
            SetupError: The file can't be written.
        """
        line = _Line(song=song, listener=listener, files=tuple(files))
        with self._lock:
            if self._found.get((song, listener)) == line.files:
                return
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._append(line.model_dump_json().encode() + b"\n")
            except OSError as error:
                raise write_error(self._path, error) from error
            self._found[song, listener] = line.files

    def _append(self, text: bytes) -> None:
        """Appends a line, or nothing if the disk has no room for all of it."""
        with self._path.open("ab", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            if stream.write(text) != len(text):
                stream.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def shared_stems(self) -> dict[str, tuple[int, int]]:
        """The stems that other submissions to the challenge have, too; silent ones do not count.

        Their files are only read: another run may be writing to one.

        Returns:
            By the SHA-256 of the other submission: how many stems are the same, and how many this one has.

        Raises:
            SetupError: What was kept of a submission can't be read.
        """
        own = _stems(self._found.values())
        found = {}
        challenge = self._path.name.partition("-")[2]
        for path in sorted(self._path.parent.glob(f"*-{challenge}")):
            if path != self._path and (same := len(own & _stems(_files(path)))):
                found[path.name.partition("-")[0]] = (same, len(own))
        return found

    def findings(self, challenge: Challenge) -> list[Finding]:
        """What the audio of all examples shows that were decoded so far."""
        files = [one for example in challenge.examples for one in self._found.get(example, ())]
        return check_audio(files, challenge)

    def unseen(self, examples: Iterable[tuple[str, str]]) -> int:
        """How many of these (song, listener) were scored by a version that kept nothing of them."""
        return sum(example not in self._found for example in examples)


def _split(path: Path) -> tuple[list[bytes], bytes]:
    """The whole lines of a file, and what follows the last of them."""
    lines = path.read_bytes().splitlines(keepends=True)
    rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    return lines, rest


def _parse(path: Path, lines: Iterable[bytes]) -> Iterator[_Line]:
    """The lines of a file.

    Raises:
        SetupError: One is not what a run keeps.
    """
    for number, text in enumerate(lines, 1):
        try:
            yield _Line.model_validate_json(text)
        except ValidationError as error:
            raise SetupError(
                f"{path}, line {number}: expected what a run keeps of an example.",
                hint="Delete the file; the audio of what is scored already is then not compared any more.",
            ) from error


def _files(path: Path) -> Iterable[tuple[AudioSummary, ...]]:
    """What was kept of each example of another submission; a line that is being written is left out."""
    latest = {(line.song, line.listener): line.files for line in _parse(path, _split(path)[0])}
    return latest.values()


def _stems(examples: Iterable[tuple[AudioSummary, ...]]) -> set[tuple[FileKey, bytes]]:
    """The stems that are not silent, each with the MD5 of its audio."""
    return {(one.key, one.digest) for files in examples for one in files if one.peak > 0 and not one.is_remix}


def summary_of(file: DecodedFile, example: Example, references: SongReferences | None) -> AudioSummary:
    """What is kept of a decoded file.

    Args:
        file: The file.
        example: The example that it belongs to.
        references: The references of its song; None not to compare a stem with them.
    """
    if not file.name:
        return summarise(FileKey(example.listener, example.song, "", REMIX), file.pcm, md5=file.md5)
    side, stem = side_and_stem(file.name)
    return summarise(
        FileKey(example.listener, example.song, side, stem),
        file.pcm,
        md5=file.md5,
        scaled=file.scaled,
        scale=file.scale,
        references=references,
    )


def write_report(store: Path, report: Report, *, submission: str, challenge: str) -> Path:
    """Writes a report into the store, in place of an earlier one on the same submission and challenge.

    Args:
        store: The folder of the ledger.
        report: The report.
        submission: SHA-256 of the submission.
        challenge: Digest of the challenge's roster.

    Raises:
        SetupError: It can't be written.
    """
    path = _path(store, submission, challenge, suffix="json")
    write_atomically(path, report.to_json())
    return path


def _path(store: Path, submission: str, challenge: str, *, suffix: str) -> Path:
    return store / FOLDER / f"{submission}-{challenge[:12]}.{suffix}"
