"""Decodes FLAC within a frame budget.

libsndfile chooses its parser by the contents and trusts the length in the header. So the header is parsed here
first, and memory is allocated only for as many frames as the challenge allows.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from validator.formats.frames import has_later_frame
from validator.formats.streaminfo import HEADER_BYTES, StreamInfo, StreamInfoError, parse

if TYPE_CHECKING:
    import numpy.typing as npt

METADATA_BYTES = 1 << 20
"""Bytes that a FLAC file may have besides its audio: tags, padding, a seek table, a cover."""

_BLOCK = 1 << 18  # frames decoded at a time
_STEPS = 4096  # most small steps: a header may declare blocks of 16 frames, and each step takes microseconds
_TOTAL_MASK = 0xF_FFFF_FFFF


class AudioError(Exception):
    """A FLAC file that is invalid, or not in the required format.

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

    soundfile seeks after each read of a seekable stream, which takes time and fails if the audio is longer or
    shorter than its header declares.
    """

    def seekable(self) -> bool:
        """Always false."""
        return False


def audio_bytes(*, channels: int, frames: int) -> int:
    """Upper bound of the size in bytes of a FLAC file with this many frames.

    A FLAC frame exceeds its PCM by at most a few per cent (verbatim subframes), so the bound is 1.25 times the PCM,
    plus `METADATA_BYTES`.
    """
    return 2 * channels * frames * 5 // 4 + METADATA_BYTES


def too_many_bytes(most: int) -> AudioError:
    """The error for a file larger than `audio_bytes`."""
    return AudioError(
        "member-too-large",
        "The file is larger than its audio can be.",
        expected=f"at most {most} bytes",
        found=f"more than {most} bytes",
    )


def check_format(info: StreamInfo, *, rate: int, channels: int, bits: int) -> AudioError | None:
    """The first difference between a header and the required format, or None."""
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
            f"The file has {_channels(info.channels)} instead of {channels}.",
            expected=_channels(channels),
            found=_channels(info.channels),
        )
    return None


def _channels(count: int) -> str:
    return f"{count} channel" if count == 1 else f"{count} channels"


def with_total(data: bytes | memoryview, total: int) -> bytes:
    """The same FLAC with another length in its header, so that the decoder does not stop there."""
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
    """Decode a FLAC file and check it against its own header.

    Args:
        source: The whole file, or a binary stream of it.
        rate: Required sample rate in Hz.
        channels: Required number of channels.
        bits: Required bit depth, at most 16.
        max_frames: Budget: a file that declares more is rejected before anything is decoded.

    Returns:
        int16, full scale ±32768, shape (frames,) for one channel, else (frames, channels).

    Raises:
        AudioError: `member-too-large` (above `audio_bytes`), `not-flac`, `flac-header`, `sample-rate`,
            `bit-depth`, `channels`, `length` (above budget), `flac-unknown-length`, `flac-corrupt`,
            `flac-truncated` (less audio than declared), `flac-trailing` (more), `flac-md5`.
        DamagedMemberError: raised by a stream of `validator.archive.submission` whose contents are damaged.
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
        raise AudioError("flac-unknown-length", "The FLAC header does not give the length of the audio.")
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
        raise AudioError("flac-md5", "The MD5 of the audio differs from the one in the header.")
    return pcm


def little_endian(pcm: npt.NDArray[np.int16]) -> Any:
    """The samples as bytes for the MD5 of a FLAC header; no copy is made of a little-endian C-order array."""
    return np.ascontiguousarray(pcm, dtype="<i2").data


def _decode(data: bytes, info: StreamInfo) -> npt.NDArray[np.int16]:
    declared, channels = info.total_samples, info.channels
    pcm: npt.NDArray[np.int16] = np.empty(declared if channels == 1 else (declared, channels), dtype=np.int16)
    done, error = _fill(pcm, data, _BLOCK)
    if error is not None and done < declared:
        # again in small steps, to find how far it can be decoded
        done, error = _fill(pcm, data, max(info.max_block, declared // _STEPS))
    if done == declared:
        if error is None:
            return pcm
        raise error
    if has_later_frame(data, done=done, declared=declared, block=info.max_block):
        raise AudioError(
            "flac-corrupt",
            f"The file is damaged: it cannot be decoded after frame {done} of {declared}.",
            expected=f"{declared} frames",
            found="damaged audio",
        )
    raise AudioError(
        "flac-truncated",
        f"The file ends early: its header declares {declared} frames, but it contains about {done}.",
        expected=f"{declared} frames",
        found=f"about {done} frames",
    )


def _fill(pcm: npt.NDArray[np.int16], data: bytes, block: int) -> tuple[int, Exception | None]:
    """Decode into `pcm` block by block.

    Returns:
        The number of frames decoded, and the error that stopped the decoder or that concerns what follows; or None.
    """
    declared, done = len(pcm), 0
    beyond = np.empty((1, *pcm.shape[1:]), dtype=np.int16)
    try:
        with _Stream(io.BytesIO(with_total(data, min(declared + _BLOCK, _TOTAL_MASK)))) as stream:
            if stream.format != "FLAC" or stream.channels != (1 if pcm.ndim == 1 else pcm.shape[1]):
                raise AudioError("flac-header", "The FLAC file contradicts its own header.")
            while done < declared:
                count = len(stream.read(out=pcm[done : done + block]))
                if count == 0:
                    return done, None
                done += count
            count = len(stream.read(out=beyond))
    except soundfile.SoundFileError as error:
        # bytes after the last frame that are not audio, such as a tag, are allowed
        return done, None if done == declared else error
    if count == 0:
        return done, None
    return done, AudioError(
        "flac-trailing",
        f"The header declares {declared} frames, but more audio follows.",
        expected=f"{declared} frames",
        found="more",
    )
