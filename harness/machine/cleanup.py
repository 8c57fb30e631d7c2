"""`cad1 clean`: removes what runs that no longer live have left on this machine and in the store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from harness.ledger.ledger import FILE, Ledger
from harness.protocol.errors import HarnessError
from harness.protocol.lock import Lock
from harness.sandbox.docker.engine import connect, engine_failed
from harness.sandbox.docker.image import LOCK_LABEL
from harness.sandbox.leftovers import sweep
from harness.sandbox.local.environment import ENVIRONMENT_PREFIX, environment_folder
from harness.sandbox.wheels import cache_folder
from harness.score.heartbeat import is_dead

SETTLED_SECONDS = 60.0
"""A file that is written in one step exists for milliseconds; one so old was left by a run that was killed."""


def clean(store: Path, *, images: bool = False) -> list[str]:
    """Removes left-overs and says what was removed, one line each; what is in use stays.

    Args:
        store: Its leases of dead runs and half-written files go too; there need be none.
        images: Also evaluator images and environments of other locks than this one.

    Raises:
        SetupError: If the store can't be written.
    """
    done = sweep()
    lines = [f"removed {one.kind} {one.name} of run {one.stamp}" for one in done.removed]
    lines += [f"could not remove {one.kind} {one.name}: {why}" for one, why in done.kept]
    if (store / FILE).is_file():
        with Ledger(store) as ledger:
            for lease in ledger.bury(is_dead):
                lines.append(f"{lease.team} is no longer held by {lease.runner}; score it again to go on")
        lines += _half_written(store)
    if images:
        lines += [*_images(), *_environments()]
    return lines or ["Nothing was left behind."]


def _half_written(store: Path) -> Iterator[str]:
    """Files that were to be renamed into place."""
    for path in sorted(store.glob(".*.md.*")):
        if time.time() - path.stat().st_mtime > SETTLED_SECONDS:
            path.unlink(missing_ok=True)
            yield f"removed half-written {path}"


def _images() -> Iterator[str]:
    """Images of the evaluator that carry another lock; one that a container still uses stays."""
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    digest = Lock.load().digest
    try:
        client = connect()
        found = client.images.list(filters={"label": LOCK_LABEL})
    except (HarnessError, DockerException, OSError) as error:
        yield f"could not look at the engine's images: {error}"
        return
    for image in found:
        if image.labels.get(LOCK_LABEL) == digest:
            continue
        try:
            client.images.remove(str(image.id))
        except APIError as error:
            yield f"could not remove image {image.short_id}: {engine_failed('remove it', error).detail}"
        else:
            yield f"removed image {image.short_id} of another lock"


def _environments() -> Iterator[str]:
    """Virtual environments of the process sandbox for other locks."""
    current = environment_folder(Lock.load())
    for folder in sorted(cache_folder().glob(f"{ENVIRONMENT_PREFIX}*")):
        if folder.is_dir() and folder != current:
            shutil.rmtree(folder)
            yield f"removed environment {folder}"
