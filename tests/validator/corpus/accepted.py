"""Submissions that must pass, as honest people and honest tools make them. `python accept_cases.py DEST` builds
them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.validator import forge

Case = Callable[[Path], Path]
CASES: dict[str, tuple[Case, list[str]]] = {}


def case(*codes: str) -> Callable[[Case], Case]:
    """Register a case with the exact codes (warnings and information) that it must give."""

    def add(make: Case) -> Case:
        CASES[make.__name__] = (make, sorted(codes))
        return make

    return add


def saved(dest: Path, data: bytes, name: str = "submission_E001.zip") -> Path:
    path = dest / name
    path.write_bytes(data)
    return path


def changed(**contents: bytes | None) -> dict[str, bytes]:
    """The right submission with some files (by the end of their name) replaced, or left out by None."""
    files = forge.stems()
    for end, data in contents.items():
        path = next(one for one in files if one.endswith(end.replace("__", ".")))
        if data is None:
            del files[path]
        else:
            files[path] = data
    return files


@case()
def plain_zip(dest):
    return saved(dest, forge.zip_bytes(forge.stems()))


@case()
def stored_zip(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), method=zipfile.ZIP_STORED))


@case()
def wrapper_evaluation(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="evaluation/"))


@case()
def wrapper_team(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="E001/"))


@case()
def wrapper_odd_but_safe(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), prefix="Our best (final) – v2 é/"))


@case()
def zip_without_suffix(dest):
    return saved(dest, forge.zip_bytes(forge.stems()), "submission")


@case()
def make_archive_zip(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="evaluation/")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "zip", dest / "work", "evaluation"))


@case()
def make_archive_zip_of_dot(dest):
    forge.lay_out(forge.stems(), dest / "work")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "zip", dest / "work"))


@case()
def make_archive_gztar(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="evaluation/")
    return Path(shutil.make_archive(str(dest / "submission_E001"), "gztar", dest / "work"))


@case()
def directory_entries(dest):
    folders = sorted(
        {part for path in forge.stems() for part in (path.split("/")[0] + "/", path.rsplit("/", 1)[0] + "/")}
    )
    every = [forge.Item(name, b"", method=0, mode=0o40755) for name in folders] + forge.items()
    return saved(dest, forge.forged(every))


@case()
def archive_comment(dest):
    return saved(dest, forge.zip_bytes(forge.stems(), comment=b"Team E001, second try. PK\x05 is a joke."))


@case()
def trailing_bytes(dest):
    return saved(dest, forge.zip_bytes(forge.stems()) + b"\0" * 300)


@case()
def data_descriptors(dest):
    every = forge.items()
    for item in every:
        item.descriptor = True
    return saved(dest, forge.forged(every))


@case()
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


@case()
def macos_leftovers(dest):
    files = forge.stems()
    files |= {f"__MACOSX/{Path(name).parent}/._{Path(name).name}": b"\0\5\x16\7" for name in forge.stems()}
    files |= {".DS_Store": b"\0\0\0\1Bud1", "L6001/.DS_Store": b"\0\0\0\1Bud1"}
    return saved(dest, forge.zip_bytes(files))


@case()
def macos_wrapper(dest):
    files = {f"evaluation/{name}": data for name, data in forge.stems().items()}
    files |= {"__MACOSX/._evaluation": b"\0\5\x16\7", "evaluation/.DS_Store": b"x"}
    return saved(dest, forge.zip_bytes(files))


@case()
def windows_leftovers(dest):
    files = forge.stems() | {"Thumbs.db": b"x", "L6001/desktop.ini": b"x", "L6002/Desktop.ini": b"x"}
    return saved(dest, forge.zip_bytes(files))


@case()
def windows_attributes(dest):
    every = forge.items()
    for item in every:
        item.made_by, item.mode = 0, 0
    return saved(dest, forge.forged(every))


@case()
def utf8_names_without_the_flag(dest):
    every = forge.items()
    for item in every:
        item.flags = 0
    return saved(dest, forge.forged(every))


@case()
def zip64_fields(dest):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in forge.stems().items():
            with out.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return saved(dest, buffer.getvalue())


@case()
def extended_timestamps(dest):
    every = forge.items()
    for item in every:
        item.extra = struct.pack("<HHBL", 0x5455, 5, 1, 1_700_000_000)
    return saved(dest, forge.forged(every))


@case()
def infozip(dest):
    forge.lay_out(forge.stems(), dest / "work", prefix="E001/")
    if shutil.which("zip") is None:  # the same thing by Python where the tool is missing
        return make_archive_zip(dest / "again")
    subprocess.run(["zip", "-qr", "../submission.zip", "E001"], cwd=dest / "work", check=True)
    return dest / "submission.zip"


@case()
def folder(dest):
    return forge.lay_out(forge.stems(), dest / "evaluation")


@case()
def folder_with_wrapper(dest):
    return forge.lay_out(forge.stems(), dest / "out", prefix="evaluation/")


@case()
def folder_with_leftovers(dest):
    return forge.lay_out(forge.stems() | {".DS_Store": b"x", "L6001/._x": b"x"}, dest / "out")


@case()
def plain_tar(dest):
    return saved(dest, forge.tar_bytes(forge.stems()), "submission.tar")


@case()
def gnu_tar_with_long_names(dest):
    data = forge.tar_bytes(forge.stems(), prefix="e" * 120 + "/", form=tarfile.GNU_FORMAT)
    return saved(dest, data, "submission.tar")


@case()
def ustar(dest):
    ascii_only = {
        name.encode("ascii", "ignore").decode(): data
        for name, data in forge.stems().items()
        if name.isascii()
    }
    rest = {name: data for name, data in forge.stems().items() if not name.isascii()}
    return saved(dest, forge.tar_bytes(ascii_only | rest, form=tarfile.USTAR_FORMAT), "submission.tar")


@case()
def pax_tar_with_long_names(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), prefix="é" * 60 + "/"), "submission.tar")


@case()
def tar_gz(dest):
    return saved(dest, forge.tar_bytes(forge.stems(), mode="w:gz"), "submission.tar.gz")


@case()
def tar_of_dot(dest):
    root = forge.lay_out(forge.stems(), dest / "work")
    with tarfile.open(dest / "submission.tgz", "w:gz") as out:
        out.add(root, arcname=".")
    return dest / "submission.tgz"


@case()
def without_scale_files(dest):
    files = {name: data for name, data in forge.stems().items() if not name.endswith(".txt")}
    return saved(dest, forge.zip_bytes(files))


@case()
def scale_notations(dest):
    numbers = [
        b"1",
        b"1.",
        b".5",
        b"1e-3",
        b"2.5E+02",
        b"10000",
        b"0.5\n",
        b"0.5\r\n",
        b"+3.25",
        b"0." + b"3" * 60,
    ]
    files = forge.stems()
    scales = [name for name in files if name.endswith(".txt")]
    files |= {name: numbers[i % len(numbers)] for i, name in enumerate(scales)}
    return saved(dest, forge.zip_bytes(files))


@case()
def lengths_within_two_samples(dest):
    files = changed(
        left_drums__flac=forge.audio(500, forge.STEM_FRAMES - 2),
        right_drums__flac=forge.audio(501, forge.STEM_FRAMES + 2),
        remix__flac=forge.audio(502, forge.REMIX_FRAMES + 1, 2, 32000),
    )
    return saved(dest, forge.zip_bytes(files))


@case()
def no_md5(dest):
    files = {
        name: forge.with_streaminfo(data, md5=bytes(16)) if name.endswith(".flac") else data
        for name, data in forge.stems().items()
    }
    return saved(dest, forge.zip_bytes(files))


@case()
def padding_and_tags(dest):
    def tagged(data: bytes) -> bytes:
        comment = (
            struct.pack("<L", 4) + b"mine" + struct.pack("<L", 1) + struct.pack("<L", 10) + b"ARTIST=ann"
        )
        blocks = (
            b"\x04"
            + len(comment).to_bytes(3, "big")
            + comment
            + b"\x01"
            + (8192).to_bytes(3, "big")
            + bytes(8192)
        )
        last = data[4] & 0x80
        head = data[:4] + bytes([data[4] & 0x7F]) + data[5:42]
        return (
            head + blocks + data[42:]
            if not last
            else head + b"\x04" + blocks[1:-8196] + b"\x81" + blocks[-8195:] + data[42:]
        )

    files = {n: tagged(d) if n.endswith(".flac") else d for n, d in forge.stems().items()}
    return saved(dest, forge.zip_bytes(files))


@case()
def id3_after_the_audio(dest):
    files = changed(left_drums__flac=forge.audio(7) + b"TAG" + bytes(125))
    return saved(dest, forge.zip_bytes(files))


@case("silent")
def silent_stem(dest):
    silence = forge.flac(np.zeros(forge.STEM_FRAMES, np.int16), 24000)
    return saved(dest, forge.zip_bytes(changed(left_bass__flac=silence)))


@case("scale-missing")
def full_scale_without_scale_file(dest):
    pcm = forge.noise(3, forge.STEM_FRAMES).copy()
    pcm[77] = 32767
    return saved(dest, forge.zip_bytes(changed(left_bass__flac=forge.flac(pcm, 24000), left_bass__txt=None)))


@case("sides-equal")
def one_stem_doubled(dest):
    files = forge.stems()
    left = forge.first("left_other.flac")
    files[left.replace("left", "right")] = files[left]
    return saved(dest, forge.zip_bytes(files))


@case("stems-identical")
def stem_copied(dest):
    files = forge.stems()
    files[forge.first("left_other.flac")] = files[forge.first("left_drums.flac")]
    return saved(dest, forge.zip_bytes(files))


@case("not-personal")
def one_version_for_all(dest):
    files = forge.stems()
    for name in files:
        files[name] = files[name.replace("L6002", "L6001")]
    return saved(dest, forge.zip_bytes(files))


@case("remix-clipped")
def clipped_remix(dest):
    pcm = forge.noise(9, forge.REMIX_FRAMES, 2).copy()
    pcm[100:140, 0] = 32767
    pcm[500:540, 1] = -32768
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@case("remix-loud", "remix-clipped")
def deafening_remix(dest):
    pcm = np.where(forge.noise(9, forge.REMIX_FRAMES, 2) > -6000, 32767, -32768).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@case("remix-loud")
def remix_softly_limited(dest):
    """As the challenge's recipe does with loud music for a severe loss: tanh, saturated here and there."""
    swing = np.sin(np.arange(forge.REMIX_FRAMES) / 40)[:, None] * [9.0, 8.0]
    pcm = np.clip(np.tanh(swing) * 32768, -32768, 32767).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


@case("remix-quiet")
def inaudible_remix(dest):
    pcm = (forge.noise(9, forge.REMIX_FRAMES, 2) // 4000).astype(np.int16)
    return saved(dest, forge.zip_bytes(changed(remix__flac=forge.flac(pcm, 32000))))


def build(dest: Path) -> None:
    for name, (make, codes) in CASES.items():
        (dest / name).mkdir(parents=True)
        print(f"{make(dest / name)}: {', '.join(codes) or 'nothing to say'}")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
