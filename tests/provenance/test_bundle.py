"""A bundle: the same ledger gives the same bytes, and no byte of it can be changed unseen."""

from __future__ import annotations

import base64
import builtins
import hashlib
import io
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from harness import provenance
from harness.ledger.ledger import (
    AuditRecord,
    Entry,
    Failure,
    Key,
    Ledger,
    Roster,
    Scorer,
    StoredExample,
    mean,
)
from harness.protocol.errors import SetupError, UsageError
from harness.protocol.records import RunRecord
from harness.provenance import packing
from harness.provenance.packing import ENVELOPE, pack, unpack
from tests.values import values

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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """E001 is complete, E002 lacks one example, E003 reported itself."""
    folder = tmp_path_factory.mktemp("bundle") / "store"
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
                values = tuple((number + stem) / 13 for stem in range(8))
                ledger.store(key, StoredExample(*example, values), run=run, seconds=2.5, cpu_seconds=2.25)
        first = ROSTER.examples[0]
        ledger.store_audit(KEY, AuditRecord(*first, "right_bass", 1 / 13, 1 / 13 + 3e-13))
        failure = Failure(*ROSTER.examples[3], "memory", "", "It needed more than it may have.", "")
        ledger.store_failure(Key("6" * 64, ROSTER.digest, SCORER), failure)
        own = Key("9" * 64, ROSTER.digest, Scorer("", "unknown", False))
        ledger.report(
            Entry("E003", own, "scores.csv", 9, "self-reported"),
            ROSTER,
            [StoredExample(*example, (0.5,) * 7 + (None,)) for example in ROSTER.examples],
        )
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A function of a name that gives the paths of a private and a public key."""
    folder = tmp_path_factory.mktemp("keys")

    def make(name: str) -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        if not private.exists():
            key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
            private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make


def export(store: Path, team: str, output: Path, **options: Any) -> Path:
    with Ledger(store, read_only=True) as ledger:
        return provenance.export(ledger, team, split=options.pop("split", None), output=output, **options)


@pytest.fixture
def signed(store: Path, keys, tmp_path: Path) -> Path:
    return export(store, "E001", tmp_path / "signed.zip", key=keys("organiser")[0])


def test_the_same_ledger_gives_the_same_bytes(store: Path, keys, tmp_path: Path) -> None:
    private, public = keys("organiser")
    bundles = [export(store, "E001", tmp_path / name, key=private) for name in ("one.zip", "two.zip")]
    assert bundles[0].read_bytes() == bundles[1].read_bytes()
    assert provenance.verify(bundles[0], key=public) == []
    assert provenance.verify(bundles[0]) == []
    assert provenance.is_signed(bundles[0])


def test_the_same_members_give_the_same_zip_as_ever() -> None:
    data = pack({"scores.csv": b"a\n", "run.json": b"{}\n", "statement.json": b"{}\n"})
    assert hashlib.sha256(data).hexdigest() == (
        "2a7f5cbed8d57e69642efad63454463611bf694e5c0530886c8b442c03eb25fb"
    )


def test_what_a_bundle_holds(store: Path, tmp_path: Path) -> None:
    path = export(store, "E001", tmp_path)
    assert path == tmp_path / "E001_test.cad1.zip"
    members = unpack(path.read_bytes())
    assert tuple(members) == packing.REQUIRED
    run = json.loads(members["run.json"])
    with Ledger(store, read_only=True) as ledger:
        examples = ledger.examples(KEY)
        assert run["log_head"] == ledger.head()
    assert run["submission"]["sha256"] == KEY.submission
    assert (run["submission"]["name"], run["submission"]["bytes"]) == ("submission_E001.zip", 1234)
    assert run["challenge"]["digest"] == ROSTER.digest
    assert run["scorer"] == {"lock": SCORER.digest, "engine": "fast", "locked": True}
    (one,) = run["runs"]
    assert (one["image"], one["base_image"], one["cpu"]) == (RUN.image, RUN.base_image, RUN.cpu)
    assert one["versions"] == dict(RUN.versions)
    assert (one["seconds"], one["cpu_seconds"], one["peak_memory"]) == (10.0, 9.0, 1_600_000_000)
    assert run["scores"]["average"] == mean(example.score for example in examples.values())
    assert run["greatest_difference"] == pytest.approx(3e-13, abs=1e-16)
    for song in ROSTER.songs:
        assert run["seeds"][song] == int(hashlib.md5(song.encode()).hexdigest(), 16) % 10**8
    assert members["scores.csv"].decode().count("\n") == 5


def test_the_statement_is_in_totos_test_result(store: Path, tmp_path: Path) -> None:
    members = unpack(export(store, "E001", tmp_path).read_bytes())
    statement = json.loads(members["statement.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [
        {"name": "scores.csv", "digest": {"sha256": hashlib.sha256(members["scores.csv"]).hexdigest()}},
        {"name": "submission_E001.zip", "digest": {"sha256": KEY.submission}},
    ]
    predicate = statement["predicate"]
    assert set(predicate) == {"result", "configuration", "passedTests", "warnedTests", "failedTests"}
    assert predicate["result"] == "PASSED"
    assert predicate["configuration"][0] == {
        "name": "run.json",
        "digest": {"sha256": hashlib.sha256(members["run.json"]).hexdigest()},
    }
    assert len(predicate["passedTests"]) == 5
    assert predicate["failedTests"] == predicate["warnedTests"] == []


def test_what_is_missing_has_failed_and_what_is_undefined_is_warned_of(store: Path, tmp_path: Path) -> None:
    for team, result, tests in (("E002", "FAILED", "failedTests"), ("E003", "WARNED", "warnedTests")):
        path = export(store, team, tmp_path, split="test")
        assert provenance.verify(path) == []
        members = unpack(path.read_bytes())
        predicate = json.loads(members["statement.json"])["predicate"]
        assert predicate["result"] == result
        assert f"{ROSTER.songs[1]} for L2" in predicate[tests]
    run = json.loads(unpack((tmp_path / "E002_test.cad1.zip").read_bytes())["run.json"])
    assert run["scores"]["average"] is None
    assert run["failures"][0]["message"] == "It needed more than it may have."


def test_a_disqualified_team_has_failed(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    with Ledger(copy) as ledger:
        ledger.disqualify("E001", why="it was another team's")
    path = export(copy, "E001", tmp_path)
    members = unpack(path.read_bytes())
    assert json.loads(members["statement.json"])["predicate"]["result"] == "FAILED"
    assert json.loads(members["run.json"])["scores"]["disqualified"] == "it was another team's"
    assert provenance.verify(path) == []


def test_a_complete_submission_goes_before_a_later_one_that_is_not(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    with Ledger(copy) as ledger:
        ledger.enter(Entry("E001", Key("7" * 64, ROSTER.digest, SCORER), "later.zip", 1, "scored"))
    run = json.loads(unpack(export(copy, "E001", tmp_path).read_bytes())["run.json"])
    assert run["submission"]["name"] == "submission_E001.zip"


def test_every_byte_of_a_small_part_and_many_of_the_whole(signed: Path, keys, tmp_path: Path) -> None:
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
            problems = provenance.verify(bad, key=key)
            assert problems, f"byte {place} was changed, and nothing was found"
            assert all(one.endswith(".") for one in problems)


def reseal(path: Path, **changed: bytes | None) -> list[str]:
    """Packs a bundle anew with other members: every check sum of the zip is right."""
    members: dict[str, bytes] = unpack(path.read_bytes())
    for name, content in changed.items():
        full = name.replace("_DOT_", ".")
        if content is None:
            members.pop(full)
        else:
            members[full] = content
    path.write_bytes(pack(members))
    return provenance.verify(path)


@pytest.mark.parametrize("member", ["scores.csv", "run.json", "statement.json", ENVELOPE])
def test_a_member_changed_and_packed_again(signed: Path, member: str) -> None:
    good = unpack(signed.read_bytes())
    generator = random.Random(member)
    content = good[member]
    for place in generator.sample(range(len(content)), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        signed.write_bytes(pack(good | {member: bytes(damaged)}))
        problems = provenance.verify(signed)
        if member == ENVELOPE and not problems:
            # the signature and the key's name are base64 and hexadecimal: only the key can tell
            assert b'"sig"' in content
            continue
        assert problems, f"{member}, byte {place}"


def test_an_envelope_changed_and_packed_again_never_passes_the_key(signed: Path, keys) -> None:
    good = unpack(signed.read_bytes())
    content = good[ENVELOPE]
    public = keys("organiser")[1]
    for place in range(content.rfind(b'"keyid"') - 20, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        signed.write_bytes(pack(good | {ENVELOPE: bytes(damaged)}))
        assert provenance.verify(signed, key=public), f"byte {place}"


def test_a_better_score_in_every_place_but_the_signature(
    store: Path, signed: Path, keys, tmp_path: Path
) -> None:
    """A forger who makes everything anew fits by itself; the key tells."""
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    better = Key("5" * 64, ROSTER.digest, Scorer("d" * 64, "pyclarity", True))
    with Ledger(copy) as ledger:
        ledger.enter(Entry("E001", better, "submission_E001.zip", 1234, "scored"))
        for example in ROSTER.examples:
            ledger.store(better, StoredExample(*example, values(0.99)), run=None)
    forged = unpack(export(copy, "E001", tmp_path / "forged.zip").read_bytes())
    forged[ENVELOPE] = unpack(signed.read_bytes())[ENVELOPE]
    signed.write_bytes(pack(forged))
    for key in (None, keys("organiser")[1]):
        assert provenance.verify(signed, key=key) == [
            "The signature is about another statement than the bundle's."
        ]


def test_the_wrong_key(signed: Path, keys) -> None:
    other = keys("somebody else")[1]
    (problem,) = provenance.verify(signed, key=other)
    assert "was not made by the owner of" in problem


def test_another_key_that_calls_itself_the_right_one(store: Path, keys, tmp_path: Path) -> None:
    right, wrong = (
        export(store, "E001", tmp_path / f"{name}.zip", key=keys(name)[0]) for name in ("organiser", "forger")
    )
    ids = [json.loads(unpack(one.read_bytes())[ENVELOPE])["signatures"][0]["keyid"] for one in (right, wrong)]
    members = unpack(wrong.read_bytes())
    members[ENVELOPE] = members[ENVELOPE].replace(ids[1].encode(), ids[0].encode())
    wrong.write_bytes(pack(members))
    (problem,) = provenance.verify(wrong, key=keys("organiser")[1])
    assert "was not made by the owner of" in problem


def test_unsigned_where_a_key_is_asked_for(store: Path, keys, tmp_path: Path) -> None:
    path = export(store, "E001", tmp_path)
    assert provenance.verify(path) == []
    assert not provenance.is_signed(path)
    assert provenance.verify(path, key=keys("organiser")[1]) == ["E001_test.cad1.zip is not signed."]


def test_the_envelope_is_dsse(signed: Path, keys) -> None:
    """Checked by the specification itself: the key signs the pre-authentication encoding."""
    members = unpack(signed.read_bytes())
    envelope = json.loads(members[ENVELOPE])
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    assert payload == members["statement.json"]
    encoded = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"organiser").digest()).public_key()
    key.verify(signature, encoded)


def test_two_signatures_are_refused(signed: Path) -> None:
    members = unpack(signed.read_bytes())
    envelope = json.loads(members[ENVELOPE])
    envelope["signatures"] *= 2
    text = (json.dumps(envelope, sort_keys=True, indent=1) + "\n").encode()
    (problem,) = reseal(signed, **{ENVELOPE.replace(".", "_DOT_"): text})
    assert "is no DSSE envelope" in problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run["scores"].update(average=0.9), "the average 0.9"),
        (lambda run: run["scores"].update(undefined=1), "counts other examples"),
        (lambda run: run["seeds"].update({ROSTER.songs[0]: 5}), "gives seeds that"),
        (lambda run: run.update(greatest_difference=0.0), "another greatest difference"),
        (lambda run: run.update(extra=1), "run.json is not of a bundle's form (extra"),
        (lambda run: run["scores"].update(average=float("nan")), "run.json is not of a bundle's form"),
        (lambda run: run["submission"].update(team="E002"), "statement.json is not what"),
        (lambda run: run["challenge"].update(listeners=["L1", "L1"]), "names a song or a listener twice"),
        (lambda run: run.pop("log_head"), "run.json is not of a bundle's form (log_head"),
        (lambda run: run["runs"][0].update(cpu="x" * 5000), "run.json is not of a bundle's form"),
    ],
)
def test_a_run_record_that_does_not_fit(store: Path, tmp_path: Path, change, said: str) -> None:
    path = export(store, "E001", tmp_path)
    run = json.loads(unpack(path.read_bytes())["run.json"])
    change(run)
    text = (json.dumps(run, indent=1, ensure_ascii=False) + "\n").encode()
    assert any(said in one for one in reseal(path, run_DOT_json=text))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("L2", "L3"), "there is no example"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "counts other examples"),
        (lambda text: text.replace("0.07692307692307693", "0.08"), "where the mean of the eight values is"),
        (lambda text: text + "\n", "scores.csv is not what"),
        (lambda text: text.replace("song,", "Song,"), "expected the header"),
        (lambda text: "\ufffd" + text, "expected the header"),
    ],
)
def test_scores_that_do_not_fit(store: Path, tmp_path: Path, change, said: str) -> None:
    path = export(store, "E001", tmp_path)
    text = unpack(path.read_bytes())["scores.csv"].decode()
    changed = change(text)
    assert changed != text
    assert any(said in one for one in reseal(path, scores_DOT_csv=changed.encode()))


def test_scores_that_are_no_text(store: Path, tmp_path: Path) -> None:
    path = export(store, "E001", tmp_path)
    assert reseal(path, scores_DOT_csv=b"\xff\xfe") == ["scores.csv is not UTF-8 text."]


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def test_everything_that_is_no_bundle(signed: Path, tmp_path: Path) -> None:
    good = signed.read_bytes()
    members = unpack(good)
    three = {name: members[name] for name in packing.REQUIRED}
    bomb = zipped(dict.fromkeys(packing.REQUIRED, b"0" * 10**7), zipfile.ZIP_DEFLATED)
    for content, said in (
        (b"", "is no zip"),
        (b"PK\x05\x06" + b"\0" * 18, "holds nothing"),
        (b"x" * 10_000, "is no zip"),
        (good[:-1], "is no zip"),
        (good[: len(good) // 2], "is no zip"),
        (good + b"\0", "other bytes"),
        (b"#!/bin/sh\n" + good, "other bytes"),
        (zipped(members), "other bytes"),
        (zipped(three, zipfile.ZIP_DEFLATED), "is compressed"),
        (bomb, "is compressed"),
        (pack(members | {"extra.txt": b""}), "'extra.txt'"),
        (pack(dict(reversed(three.items()))), "holds 'statement.json'"),
        (pack({"scores.csv": b""}), "where a bundle holds"),
        (pack({}), "holds nothing"),
        (b"\0" * (packing.MAX_BYTES + 1), "is larger than"),
    ):
        path = tmp_path / "x.zip"
        path.write_bytes(content)
        (problem,) = provenance.verify(path)
        assert said in problem
        assert problem.startswith("x.zip ")


def test_a_member_that_stands_there_twice(signed: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed, pytest.warns(UserWarning, match="Duplicate"):  # noqa: PT031
        for name in (*packing.REQUIRED, "scores.csv"):
            packed.writestr(name, b"")
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    (problem,) = provenance.verify(tmp_path / "x.zip")
    assert "where a bundle holds" in problem


def test_what_can_not_be_read_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            provenance.verify(path)


def test_keys_that_are_none(store: Path, signed: Path, keys, tmp_path: Path) -> None:
    private, public = keys("organiser")
    curve = generate_private_key(SECP256R1())
    key = Ed25519PrivateKey.generate()
    files = {
        "curve": curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "curve.pub": curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "locked": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "garbage": b"\0" * 100,
        "large": b"-" * 100_000,
        "empty": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for wrong in ("curve", "locked", "garbage", "large", "empty", "none", str(public)):
        with pytest.raises(UsageError) as caught:
            export(store, "E001", tmp_path / "never.zip", key=tmp_path / wrong)
        assert "key" in caught.value.message
        assert not (tmp_path / "never.zip").exists()
    for wrong in ("curve.pub", "garbage", "large", "empty", "none", str(private)):
        with pytest.raises(UsageError):
            provenance.verify(signed, key=tmp_path / wrong)


def test_a_damaged_ledger_is_not_exported(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    with closing(sqlite3.connect(copy / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE audits SET pyclarity = 7.0")
    with pytest.raises(SetupError, match=r"no bundle may hold: (audits\.0\.)?pyclarity"):
        export(copy, "E001", tmp_path / "never.zip")
    assert not (tmp_path / "never.zip").exists()


def test_nothing_to_export(store: Path, tmp_path: Path) -> None:
    for team, split in (("E777", None), ("E001", "valid")):
        with pytest.raises(UsageError, match=f"{team} has no scores"):
            export(store, team, tmp_path, split=split)


def test_without_the_libraries_a_sentence(
    store: Path, signed: Path, keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "securesystemslib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SetupError, match="Signatures need securesystemslib") as caught:
        export(store, "E001", signed.parent, key=keys("organiser")[0])
    assert "cad1-harness[sign]" in caught.value.hint
    with pytest.raises(SetupError):
        provenance.verify(signed, key=keys("organiser")[1])
    assert provenance.verify(signed) == [], "what needs no key needs no library"
