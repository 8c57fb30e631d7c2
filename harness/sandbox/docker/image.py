"""The sandbox image: its build context, its build without a network, and its checks against the lock."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.haaqi.target import environment
from harness.protocol.errors import SetupError
from harness.protocol.lock import (
    DOCKERFILE,
    HARNESS,
    SCORER_LOCK,
    Lock,
    ProgramName,
    locate,
    scoring_files,
)
from harness.sandbox.docker.engine import reason_of
from harness.sandbox.wheels import IMAGE_PLATFORM, cache_folder, fill

if TYPE_CHECKING:
    import docker

IMAGE = "cad1-evaluator:latest"

PROGRAMS: dict[ProgramName, tuple[str, ...]] = {
    name: (f"/opt/cad1/{name}/bin/python", "-m", f"harness.{name}") for name in get_args(ProgramName)
}
"""The command of each program in the image."""

LOCK_LABEL = "cad1-harness.lock"
ENTRIES_LABEL = "cad1-harness.lock.entries"
BASE_LABEL = "cad1-harness.base"
RENDERED_DOCKERFILE = "Dockerfile.rendered"
TARGET_PLACEHOLDER = "@TARGET@"
"""Where the Dockerfile takes the variables that fix the processor."""


@dataclass(frozen=True)
class ImageFacts:
    """What a score records of the image that made it.

    Attributes:
        id: The image's id.
        base: The base image's name and id.
    """

    id: str
    base: str


def default_base() -> str:
    """The base image in the Dockerfile, pinned by digest."""
    for line in locate(DOCKERFILE, HARNESS.parent).read_text(encoding="utf-8").splitlines():
        if line.startswith("ARG BASE_IMAGE="):
            return line.partition("=")[2]
    raise SetupError("The Dockerfile has no BASE_IMAGE.", hint="Restore it from version control.")


def render(dockerfile: str) -> str:
    """The Dockerfile with the variables of `harness.haaqi.target` in the place of `TARGET_PLACEHOLDER`.

    Raises:
        SetupError: If it does not have exactly one such place.
    """
    if dockerfile.count(TARGET_PLACEHOLDER) != 1:
        raise SetupError(
            f"The Dockerfile must have {TARGET_PLACEHOLDER} exactly once.",
            hint="Restore it from version control.",
        )
    target = " ".join(f'{name}="{value}"' for name, value in environment().items())
    return dockerfile.replace(TARGET_PLACEHOLDER, target)


def build_context(root: Path, wheels: Mapping[ProgramName, list[Path]]) -> bytes:
    """A tar of the wheels, the files of the lock and the rendered Dockerfile, with every date and owner fixed.

    Args:
        root: The tree that holds `harness` and `validator`.
        wheels: The wheels of each program's environment.
    """
    files = {
        f"wheels/{program}/{wheel.name}": wheel.read_bytes()
        for program, some in wheels.items()
        for wheel in some
    }
    files |= {name: locate(name, root).read_bytes() for name in [*scoring_files(root), SCORER_LOCK]}
    files[RENDERED_DOCKERFILE] = render(files[DOCKERFILE].decode()).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def build(
    client: docker.DockerClient, *, base: str = "", tag: str = IMAGE, log: Callable[[str], None]
) -> str:
    """Builds the evaluator image without a network, and returns its id.

    Args:
        client: The engine.
        base: A base image instead of the Dockerfile's.
        tag: The name of the new image.
        log: Gets each line of the build's output.

    Raises:
        SetupError: If there is no base image, a wheel is missing, a file differs from the lock, or a step fails.
    """
    from docker.errors import DockerException, ImageNotFound, NotFound  # noqa: PLC0415

    lock = Lock.load()
    lock.check_host()
    base = base or default_base()
    wheels = {
        program: fill(cache_folder() / "wheels-image" / program, program, platform=IMAGE_PLATFORM)
        for program in PROGRAMS
    }
    try:
        try:
            image = client.images.get(base)
        except (ImageNotFound, NotFound):
            log(f"pulling {base}")
            image = client.images.pull(base)
        stream = client.api.build(
            fileobj=io.BytesIO(build_context(HARNESS.parent, wheels)),
            custom_context=True,
            dockerfile=RENDERED_DOCKERFILE,
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            network_mode="none",
            buildargs={"BASE_IMAGE": base, "LOCK": lock.digest},
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
                    hint="See the last lines of the build.",
                    detail="\n".join(tail),
                )
        identity = str(client.images.get(tag).id)
    except (DockerException, OSError) as error:
        raise SetupError(
            f"The evaluator image could not be built from {base}: {reason_of(error)}.",
            hint="If no image registry can be reached, make a base image of Debian packages with "
            "`cad1 image base`, and pass `--base-image cad1-base:bookworm`.",
        ) from error
    record = _build_record(identity)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(lock.digest, encoding="ascii")
    return identity


def _build_record(identity: str) -> Path:
    """The file that says that this user built the image with this id; it holds the digest of the lock."""
    return cache_folder() / "images" / identity.replace(":", "-")


def built_here(identity: str, lock: Lock) -> bool:
    """Whether this user's `build` made the image with this id from this lock."""
    try:
        return _build_record(identity).read_text(encoding="ascii") == lock.digest
    except FileNotFoundError:
        return False


def check_image(client: docker.DockerClient, name: str, lock: Lock) -> ImageFacts:
    """Checks an image's label against the lock, and that `build` made it here or that it is named by its id.

    A label is no proof: whoever changes an image can keep it. An id is one, since it is a digest of every file.

    Raises:
        SetupError: If there is no such image, if it was built from another lock (names what differs), or if it was
            neither built here nor named by its id.
    """
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415

    try:
        image = client.images.get(name)
    except ImageNotFound as error:
        raise SetupError(
            f"There is no evaluator image {name} on this engine.",
            hint="Build it: `cad1 image build` (with `--base-image` if no image registry can be reached).",
        ) from error
    except (DockerException, OSError) as error:
        raise SetupError(
            "The Docker engine did not list its images.", hint="See `cad1 doctor`.", detail=str(error)
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
            f"({str(labels.get(LOCK_LABEL))[:12]}…, but this one is {lock.digest[:12]}…); "
            f"they differ in {', '.join(names[:8]) or 'the lock file itself'}.",
            hint="Restore scorer.lock from version control, or rebuild the image with `cad1 image build`.",
        )
    if name != image.id and not built_here(str(image.id), lock):
        raise SetupError(
            f"The image {name} is {image.id}, which this user's `cad1 image build` did not make.",
            hint="Build it: `cad1 image build`. If it comes from another machine, compare its id with the one that "
            "`cad1 image build` printed there, and name it by that id: `--image sha256:…`.",
        )
    return ImageFacts(id=str(image.id), base=labels.get(BASE_LABEL, "unknown"))
