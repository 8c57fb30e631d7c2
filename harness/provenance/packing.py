"""The bundle's zip: the same members give the same bytes, on every machine, and nothing else is taken for a bundle.

Members are stored and not compressed, for two builds of zlib may compress differently. A zip is only read if
packing its members again gives its very bytes: so no byte of it is free, its directory's included.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from harness.protocol.errors import UsageError

MAX_BYTES = 32 * 2**20
"""A whole test submission's has about 1 MB: scores, a name for each of 2,597 examples, all again in base64."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: when it was packed is no part of it."""

REQUIRED = ("scores.csv", "run.json", "statement.json")
ENVELOPE = "statement.dsse.json"


class ArchiveError(ValueError):
    """A file that is no bundle; the text is a sentence without its subject and full stop."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle of these members, in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.create_system = 3  # Unix, wherever this runs
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of a bundle.

    Raises:
        ArchiveError: If it is not what `pack` makes of the members that a bundle has.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = tuple(info.filename for info in infos)
            if names not in {REQUIRED, (*REQUIRED, ENVELOPE)}:
                shown = ", ".join(repr(name[:80]) for name in names[:8])
                raise ArchiveError(f"holds {shown or 'nothing'} where a bundle holds {', '.join(REQUIRED)}")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise ArchiveError("is compressed, which a bundle never is")
            members = {info.filename: archive.read(info) for info in infos}
    except ArchiveError:
        raise
    except (
        zipfile.BadZipFile,
        RuntimeError,  # encrypted, or of a kind that is not supported
        EOFError,
        OSError,
        OverflowError,
        ValueError,
        struct.error,
    ) as error:
        raise ArchiveError(f"is no zip, or a damaged one ({error})") from error
    if pack(members) != data:
        raise ArchiveError(
            "has other bytes than a bundle of its members: something else packed or changed it"
        )
    return members


def read(path: Path) -> bytes:
    """The bytes of a file, within the size cap.

    Raises:
        UsageError: If there is no such file, or it can't be read.
        ArchiveError: If it is too large.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}.",
            hint="Give the path of a bundle that `cad1 export` wrote.",
        ) from error
    if len(data) > MAX_BYTES:
        raise ArchiveError(f"is larger than {MAX_BYTES} bytes, which no bundle is")
    return data
