"""Decodes FLAC within a frame budget.

libsndfile chooses its parser by the contents and trusts the length in the header. So the header is parsed here
first, and memory is allocated only for as many frames as the challenge allows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import soundfile

from validator.formats.frames import has_later_frame
from validator.formats.pcm import little_endian
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
        frames: Frames decoded before the damage or the end of the file, if decoding found one; see
            `decoding_error`.
    """

    def __init__(
        self, code: str, message: str, *, expected: str = "", found: str = "", frames: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.expected = expected
        self.found = found
        self.frames = frames


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


class FlacDecoder(Protocol):
    """Decodes FLAC files, in this process or in a sandbox; not to be shared by threads."""

    def decode(
        self, data: bytes, *, rate: int, channels: int, bits: int, max_frames: int
    ) -> npt.NDArray[np.int16]:
        """What `decode_flac` does with a whole file, with the same exceptions; valid until the next call."""
        ...


class InProcessDecoder:
    """Decodes with soundfile in this process."""

    def decode(
        self, data: bytes, *, rate: int, channels: int, bits: int, max_frames: int
    ) -> npt.NDArray[np.int16]:
        """See `decode_flac`."""
        return decode_flac(data, rate=rate, channels=channels, bits=bits, max_frames=max_frames)


DecoderFactory: TypeAlias = Callable[[], AbstractContextManager[FlacDecoder]]
"""Opens a decoder; it can be pickled, since every worker process opens its own."""


def decode_flac(
    source: io.BufferedIOBase | bytes,
    *,
    rate: int,
    channels: int,
    bits: int,
    max_frames: int,
) -> npt.NDArray[np.int16]:
    """Decode a FLAC file and check it against its own header.

    It is `checked_header`, `decode_frames` and `check_md5` in one. A host that decodes in a sandbox calls the first
    and the last itself.

    Args:
        source: The whole file, or a binary stream of it.
        rate: Required sample rate in Hz.
        channels: Required number of channels.
        bits: Required bit depth, at most 16.
        max_frames: Budget: a file that declares more is rejected before anything is decoded.

    Returns:
        int16, full scale ±32768, shape (frames,) for one channel, else (frames, channels).

    Raises:
        AudioError: what `checked_header`, `decode_frames` and `check_md5` raise.
        DamagedMemberError: raised by a stream of `validator.archive.submission` whose contents are damaged.
    """
    cap = audio_bytes(channels=channels, frames=max_frames)
    data = source if isinstance(source, bytes) else source.read(cap + 1)
    info = checked_header(data, rate=rate, channels=channels, bits=bits, max_frames=max_frames)
    pcm = decode_frames(data, info)
    check_md5(little_endian(pcm), info)
    return pcm


def checked_header(data: bytes, *, rate: int, channels: int, bits: int, max_frames: int) -> StreamInfo:
    """Everything about a FLAC file that is decided without decoding it.

    Args:
        data: The whole file.
        rate: Required sample rate in Hz.
        channels: Required number of channels.
        bits: Required bit depth.
        max_frames: Most frames that it may declare.

    Raises:
        AudioError: `not-flac`, `flac-header`, `sample-rate`, `bit-depth`, `channels`, `flac-unknown-length`,
            `length` (above `max_frames`), `flac-no-md5`, `member-too-large` (above `audio_bytes`).
    """
    try:
        info = parse(data[:HEADER_BYTES])
    except StreamInfoError as error:
        raise AudioError(error.code, error.message, expected="FLAC", found=error.found) from error
    wrong = check_format(info, rate=rate, channels=channels, bits=bits) or check_completeness(info)
    if wrong is not None:
        raise wrong
    if info.total_samples > max_frames:
        raise AudioError(
            "length",
            f"The audio is {info.total_samples} frames long; at most {max_frames} are allowed.",
            expected=f"at most {max_frames} frames",
            found=f"{info.total_samples} frames",
        )
    cap = audio_bytes(channels=channels, frames=max_frames)
    if len(data) > cap:
        raise too_many_bytes(cap)
    return info


def check_completeness(info: StreamInfo) -> AudioError | None:
    """What a header lacks that every encoder can write: the length, or else the MD5; None if it has both."""
    if info.total_samples == 0:
        return AudioError("flac-unknown-length", "The FLAC header does not give the length of the audio.")
    if not info.has_md5:
        return AudioError(
            "flac-no-md5",
            "The FLAC header has no MD5 of the audio.",
            expected="the MD5 of the audio, as FLAC encoders write it",
            found="16 zero bytes",
        )
    return None


def check_md5(pcm: bytes | bytearray | memoryview, info: StreamInfo) -> None:
    """Compare decoded audio with the MD5 in its header.

    Args:
        pcm: The samples as interleaved little-endian bytes; see `little_endian`.
        info: The header.

    Raises:
        AudioError: `flac-md5`.
    """
    if hashlib.md5(pcm, usedforsecurity=False).digest() != info.md5:
        raise AudioError("flac-md5", "The MD5 of the audio differs from the one in the header.")


DECODING_CODES: frozenset[str] = frozenset(("flac-header", "flac-corrupt", "flac-truncated", "flac-trailing"))
"""What `decode_frames` can find, which a host that decodes in a sandbox cannot find itself."""


def decoding_error(code: str, *, info: StreamInfo, frames: int | None) -> AudioError:
    """The error of `decode_frames`, from its code and its number of frames alone.

    A sandbox reports no more than these two, so that no text of a sandbox is ever shown.

    Args:
        code: One of `DECODING_CODES`.
        info: The header of the file.
        frames: Frames that were decoded before the damage or the end of the file; None for the other codes.

    Raises:
        ValueError: `decode_frames` cannot raise this.
    """
    if code not in DECODING_CODES:
        raise ValueError(f"decoding cannot find {code!r}")
    declared = info.total_samples
    if code in ("flac-corrupt", "flac-truncated"):
        if frames is None or not 0 <= frames < declared:
            raise ValueError(f"{code} after {frames} of {declared} frames")
    elif frames is not None:
        raise ValueError(f"{code} has no number of frames, but {frames} is given")
    length = f"{declared} frames"
    if code == "flac-corrupt":
        message = f"The file is damaged: it cannot be decoded after frame {frames} of {declared}."
        return AudioError(code, message, expected=length, found="damaged audio", frames=frames)
    if code == "flac-truncated":
        message = (
            f"The file ends early: its header declares {declared} frames, but it contains about {frames}."
        )
        return AudioError(code, message, expected=length, found=f"about {frames} frames", frames=frames)
    if code == "flac-trailing":
        message = f"The header declares {declared} frames, but more audio follows."
        return AudioError(code, message, expected=length, found="more")
    return AudioError(code, "The FLAC file contradicts its own header.")


def decode_frames(data: bytes, info: StreamInfo) -> npt.NDArray[np.int16]:
    """Decode a FLAC file whose header was checked: the part that runs in a sandbox.

    Args:
        data: The whole file.
        info: Its header, as `checked_header` gives it: at most 16 bits, and a length within the budget.

    Returns:
        int16, shape (frames,) for one channel, else (frames, channels); its MD5 is not checked.

    Raises:
        AudioError: one of `DECODING_CODES`: `flac-header`, `flac-corrupt`, `flac-truncated` (less audio than
            declared), `flac-trailing` (more).
    """
    declared, channels = info.total_samples, info.channels
    pcm: npt.NDArray[np.int16] = np.empty(declared if channels == 1 else (declared, channels), dtype=np.int16)
    done, failed = _fill(pcm, data, info, block=_BLOCK)
    if failed:  # again in small steps, to find how far it can be decoded
        done, _ = _fill(pcm, data, info, block=max(info.max_block, declared // _STEPS))
    if done == declared:
        return pcm
    later = has_later_frame(data, done=done, declared=declared, block=info.max_block)
    raise decoding_error("flac-corrupt" if later else "flac-truncated", info=info, frames=done)


def _fill(pcm: npt.NDArray[np.int16], data: bytes, info: StreamInfo, *, block: int) -> tuple[int, bool]:
    """Decode into `pcm`, `block` frames at a time.

    Returns:
        The number of frames decoded, and whether an error stopped the decoder before the declared length.

    Raises:
        AudioError: `flac-header`, `flac-trailing`.
    """
    declared, done = info.total_samples, 0
    beyond = np.empty((1, *pcm.shape[1:]), dtype=np.int16)
    try:
        with _Stream(io.BytesIO(with_total(data, min(declared + _BLOCK, _TOTAL_MASK)))) as stream:
            if stream.format != "FLAC" or stream.channels != info.channels:
                raise decoding_error("flac-header", info=info, frames=None)
            while done < declared:
                count = len(stream.read(out=pcm[done : done + block]))
                if count == 0:
                    return done, False
                done += count
            count = len(stream.read(out=beyond))
    except soundfile.SoundFileError:
        # bytes after the last frame that are not audio, such as a tag, are allowed
        return done, done < declared
    if count:
        raise decoding_error("flac-trailing", info=info, frames=None)
    return done, False
