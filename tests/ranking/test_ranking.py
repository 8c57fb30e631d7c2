"""The ranking: order, ties, what is not ranked, and every output format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from harness.ledger.entities import AuditRecord, Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SubmissionError, UsageError
from harness.ranking.files import write_atomically
from harness.ranking.render import RENDERERS, Format, _markdown_table, markdown, notes
from harness.ranking.rows import Row, Unranked
from harness.ranking.scores import read_scores, write_scores
from harness.ranking.selfreport import add_self_reported
from harness.ranking.store import write_ranking
from harness.ranking.tables import Table, make_tables, ranked
from harness.ranking.wording import reword
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
        scores = values(*(value,) * 7, None if value == 0.5 else value)
        ledger.store(key, StoredExample(song, listener, scores), run=None)
    return key


def test_equal_averages_share_a_rank(ledger: Ledger) -> None:
    for team, value in (("E001", 0.2), ("E002", 0.3), ("E003", 0.4), ("E004", 0.3)):
        add(ledger, team, value)
    (table,) = make_tables(ledger)
    assert [(row.rank, row.team) for row in table.rows] == [
        (1, "E003"),
        (2, "E002"),
        (2, "E004"),
        (4, "E001"),
    ]


def test_a_difference_below_what_is_shown_still_decides(ledger: Ledger) -> None:
    add(ledger, "E001", 0.3)
    add(ledger, "E002", 0.3 + 1e-12)
    (table,) = make_tables(ledger)
    assert [(row.rank, row.team) for row in table.rows] == [(1, "E002"), (2, "E001")]


def test_an_incomplete_submission_is_never_ranked(ledger: Ledger) -> None:
    add(ledger, "E001", 0.2)
    add(ledger, "E002", 0.9, examples=3)
    (table,) = make_tables(ledger)
    assert [row.team for row in table.rows] == ["E001"]
    assert "E002: not ranked, 3 of 4 examples scored." in notes(table)
    assert "E002" not in [cell.strip() for line in markdown([table]).splitlines() for cell in line.split("|")]


def test_the_latest_complete_submission_of_a_team_counts(ledger: Ledger) -> None:
    add(ledger, "E001", 0.4, when="2026-01-01")
    add(ledger, "E001", 0.2, when="2026-01-02")
    add(ledger, "E001", 0.9, when="2026-01-03", examples=1)
    (table,) = make_tables(ledger)
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
    found = make_tables(ledger)
    assert len(found) == 6
    assert all(len(table.rows) == 1 for table in found)
    assert len({table.title for table in found}) == 6


def test_published_baselines_are_listed_without_a_rank(ledger: Ledger) -> None:
    roster = Roster("a" * 64, "valid", ("S",), ("L",))
    ledger.add_roster(roster)
    add(ledger, "E001", 0.25, roster=roster)
    add(ledger, "E002", 0.3, roster=roster)
    (table,) = make_tables(ledger, split="valid")
    assert [(row.rank, row.average) for row in table.rows] == [
        (1, 0.3),
        (None, 0.2592),
        (2, 0.25),
        (None, 0.2273),
    ]
    assert make_tables(ledger, split="test") == []


def test_the_notes_list_undefined_values_and_audits(ledger: Ledger) -> None:
    key = add(ledger, "E001", 0.5)
    ledger.store_audit(key, AuditRecord("Z song", "L1", "left_bass", 0.5, 0.5 + 3e-13))
    (table,) = make_tables(ledger)
    text = "\n".join(notes(table))
    assert "4 HAAQI values are undefined" in text
    assert "1 stem spot-checked with pyclarity, greatest difference 3.0e-13" in text
    assert table.rows[0].average == 0.5


def test_a_submission_whose_audit_failed_is_not_ranked(ledger: Ledger) -> None:
    key = add(ledger, "E001", 0.4)
    ledger.store_audit(key, AuditRecord("Z song", "L1", "left_bass", 0.4, 0.400001))
    (table,) = make_tables(ledger)
    assert table.rows == ()
    assert notes(table)[0].endswith("the audit failed: pyclarity gives another score for 1 stem.")


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
    (table,) = make_tables(ledger)
    (row,) = csv.DictReader(io.StringIO(RENDERERS["csv"]([table])))
    assert float(row["average"]) == value
    assert row["rank"] == "1"
    document = json.loads(RENDERERS["json"]([table]))
    assert document["tables"][0]["rows"][0]["average"] == value


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_every_format_works_without_any_score(form: Format) -> None:
    assert RENDERERS[form]([])


def test_the_page_escapes_names_and_fetches_nothing() -> None:
    row = Row(1, "<script>alert(1)</script>", 0.5, "scored")
    page = RENDERERS["html"]([tables_of(row)])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def tables_of(row: Row) -> Table:
    return Table(ROSTER, SCORER, "scored", ranked([row]), ())


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ranking.md"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.ranking.files.os.fsync", fail)
    with pytest.raises(Exception, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["ranking.md"]


def test_scores_csv_is_in_the_metadatas_order_and_is_read_back(tmp_path: Path) -> None:
    examples = {
        key: StoredExample(*key, values(0.1 * n, 1 / 3, 0.2, 0.3, 0.4, 0.5, 0.6, None))
        for n, key in enumerate(sorted(ROSTER.examples))
    }
    text = write_scores(ROSTER, examples)
    assert [tuple(row[:2]) for row in csv.reader(io.StringIO(text))][1:] == ROSTER.examples
    assert "0.3333333333333333" in text
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert read_scores(path, ROSTER) == [examples[key] for key in ROSTER.examples]


def test_every_problem_of_a_scores_csv_is_reported_at_once(tmp_path: Path) -> None:
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


def test_the_scores_of_a_real_team_are_entered_as_self_reported(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[3] / "shared/data/real_scores/scores.csv"
    if not path.is_file():
        pytest.skip("the real data is not next to the project (../shared/data)")
    challenge = Challenge.load(None, split="valid")
    average = add_self_reported("E005", path, challenge=challenge, store=tmp_path)
    assert average == pytest.approx(0.2046, abs=5e-5)
    with Ledger(tmp_path) as ledger:
        (table,) = make_tables(ledger)
    assert table.kind == "self-reported"
    assert [row.team for row in table.rows][1] == "Baseline Open-Unmix (published)"
    assert "self-reported" in table.title
    assert "E005" in (tmp_path / "ranking.md").read_text()


def test_the_markdown_table_escapes_pipes_and_is_padded(ledger: Ledger) -> None:
    add(ledger, "E|1", 0.25)
    (table,) = make_tables(ledger)
    assert markdown([table]).splitlines()[4:7] == [
        "| Ranking   | Team   | Average score   |",
        "|:----------|:-------|:----------------|",
        r"| 1         | E\|1   | 0.2500          |",
    ]


def test_the_markdown_table_grows_with_its_cells() -> None:
    (heading, line, *rows) = _markdown_table([("1", "E001", "0.2"), ("", "x" * 20, "0.1")]).splitlines()
    assert {len(one) for one in (heading, line, *rows)} == {len(heading)}
    assert rows == [
        f"| 1         | E001{' ' * 16} | 0.2             |",
        f"|           | {'x' * 20} | 0.1             |",
    ]
    assert _markdown_table([]).splitlines()[1] == "|-----------|--------|-----------------|"


@pytest.mark.parametrize("number", [1, 2])
def test_undefined_values_are_counted_in_words(number: int) -> None:
    table = tables_of(Row(1, "E001", 0.5, "scored", undefined=number))
    (note,) = notes(table)
    assert note.startswith(f"E001: {number} HAAQI value{'s are' if number > 1 else ' is'} undefined, because")


def test_a_ranking_of_version_2_is_reworded() -> None:
    old = (
        "- E001: 1 HAAQI values are undefined, because their reference is silent; their examples' scores are the "
        "means of the others.\n"
        "- E001: 13 stems scored again by pyclarity, greatest difference 1.0e-13.\n"
        "- E002: not ranked, the audit failed: pyclarity scores 1 stems otherwise.\n"
        "- E003: not ranked, 3 of 9 examples scored; failed: 1 by fault of the submission, "
        "2 by fault of the set-up, 3 by fault of the harness.\n"
        "- E004: disqualified: it was another team's.\n"
    )
    scored = (Row(1, "E001", 0.5, "scored", undefined=1, audited=13, greatest_difference=1e-13),)
    unranked = (
        Unranked("E002", 4, "", failed_audits=1),
        Unranked("E003", 3, "", faults=(("submission", 1), ("setup", 2), ("bug", 3))),
        Unranked("E004", 4, "", disqualified="it was another team's"),
    )
    roster = Roster("c" * 64, "test", ("A", "B", "C"), ("L1", "L2", "L3"))
    table = Table(roster, SCORER, "scored", scored, unranked)
    assert reword(old) == "".join(f"- {note}\n" for note in notes(table))
    assert reword(markdown([table])) == markdown([table])
