"""`statement.dsse.json`: the statement signed with an ed25519 key, as a DSSE envelope.

securesystemslib makes envelope and signature, cryptography reads the key; both come with the extra `sign`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.protocol.errors import SetupError, UsageError
from harness.provenance.packing import parse_member

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_KEY_BYTES = 16_384
"""An ed25519 key in PEM has about 120 bytes; a comment before it adds some."""

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Signature(_Frozen):
    keyid: Annotated[str, Field(min_length=1, max_length=200)]
    sig: Base64


class _Envelope(_Frozen):
    payload: Base64
    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815  (DSSE's name)
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


def sign(payload: bytes, key: Path) -> bytes:
    """Signs a payload.

    Args:
        payload: The bytes to sign.
        key: An ed25519 private key in PEM, without a password.

    Returns:
        The envelope as JSON.

    Raises:
        UsageError: The key can't be read or is not a valid one.
        SetupError: The libraries are not installed.
    """
    _require_libraries()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from securesystemslib.dsse import Envelope  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # noqa: PLC0415

    try:
        private = load_pem_private_key(_read_key(key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad_key(key, "private", error) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _bad_key(key, "private", f"it is a {type(private).__name__}")
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(private))
    return _render(envelope.to_dict())


def check_signature(envelope: bytes, payload: bytes, *, key: Path | None) -> list[str]:
    """Checks that an envelope is about a payload and, with a key, who signed it.

    Args:
        envelope: The JSON.
        payload: What it must contain.
        key: An ed25519 public key in PEM; without it the signature itself is not checked.

    Returns:
        The problems, one sentence each.

    Raises:
        UsageError: The key can't be read or is not a valid one.
        SetupError: The libraries are not installed.
    """
    public = None if key is None else _public_key(key)
    try:
        parsed = parse_member(_Envelope, envelope)
        if base64.b64encode(base64.b64decode(parsed.signatures[0].sig)).decode() != parsed.signatures[0].sig:
            raise ValueError("has a signature that is not canonical base64")
        if _render(parsed.model_dump(mode="json")) != envelope:
            raise ValueError("has JSON that is not canonical")
    except ValueError as error:  # also an ArchiveError, and one of base64
        return [f"The signature is not a valid DSSE envelope: it {error}."]
    if parsed.payload != base64.b64encode(payload).decode():
        return ["The signature belongs to another statement than the bundle's."]
    if public is None:
        return []
    from securesystemslib.dsse import Envelope  # noqa: PLC0415
    from securesystemslib.exceptions import Error  # noqa: PLC0415

    try:
        Envelope.from_dict(parsed.model_dump(mode="json")).verify([public], 1)
    except (Error, ValueError):
        return [
            f"The signature was not made by the owner of {key}: another key signed it, or it was changed."
        ]
    return []


def check_key(key: Path) -> None:
    """Checks that a file is a public key, without any signature.

    Raises:
        UsageError: The key can't be read or is not a valid one.
        SetupError: The libraries are not installed.
    """
    _public_key(key)


def _public_key(path: Path) -> SSlibKey:
    _require_libraries()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # noqa: PLC0415

    try:
        public = load_pem_public_key(_read_key(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad_key(path, "public", error) from error
    if not isinstance(public, Ed25519PublicKey):
        raise _bad_key(path, "public", f"it is a {type(public).__name__}")
    return SSlibKey.from_crypto(public)


def _read_key(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_KEY_BYTES:
            raise _bad_key(path, "ed25519", f"it has more than {MAX_KEY_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The key {path} can't be read: {error.strerror}.", hint="Give the path of a PEM file."
        ) from error


def _bad_key(path: Path, which: str, cause: object) -> UsageError:
    reason = (str(cause).splitlines() or [""])[0].rstrip(".")[:200]
    return UsageError(
        f"{path} is not an ed25519 {which} key in PEM without a password: {reason}.",
        hint="`openssl genpkey -algorithm ed25519 -out key.pem` makes a private key, "
        "`openssl pkey -in key.pem -pubout -out public.pem` its public one.",
    )


def _require_libraries() -> None:
    """Raises a SetupError if the extra is not installed."""
    try:
        import cryptography  # noqa: F401, PLC0415
        import securesystemslib  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise SetupError(f"Signatures need {error.name}, which is not installed.", extra="sign") from error


def _render(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()
