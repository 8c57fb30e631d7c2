"""A submission is opened once, and what is read is what was hashed."""

import functools
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.validator import forge
from validator import validate
from validator.archive.members import DamagedMemberError, SubmissionChangedError
from validator.archive.sealed import BLOCK_BYTES
from validator.archive.sizes import SizeLimits
from validator.archive.submission import digest, open_submission
from validator.challenge.manifest import archive_limits
from validator.validation import validate_open

NAME = forge.first("left_bass.flac")
FORMS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": functools.partial(forge.zip_bytes, method=0),
    "tar": forge.tar_bytes,
    "tar.gz": functools.partial(forge.tar_bytes, mode="w:gz"),
}


def files_with(data: bytes | None = None) -> dict[str, bytes]:
    """A submission, and the same with another file of the same length."""
    return forge.stems() | ({NAME: data} if data is not None else {})


def other_audio() -> bytes:
    """Audio of the same length in bytes as that of `NAME`."""
    wanted = len(forge.stems()[NAME])
    data = forge.audio(777)
    assert len(data) <= wanted
    return data + bytes(wanted - len(data))


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def overwrite(path: Path, data: bytes) -> None:
    """Change a file in place."""
    with path.open("r+b") as stream:
        stream.write(data)


@pytest.fixture(params=FORMS)
def archive(request, tmp_path):
    return saved(tmp_path / "submission_E001", FORMS[request.param](files_with()))


@pytest.fixture
def folder(tmp_path):
    return forge.lay_out(files_with(), tmp_path / "evaluation")


def old_digest(path: Path) -> str:
    """The SHA-256 of a submission as it always was: `sha256sum` of the file, or of the folder's sorted lines."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [
        f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.relative_to(path).as_posix()}\n"
        for one in path.rglob("*")
        if one.is_file() and not one.is_symlink() and one.name != ".DS_Store"
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def test_the_digest_of_an_archive_is_that_of_its_bytes(archive):
    with open_submission(archive) as submission:
        assert submission.digest() == old_digest(archive) == digest(archive)


def test_the_digest_of_a_folder_is_that_of_its_files(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes\\of a name.txt").write_bytes(b"unsafe, and hashed")
    (folder / "link").symlink_to(folder / "L6001")
    with open_submission(folder) as submission:
        assert submission.digest() == old_digest(folder) == digest(folder)


def test_all_members_can_be_read_after_hashing(archive):
    with open_submission(archive) as submission:
        submission.digest()
        for name, data in files_with().items():
            assert submission.read(name, limit=1 << 20) == data
            assert submission.open(name).read() == data
            assert submission.head(name, 42) == data[:42]


def test_all_files_of_a_folder_can_be_read_after_hashing(folder):
    test_all_members_can_be_read_after_hashing(folder)


def test_an_archive_of_many_blocks_is_read_across_their_borders(tmp_path):
    data = os.urandom(3 * BLOCK_BYTES + 12345)
    path = saved(tmp_path / "a.zip", forge.zip_bytes({"L/S/a.flac": data, "L/S/b.flac": data[:99]}, method=0))
    with open_submission(path) as submission:
        submission.digest()
        assert submission.read("L/S/a.flac", limit=1 << 30) == data
        assert submission.read("L/S/b.flac", limit=1 << 30) == data[:99]


@pytest.mark.parametrize("way", ["read", "open", "head"])
def test_an_archive_overwritten_in_place_cannot_be_read(tmp_path, way):
    path = saved(tmp_path / "a.zip", FORMS["zip"](files_with()))
    with open_submission(path) as submission:
        submission.digest()
        overwrite(path, FORMS["zip"](files_with(other_audio())))
        ways = {
            "read": lambda: submission.read(NAME, limit=1 << 20),
            "open": lambda: submission.open(NAME).read(),
            "head": lambda: submission.head(NAME, 42),
        }
        with pytest.raises(SubmissionChangedError, match=r"was changed while it was in use.*bytes from \d+"):
            ways[way]()


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_archive_cannot_be_read(tmp_path, form):
    path = saved(tmp_path / "a", FORMS[form](files_with()))
    with open_submission(path) as submission:
        submission.digest()
        os.truncate(path, 5000)
        with pytest.raises(SubmissionChangedError):
            submission.read(list(files_with())[-1], limit=1 << 20)


def test_a_change_that_keeps_the_crc_is_noticed(tmp_path):
    """The archive's own checksums are those of the other file, so only the hash tells."""
    path = saved(tmp_path / "a.tar", FORMS["tar"](files_with()))
    with open_submission(path) as submission:
        before = submission.digest()
        overwrite(path, FORMS["tar"](files_with(other_audio())))
        with pytest.raises(SubmissionChangedError):
            submission.read(NAME, limit=1 << 20)
        assert submission.digest() == before


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_exchanged_before_it_is_hashed_is_noticed(tmp_path, form):
    """The directory was read from the first archive, and the second one would be hashed."""
    files = files_with()
    swapped = dict(reversed(files.items()))
    path = saved(tmp_path / "a", FORMS[form](files))
    with open_submission(path) as submission:
        other = FORMS[form](swapped)
        size = path.stat().st_size
        overwrite(path, (other + bytes(size))[:size])
        with pytest.raises(SubmissionChangedError, match="directory is not the one"):
            submission.digest()


def test_an_archive_that_grows_or_shrinks_before_it_is_hashed_is_noticed(tmp_path):
    for change in (200, -200):
        path = saved(tmp_path / "a.zip", FORMS["zip"](files_with()))
        with open_submission(path) as submission:
            os.truncate(path, path.stat().st_size + change)
            with pytest.raises(SubmissionChangedError):
                submission.digest()


def test_an_archive_replaced_at_its_path_is_still_the_one_that_was_opened(archive):
    with open_submission(archive) as submission:
        expected = old_digest(archive)
        another = saved(archive.with_name("other"), b"nothing like it")
        another.replace(archive)
        assert submission.digest() == expected
        assert submission.read(NAME, limit=1 << 20) == forge.stems()[NAME]


def test_a_file_of_a_folder_replaced_after_hashing_cannot_be_read(folder):
    with open_submission(folder) as submission:
        submission.digest()
        saved(folder / "new", other_audio()).replace(folder / NAME)
        for read in (lambda: submission.read(NAME, limit=1 << 20), lambda: submission.open(NAME).read()):
            with pytest.raises(SubmissionChangedError, match="does not have the bytes that were hashed"):
                read()


def test_a_file_of_a_folder_that_is_gone_or_longer_after_hashing_cannot_be_read(folder):
    with open_submission(folder) as submission:
        submission.digest()
        (folder / NAME).write_bytes(b"short")
        with pytest.raises(SubmissionChangedError):
            submission.read(NAME, limit=1 << 20)
        (folder / NAME).unlink()
        with pytest.raises(SubmissionChangedError):
            submission.head(NAME, 42)


@pytest.mark.parametrize("hashed", [False, True])
def test_a_parent_folder_exchanged_by_a_link_is_not_followed(folder, tmp_path, hashed):
    with open_submission(folder) as submission:
        if hashed:
            submission.digest()
        elsewhere = tmp_path / "elsewhere"
        (folder / "L6001").rename(elsewhere)
        (folder / "L6001").symlink_to(elsewhere)
        with pytest.raises(SubmissionChangedError if hashed else DamagedMemberError):
            submission.read(NAME, limit=1 << 20)


def test_a_folder_exchanged_at_its_path_is_still_the_one_that_was_opened(folder, tmp_path):
    with open_submission(folder) as submission:
        expected = old_digest(folder)
        folder.rename(tmp_path / "moved")
        forge.lay_out(files_with(other_audio()), folder)
        assert submission.digest() == expected
        assert submission.read(NAME, limit=1 << 20) == forge.stems()[NAME]


def test_a_file_that_disappears_before_it_is_hashed_is_noticed(folder):
    with open_submission(folder) as submission:
        (folder / NAME).unlink()
        with pytest.raises(SubmissionChangedError, match="cannot be read any more"):
            submission.digest()


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def test_a_sparse_archive_of_300_gb_is_refused_without_hashing(tmp_path):
    path = sparse(tmp_path / "a.zip", 300 << 30)
    begun = time.monotonic()
    report = validate(path, forge.CHALLENGE)
    assert time.monotonic() - begun < 5
    assert [one.code for one in report.findings] == ["archive-too-large"]
    assert report.submission.sha256 is None
    assert report.submission.size == 300 << 30
    assert digest(path) is None


def test_a_folder_with_a_sparse_file_of_15_tb_is_refused_without_hashing(folder):
    sparse(folder / "zz_last.flac", 15 << 40)
    begun = time.monotonic()
    report = validate(folder, forge.CHALLENGE)
    assert time.monotonic() - begun < 5
    assert [one.code for one in report.findings] == ["archive-too-large"]
    assert report.submission.sha256 is None


def test_a_folder_of_too_many_files_is_refused_without_hashing(folder):
    with open_submission(folder, limits=SizeLimits(entries=10)) as submission:
        assert [one.code for one in submission.problems] == ["archive-too-large"]
        assert submission.digest() is None


def test_a_pipe_is_neither_opened_nor_hashed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open_submission(tmp_path / "pipe") as submission:
        assert not submission.readable
        assert submission.digest() is None


def test_a_damaged_archive_has_a_digest(tmp_path):
    path = saved(tmp_path / "a.zip", FORMS["zip"](files_with())[:-99])
    report = validate(path, forge.CHALLENGE)
    assert [one.code for one in report.findings] == ["archive-unreadable"]
    assert report.submission.sha256 == old_digest(path)


def test_a_folder_is_hashed_unless_only_headers_are_read(folder):
    assert validate(folder, forge.CHALLENGE).submission.sha256 == old_digest(folder)
    assert validate(folder, forge.CHALLENGE, quick=True).submission.sha256 is None


def test_an_open_submission_is_validated_and_then_read_as_it_was_hashed(archive):
    with open_submission(archive, limits=archive_limits(forge.CHALLENGE)) as submission:
        report = validate_open(submission, forge.CHALLENGE, name="theirs.zip")
        assert report.findings == ()
        assert report.submission.name == "theirs.zip"
        assert report.submission.sha256 == submission.digest() == old_digest(archive)
        saved(archive.with_name("other"), b"nothing like it").replace(archive)
        assert submission.read(NAME, limit=1 << 20) == forge.stems()[NAME]


@pytest.mark.parametrize("form", [*FORMS, "folder"])
def test_worker_processes_read_what_was_opened_and_not_the_path(tmp_path, monkeypatch, form):
    monkeypatch.setattr("validator.validation.FEW_FILES", 0)
    path = tmp_path / "submission"
    if form == "folder":
        forge.lay_out(files_with(), path)
    else:
        saved(path, FORMS[form](files_with()))
    with open_submission(path, limits=archive_limits(forge.CHALLENGE)) as submission:
        path.rename(tmp_path / "away")
        report = validate_open(submission, forge.CHALLENGE, name="s", workers=2)
    assert report.findings == ()


def test_no_file_stays_open(archive, folder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (archive, folder):
        with open_submission(path) as submission:
            submission.digest()
            submission.read(NAME, limit=1 << 20)
            submission.open(NAME).close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
