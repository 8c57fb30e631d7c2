"""The process sandbox: a child process with the same protocol, in an environment of its own.

It keeps a crash, a deadline and a memory limit away from the host's process. It does not keep anything secret from
the audio it decodes: it is for a team's own files, and for machines without an engine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
from filelock import FileLock

from harness.errors import BugError, SetupError
from harness.evaluate import CACHE_ENV, PARENT_ENV
from harness.lock import HARNESS, Lock, locate, scoring_files
from harness.records import Hello, Job
from harness.sandbox.base import Conversation, Environment, Records, Result, Task, clean, make_job
from harness.sandbox.environment import fixed
from harness.sandbox.image import SCORER_LOCK
from harness.sandbox.stream import STDERR, STDOUT, Pieces, listen, memory_exceeded
from harness.wheels import cache_folder, fill

PYTHON = (3, 11)
"""The locked packages are built for this Python."""


def find_python() -> str | None:
    """A Python 3.11 on this machine: this one, or one on the path."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    return shutil.which("python3.11")


class ProcessSandbox:
    """Runs each job in a child process.

    On a machine with Python 3.11 the child runs in a virtual environment made once, from the hash-locked
    requirement file, in the user's cache. Elsewhere it uses what is installed beside the harness, and its scores
    are marked as unlocked.
    """

    name = "process"

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._python = sys.executable
        self._tree = HARNESS.parent
        self._kernels: Path | None = None

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`."""
        lock = Lock.load()
        lock.check_host()
        base = find_python()
        if base is not None:
            home = make_environment(lock, base)
            self._python = str(venv_python(home / "venv"))
            self._tree = home / "tree"
            self._kernels = home / "numba"
        self._environment = Environment(
            sandbox=self.name,
            scorer=lock.digest,
            locked=base is not None,
            image="",
            base_image=f"{sys.platform}, no container",
        )
        return self._environment

    def run(self, task: Task) -> Records:
        """See `Sandbox.run`."""
        environment = self._environment or self.prepare()
        job = make_job(
            task,
            submission=str(task.submission.resolve()),
            data=str(task.data.resolve()),
            environment=environment,
        )
        with tempfile.TemporaryDirectory(prefix="cad1-job-") as folder:
            path = Path(folder) / "job.json"
            path.write_text(job.model_dump_json(), encoding="utf-8")
            temporary = Path(folder) / "tmp"
            temporary.mkdir()
            child = self._start(path, temporary)
            try:
                yield from _converse(child, job, task)
            finally:
                kill(child)

    def _start(self, job: Path, temporary: Path) -> subprocess.Popen[bytes]:
        variables = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        variables |= fixed()
        variables |= {
            PARENT_ENV: "1",
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "TMPDIR": str(temporary),
            "HOME": str(temporary),
        }
        if self._kernels is not None:
            variables[CACHE_ENV] = str(self._kernels)
        try:
            return subprocess.Popen(
                [self._python, "-m", "harness.evaluate", str(job)],
                cwd=self._tree,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise SetupError(
                f"The evaluator's Python {self._python} can't be started: {error.strerror}.",
                hint=f"Delete {self._tree.parent} and run the command again, so that it is made anew.",
            ) from error


def venv_python(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_environment(lock: Lock, python: str) -> Path:
    """The folder with the locked virtual environment and the locked sources, made if it is not there.

    Raises:
        SetupError: If the packages can't be had or the environment does not prove itself.
    """
    home = cache_folder() / f"scorer-{lock.digest[:16]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / f"{home.name}.lock"):
        if (home / "proved").is_file():
            return home
        shutil.rmtree(home, ignore_errors=True)
        wheels = fill(cache_folder() / "wheels-process", python=python)
        copy_sources(home / "tree")
        _run([python, "-m", "venv", str(home / "venv")], "made")
        _run(
            [
                str(venv_python(home / "venv")),
                *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
                *("--find-links", str(wheels[0].parent), "--require-hashes", "--no-deps"),
                *("--only-binary=:all:", "--requirement", str(home / "tree/harness/scorer-requirements.txt")),
            ],
            "filled",
        )
        kernels = {"NUMBA_CACHE_DIR": str(home / "numba"), "PYTHONHASHSEED": "0"}
        proof = _run(
            [str(venv_python(home / "venv")), "-m", "harness.precompile"],
            "proved",
            cwd=home / "tree",
            variables=fixed() | kernels,
        )
        (home / "proved").write_text(proof, encoding="utf-8")
    return home


def copy_sources(tree: Path) -> None:
    """Copies the files of the lock, and only these, so that nothing else of this installation takes part."""
    root = HARNESS.parent
    for name in [*scoring_files(root), SCORER_LOCK]:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(locate(name, root), target)
        os.utime(target, (1_700_000_000, 1_700_000_000))


def _run(
    command: list[str], what: str, *, cwd: Path | None = None, variables: dict[str, str] | None = None
) -> str:
    clean_environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NUMBA_"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"The evaluator's own Python environment could not be {what}.",
            hint=f"See that there is disk left in {cache_folder()} and that Python 3.11 has `venv` and pip.",
            detail=(done.stdout + done.stderr)[-4000:],
        )
    return done.stdout


def _converse(child: subprocess.Popen[bytes], job: Job, task: Task) -> Iterator[Hello | Result]:
    """Yields the child's records until it ends, the deadline passes or its memory grows too large."""
    conversation = Conversation(job)

    def watch() -> None:
        if resident(child) > task.memory:
            raise memory_exceeded(task, conversation)

    pieces = Pieces(_reader(STDOUT, child.stdout), _reader(STDERR, child.stderr))
    try:
        yield from listen(pieces, conversation, task, watch=watch)
    finally:
        pieces.stop()
    code = child.wait()
    if code != 0:
        raise BugError(
            f"The evaluator ended with code {code} before its work was done.",
            hint="Examples scored until then are kept. The log in the store holds what it printed.",
            detail=clean(conversation.diagnostics),
        )
    conversation.finish()


def _reader(number: int, stream: IO[bytes] | None) -> Callable[[], Iterator[tuple[int, bytes]]]:
    """Reads one of the child's streams until it ends."""

    def read() -> Iterator[tuple[int, bytes]]:
        while stream is not None and (raw := os.read(stream.fileno(), 65_536)):
            yield number, raw

    return read


def resident(child: subprocess.Popen[bytes]) -> int:
    """The child's memory in bytes; 0 once it has ended."""
    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.Error:
        return 0


def kill(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and everything it started, and waits for it."""
    try:
        family = psutil.Process(child.pid).children(recursive=True)
    except psutil.Error:
        family = []
    for process in family:
        try:
            process.kill()
        except psutil.Error:  # ended by itself in between
            continue
    if child.poll() is None:
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()
