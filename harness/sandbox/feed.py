"""What the host sends to an evaluator: songs, batches of listeners and audits, as frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.protocol.frames import MESSAGE, PCM, frame
from harness.protocol.records import AuditMessage, BatchMessage, ListenerMessage, SongMessage
from validator.challenge.audio import ExampleAudio
from validator.challenge.rules import CAD1
from validator.formats.pcm import little_endian

Pieces = Iterator[bytes | memoryview]
"""Bytes to write one after the other."""


@dataclass(frozen=True)
class SongQuestion:
    """The references of the song that the next questions are about.

    Attributes:
        song: The song's name.
        references: For each of `CAD1.stems` the samples that are scored, (frames, 2) at 44.1 kHz.
    """

    song: str
    references: Mapping[str, NDArray[np.int16]]

    def pieces(self) -> Pieces:
        """The frames."""
        yield from message(SongMessage(song=self.song))
        for stem in CAD1.stems:
            yield from frame(PCM, little_endian(self.references[stem]))


def listener_message(example: ExampleAudio) -> ListenerMessage:
    """What precedes the samples of an example."""
    return ListenerMessage(
        listener=example.listener, audiograms=dict(example.audiograms), scales=dict(example.scales)
    )


@dataclass(frozen=True)
class BatchQuestion:
    """Listeners of a song that are scored together."""

    song: str
    examples: tuple[ExampleAudio, ...]

    def pieces(self) -> Pieces:
        """The frames."""
        yield from message(BatchMessage(listeners=tuple(map(listener_message, self.examples))))
        for name in CAD1.scoring_order:
            for example in self.examples:
                yield from frame(PCM, little_endian(example.stems[name]))


@dataclass(frozen=True)
class AuditQuestion:
    """A stem to be scored by pyclarity; `value` names it."""

    song: str
    example: ExampleAudio
    value: str

    def pieces(self) -> Pieces:
        """The frames: the noise of a stem depends on those before it, which are sent too."""
        yield from message(AuditMessage(listener=listener_message(self.example), value=self.value))
        for name in CAD1.scoring_order[: CAD1.scoring_order.index(self.value) + 1]:
            yield from frame(PCM, little_endian(self.example.stems[name]))


Question = SongQuestion | BatchQuestion | AuditQuestion


def message(content: BaseModel) -> Pieces:
    """The frame of a message."""
    yield from frame(MESSAGE, content.model_dump_json().encode())
