"""Verifying a bundle takes little memory and time, whatever it holds."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.provenance.bundle import verify_bundle
from harness.provenance.packing import ENVELOPE, MAX_MEMBER_BYTES, MAX_VALUES, pack, unpack
from tests.provenance.bundles import export

MOST_MEMORY = 200 * 10**6
MOST_SECONDS = 20

VERIFY = """
import sys
from pathlib import Path
from harness.provenance.bundle import verify_bundle

print(*verify_bundle(Path(sys.argv[1])), sep="\\n")
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""

Members = dict[str, bytes]
RUN = MAX_MEMBER_BYTES["run.json"]


def with_run(members: Members, change: Callable[[Any], Any]) -> Members:
    run = json.loads(members["run.json"])
    change(run)
    return members | {"run.json": json.dumps(run, separators=(",", ":")).encode()}


def names(number: int) -> list[str]:
    return [f"{one:x}" for one in range(number)]


def fields(number: int) -> bytes:
    return ("{" + ",".join(f'"{name}":0' for name in names(number)) + "}").encode()


def product(members: Members) -> Members:
    """4,000 songs times 4,000 listeners in 65 kB."""
    return with_run(members, lambda run: run["challenge"].update(songs=names(4000), listeners=names(4000)))


def listed_product(members: Members) -> Members:
    """As many examples as the longest statement could list, none of them scored."""
    members = members | {
        "statement.json": b" " * MAX_MEMBER_BYTES["statement.json"],
        "scores.csv": members["scores.csv"].splitlines(keepends=True)[0],
    }
    return with_run(members, lambda run: run["challenge"].update(songs=names(370), listeners=names(370)))


def unknown_fields(members: Members) -> Members:
    return members | {"run.json": b'{"schema_version": 2, ' + fields(MAX_VALUES - 1)[1:]}


def many_values(members: Members) -> Members:
    return members | {"run.json": fields(2 * MAX_VALUES)}


def wrong_songs(members: Members) -> Members:
    return with_run(members, lambda run: run["challenge"].update(songs=[[]] * (MAX_VALUES - 200)))


def wrong_rows(members: Members) -> Members:
    header = members["scores.csv"].splitlines(keepends=True)[0]
    return members | {"scores.csv": header + b"a\n" * ((MAX_MEMBER_BYTES["scores.csv"] - len(header)) // 2)}


def unknown_signatures(members: Members) -> Members:
    content = {
        "payload": "",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [1] * (MAX_VALUES - 9),
    }
    return members | {ENVELOPE: json.dumps(content, separators=(",", ":")).encode()}


def deep(members: Members) -> Members:
    return members | {"run.json": b"[" * RUN}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (product, "statement.json is too short to list every example of run.json."),
        (listed_product, "statement.json does not follow"),
        (unknown_fields, "run.json is not valid (50"),
        (many_values, "run.json has more than 50000 values"),
        (wrong_songs, "run.json is not valid (49"),
        (wrong_rows, "more."),
        (unknown_signatures, "not a valid DSSE envelope"),
        (deep, "run.json is not valid (the file: Invalid JSON"),
    ],
)
def test_a_hostile_bundle_takes_little_memory(
    change: Callable[[Members], Members], expected: str, bundle_store: Path, tmp_path: Path
) -> None:
    members = unpack(export(bundle_store, "E001", tmp_path).read_bytes())
    hostile = tmp_path / "hostile.zip"
    hostile.write_bytes(pack(change(members)))
    done = subprocess.run(
        [sys.executable, "-c", VERIFY, hostile],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=MOST_SECONDS,
    )  # fmt: skip
    *problems, memory = done.stdout.splitlines()
    assert expected in "\n".join(problems)
    assert int(memory) < MOST_MEMORY


def test_a_member_over_its_limit_is_named(bundle_store: Path, tmp_path: Path) -> None:
    members = unpack(export(bundle_store, "E001", tmp_path).read_bytes())
    path = tmp_path / "large.zip"
    path.write_bytes(pack(members | {"run.json": b" " * (RUN + 1)}))
    assert verify_bundle(path) == [f"large.zip holds {RUN + 1} bytes in run.json; at most {RUN} are allowed."]


def test_a_directory_of_many_members_is_not_read(tmp_path: Path) -> None:
    """A directory of 46 bytes for each member, without the members: 200,000 objects for a zip reader."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    directory = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3392, 3392, len(directory), 0, 0)
    path = tmp_path / "directory.zip"
    path.write_bytes(directory + end)
    assert verify_bundle(path) == [
        "directory.zip holds nothing; a bundle holds scores.csv, run.json, statement.json."
    ]


def test_a_key_of_a_bundle_is_shown_as_text(bundle_store: Path, tmp_path: Path) -> None:
    members = unpack(export(bundle_store, "E001", tmp_path).read_bytes())
    path = tmp_path / "key.zip"
    path.write_bytes(pack(with_run(members, lambda run: run.update({"\x1b[2J\n::error::" + "k" * 9000: 1}))))
    (problem,) = verify_bundle(path)
    assert problem.isprintable()
    assert r"(\x1b[2J\n::error::kkk" in problem
    assert len(problem) < 300


def test_a_cell_over_the_limit_of_a_csv_reader_is_a_sentence(bundle_store: Path, tmp_path: Path) -> None:
    members = unpack(export(bundle_store, "E001", tmp_path).read_bytes())
    path = tmp_path / "cell.zip"
    path.write_bytes(pack(members | {"scores.csv": members["scores.csv"] + b"a" * 131_073}))
    assert verify_bundle(path) == [
        "scores.csv, line 6: it is not CSV: field larger than field limit (131072)."
    ]
