"""A scores.csv that a team computed itself: batches of the recipe, and a file of another split."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.ledger.ledger import Ledger
from harness.protocol.errors import SubmissionError, UsageError
from harness.ranking.selfreport import add_self_reported
from harness.ranking.tables import make_tables
from validator import Challenge
from validator.challenge.rules import CAD1

HEADER = ",".join(CAD1.header)


def batches(folder: Path, challenge: Challenge, *, number: int) -> list[Path]:
    """The scores of a challenge in so many files, each with a header, as the recipe writes them."""
    paths = []
    for batch in range(number):
        examples = challenge.examples[batch::number]
        rows = [f'"{song}",{listener},' + ",".join(["0.25"] * 9) for song, listener in examples]
        paths.append(folder / f"scores_{batch + 1}-{number}.csv")
        paths[-1].write_text("\n".join([HEADER, *rows]) + "\n")
    return paths


@pytest.fixture
def challenge() -> Challenge:
    """The official split valid."""
    return Challenge.load(None, split="valid")


def test_the_recipes_batch_files_are_taken_at_once_in_any_order(tmp_path: Path, challenge: Challenge) -> None:
    paths = batches(tmp_path, challenge, number=8)
    assert add_self_reported("E001", *paths, challenge=challenge, store=tmp_path / "one") == 0.25
    add_self_reported("E001", *reversed(paths), challenge=challenge, store=tmp_path / "two")
    found = []
    for name in ("one", "two"):
        with Ledger(tmp_path / name, read_only=True) as ledger:
            found.append([(e.key, e.name) for e in ledger.entries()])
            assert [row.team for row in make_tables(ledger)[0].rows if row.rank] == ["E001"]
    assert found[0] == found[1]


def test_a_batch_that_is_missing_or_broken_is_named(tmp_path: Path, challenge: Challenge) -> None:
    paths = batches(tmp_path, challenge, number=8)
    with pytest.raises(SubmissionError, match="87 of 700 examples are missing"):
        add_self_reported("E001", *paths[:4], *paths[5:], challenge=challenge, store=tmp_path / "store")
    paths[3].write_text(paths[3].read_text().replace("0.25", "nan", 1))
    with pytest.raises(SubmissionError, match=r"scores_4-8\.csv is not .* line 2: score must be"):
        add_self_reported("E001", *paths, challenge=challenge, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_file_of_another_split_is_one_sentence(tmp_path: Path, challenge: Challenge) -> None:
    (path,) = batches(tmp_path, challenge, number=1)
    with pytest.raises(UsageError) as caught:
        add_self_reported(
            "E001", path, challenge=Challenge.load(None, split="test"), store=tmp_path / "store"
        )
    assert caught.value.message == "scores_1-1.csv holds scores of split valid, not of split test."
    assert caught.value.hint == "Add `--split valid`."


def test_a_file_of_no_split_is_still_reported_row_by_row(tmp_path: Path, challenge: Challenge) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(f"{HEADER}\nNo Song,L0,{','.join(['0.25'] * 9)}\n")
    with pytest.raises(SubmissionError, match="there is no example 'No Song'"):
        add_self_reported("E001", path, challenge=challenge, store=tmp_path / "store")
