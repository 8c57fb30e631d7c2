"""Stores for tests: one with everything that a ledger can hold, and those of earlier versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from harness.ledger.database import FILE
from harness.ledger.decisions import Policy
from harness.ledger.entities import AuditPlan, AuditRecord, Entry, Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.aggregation import draw_audits
from harness.protocol.lock import sha256
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


def audio_of(song: str, listener: str) -> str:
    """The digest of an example's audio."""
    return sha256(f"{song} {listener}".encode())


def store_audits(ledger: Ledger, key: Key, plan: AuditPlan, *, difference: float = 1e-13) -> None:
    """Stores an audit of every stem that the plan draws."""
    examples = ledger.examples(key)
    drawn = draw_audits(
        {name: one.values for name, one in examples.items()},
        submission=key.submission, salt=plan.salt, number=plan.number,
    )  # fmt: skip
    for song, listener, stem in drawn:
        fast = examples[song, listener].values[stem]
        assert fast is not None
        audio = examples[song, listener].audio
        ledger.store_audit(key, AuditRecord(song, listener, stem, fast, fast + difference, audio))


def fill(store: Path) -> None:
    """Fills a store: two ranked teams, one incomplete, one disqualified, one self-reported; audits and failures."""
    with Ledger(store) as ledger:
        ledger.add_roster(ROSTER)
        for song in ROSTER.songs:
            ledger.add_reference(ROSTER.digest, song, sha256(song.encode()))
        for number, team in enumerate(("E001", "E002", "E003", "E004"), start=1):
            key = Key(str(number) * 64, ROSTER.digest, SCORER)
            case = Case(team, key.submission, key.challenge)
            ledger.enter(Entry(team, key, f"submission_{team}.zip", 100 * number, "scored"))
            ledger.history.move(case, State.RECEIVED)
            plan = ledger.plan_audit(key, number=1)
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
                example = StoredExample(
                    song, listener, values(*numbers, None), audio=audio_of(song, listener)
                )
                assert ledger.store(key, example, run=run, seconds=1.5, cpu_seconds=1.25)
            store_audits(ledger, key, plan)
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
        ledger.decisions.set_policy("test", Policy(most=9), reason="the rules say so")
        ledger.decisions.select("E003", "3333", reason="the team asked for it")
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


def change(store: Path, statement: str, values: Sequence[object] = ()) -> None:
    """Changes a ledger without the harness, and puts the triggers back, as a careful forger would."""
    with closing(sqlite3.connect(store / FILE, isolation_level=None)) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in found:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement, values)
        for _, sql in found:
            db.execute(sql)
