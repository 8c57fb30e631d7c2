"""A store to make bundles of, and what is done with bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import provenance
from harness.ledger.entities import AuditRecord, Entry, Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.records import RunRecord
from harness.provenance.packing import pack, unpack
from tests.values import values

Keys = Callable[[str], tuple[Path, Path]]
"""Makes a private and a public key from a name; returns their paths."""

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A - I'm Alright", 'Ünï, "code" & co'), ("L1", "L2"))
KEY = Key("5" * 64, ROSTER.digest, SCORER)
RUN = RunRecord(
    scorer_digest=SCORER.digest,
    engine="fast",
    sandbox="docker",
    locked=True,
    image="sha256:" + "1" * 64,
    base_image="python:3.11-slim-bookworm@sha256:" + "2" * 64,
    versions={"scipy": "1.10.1", "numpy": "1.24.4"},
    cpu="a processor",
)


def fill(folder: Path) -> None:
    """Fills a store: E001 is complete, E002 lacks one example, E003 is self-reported."""
    with Ledger(folder) as ledger:
        ledger.add_roster(ROSTER)
        for team, key, examples in (
            ("E001", KEY, ROSTER.examples),
            ("E002", Key("6" * 64, ROSTER.digest, SCORER), ROSTER.examples[:3]),
        ):
            ledger.enter(Entry(team, key, f"submission_{team}.zip", 1234, "scored"))
            run = ledger.start_run(RUN)
            ledger.note_peak(run, 1_600_000_000)
            for number, example in enumerate(examples):
                scores = values(*((number + stem) / 13 for stem in range(8)))
                ledger.store(key, StoredExample(*example, scores), run=run, seconds=2.5, cpu_seconds=2.25)
        first = ROSTER.examples[0]
        ledger.store_audit(KEY, AuditRecord(*first, "right_bass", 1 / 13, 1 / 13 + 3e-13))
        failure = Failure(*ROSTER.examples[3], "memory", "", "It needed more than it may have.", "")
        ledger.store_failure(Key("6" * 64, ROSTER.digest, SCORER), failure)
        own = Key("9" * 64, ROSTER.digest, Scorer("", "unknown", False))
        ledger.report(
            Entry("E003", own, "scores.csv", 9, "self-reported"),
            ROSTER,
            [StoredExample(*example, values(*(0.5,) * 7, None)) for example in ROSTER.examples],
        )


def export(store: Path, team: str, output: Path, **options: Any) -> Path:
    """Exports a team's bundle."""
    return provenance.export(store, team, split=options.pop("split", None), output=output, **options)


def reseal(path: Path, **changed: bytes | None) -> list[str]:
    """Packs a bundle again with other members, so that every checksum of the zip is right; returns its problems."""
    members: dict[str, bytes] = unpack(path.read_bytes())
    for name, content in changed.items():
        full = name.replace("_DOT_", ".")
        if content is None:
            members.pop(full)
        else:
            members[full] = content
    path.write_bytes(pack(members))
    return provenance.verify_bundle(path)
