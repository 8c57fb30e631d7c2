"""A folder of examples made into the zip that a team hands in."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

WRAPPER = "evaluation"  # folder inside the zip, as the challenge's recipe has it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: the same bytes each time
_UNIX = 3
_BUFFER = 1 << 20


def pack(folder: Path, names: Iterable[str], *, target: Path) -> None:
    """Packs files into a zip, the same bytes for the same files.

    Members are stored, not deflated (FLAC hardly shrinks), in sorted order, without folders of their own.
    The zip appears under its name only when it is complete.

    Args:
        folder: Where the files lie.
        names: Their relative POSIX paths; every one is packed as `evaluation/<name>`.
        target: The zip; an older one is replaced.

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
