"""The bubblewrap sandbox: no daemon, the locked environment of the process sandbox, in namespaces of its own.

What is inside has no network, sees no process, no file and no user of the host but what it needs for scoring, may
write to a small /tmp alone, and makes no system call that scoring does not need (`seccomp`). A root user's sandbox
runs as nobody; an ordinary user's runs as that user, called nobody inside.

What it can't do, and Docker can: a memory limit kept by the kernel (the host looks ten times a second), a limit on
the processor's time, and, on kernels without Landlock, a /tmp from which nothing can be run.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock
from harness.protocol.variables import CACHE_ENV, PARENT_ENV
from harness.sandbox.contract import Environment, Records, Task, clean, make_job
from harness.sandbox.docker.container import TMPFS_BYTES, check_readable
from harness.sandbox.local import launch
from harness.sandbox.local.child import converse, kill
from harness.sandbox.local.environment import Evaluator, copy_sources, find_evaluator, variables
from harness.sandbox.seccomp import NOBODY, program
from harness.sandbox.stamp import RUN_ENV, own_stamp, temporary_folder

PROCESSES = 64
"""Kept by the kernel from 5.14 on, where the count is the namespace's own, and by the host in any case."""

FILES = 256
COUNTED_APART = (5, 14)
"""The first kernel that counts a user's processes by user namespace; before, a desktop's would be counted too."""

OLDEST = (0, 7)
"""The first bubblewrap that limits the size of a tmpfs."""

UNLOCKED_TREE = "/job/tree"
"""Where the sources are inside, when they are copied: at their own place they could cover a Python beside them."""

TRIAL_SECONDS = 60.0
DEVICES = ("full", "null", "random", "urandom", "zero")
LIBRARIES = ("lib", "lib32", "lib64", "libx32")

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MOST = Path("/proc/sys/user/max_user_namespaces")


class BubblewrapSandbox:
    """Runs each job in a process of its own under bubblewrap."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._evaluator: Evaluator | None = None
        self._bwrap = ""
        self._prefixes: list[Path] = []
        self._readable: set[Path] = set()

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`: the host files are what the lock says, and an empty sandbox starts and ends."""
        lock = Lock.load()
        lock.check_host()
        self._bwrap, version = find_bwrap()
        self._evaluator = find_evaluator(lock)
        self._prefixes = prefixes(self._evaluator.python)
        self._try()
        self._environment = Environment(
            sandbox=self.name,
            scorer=lock.digest,
            locked=self._evaluator.locked,
            image="",
            base_image=f"{sys.platform}, bubblewrap {'.'.join(map(str, version))}, no container",
        )
        return self._environment

    def run(self, task: Task) -> Records:
        """See `Sandbox.run`."""
        environment = self._environment or self.prepare()
        inside = "/submission" if task.submission.is_dir() else f"/submission/{task.submission.name}"
        job = make_job(task, submission=inside, data="/data", environment=environment)
        with temporary_folder("job") as folder:
            path = folder / "job.json"
            path.write_text(job.model_dump_json(), encoding="utf-8")
            path.chmod(0o444)
            self._check_readable(task.submission, task.data)
            binds = {
                "/job/job.json": path,
                inside: task.submission.resolve(),
                "/data": task.data.resolve(),
                **self._tree(folder),
            }
            child = self._start(binds, ["-m", "harness.evaluator", "/job/job.json"])
            try:
                yield from converse(child, job, task, processes=PROCESSES)
            finally:
                kill(child)

    def _check_readable(self, *paths: Path) -> None:
        """Root's sandbox runs as nobody, who must be able to read what is shared."""
        for path in paths if os.geteuid() == 0 else ():
            if path not in self._readable:
                check_readable(path)
                self._readable.add(path)

    def _tree(self, folder: Path) -> dict[str, Path]:
        """The evaluator's sources and kernels, as they are mounted; copied where they lie among other things."""
        evaluator = self._at_hand()
        if not evaluator.locked:
            copy_sources(folder / "tree")
            return {UNLOCKED_TREE: folder / "tree"}
        shared = [evaluator.tree, *([evaluator.kernels] if evaluator.kernels else [])]
        self._check_readable(*shared)
        return {str(path): path for path in shared}

    def _at_hand(self) -> Evaluator:
        assert self._evaluator is not None  # prepare has run
        return self._evaluator

    def _start(self, binds: dict[str, Path], arguments: list[str]) -> subprocess.Popen[bytes]:
        """Starts the evaluator's Python in a new sandbox."""
        evaluator = self._at_hand()
        settings = variables(temporary="/tmp") | {PARENT_ENV: "1"}  # noqa: S108  (the sandbox's own tmpfs)
        if evaluator.kernels is not None:
            settings[CACHE_ENV] = str(evaluator.kernels)
        with ExitStack() as stack:
            descriptors = [stack.enter_context(_filled(program()))]
            command = [self._bwrap, *NAMESPACES, *_root(self._prefixes)]
            command += _folders([Path(inside) for inside in binds])
            for inside, path in binds.items():
                command += ["--ro-bind", str(path), inside]
            command += ["--ro-bind", launch.__file__, "/job/launch.py", "--remount-ro", "/", "--clearenv"]
            for name, value in settings.items():
                command += ["--setenv", name, value]
            tree = str(evaluator.tree) if evaluator.locked else UNLOCKED_TREE
            command += ["--chdir", tree if tree in binds else "/", "--seccomp", str(descriptors[0])]
            users = stack.enter_context(_Users.of(os.geteuid()))
            command += [*users.options, "--", str(evaluator.python), "-I", "-S", "/job/launch.py"]
            command += _launch_options(self._prefixes)
            try:
                child = subprocess.Popen(
                    [*command, str(evaluator.python), *arguments],
                    env={"PATH": os.defpath, RUN_ENV: own_stamp()},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[*descriptors, *users.descriptors],
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(
                    f"{self._bwrap} can't be started: {error.strerror}.",
                    hint="Install it anew (Debian: `apt-get install --reinstall bubblewrap`).",
                ) from error
            try:
                users.settle()
            except BaseException:
                kill(child)
                raise
        return child

    def _try(self) -> None:
        """Starts a sandbox that does nothing.

        Raises:
            SetupError: If it does not end well; says what this machine forbids.
        """
        child = self._start({}, ["-c", "pass"])
        try:
            _, complaint = child.communicate(timeout=TRIAL_SECONDS)
        except subprocess.TimeoutExpired:
            complaint = b"it did not end"
        finally:
            kill(child)
        if child.returncode:
            raise _forbidden(clean(complaint))


NAMESPACES: tuple[str, ...] = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
    *("--unshare-cgroup-try", "--hostname", "sandbox"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)
"""Every flag that stands between a submission and the host, but for the mounts and the filter."""


def _root(prefixes: list[Path]) -> list[str]:
    """A root folder of what a Python needs: libraries, interpreter, /proc, five devices and /tmp."""
    # Not --dev: its /dev is a tmpfs that the user owns, without a limit.
    options = ["--proc", "/proc", "--perms", "1777", "--size", str(TMPFS_BYTES), "--tmpfs", "/tmp"]  # noqa: S108
    options += _folders([Path("/", folder, "any") for folder in ("dev", "etc", "job", "usr")])
    for name in DEVICES:
        options += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name in LIBRARIES:
        top, below = Path("/", name), Path("/usr", name)
        if below.is_dir():
            options += ["--ro-bind", str(below), str(below)]
        if top.is_symlink():
            options += ["--symlink", str(top.readlink()), str(top)]
        elif top.is_dir():
            options += ["--ro-bind", str(top), str(top)]
    options += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    options += _folders(prefixes)
    for prefix in prefixes:
        options += ["--ro-bind", str(prefix), str(prefix)]
    return options


def _folders(targets: list[Path]) -> list[str]:
    """Makes the folders above what is mounted; bubblewrap's own would be closed to nobody."""
    above = dict.fromkeys(folder for target in targets for folder in reversed(target.parents[:-1]))
    return [option for folder in above for option in ("--perms", "0755", "--dir", str(folder))]


def _launch_options(prefixes: list[Path]) -> list[str]:
    """What `launch.main` is told before the program's name."""
    kernel = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    executable = [*prefixes, *(Path("/usr", name) for name in LIBRARIES if Path("/usr", name).is_dir())]
    executable += [Path("/", name) for name in LIBRARIES if Path("/", name).is_dir()]
    return [
        str(PROCESSES if kernel >= COUNTED_APART else 0),
        str(FILES),
        str(TMPFS_BYTES),
        str(NOBODY if os.geteuid() == 0 else 0),
        os.pathsep.join(map(str, executable)),
    ]


def prefixes(python: Path) -> list[Path]:
    """The folders that an interpreter and its packages lie in.

    Raises:
        SetupError: If one of them holds the user's home, which no sandbox is to see.
    """
    ask = "import json, sys; print(json.dumps([sys.base_prefix, sys.prefix]))"
    try:
        answer = subprocess.run([python, "-I", "-c", ask], capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"The evaluator's Python {python} can't be started: {error}.",
            hint=f"Delete {python.parent.parent.parent} and run the command again, so that it is made anew.",
        ) from error
    found = list(dict.fromkeys(Path(text) for text in json.loads(answer)))
    for folder in found:
        if Path.home().resolve().is_relative_to(folder.resolve()):
            raise SetupError(
                f"The Python {python} is installed in {folder}, which holds your home folder: the sandbox would "
                "show it.",
                hint="Use a Python that is installed in a folder of its own.",
            )
    return found


def find_bwrap() -> tuple[str, tuple[int, ...]]:
    """Where bubblewrap is, and its version.

    Raises:
        SetupError: If there is none, or one that is too old.
    """
    path = shutil.which("bwrap") if sys.platform == "linux" else None
    if path is None:
        raise SetupError(
            "There is no bubblewrap on this machine.",
            hint="Install it (Debian: `apt-get install bubblewrap`; it needs Linux), or use another --sandbox.",
        )
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"{path} can't be started: {error}.",
            hint="Install it anew (Debian: `apt-get install --reinstall bubblewrap`).",
        ) from error
    version = tuple(map(int, re.findall(r"\d+", said)[:3]))
    if version < OLDEST:
        raise SetupError(
            f"{path} is version {'.'.join(map(str, version)) or 'unknown'}; the sandbox needs 0.7 or later, which "
            "can limit the size of /tmp.",
            hint="Install a later one, or use another --sandbox.",
        )
    return path, version


def _forbidden(complaint: str) -> SetupError:
    """Why an empty sandbox did not start, and what to do about it."""
    hint = "Containers often forbid it inside; use the Docker sandbox, or run outside of the container."
    if _read(_APPARMOR) == "1":
        hint = (
            "AppArmor forbids user namespaces to programs without a profile: ask for one for bwrap (Ubuntu: "
            f"`apt-get install apparmor-profiles`), or `sysctl -w {_APPARMOR.name.join(('kernel.', '=0'))}`."
        )
    elif _read(_CLONE) == "0":
        hint = "Ordinary users may not make user namespaces here: `sysctl -w kernel.unprivileged_userns_clone=1`."
    elif _read(_MOST) == "0":
        hint = "No user namespaces may be made here: `sysctl -w user.max_user_namespaces=10000`."
    last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
    return SetupError(
        f"bubblewrap can't make a sandbox on this machine: {last}.", hint=hint, detail=complaint
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:  # not on this kernel
        return ""


@contextmanager
def _filled(data: bytes) -> Iterator[int]:
    """The reading end of a pipe that holds some bytes, fewer than the 64 KiB it takes."""
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, data)
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


class _Users:
    """Who is who inside: an ordinary user is nobody at once.

    Root maps itself and the real nobody, and `launch` goes over to that one for good: what breaks out is nobody.
    """

    options: tuple[str, ...] = ("--uid", str(NOBODY), "--gid", str(NOBODY))
    descriptors: tuple[int, ...] = ()

    @staticmethod
    @contextmanager
    def of(user: int) -> Iterator[_Users]:
        """For the user who starts the sandbox."""
        if user != 0:
            yield _Users()
            return
        with ExitStack() as stack:
            (told, tell), (waits, release) = (
                (stack.enter_context(os.fdopen(one, "rb", 0)), stack.enter_context(os.fdopen(other, "wb", 0)))
                for one, other in (os.pipe(), os.pipe())
            )
            yield _RootUsers(told=told, tell=tell, waits=waits, release=release)

    def settle(self) -> None:
        """Tells the kernel who is who, where bubblewrap can't; called once it has been started."""


class _RootUsers(_Users):
    def __init__(self, *, told: IO[bytes], tell: IO[bytes], waits: IO[bytes], release: IO[bytes]) -> None:
        self._told, self._tell, self._release = told, tell, release
        self.descriptors = (tell.fileno(), waits.fileno())
        self.options = (
            *("--info-fd", str(tell.fileno()), "--userns-block-fd", str(waits.fileno())),
            *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
        )

    def settle(self) -> None:
        self._tell.close()  # so that reading ends where bubblewrap does
        said = b""
        while b"}" not in said and (piece := self._told.read(4096)):
            said += piece
        match = re.search(rb'"child-pid":\s*(\d+)', said)
        if match is None:
            return  # it has failed, and says why on its standard error
        try:
            for name in ("gid_map", "uid_map"):
                text = f"0 0 1\n{NOBODY} {NOBODY} 1\n"
                Path(f"/proc/{int(match[1])}/{name}").write_text(text, encoding="ascii")
        except OSError as error:
            raise _forbidden(f"the users can't be mapped: {error.strerror}") from error
        self._release.write(b"1")
