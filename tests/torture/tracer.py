"""Runs a program and makes one of its calls on files below a folder fail, fall short, or be its last.

Calls are counted over all threads in the order in which they come (strace counts each thread for itself). x86_64 Linux only.
"""
import ctypes
import os
import platform
import signal
import struct
import subprocess
import tempfile

SUPPORTED = platform.system() == "Linux" and platform.machine() == "x86_64"

# Number: name, positions of what names the file: ("fd", n), ("path", n), ("at", n of the folder, n of the path).
CALLS = {
    0: ("read", [("fd", 0)]), 17: ("pread64", [("fd", 0)]),
    1: ("write", [("fd", 0)]), 18: ("pwrite64", [("fd", 0)]), 20: ("writev", [("fd", 0)]),
    2: ("open", [("path", 0)]), 257: ("openat", [("at", 0, 1)]),
    74: ("fsync", [("fd", 0)]), 75: ("fdatasync", [("fd", 0)]), 306: ("syncfs", [("fd", 0)]),
    82: ("rename", [("path", 1)]), 264: ("renameat", [("at", 2, 3)]), 316: ("renameat2", [("at", 2, 3)]),
    87: ("unlink", [("path", 0)]), 263: ("unlinkat", [("at", 0, 1)]),
    83: ("mkdir", [("path", 0)]), 258: ("mkdirat", [("at", 0, 1)]), 84: ("rmdir", [("path", 0)]),
    76: ("truncate", [("path", 0)]), 77: ("ftruncate", [("fd", 0)]),
    73: ("flock", [("fd", 0)]), 86: ("link", [("path", 1)]), 265: ("linkat", [("at", 2, 3)]),
    326: ("copy_file_range", [("fd", 2)]),
}
READS = {"read", "pread64"}
WRITES = {"write", "pwrite64", "writev"}
OPENS = {"open", "openat"}
O_CREAT = 0o100

TRACEME, PEEKUSER, POKEUSER, SYSCALL, SETOPTIONS, INFO = 0, 3, 6, 24, 0x4200, 0x420E
# SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL.
OPTIONS = 1 | 2 | 4 | 8 | 16 | (1 << 20)
ORIG_RAX, RAX, RDX = 15 * 8, 10 * 8, 12 * 8
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


class Ended:
    """How a run ended and what it called."""

    def __init__(self):
        self.code, self.signal, self.out, self.err = None, None, "", ""
        self.calls, self.hit, self.hung = [], False, False


class Fault:
    """What happens to call `at` (from 0) of those that `kinds` counts; `ever`: also to all after it.

    `how`: a number of an error; "short": half of the bytes; "before", "after", "torn": the process is killed.
    """

    def __init__(self, at, how, ever=False):
        self.at, self.how, self.ever = at, how, ever


def text_at(pid, address):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        out = b""
        while b"\0" not in out and len(out) < 8192:
            # Not past the end of a page, after which there may be nothing.
            out += memory.read(4096 - (address + len(out)) % 4096)
        return out.split(b"\0")[0].decode(errors="surrogateescape")


def place_of(pid, args, where):
    """The path that a call is about."""
    def link(name):
        try:
            return os.readlink(f"/proc/{pid}/{name}")
        except OSError:
            return ""

    if where[0] == "fd":
        return link(f"fd/{args[where[1]] & 0xFFFFFFFF}")
    path = text_at(pid, args[where[-1]])
    if path.startswith("/"):
        return path
    number = ctypes.c_int(args[where[1]] & 0xFFFFFFFF).value if where[0] == "at" else -100
    return os.path.join(link("cwd") if number == -100 else link(f"fd/{number}"), path)


class Tracer:
    def __init__(self, watch, wanted, fault, limit):
        self.watch, self.wanted, self.fault, self.limit = watch.rstrip("/"), wanted, fault, limit
        self.ended, self.pending, self.main = Ended(), {}, 0

    def start(self, argv, env, cwd, out, err):
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir(cwd)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                ptrace(TRACEME, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                os.execve(argv[0], argv, env)
            finally:
                os._exit(127)
        os.waitpid(pid, WALL)
        ptrace(SETOPTIONS, pid, 0, OPTIONS)
        ptrace(SYSCALL, pid)
        self.main = pid

    def follow(self):
        signal.signal(signal.SIGALRM, self.hung)
        signal.alarm(self.limit)
        while True:
            # Other children of the caller neither stop nor end meanwhile.
            pid, status = os.waitpid(-1, WALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid == self.main:
                    self.ended.code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
                    self.ended.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
                    signal.alarm(0)
                    return self.ended
                continue
            number = os.WSTOPSIG(status)
            try:
                if number == signal.SIGTRAP | 0x80:
                    self.step(pid)
                    number = 0
                elif number == signal.SIGTRAP or status >> 16 or number == signal.SIGSTOP:
                    number = 0
                ptrace(SYSCALL, pid, 0, number)
            except OSError:
                # It was killed meanwhile.
                pass

    def hung(self, _number, _frame):
        self.ended.hung = True
        os.kill(self.main, signal.SIGKILL)

    def step(self, pid):
        raw = ctypes.create_string_buffer(88)
        if libc.ptrace(INFO, pid, 88, ctypes.addressof(raw)) < 0:
            return
        if raw[0] == b"\x01":
            self.enter(pid, struct.unpack_from("<7Q", raw, 24))
        elif raw[0] == b"\x02":
            self.leave(pid)

    def enter(self, pid, call):
        known = CALLS.get(call[0])
        if known is None:
            return
        name, args = known[0], call[1:]
        places = [place_of(pid, args, where) for where in known[1]]
        if not any(place == self.watch or place.startswith(self.watch + "/") for place in places):
            return
        if not self.wanted(name, args, places[-1]):
            return
        at = len(self.ended.calls)
        self.ended.calls.append((name, places[-1]))
        fault = self.fault
        if fault is None or at < fault.at or (at > fault.at and not fault.ever):
            return
        self.ended.hit = True
        if fault.how == "before":
            os.kill(self.main, signal.SIGKILL)
        elif fault.how in ("short", "torn"):
            if args[2] > 1:
                ptrace(POKEUSER, pid, RDX, args[2] // 2)
            if fault.how == "torn":
                self.pending[pid] = "kill"
        elif fault.how == "after":
            self.pending[pid] = "kill"
        else:
            ptrace(POKEUSER, pid, ORIG_RAX, (1 << 64) - 1)
            self.pending[pid] = fault.how

    def leave(self, pid):
        what = self.pending.pop(pid, None)
        if what == "kill":
            os.kill(self.main, signal.SIGKILL)
        elif what is not None:
            ptrace(POKEUSER, pid, RAX, (1 << 64) - what)


def run(argv, watch, wanted, fault=None, cwd="/", env=None, limit=60):
    """Runs a program; `wanted(name, args, path)` says which calls on files below `watch` count."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        tracer = Tracer(os.path.realpath(watch), wanted, fault, limit)
        tracer.start(argv, dict(os.environ if env is None else env), cwd, out, err)
        ended = tracer.follow()
        for file, name in ((out, "out"), (err, "err")):
            file.seek(0)
            setattr(ended, name, file.read().decode(errors="replace"))
        return ended


def is_creating(name, args):
    return name in OPENS and bool(args[1 if name == "open" else 2] & O_CREAT)


class Changes:
    """Calls that change something: not reads, nor opens of what is there. One object for each run.

    Bytes come in pieces that differ from run to run: of the writes of data the first in each half mebibyte counts.
    """

    def __init__(self):
        self.seen = set()

    def __call__(self, name, args, path):
        if name == "pwrite64":
            half = (path, args[3] >> 19)
            if half in self.seen:
                return False
            self.seen.add(half)
        return is_creating(name, args) or not (name in OPENS or name in READS or name == "flock")


class Reads:
    """Opens and reads of what is there; of the reads of a copy the first counts."""

    def __init__(self):
        self.seen = set()

    def __call__(self, name, args, path):
        if name in READS and path.endswith((".nc", ".outcrop.part")):
            if path in self.seen:
                return False
            self.seen.add(path)
        return name in READS or (name in OPENS and not is_creating(name, args))


def allowed():
    """True if processes may be traced here."""
    if not SUPPORTED:
        return False
    probe = subprocess.run(
        ["python3", "-c", "import ctypes,sys; sys.exit(ctypes.CDLL(None).ptrace(0,0,0,0) != 0)"], check=False
    )
    return probe.returncode == 0
