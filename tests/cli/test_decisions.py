"""The commands about submissions: submissions, policy, select, withdraw, rename, reinstate, backup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from harness.cli.decisions import parse_deadline
from harness.ledger.entities import Entry, Key
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.errors import UsageError
from tests.stores import ROSTER, SCORER

Cad1 = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def store(filled: Path) -> Path:
    """The full store, with an interrupted and an invalid submission of E001."""
    with Ledger(filled) as ledger:
        name = "submission_E001.zip"
        key = Key("5" * 64, ROSTER.digest, SCORER)
        ledger.enter(Entry("E001", key, name, 1, "scored"))
        for digit, after in (("5", State.SCORING), ("6", State.INVALID)):
            case = Case("E001", digit * 64, ROSTER.digest)
            ledger.history.move(case, State.RECEIVED, cause=f"{name} received")
            ledger.history.move(case, after, cause="1 error: missing-file (1)" if digit == "6" else "")
    return filled


def test_submissions_lists_what_was_received_and_what_counts(cad1: Cad1, store: Path) -> None:
    done = cad1("submissions", "E001", "--store", store)
    assert done.returncode == 0
    rows = [re.split("  +", line.strip()) for line in done.stdout.splitlines()[2:5]]
    assert [row[1:] for row in rows] == [
        ["submission_E001.zip", "11111111", "scored", "0.2545", "yes"],
        ["submission_E001.zip", "55555555", "scoring", "no"],
        ["submission_E001.zip", "66666666", "invalid", "no"],
    ]
    assert "- 11111111 counts: the latest that is completely scored." in done.stdout
    assert "- 55555555 does not count: 0 of 4 examples scored." in done.stdout
    assert "- 66666666 does not count: invalid: 1 error: missing-file (1)." in done.stdout
    everything = cad1("submissions", "--store", store).stdout
    assert "E004, split test, disqualified: scored with the test songs" in everything
    assert "self-reported" in everything
    assert cad1("submissions", "--split", "valid", "--store", store).stdout == "No submissions yet.\n"


def test_submissions_fit_80_columns(store: Path) -> None:
    program = "from harness.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "submissions", "--store", str(store)],
        capture_output=True, text=True, check=True, env={"COLUMNS": "80"},
    )  # fmt: skip
    tables = [line for line in done.stdout.splitlines() if not line.startswith(("- ", "  note: "))]
    assert max(map(len, tables)) <= 80
    assert "submission_E001.zip" in done.stdout


def test_submissions_as_json(cad1: Cad1, store: Path) -> None:
    document = json.loads(cad1("submissions", "E001", "--json", "--store", store).stdout)
    assert document["schema_version"] == 1
    assert [(one["submission"][0], one["counts"], one["state"]) for one in document["submissions"]] == [
        ("1", True, "scored"),
        ("5", False, "scoring"),
        ("6", False, "invalid"),
    ]
    assert document["submissions"][0]["notes"]


def test_an_unknown_team_has_no_submissions(cad1: Cad1, store: Path) -> None:
    done = cad1("submissions", "E0O1", "--store", store)
    assert (done.returncode, done.stdout) == (2, "")
    assert "E0O1 has no submission" in done.stderr


def test_a_decision_about_a_submission_is_taken_back(cad1: Cad1, store: Path) -> None:
    ranking = (store / "ranking.md").read_text()
    for command, state in (("withdraw", "withdrawn"), ("select", "yes")):
        done = cad1(command, "E001", "1111", "--reason", "their wish", "--store", store)
        assert (done.returncode, done.stdout) == (0, "")
        assert "E001: submission 111111111111" in done.stderr
        assert state in cad1("submissions", "E001", "--store", store).stdout
        done = cad1("reinstate", "E001", "1111", "--reason", "a mistake", "--store", store)
        assert done.returncode == 0
        assert (store / "ranking.md").read_text() == ranking
    assert cad1("withdraw", "E001", "1111", "--store", store).returncode == 2, "without a reason"
    assert cad1("verify", "--store", store).returncode == 0


def test_a_team_is_renamed(cad1: Cad1, store: Path) -> None:
    done = cad1("rename", "E002", "E022", "--reason", "a typo", "--store", store)
    assert done.stderr == "E022: submission 222222222222 was E002's: a typo\n"
    assert "| E022" in (store / "ranking.md").read_text()
    done = cad1("rename", "E022", "../etc", "--reason", "a typo", "--store", store)
    assert (done.returncode, done.stderr.partition("\n")[0]) == (
        2,
        "cad1: '../etc' cannot be a team's name.",
    )


def test_a_policy_is_shown_and_changed(cad1: Cad1, store: Path) -> None:
    done = cad1(
        "policy", "--split", "test", "--counts", "best", "--deadline", "2026-12-01T23:59:59+01:00", "--most",
        "3", "--store", store,
    )  # fmt: skip
    shown = (
        "Split test: of each team, the best submission counts.\n"
        "Deadline: 2026-12-01T22:59:59+00:00.\n"
        "Submissions of a team that may count: 3.\n"
    )
    assert done.stdout == shown
    assert cad1("policy", "--split", "test", "--store", store).stdout == shown
    done = cad1("policy", "--split", "test", "--deadline", "none", "--most", "0", "--store", store)
    assert "Deadline: none.\nSubmissions of a team that may count: any number." in done.stdout
    assert cad1("policy", "--split", "test", "--store", store / "typo").returncode == 3


@pytest.mark.parametrize("text", ["2026-12-01", "tomorrow", "2026-12-01T23:59:59", ""])
def test_a_deadline_is_a_time_with_its_zone(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time with its zone"):
        parse_deadline(text)


def test_backup_prints_what_sha256sum_prints(cad1: Cad1, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "backup.sqlite"
    done = cad1("backup", path, "--store", store)
    assert done.stdout == f"{sha256(path.read_bytes()).hexdigest()}  {path}\n"
    assert re.fullmatch("Head of its log: [0-9a-f]{64}\n", done.stderr)
    assert cad1("backup", path, "--store", store).returncode == 2
