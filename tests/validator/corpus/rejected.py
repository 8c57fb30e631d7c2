"""Submissions that must not pass, each with exactly the errors it must give (and how many of each).

`python reject_cases.py DEST` builds them.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import struct
import sys
import tarfile
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import soundfile

from tests.validator import forge
from tests.validator.forge import Item, forged, items
from validator.archive.limits import Limits

Case = Callable[[Path], Path]
CASES: dict[str, tuple[Case, Counter[str]]] = {}
SMALL = Limits(archive_bytes=1 << 30, entries=80, member_bytes=1 << 20, total_bytes=8 << 20)
"""Used by cases about caps, instead of those of the challenge."""

ALL_FILES = 4 * 9


def case(*codes: str, **more: int) -> Callable[[Case], Case]:
    """Register a case with its exact codes; `missing=3` (with `_` for `-`) says how often."""

    def add(make: Case) -> Case:
        counts = Counter(codes) + Counter({name.replace("_", "-"): count for name, count in more.items()})
        assert make.__name__ not in CASES, make.__name__
        CASES[make.__name__] = (make, counts)
        return make

    return add


def saved(dest: Path, data: bytes, name: str = "submission_E001.zip") -> Path:
    path = dest / name
    path.write_bytes(data)
    return path


def zipped(dest: Path, files: dict[str, bytes]) -> Path:
    return saved(dest, forge.zip_bytes(files))


def right() -> bytes:
    return forge.zip_bytes(forge.stems())


def with_item(item: Item) -> bytes:
    """The right submission and one member more."""
    return forged([*items(), item])


def with_first(**fields) -> bytes:
    """The right submission whose first member (a left drums stem) lies."""
    every = items()
    for name, value in fields.items():
        setattr(every[0], name, value)
    return forged(every)


def replaced(end: str, data: bytes) -> dict[str, bytes]:
    return forge.stems() | {forge.first(end): data}


def renamed(old: str, new: str) -> dict[str, bytes]:
    """Every name with `old` in it bears `new` instead."""
    return {name.replace(old, new): data for name, data in forge.stems().items()}


def without(*parts: str) -> dict[str, bytes]:
    return {name: data for name, data in forge.stems().items() if not any(part in name for part in parts)}


def one_renamed(change: Callable[[str], str], end: str = "left_drums.flac") -> dict[str, bytes]:
    old = forge.first(end)
    return {change(name) if name == old else name: data for name, data in forge.stems().items()}


# --- the archive as a whole ------------------------------------------------------------------------------

for _name, _data in {
    "empty_file": b"",
    "text_file": b"this is not a submission\n" * 50,
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(500),
    "seven_zip": b"7z\xbc\xaf\x27\x1c" + bytes(500),
    "bzip2": b"BZh91AY&SY" + bytes(500),
    "xz": b"\xfd7zXZ\x00" + bytes(500),
    "zstandard": b"\x28\xb5\x2f\xfd" + bytes(500),
    "zeros": bytes(4096),
}.items():

    def _make(dest: Path, data: bytes = _data) -> Path:
        return saved(dest, data)

    _make.__name__ = _name
    case("archive-unreadable")(_make)


@case("archive-unreadable")
def upload_cut_off(dest):
    return saved(dest, right()[:-5000])


@case("archive-unreadable")
def beginning_lost(dest):
    return saved(dest, right()[1000:])


@case("archive-unreadable")
def bytes_put_before(dest):
    return saved(dest, b"#!/bin/sh\nexec unzip $0\n" + right())


@case("archive-unreadable")
def part_of_several_volumes(dest):
    return saved(dest, forged(items(), disk=1))


@case("archive-unreadable")
def member_on_another_volume(dest):
    return saved(dest, with_first(disk=3))


@case("archive-unreadable")
def too_few_entries_counted(dest):
    return saved(dest, forged(items(), count=5))


@case("archive-unreadable")
def too_many_entries_counted(dest):
    return saved(dest, forged(items(), count=70))


@case("archive-unreadable")
def directory_damaged(dest):
    return saved(dest, forged(items(), damage=b"PK\1\3"))


@case("archive-unreadable")
def directory_size_wrong(dest):
    return saved(dest, forged(items(), size_delta=-4))


@case("archive-unreadable")
def extra_field_overruns(dest):
    return saved(dest, with_first(extra=struct.pack("<HH", 0x5455, 60) + b"x"))


@case("archive-unreadable")
def zip64_field_too_short(dest):
    return saved(dest, with_first(size=0xFFFFFFFF, extra=struct.pack("<HH", 1, 4) + bytes(4)))


@case("archive-unreadable")
def zip64_end_points_nowhere(dest):
    data = right()
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 1 << 40, 1)
    return saved(dest, data[:-22] + locator + data[-22:])


@case("archive-too-large")
def too_many_members(dest):
    return zipped(dest, forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(40)})


@case("archive-too-large")
def forged_total(dest):
    every = items() + [Item(f"x{i}", b"", size=1 << 20, packed=0, raw=b"") for i in range(9)]
    return saved(dest, forged(every))


@case("archive-too-large")
def tar_with_too_many_members(dest):
    return saved(dest, forge.tar_bytes(forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(40)}))


@case("archive-too-large")
def folder_with_too_many_files(dest):
    return forge.lay_out(forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(400)}, dest / "work")


# --- members ---------------------------------------------------------------------------------------------


@case("member-too-large")
def member_over_the_cap(dest):
    return saved(dest, with_item(Item("L6001/big.flac", b"x", size=(1 << 20) + 1)))


@case("member-too-large")
def zip_bomb(dest):
    return saved(dest, with_item(Item("L6001/bomb.flac", bytes(1 << 20))))


@case("member-too-large")
def tar_member_over_the_cap(dest):
    info = tarfile.TarInfo("L6001/big.flac")
    info.size = (1 << 20) + 1
    return saved(dest, forge.tar_with(info, bytes(info.size)))


@case("archive-unreadable")
def gzip_bomb(dest):
    return saved(dest, gzip.compress(bytes(32 << 20)))


@case("member-encrypted")
def encrypted(dest):
    return saved(dest, with_first(flags=1))


@case(member_encrypted=68)
def all_encrypted(dest):
    every = items()
    for item in every:
        item.flags = 0x801
    return saved(dest, forged(every))


@case("member-encrypted")
def strong_encryption(dest):
    return saved(dest, with_first(flags=0x41))


@case("member-compression")
def bzip2_member(dest):
    return saved(dest, with_first(method=12))


@case("member-compression")
def lzma_member(dest):
    return saved(dest, with_first(method=14))


@case("member-compression")
def zstd_member(dest):
    return saved(dest, with_first(method=93))


@case("member-compression")
def patched_data(dest):
    return saved(dest, with_first(flags=0x20))


@case("member-mismatch")
def stored_with_two_sizes(dest):
    return saved(dest, with_first(method=0, size=99999))


@case("member-special")
def symbolic_link(dest):
    return saved(dest, with_item(Item("L6001/link", b"/etc/passwd", mode=0o120777)))


@case("member-special")
def stem_is_a_link(dest):
    return saved(dest, with_first(mode=0o120777))


@case("member-special")
def device(dest):
    return saved(dest, with_item(Item("L6001/null", b"", mode=0o20666)))


@case("member-special")
def named_pipe(dest):
    return saved(dest, with_item(Item("L6001/pipe", b"", mode=0o10666)))


for _name, _member in {
    "parent_folder": "../evil.flac",
    "parent_folder_inside": "L6001/../../evil.flac",
    "absolute": "/etc/evil.flac",
    "drive_letter": "C:/evil.flac",
    "backslash": "L6001\\evil.flac",
    "newline": "L6001/evil\n.flac",
    "escape_sequence": "L6001/\x1b[2Jevil.flac",
    "nul": "L6001/good.flac\0.exe",
    "empty_part": "L6001//evil.flac",
    "dot_part": "L6001/./evil.flac",
    "overlong_part": "L6001/" + "x" * 300,
    "overlong_name": "x/" * 600 + "evil",
    "right_to_left": "L6001/evil\u202ecalf.flac",
    "invalid_utf8": b"L6001/\xff\xfeevil.flac",
}.items():

    def _make(dest: Path, member: str | bytes = _member) -> Path:
        flags = 0x800 if isinstance(member, bytes) else None
        return saved(dest, with_item(Item(member, b"x", flags=flags)))

    _make.__name__ = f"name_{_name}"
    case("member-name")(_make)


@case("member-name")
def folder_with_newline_in_a_name(dest):
    return forge.lay_out(forge.stems() | {"L6001/a\nb.flac": b"x"}, dest / "work")


@case("member-duplicate")
def same_name_twice(dest):
    return saved(dest, with_item(Item(forge.first(), b"another")))


@case("member-duplicate")
def same_name_in_other_case(dest):
    return saved(dest, with_item(Item(forge.first().replace("left", "LEFT"), b"another")))


@case("member-duplicate")
def same_name_in_other_unicode_form(dest):
    name = next(path for path in forge.stems() if not path.isascii())
    return saved(dest, with_item(Item(unicodedata.normalize("NFD", name), b"another")))


@case("member-duplicate")
def same_name_in_ligatures(dest):
    return saved(dest, with_item(Item(forge.first().replace("fl", "\ufb02"), b"another")))


@case("member-duplicate")
def file_and_folder_of_one_name(dest):
    return saved(dest, with_item(Item(forge.first() + "/", b"", method=0, mode=0o40755)))


@case("archive-structure")
def members_out_of_order(dest):
    every = items()
    return saved(dest, forged(every, order=[1, 0, *range(2, len(every))]))


@case("archive-structure")
def members_overlap(dest):
    # the first member, stored, swallows the second whole: a careless reader finds two sound members
    every = items()
    inner = forged(every[1:2])
    inner = inner[: inner.index(b"PK\1\2")]
    head = 30 + len(every[1].name.encode())
    every[0] = Item(every[0].name, inner, method=0)
    every[1] = dataclasses.replace(
        every[1], raw=b"", packed=len(inner) - head, offset=30 + len(every[0].name.encode())
    )
    return saved(dest, forged(every))


@case("archive-structure", "member-mismatch")
def two_members_at_one_place(dest):
    every = items()
    return saved(dest, forged([every[0], Item("L6001/twin.flac", every[0].data, offset=0), *every[1:]]))


@case("archive-structure")
def member_outside_the_file(dest):
    return saved(dest, with_item(Item("L6001/far.flac", b"x", offset=0x7FFFFFFF)))


@case("archive-structure")
def member_in_the_directory(dest):
    return saved(dest, with_item(Item("L6001/near.flac", b"x", packed=500, size=500, method=0, local={})))


@case("archive-structure")
def no_local_header(dest):
    return saved(dest, with_first(local={"sig": b"PK\3\5"}))


@case("archive-structure")
def folder_with_contents(dest):
    return saved(dest, with_item(Item("L6001/odd/", b"contents", mode=0o40755)))


@case("member-mismatch")
def other_name_in_the_local_header(dest):
    return saved(
        dest, with_first(local={"name": forge.first("left_drums.flac").replace("drums", "dramz").encode()})
    )


@case("member-mismatch")
def other_length_of_name_in_the_local_header(dest):
    return saved(dest, with_first(local={"name": b"evil"}))


@case("member-mismatch")
def other_method_in_the_local_header(dest):
    return saved(dest, with_first(local={"method": 0}))


@case("member-mismatch")
def other_flags_in_the_local_header(dest):
    return saved(dest, with_first(local={"flags": 0x801}))


@case("member-mismatch")
def other_crc_in_the_local_header(dest):
    return saved(dest, with_first(local={"crc": 1}))


@case("member-mismatch")
def other_size_in_the_local_header(dest):
    return saved(dest, with_first(local={"size": 1}))


@case("member-mismatch")
def other_packed_size_in_the_local_header(dest):
    return saved(dest, with_first(local={"packed": 1}))


@case("member-corrupt")
def wrong_crc(dest):
    return saved(dest, with_first(crc=12345))


@case("member-corrupt")
def packed_data_damaged(dest):
    return saved(dest, with_first(raw=b"\xff" * 5000))


@case("member-corrupt")
def packed_data_cut_off(dest):
    first = items()[0].data
    return saved(dest, with_first(raw=zlib.compress(first)[2:-4][:-900]))


@case("member-corrupt")
def unpacks_to_more_than_declared(dest):
    return saved(dest, with_first(size=20000))


@case("member-corrupt")
def unpacks_to_less_than_declared(dest):
    return saved(dest, with_first(size=31000))


@case("member-corrupt")
def data_after_the_packed_data(dest):
    first = items()[0].data
    return saved(dest, with_first(raw=zlib.compress(first)[2:-4] + b"hidden"))


@case("member-special")
def link_in_a_folder(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    (root / "L6001" / "link").symlink_to("/etc/passwd")
    return root


@case("member-special")
def stem_in_a_folder_is_a_link(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    stem = root / forge.first()
    stem.rename(dest / "elsewhere.flac")
    stem.symlink_to(dest / "elsewhere.flac")
    return root


@case("member-special")
def listener_folder_is_a_link(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    (root / "L6009").symlink_to(root / "L6001")
    return root


@case("member-special")
def pipe_in_a_folder(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    os.mkfifo(root / "L6001" / "pipe")
    return root


@case("archive-unreadable")
def a_pipe_itself(dest):
    os.mkfifo(dest / "submission.zip")
    return dest / "submission.zip"


# --- tar -------------------------------------------------------------------------------------------------


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


for _name, (_info, _code) in {
    "symbolic_link": (tar_info("L6001/x", tarfile.SYMTYPE, "/etc/passwd"), "member-special"),
    "hard_link": (tar_info("L6001/x", tarfile.LNKTYPE, "/etc/passwd"), "member-special"),
    "device": (tar_info("L6001/x", tarfile.CHRTYPE), "member-special"),
    "pipe": (tar_info("L6001/x", tarfile.FIFOTYPE), "member-special"),
    "sparse": (tar_info("L6001/x", tarfile.GNUTYPE_SPARSE), "member-special"),
    "parent": (tar_info("../x"), "member-name"),
    "absolute": (tar_info("/x"), "member-name"),
    "twice": (tar_info(forge.first()), "member-duplicate"),
}.items():

    def _make(dest: Path, info: tarfile.TarInfo = _info) -> Path:
        return saved(dest, forge.tar_with(info), "submission.tar")

    _make.__name__ = f"tar_{_name}"
    case(_code)(_make)


@case("archive-unreadable")
def tar_cut_off(dest):
    return saved(dest, forge.tar_bytes(forge.stems())[:-30000], "submission.tar")


@case("archive-unreadable")
def tar_cut_off_between_members(dest):
    info = tarfile.TarInfo("L6001/last")
    info.size = 512
    data = forge.tar_with(info, bytes(512)).rstrip(b"\0")
    return saved(dest, data + bytes(-len(data) % 512 + 512), "submission.tar")


@case("archive-unreadable")
def tar_wrong_checksum(dest):
    data = bytearray(forge.tar_bytes(forge.stems()))
    data[150] ^= 1
    return saved(dest, bytes(data), "submission.tar")


@case("archive-unreadable")
def tar_huge_extended_header(dest):
    info = tarfile.TarInfo("L6001/x")
    info.pax_headers = {"comment": "x" * (1 << 17)}
    return saved(dest, forge.tar_with(info), "submission.tar")


@case("archive-unreadable")
def tar_extended_headers_without_a_member(dest):
    header = tarfile.TarInfo("pax")
    header.type, body = b"x", b"11 a=bcdef\n"
    header.size = len(body)
    one = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0")
    return saved(dest, one * 9 + forge.tar_bytes(forge.stems()), "submission.tar")


@case("archive-unreadable")
def tar_gz_cut_off(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz")[:-3000], "submission.tar.gz")


@case("archive-unreadable")
def tar_gz_wrong_checksum(dest):
    data = bytearray(forge.tar_bytes(forge.stems(), mode="w:gz"))
    data[-6] ^= 1
    return saved(dest, bytes(data), "submission.tar.gz")


@case("archive-unreadable")
def tar_gz_and_more(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz") + b"more", "submission.tar.gz")


@case("archive-unreadable")
def gzip_of_a_zip(dest):
    return saved(dest, gzip.compress(right()))


# --- names -----------------------------------------------------------------------------------------------


@case("missing")
def one_stem_missing(dest):
    return zipped(dest, without(forge.first("left_vocals.flac")))


@case("missing")
def listener_missing(dest):
    return zipped(dest, without("L6002/"))


@case("missing")
def song_missing(dest):
    return zipped(dest, without(forge.SONGS[1]))


@case("missing")
def example_missing(dest):
    return zipped(dest, without(f"L6001/{forge.SONGS[1]}/"))


@case("missing")
def one_stem_missing_everywhere(dest):
    return zipped(dest, without("_left_other.flac"))


@case("missing")
def right_side_missing(dest):
    return zipped(dest, without("_right_"))


@case("missing")
def remixes_missing(dest):
    return zipped(dest, without("_remix.flac"))


@case(missing=2)
def listener_and_a_stem_missing(dest):
    return zipped(dest, without("L6002/", forge.first("right_bass.flac")))


@case("missing")
def empty_zip(dest):
    return zipped(dest, {})


@case("missing")
def empty_folder(dest):
    (dest / "work").mkdir()
    return dest / "work"


@case("missing", unexpected=3)
def nothing_of_it(dest):
    return zipped(
        dest, {"report.pdf": b"x", "code/main.py": b"x", "L9999/song/L9999_song_left_bass.flac": b"x"}
    )


@case("nested-folders")
def two_wrappers(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="submission_E001/evaluation/"))


@case("unexpected")
def readme(dest):
    return zipped(dest, forge.stems() | {"README.md": b"# ours"})


@case("unexpected")
def scores_within(dest):
    return zipped(dest, forge.stems() | {"L6001/scores.csv": b"song,listener"})


@case("unexpected")
def file_beside_the_wrapper(dest):
    files = {f"evaluation/{name}": data for name, data in forge.stems().items()}
    return zipped(dest, files | {"notes.txt": b"x"})


@case("unexpected")
def listener_of_another_split(dest):
    extra = {
        n.replace("L6001", "L5001"): d
        for n, d in forge.stems().items()
        if "L6001" in n and "Ann" in n and n.endswith("flac")
    }
    return zipped(dest, forge.stems() | extra)


@case("unexpected")
def a_copy(dest):
    name = forge.first("left_drums.flac")
    return zipped(dest, forge.stems() | {name.replace(".flac", " (1).flac"): forge.stems()[name]})


@case(misnamed=4)
def capitals_everywhere(dest):
    return zipped(
        dest, {n.replace("_left_drums.flac", "_Left_Drums.flac"): d for n, d in forge.stems().items()}
    )


@case("misnamed")
def stem_in_the_singular(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "left_drum")))


@case("misnamed")
def stem_before_side(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "drums_left")))


@case("misnamed")
def side_by_one_letter(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left_drums", "L_drums")))


@case("misnamed")
def hyphens(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("_left_drums", "-left-drums")))


@case("misnamed")
def wav_suffix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", ".wav")))


@case("misnamed")
def suffix_in_capitals(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", ".FLAC")))


@case("misnamed")
def no_suffix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace(".flac", "")))


@case("misnamed")
def other_listener_in_the_name(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("/L6001_", "/L6002_")))


@case("misnamed")
def song_misspelt_in_the_name(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("_Ann O'Nym", "_Ann ONim")))


@case(misnamed=34)
def song_misspelt_throughout(dest):
    return zipped(dest, renamed("Ann O'Nym & The Dots", "Ann O'Nym and The Dots"))


@case(misnamed=34)
def apostrophe_made_typographic(dest):
    return zipped(dest, renamed("Ann O'Nym", "Ann O’Nym"))


@case(misnamed=34)
def underscores_for_spaces(dest):
    return zipped(dest, {n.replace(" ", "_") if "Ann" in n else n: d for n, d in forge.stems().items()})


@case(misnamed=34)
def decomposed_unicode(dest):
    return saved(
        dest, forge.zip_bytes({unicodedata.normalize("NFD", n): d for n, d in forge.stems().items()})
    )


@case(misnamed=34)
def listener_folder_in_lower_case(dest):
    return zipped(dest, renamed("L6002/", "l6002/"))


@case("misnamed")
def in_the_wrong_folder(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("L6001/", "L6002/", 1)))


@case(misnamed=17)
def without_the_song_folder(dest):
    song = forge.SONGS[0]
    return zipped(dest, {n.replace(f"L6001/{song}/", "L6001/"): d for n, d in forge.stems().items()})


@case("misnamed")
def scale_file_misnamed(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("left", "LEFT"), "left_bass.txt"))


@case("misnamed")
def remix_as_mix(dest):
    return zipped(dest, one_renamed(lambda name: name.replace("remix", "mix"), "remix.flac"))


# --- FLAC ------------------------------------------------------------------------------------------------


def bad(end: str, code: str):
    """Register a case in which the file ending so is replaced by what the function makes."""

    def add(make: Callable[[], bytes]) -> None:
        def build(dest: Path) -> Path:
            return zipped(dest, replaced(end, make()))

        build.__name__ = make.__name__
        case(code)(build)

    return add


STEM, REMIX = "left_drums.flac", "remix.flac"


def as_format(name: str, rate: int = 24000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, forge.noise(1, forge.STEM_FRAMES), rate, format=name)
    return buffer.getvalue()


@bad(STEM, "not-flac")
def wav_named_flac():
    return as_format("WAV")


@bad(STEM, "not-flac")
def aiff_named_flac():
    return as_format("AIFF")


@bad(STEM, "not-flac")
def ogg_named_flac():
    return as_format("OGG")


@bad(STEM, "not-flac")
def empty_flac():
    return b""


@bad(STEM, "not-flac")
def id3_before_flac():
    return b"ID3\4\0\0\0\0\0\0" + forge.audio()


@bad(STEM, "not-flac")
def zeros_named_flac():
    return bytes(20000)


@bad(STEM, "flac-header")
def magic_only():
    return b"fLaC"


@bad(STEM, "flac-header")
def header_cut_off():
    return forge.audio()[:41]


@bad(STEM, "flac-header")
def padding_first():
    data = forge.audio()
    return data[:4] + b"\1" + data[5:]


@bad(STEM, "flac-header")
def streaminfo_of_wrong_length():
    data = forge.audio()
    return data[:7] + b"\x23" + data[8:]


@bad(STEM, "flac-header")
def rate_zero():
    return forge.with_streaminfo(forge.audio(), rate=0)


@bad(STEM, "flac-header")
def three_bits():
    return forge.with_streaminfo(forge.audio(), bits=3)


@bad(STEM, "flac-header")
def block_size_zero():
    return forge.with_streaminfo(forge.audio(), min_block=0, max_block=0)


@bad(STEM, "flac-header")
def block_sizes_crossed():
    return forge.with_streaminfo(forge.audio(), min_block=8192, max_block=4096)


@bad(STEM, "sample-rate")
def rate_of_the_reference():
    return forge.audio(rate=44100)


@bad(STEM, "sample-rate")
def rate_of_the_remix():
    return forge.audio(rate=32000)


@bad(REMIX, "sample-rate")
def remix_at_the_rate_of_stems():
    return forge.audio(frames=forge.REMIX_FRAMES, channels=2)


@bad(STEM, "bit-depth")
def twenty_four_bits():
    return forge.audio(subtype="PCM_24")


@bad(STEM, "bit-depth")
def eight_bits():
    return forge.audio(subtype="PCM_S8")


@bad(STEM, "channels")
def stereo_stem():
    return forge.audio(channels=2)


@bad(REMIX, "channels")
def mono_remix():
    return forge.audio(frames=forge.REMIX_FRAMES, rate=32000)


@bad(STEM, "length")
def three_samples_short():
    return forge.audio(frames=forge.STEM_FRAMES - 3)


@bad(STEM, "length")
def three_samples_long():
    return forge.audio(frames=forge.STEM_FRAMES + 3)


@bad(STEM, "length")
def half_a_stem():
    return forge.audio(frames=forge.STEM_FRAMES // 2)


@bad(STEM, "length")
def a_whole_song():
    return forge.audio(frames=forge.STEM_FRAMES * 9)


@bad(REMIX, "length")
def remix_of_the_objective_segment():
    return forge.audio(frames=16000, channels=2, rate=32000)


@bad(STEM, "length")
def declares_two_thousand_million_hours():
    return forge.with_streaminfo(forge.audio(), total=(1 << 36) - 1)


@bad(STEM, "flac-unknown-length")
def declares_nothing():
    return forge.with_streaminfo(forge.audio(), total=0)


@bad(STEM, "flac-truncated")
def declares_one_more_than_there_is():
    return forge.with_streaminfo(forge.audio(), total=forge.STEM_FRAMES + 1)


@bad(STEM, "flac-trailing")
def hides_audio_behind_its_length():
    return forge.with_streaminfo(
        forge.audio(frames=forge.STEM_FRAMES * 2), total=forge.STEM_FRAMES, md5=bytes(16)
    )


@bad(STEM, "flac-trailing")
def hides_one_sample():
    return forge.with_streaminfo(forge.audio(), total=forge.STEM_FRAMES - 1)


@bad(STEM, "flac-truncated")
def cut_in_half():
    data = forge.audio()
    return data[: len(data) // 2]


@bad(STEM, "flac-truncated")
def last_bytes_lost():
    return forge.audio()[:-3]


@bad(STEM, "flac-truncated")
def header_without_audio():
    return forge.audio()[:42]


@bad(STEM, "flac-corrupt")
def one_byte_flipped():
    data = bytearray(forge.audio(frames=forge.STEM_FRAMES))
    data[len(data) // 6] ^= 0xFF
    return bytes(data)


@bad(STEM, "flac-corrupt")
def a_stretch_lost():
    data = forge.audio()
    return data[:6000] + data[9000:]


@bad(STEM, "flac-corrupt")
def a_stretch_zeroed():
    data = forge.audio()
    return data[:5000] + bytes(500) + data[5500:]


@bad(STEM, "flac-md5")
def wrong_md5():
    return forge.with_streaminfo(forge.audio(), md5=b"\xaa" * 16)


@bad(STEM, "flac-md5")
def md5_of_other_audio():
    return forge.with_streaminfo(forge.audio(1), md5=forge.audio(2)[26:42])


# --- scale files -----------------------------------------------------------------------------------------

for _name, _text in {
    "nan": b"nan",
    "capital_nan": b"NaN",
    "infinity": b"inf",
    "overflow": b"1e999",
    "zero": b"0.0",
    "underflow": b"1e-999",
    "negative": b"-1.5",
    "too_large": b"10000.1",
    "hexadecimal": b"0x1p3",
    "underscores": b"1_000",
    "comma": b"1,5",
    "space_after": b"1.5 ",
    "space_before": b" 1.5",
    "two_newlines": b"1.5\n\n",
    "two_numbers": b"1.5\n2.5",
    "empty": b"",
    "newline_only": b"\n",
    "words": b"about one",
    "too_long": b"1." + b"0" * 62,
    "byte_order_mark": b"\xef\xbb\xbf1.5",
    "utf16": "1.5".encode("utf-16"),
    "other_digits": "١٫٥".encode(),
    "full_width_digits": "１".encode(),
    "repr_of_an_array": b"[1.5]",
    "numpy_repr": b"np.float64(1.5)",
    "nul_after": b"1.5\0",
    "bare_exponent": b"e5",
    "bare_dot": b".",
}.items():

    def _make(dest: Path, text: bytes = _text) -> Path:
        return zipped(dest, replaced("left_drums.txt", text))

    _make.__name__ = f"scale_{_name}"
    case("scale-value")(_make)


@case("scale-value")
def scale_huge(dest):
    return zipped(dest, replaced("left_drums.txt", b"1" * 5000))


@case("scale-remix")
def scale_beside_a_remix(dest):
    return zipped(dest, forge.stems() | {forge.first("remix.flac").replace(".flac", ".txt"): b"1.0"})


# --- everything at once ----------------------------------------------------------------------------------


@case("sample-rate", "bit-depth", "channels", "length", "scale-value", "scale-remix", "unexpected", "misnamed",
      "missing", "flac-truncated", "member-name")  # fmt: skip
def eleven_mistakes(dest):
    files = forge.stems()
    song = forge.SONGS[0]
    place = f"L6001/{song}/L6001_{song}"
    files[f"{place}_left_drums.flac"] = forge.audio(rate=44100)
    files[f"{place}_left_bass.flac"] = forge.audio(subtype="PCM_24")
    files[f"{place}_left_other.flac"] = forge.audio(channels=2)
    files[f"{place}_left_vocals.flac"] = forge.audio(frames=6000)
    files[f"{place}_right_drums.txt"] = b"nan"
    files[f"{place}_remix.txt"] = b"1.0"
    files["notes.md"] = b"x"
    files[f"{place}_right_drum.flac"] = files.pop(f"{place}_right_drums.flac")
    del files[f"{place}_right_bass.flac"]
    files[f"{place}_right_other.flac"] = files[f"{place}_right_other.flac"][:9000]
    return saved(dest, forged([*items(files), Item("../evil", b"x")]))


LIMITED = frozenset(
    {"too_many_members", "forged_total", "tar_with_too_many_members", "member_over_the_cap", "zip_bomb",
     "tar_member_over_the_cap", "gzip_bomb", "folder_with_too_many_files"}
)  # fmt: skip


def build(dest: Path) -> None:
    for name, (make, codes) in CASES.items():
        (dest / name).mkdir(parents=True)
        print(
            f"{make(dest / name)}: {', '.join(f'{code} x {count}' for code, count in sorted(codes.items()))}"
        )


if __name__ == "__main__":
    build(Path(sys.argv[1]))
