"""FLAC, decoded within a frame budget.

libsndfile picks its parser by content and trusts what a header says of the length, so the header is
parsed here first, and memory is taken only for as many frames as the challenge asks for.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from validator.formats.frames import goes_on
from validator.formats.streaminfo import HEADER_BYTES, StreamInfo, StreamInfoError, parse

if TYPE_CHECKING:
    import numpy.typing as npt

METADATA_BYTES = 1 << 20
"""What a FLAC file may hold beside its audio: tags, padding, a seek table, a cover."""

_BLOCK = 1 << 18  # frames decoded at a time
_STEPS = 4096  # a header may give blocks of 16 frames, and each step takes some microseconds
_TOTAL_MASK = 0xF_FFFF_FFFF


class AudioError(Exception):
    """A FLAC file that is not what it should be.

    Attributes:
        code: Code of the finding.
        message: One sentence.
        expected, found: As in a finding.
    """

    def __init__(self, code: str, message: str, *, expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.expected = expected
        self.found = found


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A stream that is only read forwards.

    soundfile seeks after each read of a seekable stream, which costs time and fails on audio longer or
    shorter than its header says.
    """

    def seekable(self) -> bool:
        """Never."""
        return False


def audio_bytes(*, channels: int, frames: int) -> int:
    """The most bytes that a FLAC file of so many frames can have.

    A FLAC frame is never larger than its PCM by more than a few per cent (verbatim subframes), so PCM and
    a quarter, and `METADATA_BYTES`, bound a file.
    """
    return 2 * channels * frames * 5 // 4 + METADATA_BYTES


def too_many_bytes(most: int) -> AudioError:
    """The error of a file over `audio_bytes`."""
    return AudioError(
        "member-too-large",
        "The file is larger than its audio can be.",
        expected=f"at most {most} bytes",
        found=f"over {most} bytes",
    )


def check_format(info: StreamInfo, *, rate: int, channels: int, bits: int) -> AudioError | None:
    """The first thing in which a header differs from what is wanted, or None."""
    if info.sample_rate != rate:
        return AudioError(
            "sample-rate",
            f"The sample rate is {info.sample_rate} Hz instead of {rate} Hz.",
            expected=f"{rate} Hz",
            found=f"{info.sample_rate} Hz",
        )
    if info.bits_per_sample != bits:
        return AudioError(
            "bit-depth",
            f"The bit depth is {info.bits_per_sample} instead of {bits}.",
            expected=f"{bits} bit",
            found=f"{info.bits_per_sample} bit",
        )
    if info.channels != channels:
        return AudioError(
            "channels",
            f"The file has {info.channels} channel(s) instead of {channels}.",
            expected=f"{channels} channel(s)",
            found=f"{info.channels} channel(s)",
        )
    return None


def with_total(data: bytes | memoryview, total: int) -> bytes:
    """The same FLAC with another length in its header, so that the decoder itself stops nowhere early."""
    packed = int.from_bytes(data[18:26], "big") & ~_TOTAL_MASK | total
    return b"".join((data[:18], packed.to_bytes(8, "big"), data[26:]))


def decode_flac(
    source: io.BufferedIOBase | bytes,
    *,
    rate: int,
    channels: int,
    bits: int,
    max_frames: int,
) -> npt.NDArray[np.int16]:
    """Decode a FLAC file and hold it to its own header.

    Args:
        source: The whole file, or a binary stream of it.
        rate: Sample rate in Hz that it must have.
        channels: Channels that it must have.
        bits: Bit depth that it must have, at most 16.
        max_frames: Budget: a header that declares more is refused before anything is decoded.

    Returns:
        int16, full scale ±32768: shape (frames,) for one channel, else (frames, channels).

    Raises:
        AudioError: `member-too-large` (over `audio_bytes`), `not-flac`, `flac-header`, `sample-rate`,
            `bit-depth`, `channels`, `length` (over budget), `flac-unknown-length`, `flac-corrupt`,
            `flac-truncated` (less audio than declared), `flac-trailing` (more), `flac-md5`.
        DamagedMemberError: from a stream of `validator.archive.submission` whose contents are damaged.
    """
    cap = audio_bytes(channels=channels, frames=max_frames)
    data = source if isinstance(source, bytes) else source.read(cap + 1)
    try:
        info = parse(data[:HEADER_BYTES])
    except StreamInfoError as error:
        raise AudioError(error.code, error.message, expected="FLAC", found=error.found) from error
    wrong = check_format(info, rate=rate, channels=channels, bits=bits)
    if wrong is not None:
        raise wrong
    declared = info.total_samples
    if declared == 0:
        raise AudioError("flac-unknown-length", "The FLAC header does not say how long the audio is.")
    if declared > max_frames:
        raise AudioError(
            "length",
            f"The audio is {declared} frames long; at most {max_frames} are allowed.",
            expected=f"at most {max_frames} frames",
            found=f"{declared} frames",
        )
    if len(data) > cap:
        raise too_many_bytes(cap)
    pcm = _decode(data, info)
    if info.has_md5 and hashlib.md5(little_endian(pcm), usedforsecurity=False).digest() != info.md5:
        raise AudioError("flac-md5", "The audio does not have the digest that its encoder stored.")
    return pcm


def little_endian(pcm: npt.NDArray[np.int16]) -> Any:
    """The samples as the MD5 of a FLAC header takes them, any shape; of C order, without a copy."""
    return np.ascontiguousarray(pcm, dtype="<i2").data


def _decode(data: bytes, info: StreamInfo) -> npt.NDArray[np.int16]:
    declared, channels = info.total_samples, info.channels
    pcm: npt.NDArray[np.int16] = np.empty(declared if channels == 1 else (declared, channels), dtype=np.int16)
    done, error = _fill(pcm, data, _BLOCK)
    if error is not None and done < declared:
        # in small steps: how far it really came
        done, error = _fill(pcm, data, max(info.max_block, declared // _STEPS))
    if done == declared:
        if error is None:
            return pcm
        raise error
    if goes_on(data, done=done, declared=declared, block=info.max_block):
        raise AudioError(
            "flac-corrupt",
            f"The file is damaged: it does not decode after frame {done} of {declared}.",
            expected=f"{declared} frames",
            found="damaged audio",
        )
    raise AudioError(
        "flac-truncated",
        f"The file ends early: its header declares {declared} frames, and about {done} are there.",
        expected=f"{declared} frames",
        found=f"about {done} frames",
    )


def _fill(pcm: npt.NDArray[np.int16], data: bytes, block: int) -> tuple[int, Exception | None]:
    """Decode into `pcm` block by block: the frames decoded, and what stopped it or is wrong after them."""
    declared, done = len(pcm), 0
    beyond = np.empty((1, *pcm.shape[1:]), dtype=np.int16)
    try:
        with _Stream(io.BytesIO(with_total(data, min(declared + _BLOCK, _TOTAL_MASK)))) as stream:
            if stream.format != "FLAC" or stream.channels != (1 if pcm.ndim == 1 else pcm.shape[1]):
                raise AudioError("flac-header", "The FLAC file says two different things of its format.")
            while done < declared:
                count = len(stream.read(out=pcm[done : done + block]))
                if count == 0:
                    return done, None
                done += count
            count = len(stream.read(out=beyond))
    except soundfile.SoundFileError as error:
        # after the last frame, bytes that are no audio (a tag) are let be
        return done, None if done == declared else error
    if count == 0:
        return done, None
    return done, AudioError(
        "flac-trailing",
        f"The header declares {declared} frames, but the audio goes on after them.",
        expected=f"{declared} frames",
        found="more",
    )
