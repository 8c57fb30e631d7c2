"""A submission is ranked only when every stem that its audit has drawn was audited and agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger.entities import AuditRecord, Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import draw_audits
from harness.ranking.render import RENDERERS, notes
from harness.ranking.tables import Table, make_tables
from tests.stores import audio_of, store_audits
from tests.values import values

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A", "B"), ("L1", "L2"))
KEY = Key("5" * 64, ROSTER.digest, SCORER)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as made:
        made.add_roster(ROSTER)
        yield made


def enter(ledger: Ledger, key: Key = KEY, *, value: float = 0.9, number: int | None = 3) -> None:
    """A complete submission of E001, whose audit is planned and not begun; without a plan if `number` is None."""
    ledger.enter(Entry("E001", key, "submission_E001.zip", 1, "scored"))
    if number is not None:
        ledger.plan_audit(key, number=number)
    for song, listener in ROSTER.examples:
        ledger.store(key, StoredExample(song, listener, values(value), audio_of(song, listener)), run=None)


def drawn(ledger: Ledger, key: Key = KEY) -> list[AuditRecord]:
    """An audit that agrees, for each stem that the plan draws."""
    plan, examples = ledger.audit_plan(key), ledger.examples(key)
    assert plan is not None
    stems = draw_audits(
        {name: one.values for name, one in examples.items()},
        submission=key.submission, salt=plan.salt, number=plan.number,
    )  # fmt: skip
    return [AuditRecord(*stem, 0.9, 0.9, audio_of(*stem[:2])) for stem in stems]


def ranked(ledger: Ledger) -> list[str]:
    (table,) = make_tables(ledger)
    return [row.team for row in table.rows]


def test_a_submission_that_answered_no_audit_is_not_ranked(ledger: Ledger) -> None:
    """Also if the evaluator fails every audit, or the run is interrupted during the audit."""
    enter(ledger)
    assert ranked(ledger) == []
    (table,) = make_tables(ledger)
    assert notes(table) == ["E001: not ranked yet, auditing: 0 of 3 stems checked."]
    (one,) = json.loads(RENDERERS["json"]([table]))["tables"][0]["incomplete"]
    assert (one["audits_done"], one["audits_planned"]) == (0, 3)


def test_it_is_ranked_with_the_last_audit(ledger: Ledger) -> None:
    enter(ledger)
    for done, audit in enumerate(drawn(ledger)):
        (table,) = make_tables(ledger)
        assert notes(table) == [f"E001: not ranked yet, auditing: {done} of 3 stems checked."]
        ledger.store_audit(KEY, audit)
    assert ranked(ledger) == ["E001"]
    (table,) = make_tables(ledger)
    assert (table.rows[0].audited, table.rows[0].greatest_difference) == (3, 0.0)


def test_other_stems_than_the_drawn_ones_do_not_count(ledger: Ledger) -> None:
    enter(ledger)
    own = {(one.song, one.listener, one.stem) for one in drawn(ledger)}
    for song, listener in ROSTER.examples:
        for stem in values(0.9):
            if (song, listener, stem) not in own:
                audit = AuditRecord(song, listener, stem, 0.9, 0.9, audio_of(song, listener))
                ledger.store_audit(KEY, audit)
    assert ranked(ledger) == []


def test_a_failed_audit_is_made_again_after_a_fix(ledger: Ledger) -> None:
    enter(ledger)
    first, *rest = drawn(ledger)
    for audit in (replace(first, pyclarity=0.5), *rest):
        ledger.store_audit(KEY, audit)
    (table,) = make_tables(ledger)
    assert notes(table) == ["E001: not ranked, the audit failed: pyclarity gives another score for 1 stem."]
    ledger.store_audit(KEY, first)
    assert ranked(ledger) == ["E001"]


def test_a_failed_audit_of_one_engine_says_nothing_about_another(ledger: Ledger) -> None:
    enter(ledger)
    for audit in drawn(ledger):
        ledger.store_audit(KEY, replace(audit, pyclarity=0.5))
    enter(ledger, replace(KEY, scorer=replace(SCORER, engine="pyclarity")), number=None)
    fast, pyclarity = make_tables(ledger)
    assert [one.failed_audits for one in fast.unranked] == [3]
    assert [(row.team, row.audited) for row in pyclarity.rows] == [("E001", 0)]


@pytest.mark.parametrize("number", [0, None])
def test_without_audits_it_is_ranked_as_it_is(ledger: Ledger, number: int | None) -> None:
    enter(ledger, number=number)
    assert ranked(ledger) == ["E001"]


def test_an_earlier_submission_stands_until_the_audit_of_the_next_is_complete(ledger: Ledger) -> None:
    earlier = replace(KEY, submission="4" * 64)
    enter(ledger, earlier, value=0.2, number=0)
    enter(ledger)

    def average(table: Table) -> list[float]:
        return [row.average for row in table.rows]

    (table,) = make_tables(ledger)
    assert average(table) == [0.2]
    plan = ledger.audit_plan(KEY)
    assert plan is not None
    store_audits(ledger, KEY, plan)
    (table,) = make_tables(ledger)
    assert average(table) == [0.9]


def test_an_incomplete_submission_is_incomplete_not_being_audited(ledger: Ledger) -> None:
    ledger.enter(Entry("E001", KEY, "submission_E001.zip", 1, "scored"))
    ledger.plan_audit(KEY, number=3)
    (table,) = make_tables(ledger)
    assert notes(table) == ["E001: not ranked, 0 of 4 examples scored."]
