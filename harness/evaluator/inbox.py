"""The evaluator's standard input: the host's messages, and the samples that follow them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from harness.protocol.frames import MESSAGE, PCM, FrameError, read_frame
from harness.protocol.records import MESSAGE_ADAPTER, Message
from validator.challenge.rules import CAD1

MAX_FRAME_BYTES = 1 << 31
"""More than three hours of a stereo reference."""

Pcm = NDArray[np.int16]


class Inbox:
    """Reads frames from the host, which is trusted: an error here is an internal error.

    Args:
        stream: The standard input.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def message(self) -> Message:
        """The next message.

        Raises:
            FrameError: If the input ends, or something else comes.
        """
        return MESSAGE_ADAPTER.validate_json(bytes(self._next(MESSAGE)))

    def samples(self) -> Pcm:
        """The next samples, as one row of interleaved channels.

        Raises:
            FrameError: If the input ends, or something else comes.
        """
        return np.frombuffer(self._next(PCM), dtype="<i2")

    def _next(self, kind: bytes) -> bytearray:
        found = read_frame(self._stream, limit=MAX_FRAME_BYTES)
        if found is None:
            raise FrameError("the input ended before the last message")
        if found[0] != kind:
            raise FrameError(f"a frame of the kind {found[0]!r}; expected {kind!r}")
        return found[1]


class BatchSamples:
    """The samples of a batch, which come stem by stem, and within a stem listener by listener.

    They are read when they are needed, so that few of them are in memory.

    Args:
        inbox: Where they come from.
        listeners: How many listeners the batch has.
        stems: How many stems of each listener follow.
    """

    def __init__(self, inbox: Inbox, *, listeners: int, stems: int) -> None:
        self._inbox = inbox
        self._listeners = listeners
        self._total = listeners * stems
        self._read = 0
        self._early: dict[int, Pcm] = {}

    def take(self, listener: int, stem: int) -> Pcm:
        """The samples of a stem of a listener; each can be taken once."""
        wanted = stem * self._listeners + listener
        while self._read <= wanted:
            self._early[self._read] = self._inbox.samples()
            self._read += 1
        return self._early.pop(wanted)

    def skip_rest(self) -> None:
        """Reads what was not taken."""
        self._early.clear()
        while self._read < self._total:
            self._inbox.samples()
            self._read += 1


def signals(
    samples: BatchSamples, *, listener: int, scales: Sequence[float]
) -> Iterator[NDArray[np.float32]]:
    """The stems of one listener as the official scorer takes them: int16 / 32768 as float32, times the scale.

    Args:
        samples: The samples of the batch.
        listener: The listener's position in it.
        scales: The scale factor of each stem.
    """
    for stem, scale in enumerate(scales):
        yield scaled(samples.take(listener, stem), scale=scale)


def scaled(pcm: Pcm, *, scale: float) -> NDArray[np.float32]:
    """Samples as float32 with full scale ±1, times a scale factor; the same shape."""
    signal = (pcm / CAD1.full_scale).astype(np.float32)
    signal *= scale
    return signal
