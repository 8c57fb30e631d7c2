"""Which code may score: `scorer.lock`, a file of SHA-256 digests, and the checks against it.

The lock lists both requirement files, the Dockerfile, every source file that takes part in scoring and the modules
of the installed pyclarity that compute HAAQI. Its own SHA-256, the *scorer digest*, is stored with every score.

`python -m harness.protocol.lock` rewrites it; a test checks that it is up to date.
`python -m harness.protocol.lock --check evaluator DIGEST` (or `decoder`) checks the environment in which it runs.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, get_args

from harness.protocol import distributions
from harness.protocol.errors import SetupError

HARNESS = Path(__file__).resolve().parents[1]
LOCK_FILE = HARNESS / "scorer.lock"
SCORER_LOCK = "harness/scorer.lock"
"""The lock file in a tree; not one of its own entries."""

ProgramName = Literal["evaluator", "decoder"]
"""The programs that run in sandboxes, each in an environment of its own."""

REQUIREMENTS: dict[ProgramName, str] = {
    "evaluator": "harness/scorer-requirements.txt",
    "decoder": "harness/decoder-requirements.txt",
}
"""The hash-locked packages of each program's environment."""

DOCKERFILE = "Dockerfile"

LOCKED: tuple[str, ...] = (
    "harness/__init__.py",
    *(f"harness/{room}/**/*.py" for room in ("decoder", "evaluator", "haaqi", "protocol")),
    "validator/__init__.py",
    *(f"validator/{room}/**/*.py" for room in ("archive", "challenge", "findings", "formats")),
)
"""Every source file that may change a score: whole folders. These go into the sandbox, and nothing else does."""

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
"""Every module that `import clarity.evaluator.haaqi` imports."""

PYCLARITY_PREFIX = "pyclarity/"
"""Entries under it are modules of the installed pyclarity."""

BESIDE_THE_TREE = frozenset({*get_args(ProgramName), "kernels"})
"""Folders beside the sources in the image: both environments and the compiled kernels. None of them has the name of
a package, since the folder that holds them comes first on the import path."""

CUSTOMIZATION = frozenset({"sitecustomize", "usercustomize"})
"""Modules that Python imports at every start."""

_COMPILED = re.compile(r"([^/]+)\.cpython-\d+(?:\.opt-[12])?\.pyc")
_ENTRY = re.compile(r"^([0-9a-f]{64})  (\S.*)$")


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def locate(name: str, root: Path) -> Path:
    """The path of the lock's entry `name` in a tree rooted at `root` (a clone, a wheel or the image)."""
    if name == DOCKERFILE and not (root / name).is_file():
        return root / "harness" / name  # a wheel has it inside the package
    return root / name


def scoring_files(root: Path) -> list[str]:
    """The sorted names of all files of the tree at `root` that the lock must list."""
    names = {DOCKERFILE, *REQUIREMENTS.values()}
    for pattern in LOCKED:
        names.update(path.relative_to(root).as_posix() for path in root.glob(pattern))
    return sorted(names)


def pinned_versions(root: Path, program: ProgramName = "evaluator") -> dict[str, str]:
    """The version of each package in a program's requirement file, from the tree at `root`."""
    text = (root / REQUIREMENTS[program]).read_text(encoding="utf-8")
    return {
        match[1]: match[2] for match in re.finditer(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", text, re.MULTILINE)
    }


def installed_versions(root: Path, program: ProgramName = "evaluator") -> dict[str, str]:
    """The installed version of each package in the requirement file; packages not installed are left out."""
    found = {}
    for name in pinned_versions(root, program):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def version_differences(root: Path, program: ProgramName = "evaluator") -> list[str]:
    """Each package whose installed version is not the pinned one, one sentence each."""
    installed = installed_versions(root, program)
    return [
        f"{name} is {installed.get(name, 'missing')}, but the lock pins {pin}"
        for name, pin in pinned_versions(root, program).items()
        if installed.get(name) != pin
    ]


def stray_files(root: Path) -> list[str]:
    """Each file of the tree at `root` that Python may import though the lock does not list it, one sentence each.

    Compiled files are among them: Python may run one without reading the source that the lock covers.
    """
    known = {*scoring_files(root), SCORER_LOCK}
    names = [
        path.name for path in root.iterdir() if path.name not in {*BESIDE_THE_TREE, "harness", "validator"}
    ]
    for package in ("harness", "validator"):
        names += [f"{package}/{name}" for name in _files(root / package)]
    return [f"{name} is in the tree and not in the lock" for name in sorted({*names} - known)]


def environment_differences(
    site_packages: Path, *, pinned: Mapping[str, str], contents: bool = False
) -> list[str]:
    """What an environment holds besides the pinned packages as pip installed them, one sentence each.

    Every file must be listed in a RECORD of a pinned package, or be the compiled file of a listed source. No .pth
    file, `sitecustomize` or `usercustomize` is allowed, since Python runs them at every start.

    Args:
        site_packages: The folder of the installed packages.
        pinned: Version by package: no other package is allowed.
        contents: Also compares the SHA-256 of each file with its RECORD.
    """
    found = []
    recorded: dict[str, str] = {}
    allowed = {f"{_normalized(name)}-{pin}" for name, pin in pinned.items()}
    for folder in site_packages.glob("*.dist-info"):
        name, _, installed = folder.name.removesuffix(".dist-info").partition("-")
        if f"{_normalized(name)}-{installed}" not in allowed:
            found.append(f"{folder.name} is not a pinned package")
        record = folder / "RECORD"
        if record.is_file():
            with record.open(encoding="utf-8", newline="") as lines:
                recorded.update((row[0], row[1]) for row in csv.reader(lines) if len(row) == 3)
    names = set(_files(site_packages))
    for name in sorted(names):
        if "/" not in name and name.endswith(".pth"):
            found.append(f"{name} would run at every start of Python")
    tops = {name.partition("/")[0] for name in names}
    for name in sorted(tops):
        if name.partition(".")[0] in CUSTOMIZATION:
            found.append(f"{name} would run at every start of Python")
    found += [
        f"{name} belongs to no installed package"
        for name in sorted(names - recorded.keys())
        if _source_name(name) not in recorded
    ]
    if contents:
        for name, expected in recorded.items():
            path = site_packages / name
            if not path.is_file():
                found.append(f"{name} is missing")
            elif expected and expected != _record_hash(path.read_bytes()):
                found.append(f"{name} differs from its package's RECORD")
    return found


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(folder: Path) -> Iterator[str]:
    """The path of every file below a folder, relative to it; a link to a folder counts as a file."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{prefix}{entry.name}/")
                else:
                    yield f"{prefix}{entry.name}"


def _source_name(name: str) -> str:
    """The source of a compiled file in a `__pycache__`; empty for any other file."""
    place, _, file = name.rpartition("__pycache__/")
    match = _COMPILED.fullmatch(file)
    return f"{place}{match[1]}.py" if match else ""


def _record_hash(data: bytes) -> str:
    """The SHA-256 of some bytes as RECORD files write it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def pyclarity_root() -> Path | None:
    """The folder of the installed pyclarity, or None; it is not imported."""
    spec = importlib.util.find_spec("clarity")
    return Path(spec.origin).parent if spec and spec.origin else None


@dataclass(frozen=True)
class Lock:
    """The digests of everything that takes part in scoring.

    Attributes:
        entries: SHA-256 by name; names under `PYCLARITY_PREFIX` are modules of the installed pyclarity.
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
                hint="Reinstall cad1-harness, or restore the file from version control.",
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

    @property
    def pyclarity(self) -> dict[str, str]:
        """The entries of pyclarity's modules."""
        return {name: digest for name, digest in self.entries.items() if name.startswith(PYCLARITY_PREFIX)}

    def differences(self, root: Path, *, pyclarity: Path | None, host: bool = False) -> list[str]:
        """How the tree at `root` differs from the lock, one sentence each.

        Args:
            root: The tree that holds `harness` and `validator`.
            pyclarity: The installed pyclarity's folder; None where it is not installed.
            host: True on the host and in the decoder, where pyclarity need not be installed: its modules are then
                not checked.
        """
        found = []
        for name, digest in self.entries.items():
            if name.startswith(PYCLARITY_PREFIX):
                if host:
                    continue
                path = pyclarity / name.removeprefix(PYCLARITY_PREFIX) if pyclarity else None
            else:
                path = locate(name, root)
            if path is None or not path.is_file():
                found.append(f"{name} is missing")
            elif (actual := sha256(path.read_bytes())) != digest:
                found.append(f"{name} has SHA-256 {actual[:12]}…, but the lock says {digest[:12]}…")
        found += [
            f"{name} takes part in scoring and is not in the lock"
            for name in scoring_files(root)
            if name not in self.entries
        ]
        return found

    def own_differences(self, program: ProgramName, *, host: str, contents: bool = False) -> list[str]:
        """How the environment of the running program differs from the host's lock, one sentence each.

        Args:
            program: The program whose environment this is.
            host: The digest of the host's lock.
            contents: Also reads every installed file: see `environment_differences`.
        """
        root = HARNESS.parent
        found = []
        if self.digest != host:
            found.append(f"{SCORER_LOCK} is {self.digest[:12]}… here, but {host[:12]}… on the host")
        found += self.differences(root, pyclarity=pyclarity_root(), host=program == "decoder")
        found += stray_files(root)
        found += version_differences(root, program)
        site_packages = Path(sysconfig.get_path("purelib"))
        return found + environment_differences(
            site_packages, pinned=pinned_versions(root, program), contents=contents
        )

    def check_host(self) -> None:
        """Checks this installation's scoring files against the lock.

        Raises:
            SetupError: If a file differs. Names it, and any other distribution that may have overwritten it.
        """
        differences = self.differences(HARNESS.parent, pyclarity=None, host=True)
        if not differences:
            return
        hint = (
            "Restore the file; or, if the change is intended, run `make lock` and `cad1 image build`: scores of "
            "the two locks never share a ranking."
        )
        if rivals := distributions.rival_distributions(HARNESS.parent):
            differences += rivals
            hint = distributions.HINT
        raise SetupError(f"The scoring code does not match scorer.lock: {'; '.join(differences)}.", hint=hint)


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


def check(program: ProgramName, host: str) -> int:
    """Prints how this environment differs from the host's lock, its installed files included; 1 if it does."""
    differences = Lock.load().own_differences(program, host=host, contents=True)
    for line in differences:
        sys.stderr.write(f"{line}\n")
    return int(bool(differences))


def rewrite() -> None:
    """Rewrites scorer.lock; keeps pyclarity's digests if it is not installed."""
    installed = pyclarity_root()
    if installed is not None:
        modules = {
            f"{PYCLARITY_PREFIX}{name}": sha256((installed / name).read_bytes()) for name in PYCLARITY_MODULES
        }
    else:
        modules = Lock.load().pyclarity
    text = render(HARNESS.parent, pyclarity=modules)
    LOCK_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(
        f"{LOCK_FILE.name}: {len(text.splitlines()) - 1} digests, scorer {sha256(text.encode())}\n"
    )


def main(arguments: list[str]) -> int:
    """Rewrites the lock; with `--check PROGRAM DIGEST` checks this environment and returns 1 if it differs."""
    if not arguments:
        rewrite()
        return 0
    option, name, digest = arguments
    programs: dict[str, ProgramName] = {one: one for one in get_args(ProgramName)}
    if option != "--check" or name not in programs:
        raise ValueError(f"expected --check and one of {', '.join(programs)}, found {option} {name}")
    return check(programs[name], digest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
