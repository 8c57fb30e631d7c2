"""Several processes: a file on which the decoder crashes is reported, and no other file is affected."""

import os

import pytest

from tests.validator import forge
from validator.archive.submission import SubmissionNotFound, open_submission
from validator.challenge.manifest import ExpectedFile, Kind, archive_limits, expected_files
from validator.checks.filenames import check_names
from validator.checks.pool import Plan, examine_in_processes, group_by_example
from validator.formats.libflac import in_process_decoder


class Deadly(ExpectedFile):
    """Ends the process that receives it, like a decoder that crashes."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.fixture
def submission(tmp_path):
    path = tmp_path / "submission.zip"
    path.write_bytes(forge.zip_bytes(forge.stems()))
    return path


def plan_of(path):
    return Plan(path, archive_limits(forge.CHALLENGE), forge.CHALLENGE, False, in_process_decoder)


def test_a_crash_is_reported_for_its_file(submission):
    with open_submission(submission) as opened:
        present, _ = check_names(opened.members, forge.CHALLENGE)
    at = next(index for index, entry in enumerate(present) if index > 20 and entry.kind is Kind.STEM)
    victim = present[at]
    present[at] = Deadly(victim.path, victim.kind, victim.listener, victim.song, victim.side, victim.stem)
    done, findings, summaries = 0, [], []
    for count, part in examine_in_processes(plan_of(submission), present, workers=2):
        done += count
        findings += part.findings
        summaries += part.summaries
    assert done == len(present)
    assert [(one.code, one.path) for one in findings] == [("flac-corrupt", victim.path)]
    assert findings[0].message == "The decoder crashed on this file."
    assert len(summaries) == 4 * 9 - 1


def test_an_error_of_a_process_is_raised_by_the_caller(tmp_path):
    present = list(expected_files(forge.CHALLENGE))
    with pytest.raises(SubmissionNotFound):
        list(examine_in_processes(plan_of(tmp_path / "gone.zip"), present, workers=1))


def test_files_are_grouped_by_example():
    groups = list(group_by_example(list(expected_files(forge.CHALLENGE))))
    assert [len(group) for group in groups] == [17] * 4
    assert all(len({(entry.song, entry.listener) for entry in group}) == 1 for group in groups)
