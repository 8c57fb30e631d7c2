"""A bundle passes only when every stem that its salt draws was audited and agrees; whoever reads it draws again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import provenance
from harness.ledger.entities import Entry, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import draw_audits
from harness.protocol.lock import sha256
from harness.provenance.packing import unpack
from tests.provenance.bundles import KEY, ROSTER, RUN, export, reseal
from tests.stores import audio_of, store_audits
from tests.values import values

NUMBER = 3


@pytest.fixture
def unaudited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete submission of E001, of which no audit is stored; the draw is always the same."""
    monkeypatch.setattr("harness.ledger.audits.secrets.token_hex", lambda size: "1" * 2 * size)
    store = tmp_path / "store"
    with Ledger(store) as ledger:
        ledger.add_roster(ROSTER)
        ledger.plan_audit(KEY, number=NUMBER)
        ledger.enter(Entry("E001", KEY, "submission_E001.zip", 1234, "scored"))
        run = ledger.start_run(RUN)
        for number, (song, listener) in enumerate(ROSTER.examples):
            ledger.add_reference(ROSTER.digest, song, str(ROSTER.songs.index(song)) * 64)
            scores = values(*((number + stem) / 13 for stem in range(8)))
            ledger.store(KEY, StoredExample(song, listener, scores, audio_of(song, listener)), run=run)
    return store


@pytest.fixture
def audited(unaudited: Path) -> Path:
    """The same with every audit, of which the first was made twice."""
    with Ledger(unaudited) as ledger:
        plan = ledger.audit_plan(KEY)
        assert plan is not None
        store_audits(ledger, KEY, plan)
        first = ledger.audits(KEY)[0]
        ledger.store_audit(KEY, first)
    return unaudited


def drawn(run: Any) -> list[tuple[str, str, str]]:
    scored = {
        name: values(*((number + stem) / 13 for stem in range(8)))
        for number, name in enumerate(ROSTER.examples)
    }
    plan = run["audit_plan"]
    return draw_audits(scored, submission=KEY.submission, salt=plan["salt"], number=plan["number"])


def contents(path: Path) -> tuple[Any, Any]:
    members = unpack(path.read_bytes())
    return json.loads(members["run.json"]), json.loads(members["statement.json"])["predicate"]


def test_a_bundle_shows_plan_audits_references_and_audio(audited: Path, tmp_path: Path) -> None:
    path = export(audited, "E001", tmp_path / "x.zip")
    run, predicate = contents(path)
    assert run["schema_version"] == 2
    assert run["audit_plan"]["number"] == NUMBER
    assert len(run["audit_plan"]["salt"]) == 32
    assert [(one["song"], one["listener"], one["stem"]) for one in run["audits"]] == drawn(run)
    assert [one["attempt"] for one in run["audits"]] == [2, 1, 1]
    assert all(one["audio"] == audio_of(one["song"], one["listener"]) for one in run["audits"])
    assert run["references"] == {song: str(place) * 64 for place, song in enumerate(ROSTER.songs)}
    assert run["audio"] == {
        song: {listener: audio_of(song, listener) for listener in ROSTER.listeners} for song in ROSTER.songs
    }
    assert predicate["result"] == "PASSED"
    assert len(predicate["passedTests"]) == 4 + NUMBER
    assert provenance.verify_bundle(path) == []


def test_a_bundle_without_its_audits_has_failed(unaudited: Path, tmp_path: Path) -> None:
    """As of an evaluator that answers every audit with a failure, or a run that was interrupted then."""
    path = export(unaudited, "E001", tmp_path / "x.zip")
    run, predicate = contents(path)
    assert run["audits"] == []
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == [
        f"audit of {stem} of {song} for {one}" for song, one, stem in drawn(run)
    ]
    assert provenance.verify_bundle(path) == []


@pytest.mark.parametrize("change", [{"pyclarity": 0.5}, {"audio": "0" * 64}])
def test_an_audit_that_does_not_agree_has_failed(
    audited: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    with Ledger(audited) as ledger:
        audit = ledger.audits(KEY)[0]
        ledger.store_audit(KEY, replace(audit, **change))
    path = export(audited, "E001", tmp_path / "x.zip")
    _, predicate = contents(path)
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == [f"audit of {audit.stem} of {audit.song} for {audit.listener}"]
    assert provenance.verify_bundle(path) == []


def test_other_stems_than_the_drawn_ones_do_not_count(unaudited: Path, tmp_path: Path) -> None:
    with Ledger(unaudited) as ledger:
        plan = ledger.audit_plan(KEY)
        assert plan is not None
        store_audits(ledger, KEY, replace(plan, salt="0" * 32))
    path = export(unaudited, "E001", tmp_path / "x.zip")
    run, predicate = contents(path)
    own = {(one["song"], one["listener"], one["stem"]) for one in run["audits"]}
    assert predicate["result"] == "FAILED"
    assert len(predicate["failedTests"]) == len(set(drawn(run)) - own)


def change_salt(run: Any) -> None:
    run["audit_plan"]["salt"] = "0" * 32


def remove_audit(run: Any) -> None:
    run["audits"].pop()
    run["greatest_difference"] = max(abs(one["fast"] - one["pyclarity"]) for one in run["audits"])


def exchange_audio(run: Any) -> None:
    one, other = ROSTER.songs
    run["audio"][one], run["audio"][other] = run["audio"][other], run["audio"][one]


def change_audit(run: Any) -> None:
    audit = run["audits"][0]
    audit["fast"] = audit["pyclarity"] = 0.123


def add_reference(run: Any) -> None:
    run["references"]["another song"] = "0" * 64


def add_audio(run: Any) -> None:
    run["audio"][ROSTER.songs[0]]["L9"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_salt, "statement.json does not follow"),
        (remove_audit, "statement.json does not follow"),
        (exchange_audio, "statement.json does not follow"),
        (change_audit, "is about another value than the one in scores.csv"),
        (add_reference, "digests of audio that is not part of what was scored"),
        (add_audio, "digests of audio that is not part of what was scored"),
    ],
)
def test_a_bundle_is_drawn_and_compared_again(
    audited: Path, tmp_path: Path, change: Callable[[Any], None], expected: str
) -> None:
    """Also if the statement says PASSED about the changed record."""
    path = export(audited, "E001", tmp_path / "x.zip")
    statement = unpack(path.read_bytes())["statement.json"]
    old = unpack(path.read_bytes())["run.json"]
    run = json.loads(old)
    change(run)
    new = (json.dumps(run, indent=1, ensure_ascii=False) + "\n").encode()
    statement = statement.replace(sha256(old).encode(), sha256(new).encode())
    assert sha256(new).encode() in statement
    assert any(expected in one for one in reseal(path, run_DOT_json=new, statement_DOT_json=statement))


def test_a_record_can_not_pass_as_an_older_version(audited: Path, tmp_path: Path) -> None:
    """Version 1 knew no plan: a bundle of version 2 without one must not be read as such."""
    path = export(audited, "E001", tmp_path / "x.zip")
    run, _ = contents(path)
    for name in ("audit_plan", "references", "audio"):
        run.pop(name)
    for audit in run["audits"]:
        del audit["audio"], audit["attempt"]
    text = (json.dumps(run, indent=1, ensure_ascii=False) + "\n").encode()
    assert any("run.json is not valid" in one for one in reseal(path, run_DOT_json=text))


def test_the_audit_of_another_engine_is_not_in_the_bundle(audited: Path, tmp_path: Path) -> None:
    other = replace(KEY, scorer=replace(KEY.scorer, engine="pyclarity"))
    with Ledger(audited) as ledger:
        ledger.store_audit(KEY, replace(ledger.audits(KEY)[0], pyclarity=0.5))
        ledger.enter(Entry("E001", other, "submission_E001.zip", 1234, "scored"))
        for example in ledger.examples(KEY).values():
            ledger.store(other, example, run=1)
    path = export(audited, "E001", tmp_path / "x.zip")
    run, predicate = contents(path)
    assert (run["scorer"]["engine"], run["audits"], run["audit_plan"]) == ("pyclarity", [], None)
    assert predicate["result"] == "PASSED"
    assert provenance.verify_bundle(path) == []
