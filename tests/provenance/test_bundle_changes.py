"""No byte of a bundle can be changed without being found."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import provenance
from harness.provenance import packing
from harness.provenance.packing import ENVELOPE, pack, unpack
from tests.provenance.bundles import ROSTER, Keys, export, reseal


def test_a_changed_byte_is_found(signed: Path, keys: Keys, tmp_path: Path) -> None:
    public = keys("organiser")[1]
    good = signed.read_bytes()
    generator = random.Random(2023)
    places = {*range(64), *range(len(good) - 400, len(good)), *generator.sample(range(len(good)), 500)}
    for name in (*packing.REQUIRED, ENVELOPE):  # the zip's own fields about each member
        for found in (good.find(name.encode()), good.rfind(name.encode())):
            places.update(range(max(0, found - 50), found))
    bad = tmp_path / "bad.zip"
    for place in sorted(places):
        damaged = bytearray(good)
        damaged[place] ^= generator.randrange(1, 256)
        bad.write_bytes(damaged)
        for key in (public, None):
            problems = provenance.verify_bundle(bad, key=key)
            assert problems, f"byte {place} was changed, but nothing was found"
            assert all(one.endswith(".") for one in problems)


@pytest.mark.parametrize("member", ["scores.csv", "run.json", "statement.json", ENVELOPE])
def test_a_member_changed_and_packed_again(signed: Path, member: str) -> None:
    good = unpack(signed.read_bytes())
    generator = random.Random(member)
    content = good[member]
    for place in generator.sample(range(len(content)), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        signed.write_bytes(pack(good | {member: bytes(damaged)}))
        problems = provenance.verify_bundle(signed)
        if member == ENVELOPE and not problems:
            # the signature and the id of the key are base64 and hexadecimal: only the key can tell
            assert b'"sig"' in content
            continue
        assert problems, f"{member}, byte {place}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda run: run["scores"].update(average=0.9), "the average 0.9"),
        (lambda run: run["scores"].update(undefined=1), "another number of examples"),
        (lambda run: run["seeds"].update({ROSTER.songs[0]: 5}), "gives seeds that do not follow"),
        (lambda run: run.update(greatest_difference=0.0), "another greatest difference"),
        (lambda run: run.update(extra=1), "run.json is not valid (extra"),
        (lambda run: run["scores"].update(average=float("nan")), "run.json is not valid"),
        (lambda run: run["submission"].update(team="E002"), "statement.json does not follow"),
        (lambda run: run["challenge"].update(listeners=["L1", "L1"]), "names a song or a listener twice"),
        (lambda run: run.pop("log_head"), "run.json is not valid (log_head"),
        (lambda run: run["runs"][0].update(cpu="x" * 5000), "run.json is not valid"),
    ],
)
def test_a_wrong_run_record(
    bundle_store: Path, tmp_path: Path, change: Callable[[Any], Any], expected: str
) -> None:
    path = export(bundle_store, "E001", tmp_path)
    run = json.loads(unpack(path.read_bytes())["run.json"])
    change(run)
    text = (json.dumps(run, indent=1, ensure_ascii=False) + "\n").encode()
    assert any(expected in one for one in reseal(path, run_DOT_json=text))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace("L2", "L3"), "there is no example"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "another number of examples"),
        (lambda text: text.replace("0.07692307692307693", "0.08"), "where the mean of its values is"),
        (lambda text: text + "\n", "scores.csv does not follow"),
        (lambda text: text.replace("song,", "Song,"), "expected the header"),
        (lambda text: "\ufffd" + text, "expected the header"),
    ],
)
def test_wrong_scores(
    bundle_store: Path, tmp_path: Path, change: Callable[[Any], Any], expected: str
) -> None:
    path = export(bundle_store, "E001", tmp_path)
    text = unpack(path.read_bytes())["scores.csv"].decode()
    changed = change(text)
    assert changed != text
    assert any(expected in one for one in reseal(path, scores_DOT_csv=changed.encode()))


def test_scores_that_are_not_text(bundle_store: Path, tmp_path: Path) -> None:
    path = export(bundle_store, "E001", tmp_path)
    assert reseal(path, scores_DOT_csv=b"\xff\xfe") == ["scores.csv is not UTF-8 text."]


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def test_files_that_are_not_bundles(signed: Path, tmp_path: Path) -> None:
    good = signed.read_bytes()
    members = unpack(good)
    three = {name: members[name] for name in packing.REQUIRED}
    bomb = zipped(dict.fromkeys(packing.REQUIRED, b"0" * 10**7), zipfile.ZIP_DEFLATED)
    for content, expected in (
        (b"", "is not a zip"),
        (b"PK\x05\x06" + b"\0" * 18, "holds nothing"),
        (b"x" * 10_000, "is not a zip"),
        (good[:-1], "is not a zip"),
        (good[: len(good) // 2], "is not a zip"),
        (good + b"\0", "not have the bytes of a bundle"),
        (b"#!/bin/sh\n" + good, "not have the bytes of a bundle"),
        (zipped(members), "not have the bytes of a bundle"),
        (zipped(three, zipfile.ZIP_DEFLATED), "is compressed"),
        (bomb, "is compressed"),
        (pack(members | {"extra.txt": b""}), "'extra.txt'"),
        (pack(dict(reversed(three.items()))), "holds 'statement.json'"),
        (pack({"scores.csv": b""}), "; a bundle holds"),
        (pack({}), "holds nothing"),
        (b"\0" * (packing.MAX_BYTES + 1), "is larger than"),
    ):
        path = tmp_path / "x.zip"
        path.write_bytes(content)
        (problem,) = provenance.verify_bundle(path)
        assert expected in problem
        assert problem.startswith("x.zip ")


def test_a_member_that_appears_twice(signed: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed, pytest.warns(UserWarning, match="Duplicate"):  # noqa: PT031
        for name in (*packing.REQUIRED, "scores.csv"):
            packed.writestr(name, b"")
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    (problem,) = provenance.verify_bundle(tmp_path / "x.zip")
    assert "; a bundle holds" in problem
