"""The system call filter: its decision for every number, and the kernel's, which is the same."""

from __future__ import annotations

import errno
import json
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocol.errors import SetupError
from harness.sandbox.seccomp import (
    ALLOWED,
    CONDITIONS,
    LAUNCH,
    MISSING,
    NOBODY,
    REFUSED,
    docker_profile,
    numbers,
    program,
)

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = pytest.mark.parametrize("machine", sorted(ARCHITECTURE))


def decide(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Runs the program as the kernel would."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *padded)
    lines = list(struct.iter_unpack("=HBBI", program(machine=machine)))
    at, held = 0, 0
    while True:
        code, true, false, operand = lines[at]
        at += 1
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            held &= operand
        elif code == 0x15:
            at += true if held == operand else false
        else:
            assert code == 0x06
            return int(operand)


@MACHINES
def test_every_number_is_decided_by_the_lists(machine: str) -> None:
    table = numbers()[machine]
    names = {number: name for name, number in table.items()}
    assert len(names) == len(table)
    for number in range(700):
        name = names.get(number, "")
        if name in CONDITIONS or name in LAUNCH:
            continue
        expected = ALLOW if name in ALLOWED else EPERM if name in REFUSED else ENOSYS
        assert decide(machine, number) == expected, name or number


@MACHINES
def test_calls_of_another_processor_kill_the_process(machine: str) -> None:
    assert decide(machine, numbers()[machine]["read"], architecture=0x40000003) == KILL  # 32-bit x86
    assert decide(machine, numbers()[machine]["read"] | 0x40000000) == ENOSYS  # x32


@MACHINES
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", [0x3D0F00], ALLOW),  # a thread
        ("clone", [17], ALLOW),  # a process
        ("clone", [0x10000011], EPERM),
        ("clone", [0x00020000], EPERM),
        ("clone", [0x40000000 | 2**32], EPERM),
        ("ioctl", [0, 0x5401], ALLOW),
        ("ioctl", [0, 0x5412], EPERM),  # TIOCSTI
        ("ioctl", [0, 0x5412 | 2**32], EPERM),
        ("ioctl", [0, 0x5401 | 2**32], EPERM),
        ("ioctl", [0x5401, 0x541C], EPERM),  # TIOCLINUX
        ("mmap", [0, 4096, 3, 0x22], ALLOW),  # MAP_PRIVATE | MAP_ANONYMOUS
        ("mmap", [0, 4096, 1, 0x802], ALLOW),  # a library: MAP_PRIVATE | MAP_DENYWRITE
        ("mmap", [0, 4096, 3, 0x21], EPERM),  # MAP_SHARED | MAP_ANONYMOUS
        ("mmap", [0, 4096, 3, 0x01], EPERM),  # MAP_SHARED, such as of /dev/zero
        ("mmap", [0, 4096, 3, 0x03], EPERM),  # MAP_SHARED_VALIDATE
        ("mmap", [0, 4096, 3, 0x21 | 2**32], EPERM),
        ("prctl", [38], ALLOW),
        ("prctl", [22], EPERM),  # PR_SET_SECCOMP
        ("prctl", [4], EPERM),  # PR_SET_DUMPABLE
        ("prlimit64", [0, 7], ALLOW),
        ("prlimit64", [1, 7], EPERM),
        ("setresuid", [NOBODY] * 3, ALLOW),
        ("setresuid", [NOBODY, NOBODY, 0], EPERM),
        ("setresuid", [0, NOBODY, NOBODY], EPERM),
        ("setresuid", [NOBODY, NOBODY | 2**32, NOBODY], EPERM),
        ("setgroups", [0], ALLOW),
        ("setgroups", [1], EPERM),
    ],
)
def test_arguments_are_checked(machine: str, name: str, arguments: list[int], expected: int) -> None:
    assert decide(machine, numbers()[machine][name], *arguments) == expected


def test_the_engines_profile_has_the_same_lists() -> None:
    profile = json.loads(docker_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    rules = profile["syscalls"]
    free = {
        name for rule in rules if "args" not in rule and "ALLOW" in rule["action"] for name in rule["names"]
    }
    bound = {name for rule in rules if "args" in rule for name in rule["names"]}
    refused = {name for rule in rules if "ERRNO" in rule["action"] for name in rule["names"]}
    assert free == set(ALLOWED)
    assert bound == set(CONDITIONS)
    assert refused == {*REFUSED, *MISSING}
    assert not free & refused
    assert not bound & (free | refused)
    assert {rule["args"][0]["op"] for rule in rules if "args" in rule} == {"SCMP_CMP_MASKED_EQ"}


def test_the_numbers_match_the_kernels_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if platform.machine() != "x86_64" or not header.is_file():
        pytest.skip("no kernel headers for this processor")
    lines = [line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR_")]
    known = {line[1].removeprefix("__NR_"): int(line[2]) for line in lines}
    table = numbers()["x86_64"]
    assert {name: known[name] for name in table if name in known} == {
        name: number for name, number in table.items() if name in known
    }
    assert set(table) - set(known) <= {"fchmodat2"}  # newer than some headers
    assert set(table) == {*ALLOWED, *REFUSED, *CONDITIONS, *LAUNCH, *MISSING}


def test_an_unknown_processor_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="processor riscv64"):
        program(machine="riscv64")


INSIDE = """
import ctypes, errno, json, os, pty, sys, threading, fcntl, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def result(function, *arguments):
    ctypes.set_errno(0)
    value = function(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "?") if value == -1 else "done"
libc.mmap.restype = ctypes.c_void_p
def mapped(descriptor, flags):
    ctypes.set_errno(0)
    found = libc.mmap(None, ctypes.c_size_t(4096), 3, flags, descriptor, ctypes.c_long(0))
    return errno.errorcode.get(ctypes.get_errno(), "done")
master, slave = pty.openpty()
raw = sys.stdin.buffer.read()
if raw:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Program(len(raw) // 8, raw)), 0, 0) == 0, ctypes.get_errno()
thread = threading.Thread(target=len, args=("x",)); thread.start(); thread.join()
pid = os.fork()
if pid == 0:
    os._exit(7)
window = ctypes.create_string_buffer(8)
print(json.dumps({
    "child": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
    "terminal": os.isatty(slave),
    "window": result(libc.ioctl, slave, 0x5413, window),
    "set window": result(libc.ioctl, slave, 0x5414, window),
    "set window, above": result(libc.syscall, 16, slave, ctypes.c_ulong(0x5414 | 2**32), window),
    "unshare": result(libc.unshare, 0x200),
    "ptrace": result(libc.ptrace, 0x4206, 0, 0, 0),
    "socket": result(libc.socket, 1, 1, 0),
    "clone3": result(libc.syscall, 435, None, ctypes.c_size_t(0)),
    "query of the personality": result(libc.personality, ctypes.c_ulong(0xffffffff)),
    "own limits": result(libc.prlimit, 0, 7, None, ctypes.create_string_buffer(16)),
    "x32": result(libc.syscall, ctypes.c_long(0x40000000 | 39)),
    "inotify": result(libc.inotify_init1, 0),
    "private memory": mapped(-1, 0x22),
    "shared memory": mapped(-1, 0x21),
    "shared /dev/zero": mapped(os.open("/dev/zero", os.O_RDWR), 0x01),
}))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers below are of x86-64")
def test_the_kernel_decides_the_same() -> None:
    """Without the filter the same process may make all of these calls: none is refused for another reason."""

    def report(raw: bytes) -> dict[str, object]:
        done = subprocess.run([sys.executable, "-c", INSIDE], input=raw, capture_output=True, check=True)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    free, bound = report(b""), report(program())
    same = {"child": 7, "terminal": True, "window": "done", "own limits": "done", "private memory": "done"}
    assert {name: free[name] for name in same} == {name: bound[name] for name in same} == same
    assert bound == same | {
        "set window": "EPERM",
        "set window, above": "EPERM",
        "unshare": "EPERM",
        "ptrace": "EPERM",
        "socket": "EPERM",
        "clone3": "ENOSYS",
        "query of the personality": "EPERM",
        "x32": "ENOSYS",
        "inotify": "ENOSYS",
        "shared memory": "EPERM",
        "shared /dev/zero": "EPERM",
    }
    assert free | {"x32": "ENOSYS"} == same | {
        "set window": "done",
        "set window, above": "done",
        "unshare": "done",
        "ptrace": "ESRCH",
        "socket": "done",
        "clone3": "EINVAL",
        "query of the personality": "done",
        "x32": "ENOSYS",
        "inotify": "done",
        "shared memory": "done",
        "shared /dev/zero": "done",
    }
