"""An inbox says which submissions are complete, each once."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.score.inbox import UNREADABLE_FACTOR, Inbox
from validator.archive.sizes import SizeLimits


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(tmp_path: Path, clock: Clock) -> Inbox:
    (tmp_path / "inbox").mkdir()
    return Inbox(tmp_path / "inbox", rest=5.0, limits=SizeLimits(), clock=clock)


@pytest.fixture
def names(inbox: Inbox) -> Callable[[], list[str]]:
    return lambda: [arrival.path.name for arrival in inbox.arrived()[0]]


def test_a_file_that_still_grows_is_not_complete(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path, oracle_zip: Path
) -> None:
    data, path = oracle_zip.read_bytes(), tmp_path / "inbox" / "submission_E001.zip"
    for part in range(4):
        with path.open("ab") as stream:
            stream.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
        clock.now += 4
        assert names() == []
    clock.now += 4.9
    assert names() == []
    clock.now += 0.2
    assert names() == ["submission_E001.zip"]
    clock.now += 100
    assert names() == [], "it arrives once"


def test_a_file_of_the_final_size_that_is_still_written_is_not_complete(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path, oracle_zip: Path
) -> None:
    path = Path(shutil.copy(oracle_zip, tmp_path / "inbox" / "submission_E001.zip"))
    for second in range(3):
        os.utime(path, (second, second))  # written to, with its size reserved beforehand
        assert names() == []
        clock.now += 6
    assert names() == ["submission_E001.zip"]


def test_an_upload_that_stalls_waits_until_its_directory_can_be_read(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path, oracle_zip: Path
) -> None:
    data, path = oracle_zip.read_bytes(), tmp_path / "inbox" / "submission_E001.zip"
    path.write_bytes(data[:-1000])
    names()
    clock.now += 60
    assert names() == [], "the directory at the end of the zip is not there"
    path.write_bytes(data)
    names()
    clock.now += 5
    assert names() == ["submission_E001.zip"]


def test_an_archive_that_stays_unreadable_is_taken_in_the_end(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / "submission_E001.zip").write_bytes(b"nothing that can be read")
    names()
    clock.now += 5 * UNREADABLE_FACTOR - 1
    assert names() == []
    clock.now += 1
    assert names() == ["submission_E001.zip"]


def test_an_archive_that_is_refused_without_being_read_is_complete(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "inbox" / "submission_E001.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("L9001/song/L9001_song_left_bass.flac", bytes(50_000_000))
    names()
    clock.now += 5
    assert names() == ["submission_E001.zip"]


def test_a_folder_is_complete_when_all_its_files_are_at_rest(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path
) -> None:
    deep = tmp_path / "inbox" / "submission_E001" / "L9001" / "song"
    deep.mkdir(parents=True)
    for number in range(3):
        (deep / f"{number}.flac").write_bytes(b"x")
        assert names() == []
        clock.now += 4
    clock.now += 1
    assert names() == ["submission_E001"]


def test_a_file_that_changes_after_it_was_taken_arrives_again(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path, oracle_zip: Path
) -> None:
    path = Path(shutil.copy(oracle_zip, tmp_path / "inbox" / "submission_E001.zip"))
    names()
    clock.now += 5
    assert names() == ["submission_E001.zip"]
    os.utime(path, (7, 7))
    assert names() == []
    clock.now += 5
    assert names() == ["submission_E001.zip"]


def test_what_is_no_submission_is_named_once(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "submission_E001.zip.part").write_bytes(b"")
    (tmp_path / "inbox" / ".hidden").write_bytes(b"")
    assert [path.name for path in inbox.arrived()[1]] == ["submission_E001.zip.part"]
    assert inbox.arrived()[1] == []


def test_a_file_that_is_taken_away_is_forgotten(
    names: Callable[[], list[str]], clock: Clock, tmp_path: Path, oracle_zip: Path
) -> None:
    path = Path(shutil.copy(oracle_zip, tmp_path / "inbox" / "submission_E001.zip"))
    names()
    path.unlink()
    assert names() == []
    shutil.copy(oracle_zip, path)
    clock.now += 6
    assert names() == [], "the new file has just been seen for the first time"
