"""Stores for tests: one with everything that a ledger can hold, and those of earlier versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from harness.ledger.database import FILE
from harness.ledger.entities import AuditRecord, Entry, Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.records import RunRecord
from harness.ranking.store import RANKING_FILE, write_ranking
from tests.values import values

DUMPS = Path(__file__).parent / "ledger" / "stores"
"""Stores of earlier versions, as SQL."""

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A", "B, too"), ("L1", "L2"))
RUN = RunRecord(
    scorer_digest=SCORER.digest,
    engine="fast",
    sandbox="docker",
    locked=True,
    image="sha256:" + "1" * 64,
    base_image="base",
    versions={"numpy": "1.24.4"},
    cpu="a processor",
)


def fill(store: Path) -> None:
    """Fills a store: two ranked teams, one incomplete, one disqualified, one self-reported; audits and failures."""
    with Ledger(store) as ledger:
        ledger.add_roster(ROSTER)
        for number, team in enumerate(("E001", "E002", "E003", "E004"), start=1):
            key = Key(str(number) * 64, ROSTER.digest, SCORER)
            case = Case(team, key.submission, key.challenge)
            ledger.enter(Entry(team, key, f"submission_{team}.zip", 100 * number, "scored"))
            ledger.history.move(case, State.RECEIVED)
            assert (
                ledger.leases.claim(key, team=team, runner="r", done=0, total=4, is_dead=lambda _: False)
                is None
            )
            ledger.history.move(case, State.SCORING, scorer=SCORER)
            run = ledger.start_run(RUN)
            ledger.note_peak(run, 10**9 + number)
            examples = ROSTER.examples[: 3 if team == "E003" else 4]
            for place, (song, listener) in enumerate(examples):
                numbers = [(number + place + stem / 10) / 11 for stem in range(7)]
                example = StoredExample(song, listener, values(*numbers, None))
                assert ledger.store(key, example, run=run, seconds=1.5, cpu_seconds=1.25)
            first = ledger.examples(key)["A", "L1"].values["left_bass"]
            assert first is not None
            ledger.store_audit(key, AuditRecord("A", "L1", "left_bass", first, first + 1e-13))
            if team == "E003":
                ledger.store_failure(key, Failure("B, too", "L2", "memory", "", "too much memory", ""))
                ledger.history.move(
                    case, State.FAILED, fault="memory", cause="one example failed", scorer=SCORER
                )
            else:
                ledger.history.move(case, State.SCORED, scorer=SCORER)
            ledger.leases.release(key, runner="r")
        own = Key("9" * 64, ROSTER.digest, Scorer("", "unknown", False))
        ledger.report(
            Entry("E009", own, "scores.csv", 9, "self-reported"),
            ROSTER,
            [StoredExample(*example, values(0.5)) for example in ROSTER.examples],
        )
        ledger.history.disqualify("E004", reason="scored with the test songs")
        write_ranking(ledger, store)


def restore(version: int, store: Path) -> Path:
    """Makes the store of an earlier version from its dump, with the ranking.md of that version if there is one."""
    store.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(store / FILE)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((DUMPS / f"version{version}.sql").read_text())
    ranking = DUMPS / f"version{version}" / RANKING_FILE
    if ranking.exists():
        (store / RANKING_FILE).write_bytes(ranking.read_bytes())
    return store
