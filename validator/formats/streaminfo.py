"""The first 42 bytes of a FLAC file: the magic number and the STREAMINFO block (RFC 9639, section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = b"fLaC"
"""The first bytes of a FLAC file."""

HEADER_BYTES = 42
"""Magic number (4), header of the first metadata block (4), STREAMINFO (34)."""

_STREAMINFO_BYTES = 34
_MINIMUM_BLOCK = 16  # smallest block size of the format; only the last block may be shorter
_UNKNOWN_MD5 = bytes(16)


class StreamInfoError(Exception):
    """The bytes are not a valid FLAC header.

    Attributes:
        code: Code of the finding: `not-flac` or `flac-header`.
        message: One sentence about what is wrong.
        found: What was found instead.
    """

    def __init__(self, code: str, message: str, *, found: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.found = found


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The header of a FLAC file.

    Attributes:
        sample_rate: Hz.
        channels: 1 to 8.
        bits_per_sample: 4 to 32.
        total_samples: Frames (samples per channel); 0 if the encoder did not know.
        md5: MD5 of the interleaved little-endian PCM; 16 zero bytes if the encoder stored none.
        min_block, max_block: Smallest and largest block size in frames.
    """

    sample_rate: int
    channels: int
    bits_per_sample: int
    total_samples: int
    md5: bytes
    min_block: int
    max_block: int

    @property
    def has_md5(self) -> bool:
        """Whether the encoder stored an MD5."""
        return self.md5 != _UNKNOWN_MD5


_OTHER_FORMATS = (
    (b"RIFF", "a WAV file"),
    (b"RF64", "a WAV file (RF64)"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "a file that starts with an ID3 tag"),
    (b"FORM", "an AIFF file"),
    (b"caff", "a CAF file"),
    (b".snd", "an AU file"),
    (b"PK\x03\x04", "a zip file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xff\xfb", "an MP3 file"),
    (b"\x00\x05\x16\x07", "a macOS resource fork"),
)


def _describe(head: bytes) -> str:
    if not head:
        return "an empty file"
    if not head.strip(b"\x00"):
        return "zero bytes"
    for magic, name in _OTHER_FORMATS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "an MP4 file"
    return f"bytes {head[:4].hex(' ')}"


def parse(head: bytes) -> StreamInfo:
    """Parse the first `HEADER_BYTES` of a file; further bytes are ignored.

    Raises:
        StreamInfoError: it is not FLAC, STREAMINFO is not first or not of 34 bytes, or a value is invalid.
    """
    if head[:4] != MAGIC:
        raise StreamInfoError("not-flac", "The file is not a FLAC file.", found=_describe(head))
    if len(head) < HEADER_BYTES:
        raise StreamInfoError(
            "flac-header", "The file ends inside its FLAC header.", found=f"{len(head)} bytes"
        )
    block_type, block_bytes = head[4] & 0x7F, int.from_bytes(head[5:8], "big")
    if block_type != 0 or block_bytes != _STREAMINFO_BYTES:
        raise StreamInfoError(
            "flac-header",
            "The first metadata block of the FLAC file is not STREAMINFO.",
            found=f"block type {block_type} of {block_bytes} bytes",
        )
    packed = int.from_bytes(head[18:26], "big")  # rate 20 bits, channels-1 3, bits-1 5, frames 36
    info = StreamInfo(
        sample_rate=packed >> 44,
        channels=((packed >> 41) & 0x7) + 1,
        bits_per_sample=((packed >> 36) & 0x1F) + 1,
        total_samples=packed & 0xF_FFFF_FFFF,
        md5=bytes(head[26:42]),
        min_block=int.from_bytes(head[8:10], "big"),
        max_block=int.from_bytes(head[10:12], "big"),
    )
    if info.sample_rate == 0:
        raise StreamInfoError("flac-header", "The FLAC header has no sample rate.", found="0 Hz")
    if info.bits_per_sample < 4:
        raise StreamInfoError(
            "flac-header",
            "The FLAC header has an invalid bit depth.",
            found=f"{info.bits_per_sample} bit",
        )
    if info.max_block < _MINIMUM_BLOCK or info.min_block > info.max_block:
        raise StreamInfoError(
            "flac-header",
            "The FLAC header has invalid block sizes.",
            found=f"{info.min_block} to {info.max_block} frames",
        )
    return info
