"""What a sandbox mounts must be readable for every user."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.protocol.errors import SetupError
from harness.sandbox.access import SharedPaths, check_readable


def test_a_file_closed_to_others_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed.flac"
    closed.write_bytes(b"")
    closed.chmod(0o600)
    with pytest.raises(SetupError, match="closed to other users"):
        check_readable(tmp_path)
    closed.chmod(0o644)
    check_readable(tmp_path)


def test_a_folder_closed_to_others_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o754)  # may be listed but not entered
    with pytest.raises(SetupError, match="closed: it is closed to other users"):
        check_readable(tmp_path)


def test_each_path_is_checked_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    shared = SharedPaths()
    shared.check(tmp_path)
    tmp_path.chmod(0o700)
    shared.check(tmp_path)
    with pytest.raises(SetupError, match="closed to other users"):
        SharedPaths().check(tmp_path)
