"""Removes leftovers of dead runs from this machine and from a store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.protocol.errors import HarnessError
from harness.protocol.lock import Lock
from harness.sandbox.docker.engine import connect, engine_failed
from harness.sandbox.docker.image import LOCK_LABEL
from harness.sandbox.leftovers import sweep
from harness.sandbox.local.environment import ENVIRONMENT_PREFIX, PROGRAMS, environment_folder
from harness.sandbox.wheels import cache_folder
from harness.score.dead_runs import remove_dead_leases, remove_partial_files


def clean(store: Path, *, images: bool = False) -> list[str]:
    """Removes leftovers of dead runs; whatever a live run uses is kept.

    Args:
        store: Removes leases of dead runs and partially written files there; it need not exist.
        images: Also remove evaluator images and environments of other locks.

    Returns:
        What was removed and what could not be, one line each.

    Raises:
        SetupError: The store cannot be written.
    """
    result = sweep()
    lines = [f"removed {one.kind} {one.name} of run {one.stamp}" for one in result.removed]
    lines += [f"could not remove {one.kind} {one.name}: {reason}" for one, reason in result.kept]
    lines += [
        f"released {lease.team} from dead run {lease.runner}; score it again to continue"
        for lease in remove_dead_leases(store)
    ]
    lines += [f"removed partially written {path}" for path in remove_partial_files(store)]
    if images:
        lines += [*_remove_images(), *_remove_environments()]
    return lines or ["Nothing to remove."]


def _remove_images() -> Iterator[str]:
    """Removes evaluator images of other locks; one that a container still uses is kept."""
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    digest = Lock.load().digest
    try:
        client = connect()
        found = client.images.list(filters={"label": LOCK_LABEL})
    except (HarnessError, DockerException, OSError) as error:
        yield f"could not list the engine's images: {error}"
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


def _remove_environments() -> Iterator[str]:
    """Removes virtual environments of the process sandbox for other locks."""
    lock = Lock.load()
    current = {environment_folder(lock, program) for program in PROGRAMS}
    for folder in sorted(cache_folder().glob(f"{ENVIRONMENT_PREFIX}*")):
        if folder.is_dir() and folder not in current:
            shutil.rmtree(folder)
            yield f"removed environment {folder}"
