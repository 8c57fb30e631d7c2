"""The first program inside bubblewrap: gives up its remaining rights and executes the evaluator.

It runs before anything untrusted is read, with `python -I -S` and the standard library only. bubblewrap has created
the namespaces and installed the system call filter; rlimits, the user and Landlock can only be set from inside.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _TRUNCATE = 1 << 0, 1 << 1, 1 << 14
_CHANGE_ENTRIES = sum(1 << bit for bit in range(4, 13))  # remove and create entries of every kind
_BENEATH = 1
_DROP = 24  # PR_CAPBSET_DROP
_HELD = (6, 7, 8)  # CAP_SETGID, CAP_SETUID, and last CAP_SETPCAP, which dropping needs


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict_files(*, executable: list[str], writable: list[str]) -> bool:
    """Restricts this process with Landlock.

    Args:
        executable: Folders from which programs may be run.
        writable: Files and folders that may be changed.

    Returns:
        Whether this kernel has Landlock (5.13 and later, unless disabled).

    Raises:
        OSError: If the kernel has it and rejects the rules.
    """
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    change = _WRITE_FILE | _CHANGE_ENTRIES | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(_EXECUTE | change)
    ruleset = _checked(call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(8), ctypes.c_uint32(0)))
    for paths, access in ((executable, _EXECUTE), (writable, change)):
        for path in paths:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            beneath = _PathBeneath(access if os.path.isdir(path) else access & ~_CHANGE_ENTRIES, folder)  # noqa: PTH112
            _checked(call(_ADD_RULE, ruleset, _BENEATH, ctypes.byref(beneath), ctypes.c_uint32(0)))
            os.close(folder)
    _checked(call(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    os.close(ruleset)
    return True


def _checked(result: int, what: str = "Landlock") -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def become(user: int) -> None:
    """Changes to the user and group with the id `user` for good, without other groups or any capability."""
    call = ctypes.CDLL(None, use_errno=True).prctl
    for capability in _HELD:
        _checked(call(_DROP, capability, 0, 0, 0), "capabilities")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def limit(*, processes: int, files: int, file_bytes: int) -> None:
    """Sets the rlimits, `file_bytes` for the size of a file; 0 `processes` for no limit on them."""
    if processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> None:
    """`PROCESSES FILES FILE_BYTES USER FOLDERS PROGRAM…`: USER 0 for no change, FOLDERS to run programs from."""
    processes, files, file_bytes, user = map(int, arguments[:4])
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123
        score.write("1000")  # the OOM killer takes it before any process of the host
    if user:
        become(user)
    limit(processes=processes, files=files, file_bytes=file_bytes)
    writable = [path for path in ("/tmp", "/dev/null") if os.path.exists(path)]  # noqa: S108, PTH110
    restrict_files(executable=arguments[4].split(os.pathsep), writable=writable)
    os.execv(arguments[5], arguments[5:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
