"""Files that are written in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harness.protocol.errors import SetupError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file in one step: a reader sees the old one or the new one, whole.

    Raises:
        SetupError: It can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> SetupError:
    """The error to raise for a file that the system does not allow to be written."""
    return SetupError(
        f"{path} can't be written: {error.strerror or error}.",
        hint="Check that the folder is writable and its disk is not full, then run the same command again.",
    )
