"""Access to what a sandbox mounts: its user, nobody, must be able to read it."""

from __future__ import annotations

from pathlib import Path

from harness.protocol.errors import SetupError


class SharedPaths:
    """Paths that were found to be readable for every user; each is checked once."""

    def __init__(self) -> None:
        self._readable: set[Path] = set()

    def check(self, *paths: Path) -> None:
        """Checks paths that were not checked before.

        Raises:
            SetupError: See `check_readable`.
        """
        for path in paths:
            if path not in self._readable:
                check_readable(path)
                self._readable.add(path)


def check_readable(path: Path) -> None:
    """Checks that every user can read a file, or a folder and everything in it.

    Raises:
        SetupError: If other users can't read a file or folder at `path`.
    """
    for entry in [path, *(path.rglob("*") if path.is_dir() else ())]:
        mode = entry.stat().st_mode
        if not mode & (0o005 if entry.is_dir() else 0o004) or (entry.is_dir() and not mode & 0o001):
            raise SetupError(
                f"The sandbox's user, nobody, can't read {entry}: it is closed to other users.",
                hint=f"Make it readable: `chmod -R o+rX {path}`.",
            )
