"""Makes correct and broken submissions: small FLAC files, and zips and tars with arbitrary fields."""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from validator.challenge.challenge import Challenge
from validator.challenge.listeners import Listener
from validator.challenge.manifest import Kind, expected_files
from validator.challenge.songs import Segment, Song

SONGS = ("Ann O'Nym & The Dots - M.E.R.C.", "RöCKSHOW (Live) - I'm Alright")
LISTENERS = ("L6001", "L6002")
FREQUENCIES = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)

CHALLENGE = Challenge(
    split="test",
    root=None,
    songs=tuple(Song(name, objective=Segment(1.0, 1.5), subjective=Segment(2.0, 2.25)) for name in SONGS),
    listeners=tuple(Listener(one, FREQUENCIES, left=(30.0,) * 8, right=(40.0,) * 8) for one in LISTENERS),
)
STEM_FRAMES, REMIX_FRAMES = 12000, 8000


def flac(pcm: np.ndarray, rate: int, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, format="FLAC", subtype=subtype)
    return buffer.getvalue()


@functools.lru_cache(maxsize=256)
def noise(seed: int, frames: int, channels: int = 1, peak: int = 9000) -> np.ndarray:
    shape = (frames,) if channels == 1 else (frames, channels)
    return np.random.default_rng(seed).integers(-peak, peak, shape).astype(np.int16)


def audio(
    seed: int = 0, frames: int = STEM_FRAMES, channels: int = 1, rate: int = 24000, subtype: str = "PCM_16"
) -> bytes:
    return flac(noise(seed, frames, channels), rate, subtype)


def stems() -> dict[str, bytes]:
    """A correct and complete submission: path → contents."""
    return dict(_stems())


@functools.lru_cache(maxsize=1)
def _stems() -> dict[str, bytes]:
    out = {}
    for seed, file in enumerate(expected_files(CHALLENGE)):
        if file.kind is Kind.SCALE:
            out[file.path] = b"0.7314285714285714"
        elif file.kind is Kind.REMIX:
            out[file.path] = audio(seed, REMIX_FRAMES, 2, 32000)
        else:
            out[file.path] = audio(seed)
    return out


def first(kind: str = "left_bass.flac") -> str:
    return next(path for path in _stems() if path.endswith(kind))


def with_streaminfo(data: bytes, **fields: int | bytes) -> bytes:
    """The same FLAC with other values in its header: rate, channels, bits, total, md5, min_block, max_block."""
    out = bytearray(data)
    packed = int.from_bytes(out[18:26], "big")
    values = {
        "rate": (44, 20, 0), "channels": (41, 3, 1), "bits": (36, 5, 1), "total": (0, 36, 0),
    }  # fmt: skip
    for name, value in fields.items():
        if name == "md5":
            assert isinstance(value, bytes)
            out[26:42] = value
        elif name == "min_block":
            out[8:10] = int(value).to_bytes(2, "big")
        elif name == "max_block":
            out[10:12] = int(value).to_bytes(2, "big")
        else:
            shift, width, less = values[name]
            mask = ((1 << width) - 1) << shift
            packed = packed & ~mask | ((int(value) - less) << shift & mask)
    out[18:26] = packed.to_bytes(8, "big")
    return bytes(out)


def comments(*texts: bytes, vendor: bytes = b"mine") -> bytes:
    """The body of a comment block."""
    parts = [vendor, *texts]
    sized = [len(part).to_bytes(4, "little") + part for part in parts]
    return sized[0] + len(texts).to_bytes(4, "little") + b"".join(sized[1:])


def with_metadata(data: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """The same FLAC with these metadata blocks (type, body) after STREAMINFO, and no others.

    Types: 1 padding, 2 application, 3 seek table, 4 comment, 5 cue sheet, 6 picture.
    """
    at, last = 42, data[4] & 0x80
    while not last:
        last = data[at] & 0x80
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    out = data[:4] + bytes([0 if blocks else 0x80]) + data[5:42]
    for index, (kind, body) in enumerate(blocks, start=1):
        out += bytes([kind | (0x80 if index == len(blocks) else 0)]) + len(body).to_bytes(3, "big") + body
    return out + data[at:]


def _crc(data: bytes, *, bits: int, polynomial: int) -> int:
    crc, top = 0, 1 << (bits - 1)
    for byte in data:
        crc ^= byte << (bits - 8)
        for _ in range(8):
            crc = ((crc << 1) ^ (polynomial if crc & top else 0)) & ((1 << bits) - 1)
    return crc


def silent_blocks(frames: int = 3, *, block: int = 4095, md5: bytes = bytes(16)) -> bytes:
    """A silent mono FLAC at 24 kHz, of blocks with their residuals in 256 partitions.

    4095 does not divide by 256, so there are residuals for 3840 samples of such a block only. libFLAC 1.3.3 leaves
    the other 255 as they are in its memory, and every run decodes other audio.
    """
    packed = 24000 << 44 | 15 << 36 | frames * block
    data = b"fLaC\x80\0\0\x22" + block.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + md5
    for number in range(frames):
        header = b"\xff\xf8\x70\x08" + bytes([number]) + (block - 1).to_bytes(2, "big")
        header += bytes([_crc(header, bits=8, polynomial=0x07)])
        # a subframe of fixed order 0, Rice coded in 2**8 partitions with parameter 0: each residual 0 is one bit
        bits = "00010000" + "001000" + ("0000" + "1" * (block >> 8)) * 256
        bits += "0" * (-len(bits) % 8)
        frame = header + int(bits, 2).to_bytes(len(bits) // 8, "big")
        data += frame + _crc(frame, bits=16, polynomial=0x8005).to_bytes(2, "big")
    return data


# --- zips by the standard library ------------------------------------------------------------------------


def zip_bytes(
    files: dict[str, bytes], *, prefix: str = "", method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        out.comment = comment
        for name, data in files.items():
            out.writestr(prefix + name, data)
    return buffer.getvalue()


# --- zips with arbitrary fields --------------------------------------------------------------------------


@dataclasses.dataclass
class Item:
    """One member; None stands for the correct value."""

    name: str | bytes
    data: bytes = b""
    method: int = 8
    flags: int | None = None
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    offset: int | None = None
    mode: int = 0o100644
    made_by: int = 3
    extra: bytes = b""
    raw: bytes | None = None
    local: dict = dataclasses.field(default_factory=dict)
    descriptor: bool = False
    disk: int = 0


def forged(
    items: list[Item],
    *,
    prefix: bytes = b"",
    suffix: bytes = b"",
    count: int | None = None,
    disk: int = 0,
    order: list[int] | None = None,
    size_delta: int = 0,
    damage: bytes | None = None,
) -> bytes:
    """A zip with the given fields.

    `local` of a member overrides fields of its local header: sig, flags, method, crc, packed, size, name.
    """
    body = bytearray(prefix)
    central = []
    for item in items:
        name = item.name.encode("utf-8") if isinstance(item.name, str) else item.name
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        true = deflate.compress(item.data) + deflate.flush() if item.method == 8 else item.data
        raw = true if item.raw is None else item.raw
        flags = item.flags
        if flags is None:
            flags = 0 if name.isascii() else 0x800
        if item.descriptor:
            flags |= 8
        crc = zlib.crc32(item.data) if item.crc is None else item.crc
        size = len(item.data) if item.size is None else item.size
        packed = len(raw) if item.packed is None else item.packed
        here = len(body)
        local = item.local
        local_name = local.get("name", name)
        zero = item.descriptor
        body += struct.pack(
            "<4s5H3L2H", local.get("sig", b"PK\3\4"), 20, local.get("flags", flags),
            local.get("method", item.method), 0, 33, local.get("crc", 0 if zero else crc),
            local.get("packed", 0 if zero else packed), local.get("size", 0 if zero else size),
            len(local_name), len(item.extra),
        )  # fmt: skip
        body += local_name + item.extra + raw
        if item.descriptor:
            body += struct.pack("<4s3L", b"PK\7\x08", crc, packed, size)
        offset = here if item.offset is None else item.offset
        central.append(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\1\2",
                item.made_by << 8 | 20,
                20,
                flags,
                item.method,
                0,
                33,
                crc,
                packed,
                size,
                len(name),
                len(item.extra),
                0,
                item.disk,
                0,
                item.mode << 16,
                offset,
            )
            + name
            + item.extra
        )
    start = len(body)
    directory = b"".join(central[i] for i in (order or range(len(central))))
    if damage is not None:
        directory = damage + directory[len(damage) :]
    number = len(items) if count is None else count
    body += directory
    body += struct.pack(
        "<4s4H2LH", b"PK\5\6", disk, disk, number, number, len(directory) + size_delta, start, 0
    )
    return bytes(body + suffix)


def items(files: dict[str, bytes] | None = None) -> list[Item]:
    return [Item(name, data) for name, data in (stems() if files is None else files).items()]


# --- tars ------------------------------------------------------------------------------------------------


def tar_bytes(
    files: dict[str, bytes],
    *,
    prefix: str = "",
    mode: Literal["w", "w:gz"] = "w",
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_with(info: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """A correct submission as a tar, with one additional member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, contents in stems().items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            out.addfile(member, io.BytesIO(contents))
        out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# --- folders ---------------------------------------------------------------------------------------------


def lay_out(files: dict[str, bytes], root: Path, *, prefix: str = "") -> Path:
    for name, data in files.items():
        path = root / (prefix + name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root
