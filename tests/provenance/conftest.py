"""Fixtures of bundles and keys."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.provenance.bundles import Keys, export, fill


@pytest.fixture(scope="session")
def bundle_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store to make bundles of, see `tests.provenance.bundles.fill`; must not be written to."""
    store = tmp_path_factory.mktemp("bundle") / "store"
    fill(store)
    return store


@pytest.fixture
def store(full_store: Path, tmp_path: Path) -> Path:
    """A copy of the full store, next to which `full_store` stays unchanged."""
    return Path(shutil.copytree(full_store, tmp_path / "copy"))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A function of a name that returns the paths of a private and a public key."""
    folder = tmp_path_factory.mktemp("keys")

    def make(name: str) -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        if not private.exists():
            key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
            private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make


@pytest.fixture
def signed(bundle_store: Path, keys: Keys, tmp_path: Path) -> Path:
    """A signed bundle, which the test may write to."""
    return export(bundle_store, "E001", tmp_path / "signed.zip", key=keys("organiser")[0])
