"""The verbs about the store: status, disqualify, export, verify, clean."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
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

Cad1 = Callable[..., subprocess.CompletedProcess[str]]

ROSTER = Roster("c" * 64, "test", ("Song A", "Song B"), ("L1", "L2"))
SCORER = Scorer("d" * 64, "fast", locked=True)
DEAD = f"{runner().partition(' ')[0]} 99999999@1"


def key(number: int) -> Key:
    return Key(str(number) * 64, ROSTER.digest, SCORER)


def enter(ledger: Ledger, team: str, number: int, *, examples: int = 4) -> Case:
    ledger.add_roster(ROSTER)
    ledger.enter(Entry(team, key(number), f"submission_{team}.zip", 1000, "scored"))
    case = Case(team, key(number).submission, ROSTER.digest)
    ledger.history.move(case, State.RECEIVED)
    ledger.history.move(case, State.SCORING, scorer=SCORER)
    for song, listener in ROSTER.examples[:examples]:
        ledger.store(key(number), StoredExample(song, listener, (number / 10,) * 8), run=None)
    return case


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """E001 is scored, E002 has failed on one example, E003's run has died, E004 is being scored."""
    folder = tmp_path / "store"
    with Ledger(folder) as ledger:
        ledger.history.move(enter(ledger, "E001", 1), State.SCORED, scorer=SCORER)
        failed = enter(ledger, "E002", 2, examples=3)
        ledger.store_failure(
            key(2),
            Failure("Song B", "L2", "timeout", "timeout", "Scoring it took longer than its deadline.", ""),
        )
        ledger.history.move(failed, State.FAILED, fault="timeout", cause="late", scorer=SCORER)
        for team, number, who in (("E003", 3, DEAD), ("E004", 4, runner())):
            ledger.leases.claim(key(number), team=team, runner=who, done=0, total=4, is_dead=is_dead)
            enter(ledger, team, number, examples=2)
        time.sleep(0.01)
        ledger.leases.beat(key(4), runner=runner(), done=2)
        write_ranking(ledger, folder)
    return folder


def test_status_says_where_everybody_is(cad1: Cad1, store: Path) -> None:
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
    assert "an hour" in text
    assert "`cad1 status E002` names them" in text


def test_status_of_one_team_names_every_failure(cad1: Cad1, store: Path) -> None:
    text = cad1("status", "E002", "--store", store).stdout
    assert "Song B for L2: Scoring it took longer than its deadline. (timeout, timeout)" in text
    assert "E001" not in text
    nobody = cad1("status", "E999", "--store", store)
    assert nobody.returncode == 2
    assert "E999 has sent nothing" in nobody.stderr


def test_a_disqualified_team_is_not_ranked_and_the_reason_stands_there(cad1: Cad1, store: Path) -> None:
    done = cad1("disqualify", "E001", "--why", "trained on the test songs", "--store", store)
    assert done.returncode == 0, done.stderr
    ranking = (store / "ranking.md").read_text()
    assert "0.1000" not in ranking
    assert "trained on the test songs" in ranking
    assert cad1("verify", "--store", store).returncode == 0
    back = cad1("disqualify", "E001", "--why", "an error of ours", "--revoke", "--store", store)
    assert back.returncode == 0, back.stderr
    assert "0.1000" in (store / "ranking.md").read_text()
    assert cad1("disqualify", "E999", "--why", "x", "--store", store).returncode == 2
    nowhere = store.parent / "nowhere"
    assert cad1("disqualify", "E001", "--why", "x", "--store", nowhere).returncode == 3
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
    database = sqlite3.connect(store / "ledger.sqlite")
    database.execute(
        "UPDATE examples SET haaqi = replace(haaqi, '0.1', '0.9') WHERE song = 'Song A' AND listener = 'L1'"
    )
    database.commit()
    database.close()
    flipped = cad1("verify", "--store", store)
    assert flipped.returncode == 1
    assert "Song A" in flipped.stdout
    assert "Traceback" not in flipped.stderr


def test_a_bundle_is_written_signed_and_checked(cad1: Cad1, store: Path, tmp_path: Path) -> None:
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
    assert cad1("verify", path, "--key", keys[1]).returncode == 0
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    broken = cad1("verify", path, "--key", keys[1])
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert cad1("verify", "--key", keys[1], "--store", store).returncode == 2


def test_clean_frees_what_a_dead_run_held(
    cad1: Cad1, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    (temporary / "cad1-job-99999999@1-abc").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))
    half = store / ".ranking.md.abc"
    half.write_text("x")
    os.utime(half, (1, 1))
    told = cad1("doctor", "--store", store)
    assert "cad1-job-99999999@1-abc" in told.stdout
    assert "`cad1 clean` removes them" in told.stdout
    done = cad1("clean", "--store", store)
    assert done.returncode == 0, done.stderr
    assert "E003 is no longer held by" in done.stdout
    assert list(temporary.iterdir()) == []
    assert not half.exists()
    with Ledger(store, read_only=True) as ledger:
        assert [lease.team for lease in ledger.leases.all()] == ["E004"], "a living run's is kept"
        (step,) = ledger.history.latest(team="E003")
    assert (step.state, step.fault) == (State.FAILED, "setup")
    assert cad1("verify", "--store", store).returncode == 0
    assert cad1("clean", "--store", store).stdout == "Nothing was left behind.\n"


def test_a_copied_store_on_another_path_still_fits(cad1: Cad1, store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    assert cad1("verify", "--store", tmp_path / "copy").returncode == 0
