"""The ranking: order, ties, who is left out, and every form it takes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from harness.ledger.entities import AuditRecord, Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SubmissionError, UsageError
from harness.ranking.render import RENDERERS, markdown, notes, write_atomically, write_ranking
from harness.ranking.scores import read_scores, write_scores
from harness.ranking.selfreport import add_self_reported
from harness.ranking.tables import Row, ranked, tables
from harness.ledger.rosters import roster_of
from tests.values import values
from validator import Challenge

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("Z song", "A, song"), ("L2", "L1"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "store")
    made.add_roster(ROSTER)
    return made


def add(
    ledger: Ledger,
    team: str,
    value: float | None,
    *,
    examples: int = 4,
    scorer: Scorer = SCORER,
    roster: Roster = ROSTER,
    when: str = "2026-01-01",
    kind: str = "scored",
) -> Key:
    key = Key(f"{team}-{value}-{when}", roster.digest, scorer)
    ledger.enter(Entry(team, key, f"submission_{team}.zip", 1, kind, when))
    for song, listener in roster.examples[:examples]:
        ledger.store(
            key, StoredExample(song, listener, (value,) * 7 + (None if value == 0.5 else value,)), run=None
        )
    return key


def test_equal_averages_share_a_rank(ledger: Ledger) -> None:
    for team, value in (("E001", 0.2), ("E002", 0.3), ("E003", 0.4), ("E004", 0.3)):
        add(ledger, team, value)
    (table,) = tables(ledger)
    assert [(row.rank, row.team) for row in table.rows] == [
        (1, "E003"),
        (2, "E002"),
        (2, "E004"),
        (4, "E001"),
    ]


def test_a_difference_below_what_is_shown_still_decides(ledger: Ledger) -> None:
    add(ledger, "E001", 0.3)
    add(ledger, "E002", 0.3 + 1e-12)
    (table,) = tables(ledger)
    assert [(row.rank, row.team) for row in table.rows] == [(1, "E002"), (2, "E001")]


def test_an_incomplete_submission_is_never_ranked(ledger: Ledger) -> None:
    add(ledger, "E001", 0.2)
    add(ledger, "E002", 0.9, examples=3)
    (table,) = tables(ledger)
    assert [row.team for row in table.rows] == ["E001"]
    assert "E002: not ranked, 3 of 4 examples scored." in notes(table)
    assert "E002" not in [cell.strip() for line in markdown([table]).splitlines() for cell in line.split("|")]


def test_the_latest_complete_submission_of_a_team_counts(ledger: Ledger) -> None:
    add(ledger, "E001", 0.4, when="2026-01-01")
    add(ledger, "E001", 0.2, when="2026-01-02")
    add(ledger, "E001", 0.9, when="2026-01-03", examples=1)
    (table,) = tables(ledger)
    assert [row.average for row in table.rows] == [0.2]


def test_scorers_challenges_and_kinds_never_share_a_table(ledger: Ledger) -> None:
    other = Roster("b" * 64, "test", ("Z song",), ("L1",))
    ledger.add_roster(other)
    add(ledger, "E001", 0.1)
    add(ledger, "E001", 0.2, scorer=Scorer("e" * 64, "fast", True))
    add(ledger, "E001", 0.3, scorer=Scorer("d" * 64, "pyclarity", True))
    add(ledger, "E001", 0.4, scorer=Scorer("d" * 64, "fast", False))
    add(ledger, "E001", 0.6, roster=other)
    add(ledger, "E001", 0.7, kind="self-reported")
    found = tables(ledger)
    assert len(found) == 6
    assert all(len(table.rows) == 1 for table in found)
    assert len({table.title for table in found}) == 6


def test_the_published_baselines_stand_in_their_place_without_a_rank(ledger: Ledger) -> None:
    roster = Roster("a" * 64, "valid", ("S",), ("L",))
    ledger.add_roster(roster)
    add(ledger, "E001", 0.25, roster=roster)
    add(ledger, "E002", 0.3, roster=roster)
    (table,) = tables(ledger, split="valid")
    assert [(row.rank, row.average) for row in table.rows] == [
        (1, 0.3),
        (None, 0.2592),
        (2, 0.25),
        (None, 0.2273),
    ]
    assert tables(ledger, split="test") == []


def test_undefined_values_and_audits_are_said(ledger: Ledger) -> None:
    key = add(ledger, "E001", 0.5)
    ledger.store_audit(key, AuditRecord("Z song", "L1", "left_bass", 0.5, 0.5 + 3e-13))
    (table,) = tables(ledger)
    said = "\n".join(notes(table))
    assert "4 HAAQI values are undefined" in said
    assert "1 stems scored again by pyclarity, greatest difference 3.0e-13" in said
    assert table.rows[0].average == 0.5


def test_a_failed_audit_is_not_ranked(ledger: Ledger) -> None:
    key = add(ledger, "E001", 0.4)
    ledger.store_audit(key, AuditRecord("Z song", "L1", "left_bass", 0.4, 0.400001))
    (table,) = tables(ledger)
    assert table.rows == ()
    assert "the audit failed" in notes(table)[0]


def test_ranking_md_has_the_agreed_form(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, "E001", 0.25923)
    add(ledger, "E002", 0.3)
    write_ranking(ledger, tmp_path)
    lines = (tmp_path / "ranking.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table[0] == ["Ranking", "Team", "Average score"]
    assert table[2:] == [["1", "E002", "0.3000"], ["2", "E001", "0.2592"]]


def test_csv_and_json_carry_full_precision(ledger: Ledger) -> None:
    value = 0.1 + 0.2
    add(ledger, "E001", value)
    (table,) = tables(ledger)
    (row,) = csv.DictReader(io.StringIO(RENDERERS["csv"]([table])))
    assert float(row["average"]) == value
    assert row["rank"] == "1"
    document = json.loads(RENDERERS["json"]([table]))
    assert document["tables"][0]["rows"][0]["average"] == value


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_every_form_works_without_any_score(form: str) -> None:
    assert RENDERERS[form]([])  # type: ignore[index]


def test_the_page_escapes_and_fetches_nothing() -> None:
    row = Row(1, "<script>alert(1)</script>", 0.5, "scored")
    page = RENDERERS["html"]([tables_of(row)])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def tables_of(row: Row):
    from harness.ranking.tables import Table

    return Table(ROSTER, SCORER, "scored", ranked([row]), ())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ranking.md"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.ranking.files.os.fsync", fail)
    with pytest.raises(Exception, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["ranking.md"]


def test_scores_csv_is_in_the_metadatas_order_and_comes_back(tmp_path: Path) -> None:
    examples = {
        key: StoredExample(*key, (0.1 * n, 1 / 3, 0.2, 0.3, 0.4, 0.5, 0.6, None))
        for n, key in enumerate(sorted(ROSTER.examples))
    }
    text = write_scores(ROSTER, examples)
    assert [tuple(row[:2]) for row in csv.reader(io.StringIO(text))][1:] == ROSTER.examples
    assert "0.3333333333333333" in text
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert read_scores(path, ROSTER) == [examples[key] for key in ROSTER.examples]


def test_everything_wrong_with_a_scores_csv_is_said_at_once(tmp_path: Path) -> None:
    good = {key: StoredExample(*key, values(0.5)) for key in ROSTER.examples}
    lines = write_scores(ROSTER, good).splitlines()
    lines[1] = lines[1].replace("0.5", "nan", 2)
    lines[2] = lines[2].replace("Z song", "Y song")
    lines[3] = lines[3].replace("0.5", "0.6", 1)
    lines[4] = lines[4] + ",1"
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(SubmissionError) as caught:
        read_scores(path, ROSTER)
    for part in (
        "line 2: score must be",
        "line 3: there is no example 'Y song'",
        "line 4: score is",
        "line 5",
    ):
        assert part in caught.value.message
    assert "4 of 4 examples are missing" in caught.value.message
    path.write_text("a,b\n")
    with pytest.raises(SubmissionError, match="expected the header"):
        read_scores(path, ROSTER)
    with pytest.raises(UsageError):
        read_scores(tmp_path / "none.csv", ROSTER)


def test_a_real_teams_scores_are_entered_as_self_reported(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[3] / "shared/data/real_scores/scores.csv"
    if not path.is_file():
        pytest.skip("the real data is not beside the project (../shared/data)")
    roster = roster_of(Challenge.load(None, split="valid"))
    average = add_self_reported("E005", path, roster=roster, store=tmp_path)
    assert average == pytest.approx(0.2046, abs=5e-5)
    with Ledger(tmp_path) as ledger:
        (table,) = tables(ledger)
    assert table.kind == "self-reported"
    assert [row.team for row in table.rows][1] == "Baseline Open-Unmix (published)"
    assert "self-reported" in table.title
    assert "E005" in (tmp_path / "ranking.md").read_text()
