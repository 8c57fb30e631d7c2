"""Packs a folder of examples as the zip of a submission."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

WRAPPER = "evaluation"  # folder inside the zip, as in the challenge's recipe
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip, so that the bytes are the same every time
_UNIX = 3
_BUFFER = 1 << 20


def pack(folder: Path, names: Iterable[str], *, target: Path) -> None:
    """Pack files into a zip; the same files give the same bytes.

    Members are stored, because FLAC is hardly compressible, and sorted; there are no entries for folders. The
    zip gets its name only when it is complete.

    Args:
        folder: Folder with the files.
        names: Their relative POSIX paths; each is packed as `evaluation/<name>`.
        target: The zip; an existing one is replaced.

    Raises:
        OSError: A file is missing, or the disk is full.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w", compression=zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name in sorted(names):
                source = folder / name
                member = zipfile.ZipInfo(f"{WRAPPER}/{name}", date_time=_EPOCH)
                member.create_system = _UNIX
                member.external_attr = 0o100644 << 16
                member.file_size = source.stat().st_size
                with source.open("rb") as content, archive.open(member, "w") as sink:
                    shutil.copyfileobj(content, sink, _BUFFER)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
