"""Members of a zip or a folder that must be rejected."""

from __future__ import annotations

import dataclasses
import gzip
import os
import tarfile
import unicodedata
import zlib
from pathlib import Path

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, saved, with_first, with_item
from tests.validator.forge import Item, forged, items

CORPUS = Corpus()


@CORPUS.case("member-too-large")
def member_above_the_limit(dest):
    return saved(dest, with_item(Item("L6001/big.flac", b"x", size=(1 << 20) + 1)))


@CORPUS.case("member-too-large")
def zip_bomb(dest):
    return saved(dest, with_item(Item("L6001/bomb.flac", bytes(1 << 20))))


@CORPUS.case("member-too-large")
def tar_member_above_the_limit(dest):
    info = tarfile.TarInfo("L6001/big.flac")
    info.size = (1 << 20) + 1
    return saved(dest, forge.tar_with(info, bytes(info.size)))


@CORPUS.case("archive-unreadable")
def gzip_bomb(dest):
    return saved(dest, gzip.compress(bytes(32 << 20)))


@CORPUS.case("member-encrypted")
def encrypted(dest):
    return saved(dest, with_first(flags=1))


@CORPUS.case(member_encrypted=68)
def all_encrypted(dest):
    every = items()
    for item in every:
        item.flags = 0x801
    return saved(dest, forged(every))


@CORPUS.case("member-encrypted")
def strong_encryption(dest):
    return saved(dest, with_first(flags=0x41))


@CORPUS.case("member-compression")
def bzip2_member(dest):
    return saved(dest, with_first(method=12))


@CORPUS.case("member-compression")
def lzma_member(dest):
    return saved(dest, with_first(method=14))


@CORPUS.case("member-compression")
def zstd_member(dest):
    return saved(dest, with_first(method=93))


@CORPUS.case("member-compression")
def patched_data(dest):
    return saved(dest, with_first(flags=0x20))


@CORPUS.case("member-mismatch")
def stored_with_two_sizes(dest):
    return saved(dest, with_first(method=0, size=99999))


@CORPUS.case("member-special")
def symbolic_link(dest):
    return saved(dest, with_item(Item("L6001/link", b"/etc/passwd", mode=0o120777)))


@CORPUS.case("member-special")
def stem_is_a_link(dest):
    return saved(dest, with_first(mode=0o120777))


@CORPUS.case("member-special")
def device(dest):
    return saved(dest, with_item(Item("L6001/null", b"", mode=0o20666)))


@CORPUS.case("member-special")
def named_pipe(dest):
    return saved(dest, with_item(Item("L6001/pipe", b"", mode=0o10666)))


_NAMES: dict[str, str | bytes] = {
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
}
for _name, _member in _NAMES.items():

    def _make(dest: Path, member: str | bytes = _member) -> Path:
        flags = 0x800 if isinstance(member, bytes) else None
        return saved(dest, with_item(Item(member, b"x", flags=flags)))

    _make.__name__ = f"name_{_name}"
    CORPUS.case("member-name")(_make)


@CORPUS.case("member-name")
def folder_with_newline_in_a_name(dest):
    return forge.lay_out(forge.stems() | {"L6001/a\nb.flac": b"x"}, dest / "work")


@CORPUS.case("member-duplicate")
def same_name_twice(dest):
    return saved(dest, with_item(Item(forge.first(), b"another")))


@CORPUS.case("member-duplicate")
def same_name_in_other_case(dest):
    return saved(dest, with_item(Item(forge.first().replace("left", "LEFT"), b"another")))


@CORPUS.case("member-duplicate")
def same_name_in_other_unicode_form(dest):
    name = next(path for path in forge.stems() if not path.isascii())
    return saved(dest, with_item(Item(unicodedata.normalize("NFD", name), b"another")))


@CORPUS.case("member-duplicate")
def same_name_in_ligatures(dest):
    return saved(dest, with_item(Item(forge.first().replace("fl", "\ufb02"), b"another")))


@CORPUS.case("member-duplicate")
def file_and_folder_of_one_name(dest):
    return saved(dest, with_item(Item(forge.first() + "/", b"", method=0, mode=0o40755)))


@CORPUS.case("archive-structure")
def members_out_of_order(dest):
    every = items()
    return saved(dest, forged(every, order=[1, 0, *range(2, len(every))]))


@CORPUS.case("archive-structure")
def members_overlap(dest):
    # the first member, stored, contains the whole second member: a careless reader finds two valid members
    every = items()
    inner = forged(every[1:2])
    inner = inner[: inner.index(b"PK\1\2")]
    names = [one.name for one in every[:2] if isinstance(one.name, str)]
    head = 30 + len(names[1].encode())
    every[0] = Item(every[0].name, inner, method=0)
    every[1] = dataclasses.replace(
        every[1], raw=b"", packed=len(inner) - head, offset=30 + len(names[0].encode())
    )
    return saved(dest, forged(every))


@CORPUS.case("archive-structure", "member-mismatch")
def two_members_at_one_offset(dest):
    every = items()
    return saved(dest, forged([every[0], Item("L6001/twin.flac", every[0].data, offset=0), *every[1:]]))


@CORPUS.case("archive-structure")
def member_outside_the_file(dest):
    return saved(dest, with_item(Item("L6001/far.flac", b"x", offset=0x7FFFFFFF)))


@CORPUS.case("archive-structure")
def member_in_the_directory(dest):
    return saved(dest, with_item(Item("L6001/near.flac", b"x", packed=500, size=500, method=0, local={})))


@CORPUS.case("archive-structure")
def no_local_header(dest):
    return saved(dest, with_first(local={"sig": b"PK\3\5"}))


@CORPUS.case("archive-structure")
def folder_with_contents(dest):
    return saved(dest, with_item(Item("L6001/odd/", b"contents", mode=0o40755)))


@CORPUS.case("member-mismatch")
def other_name_in_the_local_header(dest):
    return saved(
        dest, with_first(local={"name": forge.first("left_drums.flac").replace("drums", "dramz").encode()})
    )


@CORPUS.case("member-mismatch")
def other_length_of_name_in_the_local_header(dest):
    return saved(dest, with_first(local={"name": b"evil"}))


@CORPUS.case("member-mismatch")
def other_method_in_the_local_header(dest):
    return saved(dest, with_first(local={"method": 0}))


@CORPUS.case("member-mismatch")
def other_flags_in_the_local_header(dest):
    return saved(dest, with_first(local={"flags": 0x801}))


@CORPUS.case("member-mismatch")
def other_crc_in_the_local_header(dest):
    return saved(dest, with_first(local={"crc": 1}))


@CORPUS.case("member-mismatch")
def other_size_in_the_local_header(dest):
    return saved(dest, with_first(local={"size": 1}))


@CORPUS.case("member-mismatch")
def other_packed_size_in_the_local_header(dest):
    return saved(dest, with_first(local={"packed": 1}))


@CORPUS.case("member-corrupt")
def wrong_crc(dest):
    return saved(dest, with_first(crc=12345))


@CORPUS.case("member-corrupt")
def packed_data_damaged(dest):
    return saved(dest, with_first(raw=b"\xff" * 5000))


@CORPUS.case("member-corrupt")
def packed_data_cut_off(dest):
    first = items()[0].data
    return saved(dest, with_first(raw=zlib.compress(first)[2:-4][:-900]))


@CORPUS.case("member-corrupt")
def unpacks_to_more_than_declared(dest):
    return saved(dest, with_first(size=20000))


@CORPUS.case("member-corrupt")
def unpacks_to_less_than_declared(dest):
    return saved(dest, with_first(size=31000))


@CORPUS.case("member-corrupt")
def data_after_the_packed_data(dest):
    first = items()[0].data
    return saved(dest, with_first(raw=zlib.compress(first)[2:-4] + b"hidden"))


@CORPUS.case("member-special")
def link_in_a_folder(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    (root / "L6001" / "link").symlink_to("/etc/passwd")
    return root


@CORPUS.case("member-special")
def stem_in_a_folder_is_a_link(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    stem = root / forge.first()
    stem.rename(dest / "elsewhere.flac")
    stem.symlink_to(dest / "elsewhere.flac")
    return root


@CORPUS.case("member-special")
def listener_folder_is_a_link(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    (root / "L6009").symlink_to(root / "L6001")
    return root


@CORPUS.case("member-special")
def pipe_in_a_folder(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    os.mkfifo(root / "L6001" / "pipe")
    return root


@CORPUS.case("archive-unreadable")
def submission_is_a_pipe(dest):
    os.mkfifo(dest / "submission.zip")
    return dest / "submission.zip"
