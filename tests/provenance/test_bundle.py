"""A bundle: the same ledger gives the same bytes, with everything that the ledger knows about a score."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from harness import provenance
from harness.ledger.entities import Entry, Key
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import mean
from harness.protocol.errors import SetupError, UsageError
from harness.provenance import packing
from harness.provenance.packing import ENVELOPE, pack, unpack
from tests.provenance.bundles import KEY, ROSTER, RUN, SCORER, Keys, export
from tests.stores import change


def test_the_same_ledger_gives_the_same_bytes(bundle_store: Path, keys: Keys, tmp_path: Path) -> None:
    private, public = keys("organiser")
    bundles = [export(bundle_store, "E001", tmp_path / name, key=private) for name in ("one.zip", "two.zip")]
    assert bundles[0].read_bytes() == bundles[1].read_bytes()
    assert provenance.verify_bundle(bundles[0], key=public) == []
    assert provenance.verify_bundle(bundles[0]) == []
    assert ENVELOPE in unpack(bundles[0].read_bytes())


def test_the_same_members_give_the_same_zip() -> None:
    data = pack({"scores.csv": b"a\n", "run.json": b"{}\n", "statement.json": b"{}\n"})
    assert hashlib.sha256(data).hexdigest() == (
        "2a7f5cbed8d57e69642efad63454463611bf694e5c0530886c8b442c03eb25fb"
    )


def test_what_a_bundle_holds(bundle_store: Path, tmp_path: Path) -> None:
    path = export(bundle_store, "E001", tmp_path)
    assert path == tmp_path / "E001_test.cad1.zip"
    members = unpack(path.read_bytes())
    assert tuple(members) == packing.REQUIRED
    run = json.loads(members["run.json"])
    with Ledger(bundle_store, read_only=True) as ledger:
        examples = ledger.examples(KEY)
        assert run["log_head"] == ledger.head()
    assert run["submission"]["sha256"] == KEY.submission
    assert (run["submission"]["name"], run["submission"]["bytes"]) == ("submission_E001.zip", 1234)
    assert run["challenge"]["digest"] == ROSTER.digest
    assert run["scorer"] == {"lock": SCORER.digest, "engine": "fast", "locked": True}
    (one,) = run["runs"]
    assert (one["image"], one["base_image"], one["cpu"]) == (RUN.image, RUN.base_image, RUN.cpu)
    assert one["versions"] == dict(RUN.versions)
    assert (one["seconds"], one["cpu_seconds"], one["peak_memory"]) == (10.0, 9.0, 1_600_000_000)
    assert run["scores"]["average"] == mean(example.score for example in examples.values())
    assert run["greatest_difference"] == pytest.approx(3e-13, abs=1e-16)
    for song in ROSTER.songs:
        assert run["seeds"][song] == int(hashlib.md5(song.encode()).hexdigest(), 16) % 10**8
    assert members["scores.csv"].decode().count("\n") == 5


def test_the_statement_is_an_in_toto_test_result(bundle_store: Path, tmp_path: Path) -> None:
    members = unpack(export(bundle_store, "E001", tmp_path).read_bytes())
    statement = json.loads(members["statement.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [
        {"name": "scores.csv", "digest": {"sha256": hashlib.sha256(members["scores.csv"]).hexdigest()}},
        {"name": "submission_E001.zip", "digest": {"sha256": KEY.submission}},
    ]
    predicate = statement["predicate"]
    assert set(predicate) == {"result", "configuration", "passedTests", "warnedTests", "failedTests"}
    assert predicate["result"] == "PASSED"
    assert predicate["configuration"][0] == {
        "name": "run.json",
        "digest": {"sha256": hashlib.sha256(members["run.json"]).hexdigest()},
    }
    assert len(predicate["passedTests"]) == 5
    assert predicate["failedTests"] == predicate["warnedTests"] == []


def test_missing_examples_have_failed_and_undefined_ones_are_warned_of(
    bundle_store: Path, tmp_path: Path
) -> None:
    for team, result, tests in (("E002", "FAILED", "failedTests"), ("E003", "WARNED", "warnedTests")):
        path = export(bundle_store, team, tmp_path, split="test")
        assert provenance.verify_bundle(path) == []
        members = unpack(path.read_bytes())
        predicate = json.loads(members["statement.json"])["predicate"]
        assert predicate["result"] == result
        assert f"{ROSTER.songs[1]} for L2" in predicate[tests]
    run = json.loads(unpack((tmp_path / "E002_test.cad1.zip").read_bytes())["run.json"])
    assert run["scores"]["average"] is None
    assert run["failures"][0]["message"] == "It needed more than it may have."


def test_the_statement_of_a_disqualified_team_has_failed(bundle_store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle_store, tmp_path / "store"))
    with Ledger(copy) as ledger:
        ledger.history.disqualify("E001", reason="it was another team's")
    path = export(copy, "E001", tmp_path)
    members = unpack(path.read_bytes())
    assert json.loads(members["statement.json"])["predicate"]["result"] == "FAILED"
    assert json.loads(members["run.json"])["scores"]["disqualified"] == "it was another team's"
    assert provenance.verify_bundle(path) == []


def test_a_complete_submission_is_preferred_to_a_later_incomplete_one(
    bundle_store: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundle_store, tmp_path / "store"))
    with Ledger(copy) as ledger:
        ledger.enter(Entry("E001", Key("7" * 64, ROSTER.digest, SCORER), "later.zip", 1, "scored"))
    run = json.loads(unpack(export(copy, "E001", tmp_path).read_bytes())["run.json"])
    assert run["submission"]["name"] == "submission_E001.zip"


def test_an_unreadable_bundle_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            provenance.verify_bundle(path)


def test_a_damaged_ledger_is_not_exported(bundle_store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle_store, tmp_path / "store"))
    change(copy, "UPDATE audits SET pyclarity = 7.0")
    with pytest.raises(SetupError, match=r"no bundle may hold: (audits\.0\.)?pyclarity"):
        export(copy, "E001", tmp_path / "never.zip")
    assert not (tmp_path / "never.zip").exists()


def test_nothing_to_export(bundle_store: Path, tmp_path: Path) -> None:
    for team, split in (("E777", None), ("E001", "valid")):
        with pytest.raises(UsageError, match=f"{team} has no scores"):
            export(bundle_store, team, tmp_path, split=split)


def test_another_file_is_never_overwritten(bundle_store: Path, tmp_path: Path) -> None:
    path = export(bundle_store, "E001", tmp_path)
    assert export(bundle_store, "E001", tmp_path) == path, "the same bytes are there already"
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match="it was not overwritten"):
        export(bundle_store, "E001", tmp_path)
    assert path.read_bytes() == b"something else"
