"""Which bits may score: `scorer.lock`, a file of SHA-256 digests, and the check against it.

The lock names the requirement file, the Dockerfile, every source file that takes part in scoring and the modules
of the installed pyclarity that compute HAAQI. Its own digest, the *scorer digest*, goes with every score.

`python -m harness.protocol.lock` writes it anew; a test holds it to the files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.protocol.errors import SetupError

HARNESS = Path(__file__).resolve().parents[1]
LOCK_FILE = HARNESS / "scorer.lock"
REQUIREMENTS = "harness/scorer-requirements.txt"
DOCKERFILE = "Dockerfile"

LOCKED: tuple[str, ...] = (
    "harness/__init__.py",
    *(f"harness/{room}/**/*.py" for room in ("evaluator", "haaqi", "protocol")),
    "validator/__init__.py",
    *(f"validator/{room}/**/*.py" for room in ("archive", "challenge", "findings", "formats")),
)
"""What may move a score: whole rooms. It goes into the sandbox, and nothing else does."""

PYCLARITY_MODULES: tuple[str, ...] = (
    "__init__.py",
    "enhancer/__init__.py",
    "enhancer/nalr.py",
    "evaluator/__init__.py",
    "evaluator/haaqi/__init__.py",
    "evaluator/haaqi/haaqi.py",
    "evaluator/haspi/__init__.py",
    "evaluator/haspi/eb.py",
    "evaluator/haspi/ebm.py",
    "evaluator/haspi/haspi.py",
    "evaluator/haspi/ip.py",
    "evaluator/msbg/__init__.py",
    "evaluator/msbg/msbg_utils.py",
)
"""Every module that `import clarity.evaluator.haaqi` brings in."""

_ENTRY = re.compile(r"^([0-9a-f]{64})  (\S.*)$")


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def locate(name: str, root: Path) -> Path:
    """Where the lock's entry `name` lies in a tree rooted at `root` (a clone, a wheel or the image)."""
    if name == DOCKERFILE and not (root / name).is_file():
        return root / "harness" / name  # a wheel carries it inside the package
    return root / name


def scoring_files(root: Path) -> list[str]:
    """Names of all files of the tree at `root` that the lock must hold, sorted."""
    names = {DOCKERFILE, REQUIREMENTS}
    for pattern in LOCKED:
        names.update(path.relative_to(root).as_posix() for path in root.glob(pattern))
    return sorted(names)


def pinned_versions(root: Path) -> dict[str, str]:
    """The version of each package in the requirement file of the tree at `root`."""
    text = (root / REQUIREMENTS).read_text(encoding="utf-8")
    return {
        match[1]: match[2] for match in re.finditer(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", text, re.MULTILINE)
    }


def installed_versions(root: Path) -> dict[str, str]:
    """The installed version of each package that the requirement file names; absent ones are left out."""
    found = {}
    for name in pinned_versions(root):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def version_differences(root: Path) -> list[str]:
    """Which installed packages are not the pinned ones, one sentence each."""
    installed = installed_versions(root)
    return [
        f"{name} is {installed.get(name, 'missing')} where the lock pins {pin}"
        for name, pin in pinned_versions(root).items()
        if installed.get(name) != pin
    ]


def pyclarity_root() -> Path | None:
    """The folder of the installed pyclarity, or None; nothing of it is imported."""
    spec = importlib.util.find_spec("clarity")
    return Path(spec.origin).parent if spec and spec.origin else None


@dataclass(frozen=True)
class Lock:
    """The digests of everything that may score.

    Attributes:
        entries: SHA-256 by name; names under `pyclarity/` are modules of the installed pyclarity.
        digest: The SHA-256 of the lock file itself: the scorer digest.
    """

    entries: dict[str, str]
    digest: str

    @classmethod
    def load(cls, path: Path = LOCK_FILE) -> Lock:
        """Reads a lock file.

        Raises:
            SetupError: If it is missing or holds a line that is not a digest and a name.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SetupError(
                f"The scorer's lock {path.name} can't be read: {error.strerror}.",
                hint="Install cad1-harness anew, or restore the file from version control.",
            ) from error
        entries: dict[str, str] = {}
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            if not line or line.startswith("#"):
                continue
            match = _ENTRY.match(line)
            if not match:
                raise SetupError(
                    f"{path.name}, line {number}: expected a SHA-256 digest and a name, found {line[:80]!r}.",
                    hint="Restore the file from version control.",
                )
            entries[match[2]] = match[1]
        return cls(entries=entries, digest=sha256(data))

    def differences(self, root: Path, *, pyclarity: Path | None, host: bool = False) -> list[str]:
        """What in the tree at `root` is not what the lock says, one sentence each.

        Args:
            root: The tree that holds `harness` and `validator`.
            pyclarity: The installed pyclarity's folder; None where it is not installed.
            host: True on the host, where pyclarity need not be installed; its modules are then not looked at.
        """
        found = []
        for name, digest in self.entries.items():
            if name.startswith("pyclarity/"):
                if host:
                    continue
                path = pyclarity / name.removeprefix("pyclarity/") if pyclarity else None
            else:
                path = locate(name, root)
            if path is None or not path.is_file():
                found.append(f"{name} is missing")
            elif (actual := sha256(path.read_bytes())) != digest:
                found.append(f"{name} has SHA-256 {actual[:12]}… where the lock says {digest[:12]}…")
        found += [
            f"{name} takes part in scoring and is not in the lock"
            for name in scoring_files(root)
            if name not in self.entries
        ]
        return found

    def check_host(self) -> None:
        """Holds this installation's scoring files to the lock.

        Raises:
            SetupError: If a file differs; the sentence names it.
        """
        differences = self.differences(HARNESS.parent, pyclarity=None, host=True)
        if differences:
            raise SetupError(
                f"The scoring code does not match scorer.lock: {'; '.join(differences)}.",
                hint="Restore the file; or, if the change is meant, run `make lock` and "
                "`cad1 image build`: scores of the two locks never share a ranking.",
            )


def render(root: Path, *, pyclarity: Mapping[str, str]) -> str:
    """The text of a new lock for the tree at `root`.

    Args:
        root: The tree that holds `harness` and `validator`.
        pyclarity: SHA-256 of each of `PYCLARITY_MODULES`, by its name in the lock.
    """
    own = {name: sha256(locate(name, root).read_bytes()) for name in scoring_files(root)}
    lines = [f"{digest}  {name}" for name, digest in [*own.items(), *sorted(pyclarity.items())]]
    return (
        "\n".join(["# SHA-256 of everything that takes part in scoring; made by `make lock`.", *lines]) + "\n"
    )


def _relock() -> None:
    """Writes scorer.lock anew; pyclarity's digests stay as they are where it is not installed."""
    installed = pyclarity_root()
    if installed is not None:
        modules = {f"pyclarity/{name}": sha256((installed / name).read_bytes()) for name in PYCLARITY_MODULES}
    else:
        modules = {name: d for name, d in Lock.load().entries.items() if name.startswith("pyclarity/")}
    text = render(HARNESS.parent, pyclarity=modules)
    LOCK_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(
        f"{LOCK_FILE.name}: {len(text.splitlines()) - 1} digests, scorer {sha256(text.encode())}\n"
    )


if __name__ == "__main__":
    _relock()
