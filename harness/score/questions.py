"""What a run asks the evaluators: references, examples and audits, read and decoded as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

from harness.ledger.entities import Key
from harness.ledger.ledger import Ledger
from harness.protocol.errors import DeadlineError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import AuditStem, Example, SongReferences
from harness.sandbox.contract import Decoder, Sandbox
from harness.sandbox.feed import AuditQuestion, BatchQuestion, Question, SongQuestion
from harness.score import failures
from harness.score.observations import Observations, summary_of
from harness.score.shards import Shard
from validator import Challenge
from validator.archive.submission import Submission
from validator.challenge.audio import (
    AudioReader,
    DecodedFile,
    ExampleAudio,
    ReferenceAudio,
    UnscorableError,
    read_references,
)
from validator.challenge.metadata import ChallengeError
from validator.checks.matching import SongReferences as SpectraOfSong
from validator.checks.summary import AudioSummary


class Questions:
    """Makes the questions of a run's shards, from several threads, and knows what was sent.

    Args:
        challenge: The challenge, from a data root.
        submission: The open submission.
        sandbox: Where its files are decoded.
        ledger: Holds the references of earlier scores.
        key: The submission, the challenge and the scorer.
        observations: Keeps what each decoded file shows.
        on_failure: Called with the song, the listener and the report of an example that can't be read.

    Attributes:
        decoder_versions: The versions of the decoder's packages; empty before the first example.
    """

    def __init__(
        self,
        *,
        challenge: Challenge,
        submission: Submission,
        sandbox: Sandbox,
        ledger: Ledger,
        key: Key,
        observations: Observations,
        on_failure: Callable[[str, str, failures.FailureReport], None],
    ) -> None:
        self.decoder_versions: dict[str, str] = {}
        self._challenge = challenge
        self._reader = AudioReader(submission, challenge)
        self._sandbox = sandbox
        self._ledger = ledger
        self._key = key
        self._observations = observations
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._audio: dict[tuple[str, str], str] = {}
        self._references: dict[str, str] = {}
        self._silent: dict[str, frozenset[str]] = {}

    def sha256_of(self, song: str, listener: str) -> str:
        """Identifies what was sent of an example."""
        return self._audio[song, listener]

    def silent_in(self, song: str) -> frozenset[str]:
        """The values of a song that was sent which have no HAAQI."""
        return self._silent[song]

    def check_references(self, line: SongReferences) -> None:
        """Checks that the evaluator has the references that were sent.

        Raises:
            InternalError: It does not.
        """
        if line.sha256 != self._references[line.song]:
            raise InternalError(
                f"The evaluator has other references of {line.song!r} than it was sent.",
                hint="Nothing of the song was stored. Please report this.",
            )

    def ask(
        self, shard: Shard, *, stop: threading.Event, skipped: list[Example]
    ) -> Generator[Question, None, None]:
        """What a shard asks: its song, then its examples in batches and its audits, decoded as they are needed."""
        references = self._references_of(shard.song)
        yield SongQuestion(references.song, references.stems)
        compared = SpectraOfSong(references.stems, self._challenge.listeners) if shard.examples else None
        with self._sandbox.decoder(stop=stop) as decoder:
            for first in range(0, len(shard.examples), shard.batch):
                batch = shard.examples[first : first + shard.batch]
                read = (self._read(one, decoder, skipped, compared_with=compared) for one in batch)
                audio = [found for found in read if found is not None]
                if audio:
                    yield BatchQuestion(shard.song, tuple(audio))
            for stem in shard.audits:
                yield AuditQuestion(shard.song, self._read_again(stem, decoder), stem.value)

    def _references_of(self, song: str) -> ReferenceAudio:
        """The references of a song, which must be those of every score of this challenge.

        Raises:
            SetupError: If they can't be read, or have changed.
        """
        try:
            references = read_references(self._challenge.song(song))
        except ChallengeError as error:
            raise SetupError(str(error), hint=error.hint) from error
        self._ledger.add_reference(self._key.challenge, song, references.sha256)
        with self._lock:
            self._references[song] = references.sha256
            self._silent[song] = references.silent
        return references

    def _read(
        self,
        example: Example,
        decoder: Decoder,
        skipped: list[Example],
        *,
        compared_with: SpectraOfSong | None,
    ) -> ExampleAudio | None:
        """The audio of an example, which is also looked at; None if it can't be scored, which is recorded."""
        files: list[AudioSummary] = []

        def observe(file: DecodedFile) -> None:
            files.append(summary_of(file, example, compared_with))

        try:
            found = self._reader.read(example.song, example.listener, decoder, observe=observe)
        except UnscorableError as error:
            failed = failures.from_finding(error.finding)
        except (DeadlineError, MemoryLimitError) as error:
            failed = failures.from_error(error)
        else:
            with self._lock:
                self._audio[example.song, example.listener] = found.sha256
                self.decoder_versions = decoder.versions
            self._observations.add(example.song, example.listener, files)
            return found
        skipped.append(example)
        self._on_failure(example.song, example.listener, failed)
        return None

    def _read_again(self, stem: AuditStem, decoder: Decoder) -> ExampleAudio:
        """The audio of an example that is audited, which must be what was scored.

        Raises:
            SetupError: If it is not.
        """
        stored = self._ledger.examples(self._key)[stem.song, stem.listener].audio
        try:
            found = self._reader.read(stem.song, stem.listener, decoder)
        except UnscorableError as error:
            raise SetupError(
                f"{stem.song} for {stem.listener} was scored and can't be read again: {error}",
                hint="Check the disk and the submission's file.",
            ) from error
        if stored and found.sha256 != stored:
            raise SetupError(
                f"The audio of {stem.song} for {stem.listener} is not what was scored: its SHA-256 was "
                f"{stored[:12]}… and is {found.sha256[:12]}….",
                hint="The decoder or the machine gives other samples than before; please report this.",
            )
        return found
