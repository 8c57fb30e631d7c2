"""Which system calls the evaluator may make: one allow-list, as Docker's JSON and as a BPF program for bubblewrap.

The list was measured with `strace -f -c` on both engines, docker-init and the start of a container, and completed
with what other versions of glibc and the kernel use for the same work. Any other call fails with ENOSYS, so that a
library falls back, or with EPERM if it is a known way out of a sandbox.

Format of the program: the kernel's Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import errno
import json
import platform
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.protocol.errors import SetupError

NOBODY = 65534
"""The user and group id of a sandbox: no file of the image belongs to it."""

_FILES = """access chdir chmod close close_range copy_file_range dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fcntl fdatasync fgetxattr flistxattr flock fstat fstatfs
fsync ftruncate getcwd getdents getdents64 getxattr lgetxattr listxattr llistxattr lseek lstat mkdir
mkdirat newfstatat open openat pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readlink
readlinkat readv rename renameat renameat2 rmdir sendfile stat statfs statx truncate umask unlink
unlinkat utime utimensat utimes write writev"""
_MEMORY = "brk madvise mincore mprotect mremap msync munmap"
_PROCESS = """arch_prctl execve exit exit_group fork getpgid getpgrp getpid getppid getrusage getsid gettid kill
membarrier rseq sched_getaffinity sched_yield set_robust_list set_tid_address setpgid setsid tgkill
tkill times vfork wait4 waitid"""
_IDENTITY = "capget getegid geteuid getgid getgroups getresgid getresuid getuid"
_SIGNALS = """alarm pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
rt_sigtimedwait setitimer sigaltstack"""
_WAITING = """clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 futex nanosleep
pipe pipe2 poll ppoll pselect6 select"""
_SYSTEM = "clock_getres clock_gettime getcpu getrandom getrlimit gettimeofday sysinfo time uname"

ALLOWED: tuple[str, ...] = tuple(
    sorted(" ".join([_FILES, _MEMORY, _PROCESS, _IDENTITY, _SIGNALS, _WAITING, _SYSTEM]).split())
)
"""Allowed with any arguments."""

_ESCAPES = """acct add_key adjtimex bind bpf chown chroot clock_adjtime clock_settime connect delete_module
fanotify_init fchown fchownat finit_module fremovexattr fsconfig fsetxattr fsmount fsopen fspick
init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load
kexec_load keyctl lchown link linkat listen lookup_dcookie lremovexattr lsetxattr mbind memfd_create
memfd_secret migrate_pages mknod mknodat mount mount_setattr move_mount move_pages mq_open msgget
name_to_handle_at open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_open
pidfd_send_signal pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl
quotactl_fd reboot removexattr request_key semget set_mempolicy setdomainname setfsgid setfsuid
setgid setgroups sethostname setns setpriority setregid setresgid setresuid setreuid settimeofday
setuid setxattr shmat shmget socket socketpair swapoff swapon symlink symlinkat syslog umount2
unshare userfaultfd vhangup vmsplice"""

REFUSED: tuple[str, ...] = tuple(sorted(_ESCAPES.split()))
"""Fail with EPERM: these calls can reach other processes, leave the namespaces, change the kernel, or allocate
memory that the limit does not count. A caller that expects EPERM (`shutil.copystat` on extended attributes)
continues."""


@dataclass(frozen=True)
class Argument:
    """A condition on one argument of a system call: `argument & mask == value`."""

    index: int
    value: int
    mask: int = 2**64 - 1


_NAMESPACES = 0x7E02_0000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

_TERMINAL = (0x5401, 0x540F, 0x5410, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C_542A)
"""TCGETS, TIOCGPGRP and TIOCSPGRP (docker-init), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TCGETS2. An
allow-list and not a deny-list, since the kernel reads only the lower 32 bits of the number."""

_PRCTL = (1, 2, 3, 15, 16, 21, 23, 36, 38, 39, 0x5356_4D41)
"""PR_SET_PDEATHSIG and GET, GET_DUMPABLE, SET_NAME and GET, GET_SECCOMP, CAPBSET_READ, SET_CHILD_SUBREAPER,
SET_NO_NEW_PRIVS and GET, SET_VMA."""

_MAP_TYPE, _MAP_PRIVATE = 0x0F, 0x02
"""Shared memory stays allocated after `madvise` has taken it from the resident size, which the host of bubblewrap
watches. A shared mapping of /dev/zero is such memory too, so no mapping may be shared; the libraries need none."""

Choices = tuple[tuple[Argument, ...], ...]
"""A call is allowed if all conditions of one of the choices hold."""

CONDITIONS: dict[str, Choices] = {
    "clone": ((Argument(0, 0, _NAMESPACES),),),
    "ioctl": tuple((Argument(1, number),) for number in _TERMINAL),
    "mmap": ((Argument(3, _MAP_PRIVATE, _MAP_TYPE),),),
    "prctl": tuple((Argument(0, number),) for number in _PRCTL),
    "prlimit64": ((Argument(0, 0),),),
}
"""Allowed with these arguments."""

MISSING: tuple[str, ...] = ("clone3",)
"""Fail with ENOSYS: the flags of `clone3` are in memory, where a filter can't see them; glibc then uses `clone`."""

LAUNCH: dict[str, Choices] = {
    "landlock_add_rule": ((),),
    "landlock_create_ruleset": ((),),
    "landlock_restrict_self": ((),),
    "prctl": (*CONDITIONS["prctl"], (Argument(0, 24),)),  # PR_CAPBSET_DROP
    "setgroups": ((Argument(0, 0),),),
    "setresgid": (tuple(Argument(index, NOBODY) for index in range(3)),),
    "setresuid": (tuple(Argument(index, NOBODY) for index in range(3)),),
}
"""Also allowed under bubblewrap, for its first process: these calls can only give up rights."""


def docker_profile() -> str:
    """The allow-list as JSON for the engine's `security_opt`."""
    rules: list[dict[str, object]] = [{"names": list(ALLOWED), "action": "SCMP_ACT_ALLOW"}]
    for name, choices in CONDITIONS.items():
        for choice in choices:
            arguments = [
                {
                    "index": one.index,
                    "value": one.mask,
                    "valueTwo": one.value,
                    "op": "SCMP_CMP_MASKED_EQ",
                }
                for one in choice
            ]
            rules.append({"names": [name], "action": "SCMP_ACT_ALLOW", "args": arguments})
    rules.append({"names": list(REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM})
    rules.append({"names": list(MISSING), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": errno.ENOSYS,
            "archMap": [{"architecture": name, "subArchitectures": []} for name in _DOCKER_NAMES],
            "syscalls": rules,
        },
        separators=(",", ":"),
    )


_DOCKER_NAMES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
_AUDIT_ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, ALU|AND|K, RET|K
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000

Instruction = tuple[int, int, int, int]
"""Code, jump offset if true, jump offset if false, operand: struct sock_filter."""


@cache
def numbers() -> dict[str, dict[str, int]]:
    """System call numbers by processor and name, from the kernel's headers."""
    text = Path(__file__).with_name("syscalls.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, int]] = json.loads(text)
    return table


def program(*, machine: str = "", conditions: Iterable[tuple[str, Choices]] = LAUNCH.items()) -> bytes:
    """The allow-list as a BPF program: an array of struct sock_filter.

    Args:
        machine: The processor, as `uname` names it; this machine's if empty.
        conditions: Calls allowed in addition to the allow-list.

    Raises:
        SetupError: If the processor's system calls are not known.
    """
    machine = machine or platform.machine()
    if machine not in _AUDIT_ARCHITECTURES:
        raise SetupError(
            f"The system call filter does not support the processor {machine}.",
            hint="Score on x86-64, as for official scores.",
        )
    table = numbers()[machine]
    extra = dict(conditions)
    lines: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT_ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for name, choices in {**CONDITIONS, **extra}.items():
        if name in table:
            lines += _when(table[name], [*_choices(choices), (_RETURN, 0, 0, _ERRNO | errno.EPERM)])
    for names, action in ((ALLOWED, _ALLOW), (REFUSED, _ERRNO | errno.EPERM)):
        for name in names:
            if name in table and name not in extra:
                lines += _when(table[name], [(_RETURN, 0, 0, action)])
    lines.append((_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _when(number: int, then: Sequence[Instruction]) -> list[Instruction]:
    """Runs `then`, which must end with a return, for one system call."""
    return [(_EQUAL, 0, len(then), number), *then]


def _choices(choices: Choices) -> list[Instruction]:
    """Returns "allowed" if one of the choices holds; continues after them if none does."""
    lines: list[Instruction] = []
    for choice in choices:
        halves = [half for argument in choice for half in _halves(argument)]
        steps: list[Instruction] = []
        for place, (offset, mask, value) in enumerate(halves):
            left = 3 * (len(halves) - 1 - place) + 1  # instructions of this choice after this comparison
            steps += [(_LOAD, 0, 0, offset), (_AND, 0, 0, mask), (_EQUAL, 0, left, value)]
        lines += [*steps, (_RETURN, 0, 0, _ALLOW)]
    return lines


def _halves(argument: Argument) -> Iterable[tuple[int, int, int]]:
    """Offset, mask and value of each 32-bit half of an argument, on a little-endian processor."""
    offset = _ARGUMENTS + 8 * argument.index
    for place, shift in ((offset, 0), (offset + 4, 32)):
        mask = argument.mask >> shift & 0xFFFF_FFFF
        if mask:
            yield place, mask, argument.value >> shift & 0xFFFF_FFFF
