"""Archives as ordinary tools make them; all must be accepted."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

from tests.validator import forge
from tests.validator.corpus.registry import Corpus, saved

CORPUS = Corpus()


@CORPUS.case()
def plain_zip(dest):
    return saved(dest, forge.zip_bytes(forge.stems()))


@CORPUS.case()
def stored_zip(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), method=zipfile.ZIP_STORED))


@CORPUS.case()
def wrapper_evaluation(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="evaluation/"))


@CORPUS.case()
def wrapper_team(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="E001/"))


@CORPUS.case()
def wrapper_odd_but_safe(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="Our best (final) – v2 é/"))


@CORPUS.case()
def zip_without_suffix(dest):
    return saved(dest, forge.zip_bytes(forge.stems()), "submission")


@CORPUS.case()
def make_archive_zip(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="evaluation/")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "zip", dest / "work", "evaluation"))


@CORPUS.case()
def make_archive_zip_of_dot(dest):
    forge.lay_out(forge.stems(), dest / "work")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "zip", dest / "work"))


@CORPUS.case()
def make_archive_gztar(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="evaluation/")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "gztar", dest / "work"))


@CORPUS.case()
def directory_entries(dest):
    folders = sorted(
        {part for path in forge.stems() for part in (path.split("/")[0] + "/", path.rsplit("/", 1)[0] + "/")}
    )
    every = [forge.Item(name, b"", method=0, mode=0o40755) for name in folders] + forge.items()
    return saved(dest, forge.forged(every))


@CORPUS.case()
def archive_comment(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), comment=b"Team E001, second try. PK\x05 is a joke."))


@CORPUS.case()
def trailing_bytes(dest):
    return saved(dest, forge.zip_bytes(forge.stems()) + b"\0" * 300)


@CORPUS.case()
def data_descriptors(dest):
    every = forge.items()
    for item in every:
        item.descriptor = True
    return saved(dest, forge.forged(every))


@CORPUS.case()
def streamed_zip(dest):
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.buffer = io.BytesIO()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            return self.buffer.write(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in forge.stems().items():
            out.writestr(name, data)
    return saved(dest, pipe.buffer.getvalue())


@CORPUS.case()
def macos_system_files(dest):
    files = forge.stems()
    files |= {f"__MACOSX/{Path(name).parent}/._{Path(name).name}": b"\0\5\x16\7" for name in forge.stems()}
    files |= {".DS_Store": b"\0\0\0\1Bud1", "L6001/.DS_Store": b"\0\0\0\1Bud1"}
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def macos_wrapper(dest):
    files = {f"evaluation/{name}": data for name, data in forge.stems().items()}
    files |= {"__MACOSX/._evaluation": b"\0\5\x16\7", "evaluation/.DS_Store": b"x"}
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def windows_system_files(dest):
    files = forge.stems() | {"Thumbs.db": b"x", "L6001/desktop.ini": b"x", "L6002/Desktop.ini": b"x"}
    return saved(dest, forge.zip_bytes(files))


@CORPUS.case()
def windows_attributes(dest):
    every = forge.items()
    for item in every:
        item.made_by, item.mode = 0, 0
    return saved(dest, forge.forged(every))


@CORPUS.case()
def utf8_names_without_the_flag(dest):
    every = forge.items()
    for item in every:
        item.flags = 0
    return saved(dest, forge.forged(every))


@CORPUS.case()
def zip64_fields(dest):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in forge.stems().items():
            with out.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return saved(dest, buffer.getvalue())


@CORPUS.case()
def extended_timestamps(dest):
    every = forge.items()
    for item in every:
        item.extra = struct.pack("<HHBL", 0x5455, 5, 1, 1_700_000_000)
    return saved(dest, forge.forged(every))


@CORPUS.case()
def infozip(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="E001/")
    if shutil.which("zip") is None:  # without the tool, make the same archive with Python
        return make_archive_zip(dest / "again")
    subprocess.run(["zip", "-qr", "../submission.zip", "E001"], cwd=dest / "work", check=True)
    return dest / "submission.zip"


@CORPUS.case()
def folder(dest):
    return forge.lay_out(forge.stems(), dest / "evaluation")


@CORPUS.case()
def folder_with_wrapper(dest):
    return forge.lay_out(forge.stems(), dest / "out", prefix="evaluation/")


@CORPUS.case()
def folder_with_system_files(dest):
    return forge.lay_out(forge.stems() | {".DS_Store": b"x", "L6001/._x": b"x"}, dest / "out")


@CORPUS.case()
def plain_tar(dest):
    return saved(dest, forge.tar_bytes(forge.stems()), "submission.tar")


@CORPUS.case()
def gnu_tar_with_long_names(dest):
    data = forge.tar_bytes(forge.stems(), prefix="e" * 120 + "/", form=tarfile.GNU_FORMAT)
    return saved(dest, data, "submission.tar")


@CORPUS.case()
def ustar(dest):
    ascii_only = {
        name.encode("ascii", "ignore").decode(): data
        for name, data in forge.stems().items()
        if name.isascii()
    }
    rest = {name: data for name, data in forge.stems().items() if not name.isascii()}
    return saved(dest, forge.tar_bytes(ascii_only | rest, form=tarfile.USTAR_FORMAT), "submission.tar")


@CORPUS.case()
def pax_tar_with_long_names(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), prefix="é" * 60 + "/"), "submission.tar")


@CORPUS.case()
def tar_gz(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz"), "submission.tar.gz")


@CORPUS.case()
def tar_of_dot(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    with tarfile.open(dest / "submission.tgz", "w:gz") as out:
        out.add(root, arcname=".")
    return dest / "submission.tgz"
