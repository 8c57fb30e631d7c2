"""The bubblewrap sandbox: no daemon, the locked environment of the process sandbox, in namespaces of its own.

A program has no network and sees none of the host's processes, users and files except those that its Python needs.
It can write only to a small /tmp and can make no system call that scoring does not need (`seccomp`). Root's sandbox
runs as nobody; an ordinary user's runs as that user, mapped to nobody inside.

Unlike Docker it has no memory limit in the kernel (the host checks ten times a second), no limit on processor time,
and, on kernels without Landlock, a /tmp from which programs can be run.
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

from harness.protocol import limits
from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock, ProgramName
from harness.protocol.variables import CACHE_ENV
from harness.sandbox.access import SharedPaths
from harness.sandbox.base import StartingSandbox
from harness.sandbox.contract import Environment, Running, printable
from harness.sandbox.local import launch
from harness.sandbox.local.child import RunningChild, kill
from harness.sandbox.local.environment import PROGRAMS, Program, copy_sources, find_program, variables
from harness.sandbox.seccomp import NOBODY, program
from harness.sandbox.stamp import RUN_ENV, own_stamp, temporary_folder

COUNTS_BY_NAMESPACE = (5, 14)
"""The first kernel that counts a user's processes by user namespace. On older ones the host alone limits their
number, since the kernel would count all processes of the user's desktop too."""

OLDEST = (0, 7)
"""The first bubblewrap that can limit the size of a tmpfs."""

UNLOCKED_TREE = "/job/tree"
"""Where copied sources are mounted: at their own path they could hide a Python in the same folder."""

TRIAL_SECONDS = 60.0
"""Seconds that an empty sandbox gets."""

DEVICES = ("full", "null", "random", "urandom", "zero")
LIBRARIES = ("lib", "lib32", "lib64", "libx32")

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MAXIMUM = Path("/proc/sys/user/max_user_namespaces")


class BubblewrapSandbox(StartingSandbox):
    """Runs each program in a process of its own under bubblewrap."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._programs: dict[ProgramName, Program] = {}
        self._bwrap = ""
        self._prefixes: dict[Path, list[Path]] = {}
        self._shared = SharedPaths()

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`: checks host files against the lock, and that an empty sandbox starts and ends."""
        lock = Lock.load()
        lock.check_host()
        self._bwrap, version = find_bwrap()
        self._programs = {name: find_program(lock, name) for name in PROGRAMS}
        self._prefixes = {found.python: prefixes(found.python) for found in self._programs.values()}
        self._try()
        self._environment = Environment(
            sandbox=self.name,
            scorer_digest=lock.digest,
            locked=all(found.locked for found in self._programs.values()),
            image="",
            base_image=f"{sys.platform}, bubblewrap {'.'.join(map(str, version))}, no container",
        )
        return self._environment

    @contextmanager
    def start(self, program: ProgramName, *, memory: int) -> Iterator[Running]:
        """See `Sandbox.start`."""
        self.environment()
        found = self._programs[program]
        with temporary_folder("job") as folder:
            binds = self._tree(found, folder)
            child = self._start(found, binds, ["-m", f"harness.{program}"], name=program)
            try:
                with RunningChild(program, child, memory=memory, own_tmp=True) as running:
                    yield running
            finally:
                kill(child, program)

    def _tree(self, found: Program, folder: Path) -> dict[str, Path]:
        """The program's sources and kernels, by mount point; unlocked sources are copied to `folder` first."""
        if not found.locked:
            copy_sources(folder / "tree")
            if os.geteuid() == 0:
                folder.chmod(0o755)
            return {UNLOCKED_TREE: folder / "tree"}
        shared = [found.tree, *([found.kernels] if found.kernels else [])]
        if os.geteuid() == 0:  # its user, nobody, must be able to read what is mounted
            self._shared.check(*shared)
        return {str(path): path for path in shared}

    def _start(
        self, found: Program, binds: dict[str, Path], arguments: list[str], *, name: str
    ) -> subprocess.Popen[bytes]:
        """Starts a program's Python in a new sandbox, with `binds` mounted read-only, by mount point."""
        prefixes = self._prefixes[found.python]
        settings = variables(temporary="/tmp")  # noqa: S108  (the sandbox's own tmpfs)
        if found.kernels is not None:
            settings[CACHE_ENV] = str(found.kernels)
        with ExitStack() as stack:
            filter_descriptor = stack.enter_context(_filled_pipe(program()))
            command = [self._bwrap, *NAMESPACES, *_root_options(prefixes)]
            command += _folder_options([Path(inside) for inside in binds])
            for inside, path in binds.items():
                command += ["--ro-bind", str(path), inside]
            command += ["--ro-bind", launch.__file__, "/job/launch.py", "--remount-ro", "/", "--clearenv"]
            for variable, value in settings.items():
                command += ["--setenv", variable, value]
            tree = str(found.tree) if found.locked else UNLOCKED_TREE
            command += ["--chdir", tree if tree in binds else "/", "--seccomp", str(filter_descriptor)]
            users = stack.enter_context(_user_map(os.geteuid()))
            command += [*users.options, "--", str(found.python), "-I", "-S", "/job/launch.py"]
            command += _launch_options(prefixes)
            try:
                child = subprocess.Popen(
                    [*command, str(found.python), *arguments],
                    env={"PATH": os.defpath, RUN_ENV: own_stamp()},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[filter_descriptor, *users.descriptors],
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(
                    f"{self._bwrap} can't be started: {error.strerror}.",
                    hint="Reinstall it (Debian: `apt-get install --reinstall bubblewrap`).",
                ) from error
            try:
                users.write()
            except BaseException:
                kill(child, name)
                raise
        return child

    def _try(self) -> None:
        """Starts a sandbox that does nothing.

        Raises:
            SetupError: If it fails; says what this machine forbids.
        """
        child = self._start(self._programs["decoder"], {}, ["-c", "pass"], name="trial")
        try:
            _, complaint = child.communicate(timeout=TRIAL_SECONDS)
        except subprocess.TimeoutExpired:
            complaint = b"it did not end"
        finally:
            kill(child, "trial")
        if child.returncode:
            raise _forbidden(printable(complaint))


NAMESPACES: tuple[str, ...] = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
    *("--unshare-cgroup-try", "--hostname", "sandbox"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)
"""Every flag between a submission and the host, except for the mounts and the system call filter."""


def _root_options(prefixes: list[Path]) -> list[str]:
    """Options for a root folder with what a Python needs: libraries, interpreter, /proc, five devices and /tmp."""
    # Not --dev: its /dev is a tmpfs without a size limit that the user owns.
    options = ["--proc", "/proc", "--perms", "1777", "--size", str(limits.TEMPORARY_BYTES), "--tmpfs", "/tmp"]  # noqa: S108
    options += _folder_options([Path("/", folder, "any") for folder in ("dev", "etc", "job", "usr")])
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
    options += _folder_options(prefixes)
    for prefix in prefixes:
        options += ["--ro-bind", str(prefix), str(prefix)]
    return options


def _folder_options(targets: list[Path]) -> list[str]:
    """Options that make the folders above the mount points; bubblewrap itself would close them to nobody."""
    above = dict.fromkeys(folder for target in targets for folder in reversed(target.parents[:-1]))
    return [option for folder in above for option in ("--perms", "0755", "--dir", str(folder))]


def _launch_options(prefixes: list[Path]) -> list[str]:
    """The arguments of `launch.main` before the program."""
    kernel = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    executable = [*prefixes, *(Path("/usr", name) for name in LIBRARIES if Path("/usr", name).is_dir())]
    executable += [Path("/", name) for name in LIBRARIES if Path("/", name).is_dir()]
    return [
        str(limits.PROCESSES if kernel >= COUNTS_BY_NAMESPACE else 0),
        str(limits.OPEN_FILES),
        str(limits.TEMPORARY_BYTES),
        str(NOBODY if os.geteuid() == 0 else 0),
        os.pathsep.join(map(str, executable)),
    ]


def prefixes(python: Path) -> list[Path]:
    """The folders that hold an interpreter and its packages.

    Raises:
        SetupError: If one of them holds the user's home folder, which no sandbox may see.
    """
    script = "import json, sys; print(json.dumps([sys.base_prefix, sys.prefix]))"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", script], capture_output=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"The evaluator's Python {python} can't be started: {error}.",
            hint=f"Delete {python.parent.parent.parent} and run the command again to make it again.",
        ) from error
    found = list(dict.fromkeys(Path(text) for text in json.loads(answer)))
    for folder in found:
        if Path.home().resolve().is_relative_to(folder.resolve()):
            raise SetupError(
                f"The Python {python} is installed in {folder}, which contains your home folder: the sandbox would "
                "expose it.",
                hint="Use a Python that is installed in a folder of its own.",
            )
    return found


def find_bwrap() -> tuple[str, tuple[int, ...]]:
    """The path of bubblewrap, and its version.

    Raises:
        SetupError: If there is none, or one that is too old.
    """
    path = shutil.which("bwrap") if sys.platform == "linux" else None
    if path is None:
        raise SetupError(
            "bubblewrap is not installed on this machine.",
            hint="Install it (Debian: `apt-get install bubblewrap`; it needs Linux), or use another --sandbox.",
        )
    try:
        output = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"{path} can't be started: {error}.",
            hint="Reinstall it (Debian: `apt-get install --reinstall bubblewrap`).",
        ) from error
    version = tuple(map(int, re.findall(r"\d+", output)[:3]))
    if version < OLDEST:
        raise SetupError(
            f"{path} is version {'.'.join(map(str, version)) or 'unknown'}; the sandbox needs 0.7 or later, which "
            "can limit the size of /tmp.",
            hint="Install a newer one, or use another --sandbox.",
        )
    return path, version


def _forbidden(complaint: str) -> SetupError:
    """The error for an empty sandbox that did not start, with a hint that fits this machine's settings."""
    hint = "Containers often forbid it; use the Docker sandbox, or run outside the container."
    if _read(_APPARMOR) == "1":
        hint = (
            "AppArmor forbids user namespaces to programs without a profile: install one for bwrap (Ubuntu: "
            f"`apt-get install apparmor-profiles`), or `sysctl -w {_APPARMOR.name.join(('kernel.', '=0'))}`."
        )
    elif _read(_CLONE) == "0":
        hint = "Ordinary users may not create user namespaces here: `sysctl -w kernel.unprivileged_userns_clone=1`."
    elif _read(_MAXIMUM) == "0":
        hint = "User namespaces are disabled here: `sysctl -w user.max_user_namespaces=10000`."
    last = (complaint.strip().splitlines() or ["it printed nothing"])[-1]
    return SetupError(
        f"bubblewrap can't create a sandbox on this machine: {last}.", hint=hint, detail=complaint
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:  # not on this kernel
        return ""


@contextmanager
def _filled_pipe(data: bytes) -> Iterator[int]:
    """The reading end of a pipe that holds `data`, which must fit into its buffer of 64 KiB."""
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, data)
        finally:
            os.close(writing)
        yield reading
    finally:
        os.close(reading)


class _UserMap:
    """Maps an ordinary user to nobody: bubblewrap does it by itself.

    Attributes:
        options: For bubblewrap.
        descriptors: That bubblewrap inherits.
    """

    options: tuple[str, ...] = ("--uid", str(NOBODY), "--gid", str(NOBODY))
    descriptors: tuple[int, ...] = ()

    def write(self) -> None:
        """Writes the map if bubblewrap can't; called once bubblewrap has been started."""


class _RootUserMap(_UserMap):
    """Maps root and the host's nobody to themselves; `launch` then becomes nobody for good.

    What breaks out of the sandbox is then nobody on the host too. bubblewrap reports the id of its first process on
    one pipe, and waits on the other until the map is written.
    """

    def __init__(
        self, *, info_read: IO[bytes], info_write: IO[bytes], block_read: IO[bytes], block_write: IO[bytes]
    ) -> None:
        self._info_read, self._info_write, self._block_write = info_read, info_write, block_write
        self.descriptors = (info_write.fileno(), block_read.fileno())
        self.options = (
            *("--info-fd", str(info_write.fileno()), "--userns-block-fd", str(block_read.fileno())),
            *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
        )

    def write(self) -> None:
        self._info_write.close()  # so that reading ends if bubblewrap does
        info = b""
        while b"}" not in info and (piece := self._info_read.read(4096)):
            info += piece
        match = re.search(rb'"child-pid":\s*(\d+)', info)
        if match is None:
            return  # bubblewrap has failed, and says why on its standard error
        try:
            for name in ("gid_map", "uid_map"):
                text = f"0 0 1\n{NOBODY} {NOBODY} 1\n"
                Path(f"/proc/{int(match[1])}/{name}").write_text(text, encoding="ascii")
        except OSError as error:
            raise _forbidden(f"the users can't be mapped: {error.strerror}") from error
        self._block_write.write(b"1")


@contextmanager
def _user_map(user: int) -> Iterator[_UserMap]:
    """The map for the user with the id `user`, who starts the sandbox."""
    if user != 0:
        yield _UserMap()
        return
    with ExitStack() as stack:
        (info_read, info_write), (block_read, block_write) = (
            (stack.enter_context(os.fdopen(one, "rb", 0)), stack.enter_context(os.fdopen(other, "wb", 0)))
            for one, other in (os.pipe(), os.pipe())
        )
        yield _RootUserMap(
            info_read=info_read, info_write=info_write, block_read=block_read, block_write=block_write
        )
