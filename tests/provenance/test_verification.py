"""Verification of a store: what it reports, the head, the ranking."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger.entities import Key, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS
from harness.protocol.errors import SetupError, UsageError
from harness.provenance import verify_store
from harness.provenance.verification import MAX_PROBLEMS
from harness.ranking.store import RANKING_FILE, write_ranking
from tests.values import values


def test_an_unchanged_store_is_verified(full_store: Path) -> None:
    before = sorted(one.name for one in full_store.iterdir())
    found = verify_store(full_store)
    assert found.problems == []
    assert found.examples == 19
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
        assert found.head == log[-1].sha256 == ledger.head()
        assert found.entries == len(log)
        for entry in (log[0], log[len(log) // 2], log[-1]):
            assert verify_store(full_store, head=entry.sha256).problems == []
    assert sorted(one.name for one in full_store.iterdir()) == before


def test_the_log_has_every_kind_of_entry(full_store: Path) -> None:
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
    kinds = {entry.kind for entry in log}
    assert kinds >= {
        "entered",
        "scored",
        "audited",
        "moved",
        "failed",
        "disqualified",
        "self-reported",
        "run",
    }
    assert all("@" in entry.who and entry.at for entry in log)
    assert log[0].previous == GENESIS
    assert json.loads(log[-1].facts) == {"team": "E004", "reason": "scored with the test songs"}


def test_scoring_with_another_scorer_is_logged(filled: Path, make_key: Callable[[str], Key]) -> None:

    with Ledger(filled) as ledger:
        entry = ledger.entries()[0]
        ledger.enter(entry)
        other = replace(entry.key, scorer=replace(entry.key.scorer, engine="pyclarity"))
        ledger.enter(replace(entry, key=other))
        assert [one.kind for one in ledger.log()[-2:]] == ["disqualified", "re-scored"], (
            "entering again writes nothing"
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [("E001", "E005"), ("| 1 ", "| 9 "), ("not ranked", "ranked"), ("\n\n", "\n\nWe won.\n\n")],
)
def test_a_changed_ranking(store: Path, old: str, new: str) -> None:
    path = store / RANKING_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (problem,) = verify_store(store).problems
    assert "it does not follow from the stored examples" in problem


def test_a_ranking_that_is_missing_or_not_text(store: Path) -> None:
    (store / RANKING_FILE).unlink()
    assert verify_store(store).problems == [
        f"There is no {RANKING_FILE} in {store}, but there are ranked submissions."
    ]
    (store / RANKING_FILE).write_bytes(b"\xff\xfe")
    assert "can't be read" in verify_store(store).problems[0]


def test_many_problems_are_counted_and_not_all_listed(
    filled: Path, make_key: Callable[[str], Key], full_store: Path
) -> None:
    with Ledger(filled) as ledger:
        for number in range(MAX_PROBLEMS + 20):
            ledger.store(make_key("7"), StoredExample(f"S{number}", "L1", values(0.5)), run=None)
    problems = verify_store(filled).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "And 21 more problems."


@pytest.mark.parametrize("head", ["", "1234", "g" * 64, "a" * 63])
def test_a_head_that_is_not_a_hash_is_wrong_use(full_store: Path, head: str) -> None:
    with pytest.raises(UsageError, match="is not a SHA-256"):
        verify_store(full_store, head=head)


def test_a_head_may_be_typed_in_capitals(full_store: Path) -> None:
    head = verify_store(full_store).head
    assert verify_store(full_store, head=f" {head.upper()}\n").problems == []


def test_a_missing_ledger_is_an_error_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        verify_store(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    with pytest.raises(SetupError, match="There is no ledger"):
        verify_store(tmp_path)


def test_a_ranking_whose_notes_an_earlier_version_did_not_escape_is_verified(filled: Path) -> None:
    with Ledger(filled) as ledger:
        ledger.history.disqualify("E002", reason="used [E001]'s *stems*")
        write_ranking(ledger, filled)
    path = filled / RANKING_FILE
    text = path.read_text()
    assert r"used \[E001\]'s \*stems\*" in text
    assert verify_store(filled).problems == []
    path.write_text(re.sub(r"\\([\[\]*])", r"\1", text))
    assert verify_store(filled).problems == []
    path.write_text(text.replace("stems", "remix"))
    assert any(RANKING_FILE in one for one in verify_store(filled).problems)
