"""Runs inside a sandbox, in the evaluator's place: tries what must not be possible, and reports the results.

It uses the standard library only. `CONTEXT`, which the test defines before this text, says what is on the host.
"""

# mypy: ignore-errors
# ruff: noqa: F821, PTH101, PTH103, PTH108, PTH112, PTH118, PTH123, PTH208  (it makes the system calls as directly as possible)
import ctypes
import errno
import json
import mmap
import os
import pathlib
import shutil
import signal
import socket
import stat
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
TEMPORARY = os.environ.get("TMPDIR", "/tmp")
NEW_NAMESPACE, NEW_USER = 0x0002_0000, 0x1000_0000
SEIZE, POKE_USER_ONLY = 0x4206, 0
TIOCSTI, NO_RANDOM_ADDRESSES = 0x5412, 0x0040000


def call(name, *arguments):
    """Calls a function of the C library that returns −1 on failure."""
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def in_a_child(work):
    """Does something irreversible in a child process, and raises its error here."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))
    return "done"


def with_sibling(work):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        return work(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def tcp():
    with socket.create_connection(("127.0.0.1", CONTEXT["port"]), timeout=3):
        return "connected"


def internet():
    with socket.create_connection(("1.1.1.1", 53), timeout=3):
        return "connected"


def unix(address):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(address)
        return "connected"


def raw_packets():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return "open"


def write_outside():
    found = []
    for folder in CONTEXT["folders"]:
        path = pathlib.Path(folder, f"written-{os.getpid()}")
        try:
            path.write_text("x")
            path.unlink()
            found.append(folder)
        except OSError as error:
            last = error
    if not found:
        raise last
    return found


def writable():
    """Everything in the sandbox that can be written to, except its temporary folder."""
    found = []
    for place, folders, files in os.walk("/"):
        if place == "/":
            folders[:] = [name for name in folders if name not in ("proc", "sys")]
        if place.startswith(TEMPORARY):
            folders.clear()
            continue
        for name in [".", *files]:
            path = os.path.join(place, name)
            try:
                mode = os.lstat(path).st_mode
                if stat.S_ISDIR(mode):
                    with open(os.path.join(path, "probe"), "w"):
                        found.append(path)
                    os.unlink(os.path.join(path, "probe"))
                elif stat.S_ISREG(mode):
                    os.close(os.open(path, os.O_WRONLY))
                    found.append(path)
            except OSError:
                pass
    if not found:
        raise PermissionError("nothing")
    return found


def execute():
    program = os.path.join(TEMPORARY, "program")
    shutil.copyfile(os.path.realpath(sys.executable), program)
    os.chmod(program, 0o755)
    child = os.posix_spawn(program, [program, "-I", "-S", "-c", "pass"], {"PYTHONHOME": sys.base_prefix})
    return os.waitpid(child, 0)[1]


def read_other_process(child):
    target = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(target), 8)
    remote = (ctypes.c_size_t * 2)(ctypes.addressof(target), 8)
    return call("process_vm_readv", child, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


def mount():
    folder = os.path.join(TEMPORARY, "mounted")
    os.makedirs(folder, exist_ok=True)
    call("mount", b"none", folder.encode(), b"tmpfs", 0, None)
    return call("umount", folder.encode())


def clone():
    child = call("syscall", 56, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1]


def node():
    path = os.path.join(TEMPORARY, "disk")
    os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    os.unlink(path)
    return "made"


def type_ahead():
    """A shell would run what is put into its terminal's input. Only the filter's answer counts here."""
    result = libc.ioctl(0, TIOCSTI, ctypes.byref(ctypes.c_char(b"x")))
    if result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        raise PermissionError("TIOCSTI")
    return "asked the terminal"


def others_environment():
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if CONTEXT["marker"].encode() in path.read_bytes():
                return str(path)
        except OSError:
            pass
    raise ProcessLookupError("no process of the host is seen")


def kernel_log():
    text = ctypes.create_string_buffer(65536)
    return call("klogctl", 3, text, 65536) > 0


def first_bytes(path, count=16):
    with open(path, "rb") as file:
        return len(file.read(count))


def open_to_write(path):
    os.close(os.open(path, os.O_RDWR))
    return "open"


def shared_zeros():
    with open("/dev/zero", "r+b", 0) as file:
        return mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED) and "mapped"


ACTS = {
    "connect to a port of the host": tcp,
    "connect to the internet": internet,
    "connect to a socket of the host": lambda: unix(b"\0" + CONTEXT["abstract"].encode()),
    "connect to the engine": lambda: unix("/var/run/docker.sock"),
    "raw packets": raw_packets,
    "write outside the temporary folder": write_outside,
    "write anywhere": writable,
    "execute from the temporary folder": execute,
    "ptrace a sibling": lambda: with_sibling(lambda child: call("ptrace", SEIZE, child, 0, 0)),
    "ptrace the parent": lambda: call("ptrace", SEIZE, os.getppid() or 1, 0, 0),
    "read a sibling's memory": lambda: with_sibling(read_other_process),
    "mount": mount,
    "unshare": lambda: in_a_child(lambda: call("unshare", NEW_USER)),
    "clone a namespace": clone,
    "setuid": lambda: in_a_child(lambda: os.setuid(0)),
    "chown": lambda: os.chown(TEMPORARY, 0, 0) or "done",
    "read another submission": lambda: first_bytes(CONTEXT["neighbour"]),
    "read the store": lambda: first_bytes(CONTEXT["store"]),
    "read the home folder": lambda: CONTEXT["at home"] in os.listdir(CONTEXT["home"]) or (1 / 0),
    "read /etc/shadow": lambda: first_bytes("/etc/shadow"),
    "read a host process's environment": others_environment,
    "read a host process's memory": lambda: first_bytes(f"/proc/{CONTEXT['victim']}/mem", 0),
    "write to a host process's memory": lambda: open_to_write(f"/proc/{CONTEXT['victim']}/mem"),
    "read the first process's environment": lambda: first_bytes("/proc/1/environ"),
    "write to the first process's memory": lambda: open_to_write("/proc/1/mem"),
    "write to a sibling's memory": lambda: with_sibling(lambda child: open_to_write(f"/proc/{child}/mem")),
    "kill a host process": lambda: os.kill(CONTEXT["victim"], signal.SIGKILL) or "killed",
    "read the kernel's log": kernel_log,
    "read the kernel's memory": lambda: first_bytes("/proc/kcore"),
    "make a device": node,
    "type into the terminal": type_ahead,
    "personality": lambda: in_a_child(lambda: call("personality", NO_RANDOM_ADDRESSES)),
    "shared memory": lambda: mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS) and "mapped",
    "shared /dev/zero": shared_zeros,
    "memory in no one's name": lambda: os.close(os.memfd_create("x")) or "open",
    "new keys": lambda: call("syscall", 248, b"user", b"cad1-test", b"x", 1, -2),
    "performance counters": lambda: call(
        "syscall", 298, ctypes.byref((ctypes.c_uint32 * 32)(1, 128)), 0, -1, -1, 0
    ),
    "user page faults": lambda: os.close(call("syscall", 323, 1)) or "open",
    "io_uring": lambda: os.close(call("syscall", 425, 1, ctypes.byref((ctypes.c_uint32 * 30)()))) or "open",
}


def attempt(work):
    try:
        return f"possible: {work()!r}"
    except BaseException as error:
        return f"refused: {type(error).__name__}: {error}"


def main():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    devices = pathlib.Path("/proc/net/dev").read_text().splitlines()
    report = {name: attempt(work) for name, work in ACTS.items() if name in CONTEXT["acts"]}
    facts = {
        "status": dict(line.split(":\t", 1) for line in status if ":\t" in line),
        "users": [os.getuid(), os.getgid(), *os.getgroups()],
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "interfaces": [line.split(":")[0].strip() for line in devices[2:]],
        "submission": os.listdir("/submission") if os.path.isdir("/submission") else [],
        "temporary": os.statvfs(TEMPORARY).f_blocks * os.statvfs(TEMPORARY).f_frsize,
        "files": os.statvfs(TEMPORARY).f_files,
        "core": __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE),
    }
    sys.stderr.write("REPORT" + json.dumps({"acts": report, "facts": facts}) + "\n")


main()
