"""A store with everything in it that a ledger can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ledger.ledger import (
    AuditRecord,
    Case,
    Entry,
    Failure,
    Key,
    Ledger,
    Roster,
    Scorer,
    State,
    StoredExample,
)
from harness.protocol.records import RunRecord
from harness.ranking.render import write_ranking

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
    """Two ranked teams, one that is not complete, one disqualified, one self-reported; audits, failures, steps."""
    with Ledger(store) as ledger:
        ledger.add_roster(ROSTER)
        for number, team in enumerate(("E001", "E002", "E003", "E004"), start=1):
            key = Key(str(number) * 64, ROSTER.digest, SCORER)
            case = Case(team, key.submission, key.challenge)
            ledger.enter(Entry(team, key, f"submission_{team}.zip", 100 * number, "scored"))
            ledger.move(case, State.RECEIVED)
            assert ledger.claim(key, team=team, runner="r", done=0, total=4, is_dead=lambda _: False) is None
            ledger.move(case, State.SCORING, scorer=SCORER)
            run = ledger.start_run(RUN)
            ledger.note_peak(run, 10**9 + number)
            examples = ROSTER.examples[: 3 if team == "E003" else 4]
            for place, (song, listener) in enumerate(examples):
                values = tuple((number + place + stem / 10) / 11 for stem in range(7))
                example = StoredExample(song, listener, (*values, None))
                assert ledger.store(key, example, run=run, seconds=1.5, cpu_seconds=1.25)
            first = ledger.examples(key)["A", "L1"].values[0]
            assert first is not None
            ledger.store_audit(key, AuditRecord("A", "L1", "left_bass", first, first + 1e-13))
            if team == "E003":
                ledger.store_failure(key, Failure("B, too", "L2", "memory", "", "too much memory", ""))
                ledger.move(case, State.FAILED, fault="memory", cause="one example failed", scorer=SCORER)
            else:
                ledger.move(case, State.SCORED, scorer=SCORER)
            ledger.release(key, runner="r")
        own = Key("9" * 64, ROSTER.digest, Scorer("", "unknown", False))
        ledger.report(
            Entry("E009", own, "scores.csv", 9, "self-reported"),
            ROSTER,
            [StoredExample(*example, values(0.5)) for example in ROSTER.examples],
        )
        ledger.disqualify("E004", why="scored with the test songs")
        write_ranking(ledger, store)


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a store; not to be written to."""
    store = tmp_path_factory.mktemp("full") / "store"
    fill(store)
    return store


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Such a store of the test's own."""
    store = tmp_path / "filled"
    fill(store)
    return store


@pytest.fixture
def make_key() -> Callable[[str], Key]:
    """A key of the full store's challenge, by the submission's digit."""
    return lambda digit: Key(digit * 64, ROSTER.digest, SCORER)
