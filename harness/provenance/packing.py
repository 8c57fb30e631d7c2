"""The bundle's zip: the same members give the same bytes on every machine, and nothing else is accepted.

Members are not compressed, because two builds of zlib may compress differently. A zip is accepted only if packing
its members again gives the same bytes: so no byte can be changed, not even in its directory.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from harness.protocol.errors import UsageError

MAX_BYTES = 32 * 2**20
"""The bundle of a whole test submission has about 1 MB: scores and names of 2,597 examples, again in base64."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: the time of packing is not part of a bundle."""

REQUIRED = ("scores.csv", "run.json", "statement.json")
ENVELOPE = "statement.dsse.json"


class ArchiveError(ValueError):
    """A file that is not a bundle; the text is a sentence without its subject and full stop."""


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
        ArchiveError: It is not what `pack` returns for the members of a bundle.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = tuple(info.filename for info in infos)
            if names not in {REQUIRED, (*REQUIRED, ENVELOPE)}:
                shown = ", ".join(repr(name[:80]) for name in names[:8])
                raise ArchiveError(f"holds {shown or 'nothing'}; a bundle holds {', '.join(REQUIRED)}")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise ArchiveError("is compressed, which a bundle never is")
            members = {info.filename: archive.read(info) for info in infos}
    except ArchiveError:
        raise
    except (
        zipfile.BadZipFile,
        RuntimeError,  # encrypted, or not supported
        EOFError,
        OSError,
        OverflowError,
        ValueError,
        struct.error,
    ) as error:
        raise ArchiveError(f"is not a zip, or is damaged ({error})") from error
    if pack(members) != data:
        raise ArchiveError(
            "does not have the bytes of a bundle: it was packed by another program, or changed"
        )
    return members


def read_bundle(path: Path) -> bytes:
    """The bytes of a file, within the size cap.

    Raises:
        UsageError: There is no such file, or it can't be read.
        ArchiveError: It is too large.
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
        raise ArchiveError(f"is larger than {MAX_BYTES} bytes, the limit for a bundle")
    return data
