"""Signatures: the key proves who made a bundle."""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import shutil
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
from harness.ledger.entities import Entry, Key, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError, UsageError
from harness.provenance.packing import ENVELOPE, pack, unpack
from tests.provenance.bundles import ROSTER, Keys, export, reseal
from tests.values import values


def test_a_better_score_everywhere_but_in_the_signature(
    bundle_store: Path, signed: Path, keys: Keys, tmp_path: Path
) -> None:
    """A forger can make everything consistent but the signature."""
    copy = Path(shutil.copytree(bundle_store, tmp_path / "store"))
    better = Key("5" * 64, ROSTER.digest, Scorer("d" * 64, "pyclarity", True))
    with Ledger(copy) as ledger:
        ledger.enter(Entry("E001", better, "submission_E001.zip", 1234, "scored"))
        for example in ROSTER.examples:
            ledger.store(better, StoredExample(*example, values(0.99)), run=None)
    forged = unpack(export(copy, "E001", tmp_path / "forged.zip").read_bytes())
    forged[ENVELOPE] = unpack(signed.read_bytes())[ENVELOPE]
    signed.write_bytes(pack(forged))
    for key in (None, keys("organiser")[1]):
        assert provenance.verify_bundle(signed, key=key) == [
            "The signature belongs to another statement than the bundle's."
        ]


def test_the_wrong_key(signed: Path, keys: Keys) -> None:
    other = keys("another")[1]
    (problem,) = provenance.verify_bundle(signed, key=other)
    assert "was not made by the owner of" in problem


def test_another_key_with_the_right_id(bundle_store: Path, keys: Keys, tmp_path: Path) -> None:
    right, wrong = (
        export(bundle_store, "E001", tmp_path / f"{name}.zip", key=keys(name)[0])
        for name in ("organiser", "forger")
    )
    ids = [json.loads(unpack(one.read_bytes())[ENVELOPE])["signatures"][0]["keyid"] for one in (right, wrong)]
    members = unpack(wrong.read_bytes())
    members[ENVELOPE] = members[ENVELOPE].replace(ids[1].encode(), ids[0].encode())
    wrong.write_bytes(pack(members))
    (problem,) = provenance.verify_bundle(wrong, key=keys("organiser")[1])
    assert "was not made by the owner of" in problem


def test_an_unsigned_bundle_where_a_key_is_given(bundle_store: Path, keys: Keys, tmp_path: Path) -> None:
    path = export(bundle_store, "E001", tmp_path)
    assert provenance.verify_bundle(path) == []
    assert ENVELOPE not in unpack(path.read_bytes())
    assert provenance.verify_bundle(path, key=keys("organiser")[1]) == ["E001_test.cad1.zip is not signed."]


def test_the_envelope_is_dsse(signed: Path, keys: Keys) -> None:
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
    assert "is not a valid DSSE envelope" in problem


def test_an_envelope_changed_and_packed_again_never_passes_the_key(signed: Path, keys: Keys) -> None:
    good = unpack(signed.read_bytes())
    content = good[ENVELOPE]
    public = keys("organiser")[1]
    for place in range(content.rfind(b'"keyid"') - 20, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        signed.write_bytes(pack(good | {ENVELOPE: bytes(damaged)}))
        assert provenance.verify_bundle(signed, key=public), f"byte {place}"


def test_files_that_are_not_keys(bundle_store: Path, signed: Path, keys: Keys, tmp_path: Path) -> None:
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
            export(bundle_store, "E001", tmp_path / "never.zip", key=tmp_path / wrong)
        assert "key" in caught.value.message
        assert not (tmp_path / "never.zip").exists()
    for wrong in ("curve.pub", "garbage", "large", "empty", "none", str(private)):
        with pytest.raises(UsageError):
            provenance.verify_bundle(signed, key=tmp_path / wrong)


def test_missing_libraries_are_explained(
    bundle_store: Path, signed: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "securesystemslib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SetupError, match="Signatures need securesystemslib") as caught:
        export(bundle_store, "E001", signed.parent, key=keys("organiser")[0])
    assert caught.value.extra == "sign"
    with pytest.raises(SetupError):
        provenance.verify_bundle(signed, key=keys("organiser")[1])
    assert provenance.verify_bundle(signed) == [], "without a key no library is needed"
