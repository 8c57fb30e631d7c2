"""The evaluator image: its build context, its build without a network, and its check against the lock."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, locate, scoring_files
from harness.sandbox.wheels import IMAGE_PLATFORM, cache_folder, fill

if TYPE_CHECKING:
    import docker

IMAGE = "cad1-evaluator:latest"
LOCK_LABEL = "cad1-harness.protocol.lock"
ENTRIES_LABEL = "cad1-harness.protocol.lock.entries"
BASE_LABEL = "cad1-harness.base"
SCORER_LOCK = "harness/scorer.lock"


@dataclass(frozen=True)
class ImageFacts:
    """What a score says of the image that made it: both ids, and the base's name or digest."""

    id: str
    base: str


def default_base() -> str:
    """The base image that the Dockerfile names, by digest."""
    for line in locate("Dockerfile", HARNESS.parent).read_text(encoding="utf-8").splitlines():
        if line.startswith("ARG BASE_IMAGE="):
            return line.partition("=")[2]
    raise SetupError("The Dockerfile names no BASE_IMAGE.", hint="Restore it from version control.")


def build_context(root: Path, wheels: list[Path]) -> bytes:
    """A tar of the Dockerfile, the wheels and the files of the lock, with every date and owner fixed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        members = [(f"wheels/{wheel.name}", wheel) for wheel in wheels]
        members += [(name, locate(name, root)) for name in [*scoring_files(root), SCORER_LOCK]]
        for name, path in sorted(members):
            data = path.read_bytes()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def build(
    client: docker.DockerClient, *, base: str = "", tag: str = IMAGE, log: Callable[[str], None]
) -> str:
    """Builds the evaluator image, with no network during the build, and returns its id.

    Args:
        client: The engine.
        base: Another base image than the Dockerfile's.
        tag: The name of the new image.
        log: Gets each line of the build's output.

    Raises:
        SetupError: If the base can't be had, a wheel is missing, a file is not what the lock says, or a step fails.
    """
    from docker.errors import DockerException, ImageNotFound, NotFound  # noqa: PLC0415

    lock = Lock.load()
    lock.check_host()
    base = base or default_base()
    wheels = fill(cache_folder() / "wheels-image", platform=IMAGE_PLATFORM)
    try:
        try:
            image = client.images.get(base)
        except (ImageNotFound, NotFound):
            log(f"pulling {base}")
            image = client.images.pull(base)
        stream = client.api.build(
            fileobj=io.BytesIO(build_context(HARNESS.parent, wheels)),
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            network_mode="none",
            buildargs={"BASE_IMAGE": base},
            labels={
                LOCK_LABEL: lock.digest,
                ENTRIES_LABEL: json.dumps(lock.entries, separators=(",", ":")),
                BASE_LABEL: f"{base} ({image.id})",
            },
        )
        tail: list[str] = []
        for event in stream:
            if (text := str(event.get("stream", "")).rstrip()) and ENTRIES_LABEL not in text:
                log(text)
                tail = [*tail, text][-20:]
            if error := event.get("error"):
                raise SetupError(
                    f"The evaluator image could not be built: {error}.",
                    hint="The last lines of the build say more.",
                    detail="\n".join(tail),
                )
        return str(client.images.get(tag).id)
    except (DockerException, OSError) as error:
        raise SetupError(
            f"The evaluator image could not be built from {base}: {error}.",
            hint="Where no image registry is reached, build a base with scripts/debian-base.sh and give it as "
            "`--base-image cad1-base:bookworm`.",
        ) from error


def check_image(client: docker.DockerClient, name: str, lock: Lock) -> ImageFacts:
    """Holds an image's label to the lock.

    Raises:
        SetupError: If there is no such image or it was built from another lock; names what differs.
    """
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415

    try:
        image = client.images.get(name)
    except ImageNotFound as error:
        raise SetupError(
            f"There is no evaluator image {name} on this engine.",
            hint="Build it: `cad1 image build` (with `--base-image` where no image registry is reached).",
        ) from error
    except (DockerException, OSError) as error:
        raise SetupError(
            "The Docker engine does not tell its images.", hint="See `cad1 doctor`.", detail=str(error)
        ) from error
    labels = image.labels
    if labels.get(LOCK_LABEL) != lock.digest:
        try:
            entries = json.loads(labels.get(ENTRIES_LABEL, "{}"))
        except ValueError:
            entries = {}
        names = sorted(
            name for name in {*entries, *lock.entries} if entries.get(name) != lock.entries.get(name)
        )
        raise SetupError(
            f"The image {name} was built from another harness/scorer.lock "
            f"({str(labels.get(LOCK_LABEL))[:12]}… where {lock.digest[:12]}… is here); "
            f"they differ in {', '.join(names[:8]) or 'the lock file itself'}.",
            hint="Restore scorer.lock from version control, or build the image anew with `cad1 image build`.",
        )
    return ImageFacts(id=str(image.id), base=labels.get(BASE_LABEL, "unknown"))
