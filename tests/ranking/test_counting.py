"""Which submission of a team counts: by first receipt, policy and decisions, and the same one everywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ledger.decisions import Policy
from harness.ledger.entities import Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.errors import SetupError, UsageError
from harness.provenance import export, verify_store
from harness.provenance.packing import unpack
from harness.ranking.duplicates import notes_about
from harness.ranking.render import notes
from harness.ranking.store import (
    RANKING_FILE,
    change_policy,
    disqualify,
    read_policy,
    read_tables,
    read_team_scores,
    reinstate_submission,
    rename,
    select,
    withdraw,
    write_ranking,
)
from harness.ranking.submissions import SubmissionLine, read_submissions
from harness.ranking.tables import make_tables
from harness.score.status import read_statuses
from tests.stores import ROSTER, SCORER, audio_of, change, restore
from tests.values import values

Send = Callable[..., Key]
NEW_SCORER = Scorer("e" * 64, "fast", True)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.add_roster(ROSTER)
    return made


@pytest.fixture
def send(ledger: Ledger) -> Send:
    """Receives and scores a submission, as a run does: team, digit of the digest, value of the stems."""

    def send(
        team: str, digit: str, value: float, *, examples: int = 4, scorer: Scorer = SCORER, audio: str = ""
    ) -> Key:
        key = Key(digit * 64, ROSTER.digest, scorer)
        case = Case(team, key.submission, key.challenge)
        name = f"submission_{team}.zip"
        ledger.enter(Entry(team, key, name, 1, "scored"))
        ledger.history.move(case, State.RECEIVED, cause=f"{name} received")
        ledger.history.move(case, State.SCORING, scorer=scorer)
        for song, listener in ROSTER.examples[:examples]:
            example = StoredExample(song, listener, values(value), audio=audio_of(song + audio, listener))
            ledger.store(key, example, run=None)
        done = State.SCORED if examples == len(ROSTER.examples) else State.RECEIVED
        ledger.history.move(case, done, scorer=scorer)
        write_ranking(ledger, ledger.path.parent)
        return key

    return send


def averages(store: Path) -> dict[str, float]:
    """The average of each ranked team."""
    return {row.team: round(row.average, 9) for table in read_tables(store) for row in table.rows}


def counted(store: Path, team: str) -> str:
    """The first digit of the one submission that every command says counts; empty if none does."""
    by_list = [one.submission for one in read_submissions(store, team=team) if one.counts]
    by_status = [one.submission for one in read_statuses(store, team=team) if one.counts]
    assert by_list == by_status
    ranked = [row.submission for table in read_tables(store) for row in table.rows if row.team == team]
    assert len(ranked) <= 1
    if not by_list:
        assert not ranked
        with pytest.raises(UsageError, match=r"No submission of .* counts"):
            read_team_scores(store, team)
        with pytest.raises(UsageError, match=r"No submission of .* counts"):
            export(store, team, split=None, output=store)
        return ""
    (found,) = by_list
    assert ranked == [found]
    bundle = export(store, team, split=None, output=store)
    members = unpack(bundle.read_bytes())
    bundle.unlink()
    assert json.loads(members["run.json"])["submission"]["sha256"] == found
    assert members["scores.csv"].decode() == read_team_scores(store, team).text
    return found[0]


def lines_of(store: Path, team: str) -> dict[str, SubmissionLine]:
    return {one.submission[0]: one for one in read_submissions(store, team=team)}


def test_scoring_an_old_submission_again_changes_nothing_about_what_counts(
    send: Send, tmp_path: Path
) -> None:
    send("E001", "1", 0.9)
    send("E001", "2", 0.3)
    before = (tmp_path / RANKING_FILE).read_text()
    assert counted(tmp_path, "E001") == "2"
    send("E001", "1", 0.9)
    assert (counted(tmp_path, "E001"), averages(tmp_path)) == ("2", {"E001": 0.3})
    assert (tmp_path / RANKING_FILE).read_text() == before


@pytest.mark.parametrize("order", list(itertools.permutations("123")))
def test_a_new_scorer_ranks_the_same_submission_in_whatever_order_it_scores_them(
    send: Send, tmp_path: Path, order: tuple[str, ...]
) -> None:
    for digit, value in zip("123", (0.9, 0.5, 0.3), strict=True):
        send("E001", digit, value)
    for digit in order:
        send("E001", digit, int(digit) / 10, scorer=NEW_SCORER)
    assert [[row.submission[0] for row in table.rows] for table in read_tables(tmp_path)] == [["3"], ["3"]]
    with Ledger(tmp_path, read_only=True) as ledger:
        assert [table.scorer for table in make_tables(ledger)] == [SCORER, NEW_SCORER]
    assert read_team_scores(tmp_path, "E001").text.count(",0.3,") > 0, "the scorer that scored it last"


def test_the_order_is_that_of_the_receipt_even_if_a_submission_was_invalid_at_first(
    ledger: Ledger, send: Send, tmp_path: Path
) -> None:
    case = Case("E001", "1" * 64, ROSTER.digest)
    ledger.history.move(case, State.RECEIVED, cause="submission_E001.zip received")
    ledger.history.move(case, State.INVALID)
    send("E001", "2", 0.2)
    send("E001", "1", 0.1)
    assert counted(tmp_path, "E001") == "2"
    assert [one.name for one in read_submissions(tmp_path)] == ["submission_E001.zip"] * 2


def test_scores_are_not_empty_after_a_newer_submission_was_interrupted(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    send("E001", "2", 0.9, examples=0)
    assert counted(tmp_path, "E001") == "1"
    found = read_team_scores(tmp_path, "E001")
    assert (found.stored, found.total) == (4, 4)
    assert lines_of(tmp_path, "E001")["1"].reason == "the latest that is completely scored"
    assert lines_of(tmp_path, "E001")["2"].reason == "0 of 4 examples scored"


def test_the_best_counts_if_the_policy_says_so(send: Send, tmp_path: Path) -> None:
    for digit, value in zip("123", (0.4, 0.6, 0.5), strict=True):
        send("E001", digit, value)
    send("E001", "4", 0.9, examples=2)
    change_policy(tmp_path, "test", counts="best")
    assert (counted(tmp_path, "E001"), averages(tmp_path)) == ("2", {"E001": 0.6})
    assert lines_of(tmp_path, "E001")["3"].reason == "22222222 counts"
    change_policy(tmp_path, "valid", counts="latest")
    assert counted(tmp_path, "E001") == "2", "the policy of another split"


def test_none_counts_until_one_is_chosen(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    send("E001", "2", 0.6)
    change_policy(tmp_path, "test", counts="chosen")
    assert (counted(tmp_path, "E001"), averages(tmp_path)) == ("", {})
    assert "- E001: not ranked, none of its submissions is selected." in (tmp_path / RANKING_FILE).read_text()
    select(tmp_path, "E001", "1111", reason="the team says so")
    assert (counted(tmp_path, "E001"), averages(tmp_path)) == ("1", {"E001": 0.4})
    select(tmp_path, "E001", "2222", reason="the team says so now")
    assert counted(tmp_path, "E001") == "2", "the later decision"
    reinstate_submission(tmp_path, "E001", "2222", reason="a mistake")
    assert counted(tmp_path, "E001") == "1", "the earlier one is still in force"


def test_what_came_after_the_deadline_is_kept_and_never_counts_unless_it_is_selected(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_policy(tmp_path, "test", deadline="2026-06-01T12:00:00+00:00")
    clock = "harness.ledger.transaction.now"
    monkeypatch.setattr(clock, lambda: "2026-06-01T12:00:00.000+00:00")
    send("E001", "1", 0.4)
    monkeypatch.setattr(clock, lambda: "2026-06-01T12:00:00.001+00:00")
    send("E001", "2", 0.6)
    send("E002", "3", 0.6)
    send("E001", "1", 0.4)
    assert counted(tmp_path, "E001") == "1", "what was received in time is not late when it is scored again"
    late = lines_of(tmp_path, "E001")["2"]
    assert (late.late, late.average, late.reason) == (
        True,
        0.6,
        "late: the deadline was 2026-06-01 12:00 UTC",
    )
    assert counted(tmp_path, "E002") == ""
    assert notes(read_tables(tmp_path)[0]) == [
        "E002: not ranked, late: the deadline was 2026-06-01 12:00 UTC."
    ]
    select(tmp_path, "E002", "3333", reason="their network was down")
    assert (counted(tmp_path, "E002"), averages(tmp_path)) == ("3", {"E001": 0.4, "E002": 0.6})
    change_policy(tmp_path, "test", deadline="")
    assert counted(tmp_path, "E001") == "2"


def test_at_most_so_many_submissions_of_a_team_count(ledger: Ledger, send: Send, tmp_path: Path) -> None:
    for case in (Case("E001", digit * 64, ROSTER.digest) for digit in "89"):
        ledger.history.move(case, State.RECEIVED)
        ledger.history.move(case, State.INVALID)
    for digit in "123":
        send("E001", digit, int(digit) / 10)
    change_policy(tmp_path, "test", most=2)
    assert counted(tmp_path, "E001") == "2", "invalid submissions use nothing up"
    assert lines_of(tmp_path, "E001")["3"].reason == "one too many: the first 2 of a team may count"
    withdraw(tmp_path, "E001", "1111", reason="their own wish")
    assert counted(tmp_path, "E001") == "3", "neither do withdrawn ones"
    change_policy(tmp_path, "test", counts="best")
    assert read_policy(tmp_path, "test") == Policy("best", "", 2)


def test_a_withdrawn_submission_does_not_count_until_it_is_reinstated(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    send("E001", "2", 0.6)
    withdraw(tmp_path, "E001", "2222", reason="wrong model")
    assert counted(tmp_path, "E001") == "1"
    withdraw(tmp_path, "E001", "1111", reason="all of it")
    assert counted(tmp_path, "E001") == ""
    assert "none of its 2 submissions counts" in (tmp_path / RANKING_FILE).read_text()
    with pytest.raises(UsageError, match="is withdrawn already: all of it"):
        withdraw(tmp_path, "E001", "1111", reason="again")
    reinstate_submission(tmp_path, "E001", "2222", reason="the right model")
    assert counted(tmp_path, "E001") == "2"
    with pytest.raises(UsageError, match="neither withdrawn nor selected"):
        reinstate_submission(tmp_path, "E001", "2222", reason="again")
    with Ledger(tmp_path, read_only=True) as read:
        kinds = [entry.kind for entry in read.log()]
    assert kinds[-3:] == ["withdrawn", "withdrawn", "reinstated"]
    assert verify_store(tmp_path).problems == []


def test_a_mistyped_team_is_renamed_and_renamed_back(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    send("E0O1", "2", 0.6)
    before = (tmp_path / RANKING_FILE).read_text()
    (case,) = rename(tmp_path, "E0O1", "E001", reason="a typo")
    assert (case.team, case.submission) == ("E001", "2" * 64)
    assert averages(tmp_path) == {"E001": 0.6}
    assert counted(tmp_path, "E001") == "2"
    assert read_submissions(tmp_path, team="E0O1") == []
    with pytest.raises(UsageError, match="E0O1 has no submission"):
        disqualify(tmp_path, "E0O1", reason="none")
    for team in ("E0O1", "E001"):
        send(team, "2", 0.6)
        assert [one.submission[0] for one in read_submissions(tmp_path)] == ["1", "2"], (
            "once, whoever scores it"
        )
        assert len(read_statuses(tmp_path)) == 2
    rename(tmp_path, "E001", "E0O1", reason="no typo", digest="2222")
    assert averages(tmp_path) == {"E001": 0.4, "E0O1": 0.6}
    assert (tmp_path / RANKING_FILE).read_text() == before
    assert verify_store(tmp_path).problems == []


def test_a_renamed_submission_keeps_the_decision_about_it(send: Send, tmp_path: Path) -> None:
    send("E0O1", "1", 0.4)
    withdraw(tmp_path, "E0O1", "1111", reason="wrong")
    rename(tmp_path, "E0O1", "E001", reason="a typo")
    assert lines_of(tmp_path, "E001")["1"].reason == "withdrawn: wrong"
    reinstate_submission(tmp_path, "E001", "1111", reason="right")
    assert averages(tmp_path) == {"E001": 0.4}


def test_a_disqualified_team_cannot_get_another_name(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    disqualify(tmp_path, "E001", reason="trained on the test songs")
    with pytest.raises(UsageError, match="E001 is disqualified"):
        rename(tmp_path, "E001", "E002", reason="a typo")


def test_the_selected_submission_is_never_replaced_by_another_of_a_new_scorer(
    send: Send, tmp_path: Path
) -> None:
    send("E001", "1", 0.4)
    send("E001", "2", 0.6)
    select(tmp_path, "E001", "1111", reason="their wish")
    send("E001", "2", 0.7, scorer=NEW_SCORER)
    old, new = read_tables(tmp_path)
    assert [row.submission[0] for row in old.rows] == ["1"]
    assert new.rows == ()
    assert notes(new) == [
        "E001: not ranked, the selected submission 111111111111 is not scored by this scorer."
    ]
    assert [one.submission[0] for one in read_submissions(tmp_path) if one.counts] == ["1"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("E001", "33333"), "E001 has no submission with the digest 33333"),
        (("E001", "12"), "too short"),
        (("E001", "1111"), "2 submissions of E001 fit 1111"),
        (("E009", "1111"), "E009 has no submission in"),
    ],
)
def test_a_digest_must_name_one_submission(
    ledger: Ledger, send: Send, tmp_path: Path, arguments: tuple[str, str], problem: str
) -> None:
    send("E001", "1", 0.4)
    other = Roster("d" * 64, "valid", ("S",), ("L",))
    ledger.add_roster(other)
    ledger.enter(Entry("E001", Key("1" * 64, other.digest, SCORER), "s.zip", 1, "scored"))
    with pytest.raises(UsageError, match=problem):
        select(tmp_path, *arguments, reason="reason")
    assert select(tmp_path, "E001", "1111", split="test", reason="reason").challenge == ROSTER.digest
    with pytest.raises(UsageError, match="needs a reason"):
        select(tmp_path, "E001", "1111", split="test", reason=" ")


def test_a_policy_may_be_set_before_the_first_submission(tmp_path: Path) -> None:
    store = tmp_path / "new"
    assert change_policy(store, "test", counts="best") == Policy("best")
    assert read_policy(store, "test") == Policy("best")
    assert verify_store(store).problems == []
    with pytest.raises(SetupError, match="no ledger"):
        select(tmp_path / "typo", "E001", "1111", reason="reason")


def test_the_same_bytes_and_the_same_stems_of_another_team_are_noted(
    ledger: Ledger, send: Send, tmp_path: Path
) -> None:
    key = send("E001", "1", 0.4)
    send("E002", "1", 0.4)
    send("E003", "2", 0.4, examples=1)
    send("E003", "3", 0.5, audio="another")
    send("E001", "4", 0.4, audio="its own")
    assert notes_about(ledger, key, team="E001") == [
        "E002 sent the same bytes.",
        "1 of 4 examples scored has the same eight stems as 22222222 of E003.",
    ]
    assert lines_of(tmp_path, "E003")["2"].notes == (
        "1 of 1 example scored has the same eight stems as 11111111 of E001.",
        "1 of 1 example scored has the same eight stems as 11111111 of E002.",
    )
    assert lines_of(tmp_path, "E003")["3"].notes == lines_of(tmp_path, "E001")["4"].notes == ()


def test_a_submission_that_was_run_again_by_an_earlier_version_keeps_its_place(tmp_path: Path) -> None:
    """Up to version 4, `arrived` was the number of the entry that entered a submission last."""
    store = restore(4, tmp_path / "old")
    change(store, "UPDATE entries SET team = 'E001' WHERE team = 'E002'")
    change(store, "UPDATE steps SET team = 'E001' WHERE team = 'E002'")
    change(store, "UPDATE entries SET arrived = 1000 WHERE submission LIKE '1%'")
    assert [row.submission[0] for row in read_tables(store)[0].rows] == ["2"]
    assert lines_of(store, "E001")["2"].reason == "the latest"


def test_a_time_that_was_changed_behind_the_back_of_the_ledger_is_an_error_with_a_hint(
    send: Send, tmp_path: Path
) -> None:
    send("E001", "1", 0.4)
    change_policy(tmp_path, "test", deadline="2026-06-01T12:00:00+00:00")
    change(tmp_path, "UPDATE policies SET deadline = 'tomorrow'")
    with pytest.raises(SetupError, match="'tomorrow' where a time is expected"):
        read_tables(tmp_path)
    problems = verify_store(tmp_path).problems
    assert any("The policy 1 has a deadline that is not a time" in one for one in problems)
    assert any("of the table policies differs from the log's entry" in one for one in problems)


def test_a_decision_that_was_made_without_the_harness_is_found(send: Send, tmp_path: Path) -> None:
    send("E001", "1", 0.4)
    row = "(1, 'E002', '2222', ?, 'withdrawn', '', 'a rival', '2026', 'me')"
    change(tmp_path, f"INSERT INTO decisions VALUES {row}", (ROSTER.digest,))
    problems = verify_store(tmp_path).problems
    assert any(
        "The decision 1 about E002 is about a submission that was never received" in one for one in problems
    )
    assert any("of the table decisions has no entry in the log" in one for one in problems)
