"""The commands about a store: status, disqualify, reinstate, export, verify, clean."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ledger.entities import Entry, Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.ranking.store import write_ranking
from harness.score.heartbeat import is_dead, runner
from tests.stores import change
from tests.values import values

Cad1 = Callable[..., subprocess.CompletedProcess[str]]

ROSTER = Roster("c" * 64, "test", ("Song A", "Song B"), ("L1", "L2"))
SCORER = Scorer("d" * 64, "fast", locked=True)
DEAD_RUNNER = f"{runner().partition(' ')[0]} 99999999@1"


def key(number: int) -> Key:
    return Key(str(number) * 64, ROSTER.digest, SCORER)


def enter(ledger: Ledger, team: str, number: int, *, examples: int = 4) -> Case:
    ledger.add_roster(ROSTER)
    ledger.enter(Entry(team, key(number), f"submission_{team}.zip", 1000, "scored"))
    case = Case(team, key(number).submission, ROSTER.digest)
    ledger.history.move(case, State.RECEIVED)
    ledger.history.move(case, State.SCORING, scorer=SCORER)
    for song, listener in ROSTER.examples[:examples]:
        ledger.store(key(number), StoredExample(song, listener, values(number / 10)), run=None)
    return case


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """E001 is scored, E002 has one failed example, the run of E003 is dead, E004 is being scored."""
    folder = tmp_path / "store"
    with Ledger(folder) as ledger:
        ledger.history.move(enter(ledger, "E001", 1), State.SCORED, scorer=SCORER)
        failed = enter(ledger, "E002", 2, examples=3)
        ledger.store_failure(
            key(2),
            Failure("Song B", "L2", "timeout", "timeout", "Scoring it took longer than its deadline.", ""),
        )
        ledger.history.move(failed, State.FAILED, fault="timeout", cause="late", scorer=SCORER)
        for team, number, holder in (("E003", 3, DEAD_RUNNER), ("E004", 4, runner())):
            ledger.leases.claim(key(number), team=team, runner=holder, done=0, total=4, is_dead=is_dead)
            enter(ledger, team, number, examples=2)
        time.sleep(0.01)
        ledger.leases.beat(key(4), runner=runner(), done=2)
        write_ranking(ledger, folder)
    return folder


def test_status_shows_every_submission(cad1: Cad1, store: Path) -> None:
    found = json.loads(cad1("status", "--store", store, "--json").stdout)["submissions"]
    states = {one["team"]: (one["state"], one["fault"], one["stored"]) for one in found}
    assert states == {
        "E001": ("scored", "", 4),
        "E002": ("failed", "timeout", 3),
        "E003": ("failed", "setup", 2),
        "E004": ("scoring", "", 2),
    }
    by_team = {one["team"]: one for one in found}
    assert "ended unexpectedly" in by_team["E003"]["cause"]
    assert by_team["E004"]["rate"] > 0
    assert by_team["E004"]["left"] > 0
    text = cad1("status", "--store", store).stdout
    assert "per hour" in text
    assert "1 example failed; see `cad1 status E002`" in text


def test_status_of_an_empty_store(cad1: Cad1, tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    done = cad1("status", "--store", tmp_path)
    assert (done.returncode, done.stdout) == (0, "No submissions yet.\n")


def test_status_of_one_team_lists_every_failure(cad1: Cad1, store: Path) -> None:
    text = cad1("status", "E002", "--store", store).stdout
    assert "Song B for L2: Scoring it took longer than its deadline. (timeout, timeout)" in text
    assert "E001" not in text
    nobody = cad1("status", "E999", "--store", store)
    assert nobody.returncode == 2
    assert "E999 has no submission" in nobody.stderr


def test_the_ranking_gives_the_reason_of_a_disqualification(cad1: Cad1, store: Path) -> None:
    done = cad1("disqualify", "E001", "--reason", "trained on the test songs", "--store", store)
    assert done.returncode == 0, done.stderr
    ranking = (store / "ranking.md").read_text()
    assert "0.1000" not in ranking
    assert "trained on the test songs" in ranking
    assert cad1("verify", "--store", store).returncode == 0
    back = cad1("reinstate", "E001", "--reason", "the songs were public", "--store", store)
    assert back.returncode == 0, back.stderr
    assert "0.1000" in (store / "ranking.md").read_text()
    again = cad1("reinstate", "E001", "--reason", "x", "--store", store)
    assert again.returncode == 2
    assert "E001 is not disqualified" in again.stderr
    assert cad1("disqualify", "E999", "--reason", "x", "--store", store).returncode == 2
    assert cad1("disqualify", "E001", "--reason", " ", "--store", store).returncode == 2
    nowhere = store.parent / "nowhere"
    assert cad1("disqualify", "E001", "--reason", "x", "--store", nowhere).returncode == 3
    assert not nowhere.exists()


def test_verify_finds_a_changed_score_and_a_changed_ranking(cad1: Cad1, store: Path) -> None:
    good = cad1("verify", "--store", store)
    assert good.returncode == 0, good.stdout
    head = good.stdout.split()[-1]
    assert cad1("verify", "--store", store, "--head", head).returncode == 0
    assert cad1("verify", "--store", store, "--head", "f" * 64).returncode == 1
    ranking = store / "ranking.md"
    text = ranking.read_text()
    ranking.write_text(text.replace("0.1000", "0.9000"))
    changed = cad1("verify", "--store", store)
    assert changed.returncode == 1
    assert "ranking.md" in changed.stdout
    ranking.write_text(text)
    change(
        store,
        "UPDATE examples SET haaqi = replace(haaqi, '0.1', '0.9') WHERE song = 'Song A' AND listener = 'L1'",
    )
    flipped = cad1("verify", "--store", store)
    assert flipped.returncode == 1
    assert "Song A" in flipped.stdout
    assert "Traceback" not in flipped.stderr


def test_verify_with_a_head_says_what_has_changed_since(cad1: Cad1, store: Path) -> None:
    head = cad1("verify", "--store", store).stdout.split()[-1]
    unchanged = cad1("verify", "--store", store, "--head", head)
    assert unchanged.stdout.splitlines()[1:] == ["Nothing has changed since the given head."]
    assert cad1("disqualify", "E002", "--reason", "its own", "--store", store).returncode == 0
    done = cad1("verify", "--store", store, "--head", head)
    assert done.returncode == 0
    expected = "Written to the log since the given head: 1 disqualified, about E002."
    assert done.stdout.splitlines()[1:] == [expected]
    (store / "ranking.md").unlink()
    failed = cad1("verify", "--store", store, "--head", head)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1] == expected


def test_a_bundle_is_exported_signed_and_verified(cad1: Cad1, store: Path, tmp_path: Path) -> None:
    pytest.importorskip("securesystemslib")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    keys = tmp_path / "private.pem", tmp_path / "public.pem"
    keys[0].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    keys[1].write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    done = cad1("export", "E001", "--output", tmp_path / "out", "--sign", keys[0], "--store", store)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert f"signature matches {keys[1]}" in cad1("verify", path, "--key", keys[1]).stdout
    assert cad1("verify", path).stdout == f"{path} verified; signature not checked (no --key).\n"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    broken = cad1("verify", path, "--key", keys[1])
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert cad1("verify", "--key", keys[1], "--store", store).returncode == 2


def test_doctor_lists_leftovers_and_clean_removes_them(
    cad1: Cad1, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    (temporary / "cad1-job-99999999@1-abc").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))
    half = store / ".ranking.md.abc"
    half.write_text("x")
    os.utime(half, (1, 1))
    checks = cad1("doctor", "--store", store).stdout
    assert "cad1-job-99999999@1-abc" in checks
    assert f"the lease of {DEAD_RUNNER} on E003" in checks
    assert "`cad1 clean` removes them" in checks
    done = cad1("clean", "--store", store)
    assert done.returncode == 0, done.stderr
    assert f"released E003 from dead run {DEAD_RUNNER}" in done.stdout
    assert list(temporary.iterdir()) == []
    assert not half.exists()
    with Ledger(store, read_only=True) as ledger:
        assert [lease.team for lease in ledger.leases.all()] == ["E004"], "the lease of a live run is kept"
        (step,) = ledger.history.latest(team="E003")
    assert (step.state, step.fault) == (State.FAILED, "setup")
    assert cad1("verify", "--store", store).returncode == 0
    assert "E003" not in cad1("clean", "--store", store).stdout


def test_a_copied_store_is_verified_too(cad1: Cad1, store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    assert cad1("verify", "--store", tmp_path / "copy").returncode == 0


def test_a_cell_over_the_limit_of_a_csv_reader_is_an_invalid_file(cad1: Cad1, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("a" * 131_073)
    done = cad1(
        "add-scores", "E001", tmp_path / "scores.csv", "--split", "valid", "--store", tmp_path / "store"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("cad1: scores.csv, line 1: it is not CSV: field larger than field limit")
    assert "Traceback" not in done.stderr


def test_self_reported_scores_have_a_status(cad1: Cad1, tmp_path: Path) -> None:
    """Also in a store that holds nothing else, and beside a submission that was scored."""
    roster = Roster("e" * 64, "valid", ("Song A",), ("L1", "L2"))
    own = Key("9" * 64, roster.digest, Scorer("", "unknown", False))
    with Ledger(tmp_path) as ledger:
        examples = [StoredExample(*example, values(0.5)) for example in roster.examples]
        ledger.report(Entry("E009", own, "scores.csv", 9, "self-reported"), roster, examples)
    for arguments in ((), ("E009",), ("--split", "valid")):
        done = cad1("status", *arguments, "--store", tmp_path)
        assert done.returncode == 0
        assert "self-reported" in done.stdout
        assert "2 of 2" in done.stdout
    (one,) = json.loads(cad1("status", "--json", "--store", tmp_path).stdout)["submissions"]
    assert (one["team"], one["split"], one["state"]) == ("E009", "valid", "self-reported")
    assert cad1("status", "--split", "test", "--store", tmp_path).stdout == "No submissions yet.\n"
    with Ledger(tmp_path) as ledger:
        ledger.history.move(enter(ledger, "E001", 1), State.SCORED, scorer=SCORER)
    found = json.loads(cad1("status", "--json", "--store", tmp_path).stdout)["submissions"]
    assert sorted((one["team"], one["state"]) for one in found) == [
        ("E001", "scored"),
        ("E009", "self-reported"),
    ]


def test_a_head_is_for_a_store_only(cad1: Cad1, tmp_path: Path) -> None:
    done = cad1("verify", tmp_path / "E001.cad1.zip", "--head", "f" * 64)
    assert done.returncode == 2
    assert "--head can only be used with a store" in done.stderr
