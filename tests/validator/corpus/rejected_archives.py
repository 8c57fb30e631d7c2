"""Archives that must be rejected as a whole."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, correct_zip, saved, with_first, zipped
from tests.validator.forge import Item, forged, items

CORPUS = Corpus()

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
    CORPUS.case("archive-unreadable")(_make)


@CORPUS.case("archive-unreadable")
def upload_cut_off(dest):
    return saved(dest, correct_zip()[:-5000])


@CORPUS.case("archive-unreadable")
def beginning_removed(dest):
    return saved(dest, correct_zip()[1000:])


@CORPUS.case("archive-unreadable")
def bytes_before_the_zip(dest):
    return saved(dest, b"#!/bin/sh\nexec unzip $0\n" + correct_zip())


@CORPUS.case("archive-unreadable")
def part_of_several_volumes(dest):
    return saved(dest, forged(items(), disk=1))


@CORPUS.case("archive-unreadable")
def member_on_another_volume(dest):
    return saved(dest, with_first(disk=3))


@CORPUS.case("archive-unreadable")
def too_few_entries_counted(dest):
    return saved(dest, forged(items(), count=5))


@CORPUS.case("archive-unreadable")
def too_many_entries_counted(dest):
    return saved(dest, forged(items(), count=70))


@CORPUS.case("archive-unreadable")
def directory_damaged(dest):
    return saved(dest, forged(items(), damage=b"PK\1\3"))


@CORPUS.case("archive-unreadable")
def directory_size_wrong(dest):
    return saved(dest, forged(items(), size_delta=-4))


@CORPUS.case("archive-unreadable")
def extra_field_overruns(dest):
    return saved(dest, with_first(extra=struct.pack("<HH", 0x5455, 60) + b"x"))


@CORPUS.case("archive-unreadable")
def zip64_field_too_short(dest):
    return saved(dest, with_first(size=0xFFFFFFFF, extra=struct.pack("<HH", 1, 4) + bytes(4)))


@CORPUS.case("archive-unreadable")
def zip64_end_points_nowhere(dest):
    data = correct_zip()
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 1 << 40, 1)
    return saved(dest, data[:-22] + locator + data[-22:])


@CORPUS.case("archive-too-large")
def too_many_members(dest):
    return zipped(dest, forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(40)})


@CORPUS.case("archive-too-large")
def forged_total(dest):
    every = items() + [Item(f"x{i}", b"", size=1 << 20, packed=0, raw=b"") for i in range(9)]
    return saved(dest, forged(every))


@CORPUS.case("archive-too-large")
def tar_with_too_many_members(dest):
    return saved(dest, forge.tar_bytes(forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(40)}))


@CORPUS.case("archive-too-large")
def folder_with_too_many_files(dest):
    return forge.lay_out(forge.stems() | {f"L6001/{i}.txt": b"1" for i in range(400)}, dest / "work")
