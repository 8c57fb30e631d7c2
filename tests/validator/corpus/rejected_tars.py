"""Tars that must be rejected."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, correct_zip, saved

CORPUS = Corpus()


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
    CORPUS.case(_code)(_make)


@CORPUS.case("archive-unreadable")
def tar_cut_off(dest):
    return saved(dest, forge.tar_bytes(forge.stems())[:-30000], "submission.tar")


@CORPUS.case("archive-unreadable")
def tar_cut_off_between_members(dest):
    info = tarfile.TarInfo("L6001/last")
    info.size = 512
    data = forge.tar_with(info, bytes(512)).rstrip(b"\0")
    return saved(dest, data + bytes(-len(data) % 512 + 512), "submission.tar")


@CORPUS.case("archive-unreadable")
def tar_wrong_checksum(dest):
    data = bytearray(forge.tar_bytes(forge.stems()))
    data[150] ^= 1
    return saved(dest, bytes(data), "submission.tar")


@CORPUS.case("archive-unreadable")
def tar_huge_extended_header(dest):
    info = tarfile.TarInfo("L6001/x")
    info.pax_headers = {"comment": "x" * (1 << 17)}
    return saved(dest, forge.tar_with(info), "submission.tar")


@CORPUS.case("archive-unreadable")
def tar_extended_headers_without_a_member(dest):
    header = tarfile.TarInfo("pax")
    header.type, body = b"x", b"11 a=bcdef\n"
    header.size = len(body)
    one = header.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0")
    return saved(dest, one * 9 + forge.tar_bytes(forge.stems()), "submission.tar")


@CORPUS.case("archive-unreadable")
def tar_gz_cut_off(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz")[:-3000], "submission.tar.gz")


@CORPUS.case("archive-unreadable")
def tar_gz_wrong_checksum(dest):
    data = bytearray(forge.tar_bytes(forge.stems(), mode="w:gz"))
    data[-6] ^= 1
    return saved(dest, bytes(data), "submission.tar.gz")


@CORPUS.case("archive-unreadable")
def tar_gz_with_trailing_bytes(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz") + b"more", "submission.tar.gz")


@CORPUS.case("archive-unreadable")
def gzip_of_a_zip(dest):
    return saved(dest, gzip.compress(correct_zip()))
