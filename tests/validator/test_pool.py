"""Several processes: a decoder that dies over a file is named, and nothing else suffers."""

import os

import pytest

from tests.validator import forge
from validator.archive.submission import SubmissionNotFound, open_submission
from validator.challenge.manifest import ExpectedFile, Kind, expected_files, archive_limits
from validator.checks.filenames import check_names
from validator.checks.pool import Plan, by_example, in_processes


class Deadly(ExpectedFile):
    """Kills the process that receives it, as a decoder that crashes would."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.fixture
def submission(tmp_path):
    path = tmp_path / "submission.zip"
    path.write_bytes(forge.zip_bytes(forge.stems()))
    return path


def plan_of(path):
    return Plan(path, archive_limits(forge.CHALLENGE), forge.CHALLENGE, sense=False)


def test_a_crash_is_pinned_to_its_file(submission):
    with open_submission(submission) as opened:
        present, _ = check_names(opened.members, forge.CHALLENGE)
    at = next(index for index, entry in enumerate(present) if index > 20 and entry.kind is Kind.STEM)
    victim = present[at]
    present[at] = Deadly(victim.path, victim.kind, victim.listener, victim.song, victim.side, victim.stem)
    done, findings, facts = 0, [], []
    for count, part in in_processes(plan_of(submission), present, workers=2):
        done += count
        findings += part.findings
        facts += part.facts
    assert done == len(present)
    assert [(one.code, one.path) for one in findings] == [("flac-corrupt", victim.path)]
    assert findings[0].message == "The decoder crashed over this file."
    assert len(facts) == 4 * 9 - 1


def test_what_a_process_cannot_open_is_raised_here(tmp_path):
    present = list(expected_files(forge.CHALLENGE))
    with pytest.raises(SubmissionNotFound):
        list(in_processes(plan_of(tmp_path / "gone.zip"), present, workers=1))


def test_examples_keep_together():
    groups = list(by_example(list(expected_files(forge.CHALLENGE))))
    assert [len(group) for group in groups] == [17] * 4
    assert all(len({(entry.song, entry.listener) for entry in group}) == 1 for group in groups)
