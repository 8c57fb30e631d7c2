"""Frames: what host, decoder and evaluator write to each other's standard input, and the decoder to its output.

A frame is one byte that says what it holds, its length in eight bytes (big-endian), and its contents.
"""

from __future__ import annotations

import struct
from typing import IO

HEADER = struct.Struct(">cQ")
"""The kind of a frame and the number of bytes that follow."""

MESSAGE = b"J"
"""A JSON message."""

PCM = b"P"
"""Interleaved 16-bit samples, little-endian."""

FLAC = b"F"
"""A whole FLAC file."""

FAILURE = b"E"
"""A JSON message: why a FLAC file can't be decoded."""


class FrameError(ValueError):
    """A frame that is not of the expected kind, is too long, or ends early."""


def frame(kind: bytes, content: bytes | bytearray | memoryview) -> tuple[bytes, memoryview]:
    """A frame in two pieces, to be written one after the other: no copy is made of the content."""
    view = memoryview(content).cast("B")
    return HEADER.pack(kind, len(view)), view


def read_exactly(stream: IO[bytes], count: int) -> bytearray:
    """Reads `count` bytes.

    Raises:
        FrameError: If the stream ends before.
    """
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]  # IO[bytes] lacks it, every binary stream has it
        if not got:
            raise FrameError(f"the input ended {count - done} bytes before the end of a frame")
        done += got
    return data


def read_frame(stream: IO[bytes], *, limit: int) -> tuple[bytes, bytearray] | None:
    """The next frame: its kind and its content; None at the end of the stream.

    Raises:
        FrameError: If it is longer than `limit` bytes, or ends early.
    """
    first = stream.read(1)
    if not first:
        return None
    kind, length = HEADER.unpack(bytes(first) + bytes(read_exactly(stream, HEADER.size - 1)))
    if length > limit:
        raise FrameError(f"a frame of {length} bytes; at most {limit} are allowed")
    return kind, read_exactly(stream, length)
