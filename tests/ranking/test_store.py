"""A store's ranking by the path of the store: what commands read and decide, without slow libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ledger.entities import Entry, Key
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError, UsageError
from harness.ranking.counting import counted_entry
from harness.ranking.store import (
    RANKING_FILE,
    disqualify,
    read_tables,
    read_team_scores,
    reinstate,
)

SLOW = ("pandas", "jinja2", "rich", "docker", "tabulate")


def test_the_store_is_read_without_slow_libraries(full_store: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from harness.ranking.store import read_tables, read_team_scores\n"
        "from harness.ranking.render import markdown\n"
        "markdown(read_tables(Path(sys.argv[1]))); read_team_scores(Path(sys.argv[1]), 'E001')\n"
        f"print([name for name in {SLOW!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, full_store], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_decisions_about_a_team_update_the_ranking(filled: Path) -> None:
    disqualify(filled, "E001", reason="its own reasons")
    assert "- E001: disqualified: its own reasons." in (filled / RANKING_FILE).read_text()
    reinstate(filled, "E001", reason="withdrawn")
    assert "E001: disqualified" not in (filled / RANKING_FILE).read_text()
    assert [row.team for row in read_tables(filled)[0].rows] == ["E002", "E001"]


@pytest.mark.parametrize("decide", [disqualify, reinstate])
def test_a_decision_does_not_create_a_store(tmp_path: Path, decide: Callable[..., None]) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        decide(tmp_path / "typo", "E001", reason="reason")
    assert not (tmp_path / "typo").exists()


def test_the_scores_of_a_team_are_those_that_count(filled: Path, make_key: Callable[[str], Key]) -> None:
    found = read_team_scores(filled, "E003")
    assert (found.stored, found.total) == (3, 4)
    assert len(found.text.splitlines()) == 4
    with Ledger(filled) as ledger:
        later = Entry("E001", make_key("7"), "later.zip", 1, "scored")
        ledger.enter(later)
        assert counted_entry(ledger, "E001")[0].key == make_key("1")
    assert read_team_scores(filled, "E001").stored == 4, "not the newer one, which has no scores yet"
    with pytest.raises(UsageError, match=r"E001 has no scores in .* for split valid"):
        read_team_scores(filled, "E001", split="valid")
