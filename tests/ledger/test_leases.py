"""Leases: one run at a time, and nothing stays in `scoring` after its run has died."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.ledger.entities import Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.leases import Lease
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.errors import InternalError
from tests.values import values

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A",), ("L1", "L2"))
KEY = Key("5" * 64, ROSTER.digest, SCORER)
CASE = Case("E001", KEY.submission, KEY.challenge)
EXAMPLE = StoredExample("A", "L1", values(0.5))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.add_roster(ROSTER)
    return made


def alive(_: Lease) -> bool:
    return False


def dead(_: Lease) -> bool:
    return True


def claim(
    ledger: Ledger,
    runner: str,
    is_dead: Callable[[Lease], bool] = alive,
    team: str = "E001",
    key: Key = KEY,
) -> Lease | None:
    return ledger.leases.claim(key, team=team, runner=runner, done=1, total=4, is_dead=is_dead)


def test_one_at_a_time(ledger: Ledger) -> None:
    assert claim(ledger, "one") is None
    held = claim(ledger, "two")
    assert held is not None
    assert (held.runner, held.team, held.done_at_start, held.done, held.total) == ("one", "E001", 1, 1, 4)
    assert ledger.leases.all() == [held]
    ledger.leases.release(KEY, runner="two")
    assert ledger.leases.all() == [held]
    ledger.leases.release(KEY, runner="one")
    assert ledger.leases.all() == []
    assert claim(ledger, "two") is None


def test_other_scorers_and_submissions_have_leases_of_their_own(ledger: Ledger) -> None:
    assert claim(ledger, "one") is None
    assert claim(ledger, "two", key=Key("6" * 64, ROSTER.digest, SCORER)) is None
    assert (
        claim(ledger, "two", key=Key(KEY.submission, ROSTER.digest, Scorer("d" * 64, "pyclarity", True)))
        is None
    )
    assert len(ledger.leases.all()) == 3


def test_a_dead_run_has_failed_and_its_cause_is_the_setup(ledger: Ledger) -> None:
    assert claim(ledger, "one") is None
    ledger.history.move(CASE, State.RECEIVED)
    ledger.history.move(CASE, State.SCORING, scorer=SCORER)
    assert claim(ledger, "two", dead, team="E002") is None
    step = ledger.history.steps(CASE)[-1]
    assert (step.state, step.fault) == (State.FAILED, "setup")
    assert step.cause == "The run ended unexpectedly (one)."
    assert [lease.runner for lease in ledger.leases.all()] == ["two"]
    assert not ledger.leases.beat(KEY, runner="one", done=2)
    assert ledger.leases.beat(KEY, runner="two", done=2)


def test_what_is_in_scoring_without_a_lease_has_failed_too(ledger: Ledger) -> None:
    ledger.history.move(CASE, State.RECEIVED)
    ledger.history.move(CASE, State.SCORING, scorer=SCORER)
    assert claim(ledger, "two") is None
    assert ledger.history.steps(CASE)[-1].state is State.FAILED


def test_a_case_of_another_scorer_is_not_changed(ledger: Ledger) -> None:
    ledger.history.move(CASE, State.RECEIVED)
    ledger.history.move(CASE, State.SCORING, scorer=Scorer("d" * 64, "pyclarity", True))
    assert claim(ledger, "two") is None
    assert ledger.history.steps(CASE)[-1].state is State.SCORING


def test_the_same_runner_may_claim_again(ledger: Ledger) -> None:
    assert claim(ledger, "one") is None
    assert claim(ledger, "one") is None
    assert len(ledger.leases.all()) == 1


def test_only_dead_leases_are_removed(ledger: Ledger) -> None:
    assert claim(ledger, "one") is None
    ledger.history.move(CASE, State.RECEIVED)
    ledger.history.move(CASE, State.SCORING, scorer=SCORER)
    assert ledger.leases.remove_dead(alive) == []
    assert ledger.history.steps(CASE)[-1].state is State.SCORING
    assert [lease.runner for lease in ledger.leases.remove_dead(dead)] == ["one"]
    assert ledger.leases.all() == []
    assert ledger.history.steps(CASE)[-1].state is State.FAILED


def test_rate_and_time_left() -> None:
    started = datetime.now(UTC) - timedelta(seconds=200)
    beat = started + timedelta(seconds=100)
    lease = Lease(KEY, "E001", "one", started.isoformat(), beat.isoformat(), 10, 60, 110)
    assert lease.elapsed == 100
    assert lease.rate == 0.5
    assert lease.seconds_left == 100
    assert lease.age >= 100
    fresh = Lease(KEY, "E001", "one", started.isoformat(), started.isoformat(), 10, 10, 110)
    assert fresh.rate is None
    assert fresh.seconds_left is None


def test_of_many_processes_exactly_one_gets_the_lease(ledger: Ledger, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests_leases import *\n"
        "with Ledger(Path(sys.argv[1])) as ledger:\n"
        "    sys.stdin.readline()\n"
        "    print(claim(ledger, sys.argv[2]) is None)\n"
    )
    place = tmp_path / "module"
    place.mkdir()
    (place / "tests_leases.py").write_text(Path(__file__).read_text())
    root = Path(__file__).resolve().parents[2]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": f"{place}:{root}"},
        )
        for number in range(6)
    ]
    answers = [child.communicate("go\n")[0].strip() for child in children]
    assert sorted(answers) == ["False"] * 5 + ["True"]
    assert len(ledger.leases.all()) == 1


def test_a_failure_is_removed_when_the_example_is_stored(ledger: Ledger) -> None:
    for message in ("first", "second"):
        assert ledger.store_failure(KEY, Failure("A", "L1", "memory", "", message, ""))
    (failure,) = ledger.failures(KEY)
    assert (failure.message, failure.fault) == ("second", "memory")
    assert failure.at
    assert ledger.store(KEY, EXAMPLE, run=None)
    assert ledger.failures(KEY) == []
    assert not ledger.store_failure(KEY, Failure("A", "L1", "memory", "", "late", ""))
    assert ledger.failures(KEY) == []


def test_a_failure_needs_a_known_cause(ledger: Ledger) -> None:
    with pytest.raises(InternalError, match="can't have the cause 'nobody'"):
        ledger.store_failure(KEY, Failure("A", "L1", "nobody", "", "", ""))
    assert ledger.failures(KEY) == []


def test_the_largest_peak_is_kept(filled: Path, make_key: Callable[[str], Key]) -> None:
    with Ledger(filled) as ledger:
        (details,) = ledger.run_details(make_key("1"))
        assert (details.peak_memory, details.examples, details.seconds) == (10**9 + 1, 4, 6.0)
        ledger.note_peak(details.number, 5)
        assert ledger.run_details(make_key("1"))[0].peak_memory == 10**9 + 1
        ledger.note_peak(details.number, 2 * 10**9)
        assert ledger.run_details(make_key("1"))[0].peak_memory == 2 * 10**9
