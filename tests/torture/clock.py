"""Clocks that are a day ahead, a day behind, or jump: journal, lock and waits of a fetch do not mind.

    python3 tests/torture/clock.py PROGRAM
"""
import email.utils
import glob
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

DAY = 86_400
SKEWS = {"a day behind": "-1d", "a day ahead": "+1d", "a year behind": "-365d", "right": "+0d"}


class Archive(http.server.BaseHTTPRequestHandler):
    """Each path is busy for two seconds at its first request, and says so in seconds or as a date by its own clock."""

    protocol_version = "HTTP/1.1"
    asked = {}
    slow = threading.Event()

    def do_GET(self):
        times = self.asked.setdefault(self.path, [])
        times.append(time.monotonic())
        kind = self.path.strip("/").split("-")[0]
        if kind in ("seconds", "date") and len(times) == 1:
            wait = "2" if kind == "seconds" else email.utils.formatdate(int(time.time()) + 2, usegmt=True)
            self.answer(503, b"", wait)
            return
        if kind == "held":
            self.slow.wait(20)
        self.answer(200, self.path.encode() * 1000)

    def answer(self, status, body, wait=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 200:
            self.send_header("ETag", '"one"')
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Bench:
    def __init__(self, program, work):
        self.program, self.work = program, work
        libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        self.library = libraries[0] if libraries else ""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def start(self, skew, names, to, since_start=False):
        def item(name):
            return {"type": "Feature", "stac_version": "1.1.0", "id": name, "geometry": None, "links": [],
                    "properties": {"datetime": "2000-01-01T00:00:00Z"}, "assets": {"k": {"href": f"{self.base}/{name}"}}}

        items = self.work / f"{to}.json"
        items.write_text(json.dumps({"type": "FeatureCollection", "features": [item(name) for name in names]}))
        env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        env |= {"LD_PRELOAD": self.library, "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "HOME": str(self.work)}
        if since_start:
            env |= {"FAKETIME_TIMESTAMP_FILE": str(skew), "FAKETIME_NO_CACHE": "1"}
        else:
            env["FAKETIME"] = skew
        words = [self.program, "fetch", str(items), "--asset", "k", "--to", str(self.work / to), "--json"]
        return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, skew, names, to):
        child = self.start(skew, names, to)
        try:
            out, err = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return None, {}, "it did not end"
        return child.returncode, json.loads(out) if out else {}, err


def check(problems, holds, text):
    if not holds:
        problems.append(text)


def waits(bench, problems):
    """What is waited is what the server asks for, whatever the clock here says."""
    for number, (label, skew) in enumerate(SKEWS.items()):
        for kind in ("seconds", "date"):
            name = f"{kind}-{number}"
            code, said, err = bench.run(skew, [name], f"waits-{name}")
            times = Archive.asked[f"/{name}"]
            waited = times[-1] - times[0]
            check(problems, code == 0 and said.get("copied") == 1, f"{label}, {kind}: exit {code}: {err}")
            # A date has whole seconds.
            check(problems, len(times) == 2 and 0.9 < waited < 3.5, f"{label}, {kind}: waited {waited:.1f} s")


def journals(bench, problems):
    """What was fetched under one clock is there under another; what was changed is noticed."""
    names = [f"plain-{n}" for n in range(5)]
    for first in SKEWS.values():
        to = f"journal{first}"
        for round, skew in enumerate([first, *SKEWS.values()]):
            code, said, err = bench.run(skew, names, to)
            want = (5, 0) if round == 0 else (0, 5)
            check(problems, code == 0 and (said.get("copied"), said.get("skipped")) == want,
                  f"{first} then {skew}: exit {code}, {said.get('copied')} copied, {said.get('skipped')} there: {err}")
        copy = bench.work / to / "plain-0" / "plain-0"
        meta = copy.stat()
        copy.write_bytes(copy.read_bytes()[::-1])
        os.utime(copy, ns=(meta.st_atime_ns, meta.st_mtime_ns - DAY * 10**9))
        code, said, _ = bench.run("+0d", names, to)
        check(problems, said.get("copied") == 1, f"{first}: an altered file of another day was taken for whole")


def locks(bench, problems):
    """A lock is held by a process, not by a time."""
    for number, (label, skew) in enumerate(SKEWS.items()):
        Archive.slow.clear()
        name = f"held-{number}"
        first = bench.start("+0d", [name], f"lock-{number}")
        until = time.monotonic() + 10
        while f"/{name}" not in Archive.asked and time.monotonic() < until:
            time.sleep(0.02)
        code, _, err = bench.run(skew, [name], f"lock-{number}")
        check(problems, code == 2 and "another fetch is writing" in err, f"{label}: exit {code}: {err}")
        Archive.slow.set()
        out, err = first.communicate(timeout=60)
        check(problems, first.returncode == 0 and json.loads(out)["copied"] == 1, f"{label}: the first run: {err}")
        code, said, err = bench.run(skew, [name], f"lock-{number}")
        check(problems, code == 0 and said["skipped"] == 1, f"{label}: after the lock: exit {code}: {err}")


def jumps(bench, problems):
    """The clock jumps back and forth by days while files come."""
    stamp = bench.work / "stamp"
    names = [f"jump-{n}" for n in range(200)]
    stop = threading.Event()

    def jump():
        while not stop.is_set():
            for skew in ("-1d", "+1d", "-30d", "+0d"):
                fresh = stamp.with_suffix(".new")
                fresh.write_text(skew + "\n")
                fresh.rename(stamp)
                time.sleep(0.01)

    stamp.write_text("+0d\n")
    jumper = threading.Thread(target=jump)
    jumper.start()
    child = bench.start(stamp, names, "jumps", since_start=True)
    out, err = child.communicate(timeout=120)
    stop.set()
    jumper.join()
    check(problems, child.returncode == 0 and json.loads(out)["copied"] == 200, f"jumping: {child.returncode} {err}")
    code, said, err = bench.run("+0d", names, "jumps")
    check(problems, code == 0 and said["skipped"] == 200, f"after jumping: exit {code}, {said}: {err}")


def is_faked(bench):
    """True if the clock of the program is really another."""
    code, _, _ = bench.run("-365d", ["plain-0"], "faked")
    meta = (bench.work / "faked/plain-0/plain-0").stat()
    probe = subprocess.run(["date", "+%s"], env={"LD_PRELOAD": bench.library, "FAKETIME": "-365d", "PATH": os.environ["PATH"]},
                           capture_output=True, text=True, check=True)
    return code == 0 and meta.st_size > 0 and abs(time.time() - 365 * DAY - int(probe.stdout)) < 100


def main():
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(os.path.realpath(sys.argv[1]), pathlib.Path(work))
        if not bench.library:
            print("skipped: libfaketime is not installed")
            return 0
        if not is_faked(bench):
            print("the clock cannot be faked")
            return 1
        problems = []
        for test in (waits, journals, locks, jumps):
            test(bench, problems)
        for problem in problems:
            print(f"  clock: {problem}")
        print(f"| clocks a day ahead, behind and jumping | 8 waits, 20 journals, 4 locks, 200 files under a jumping clock | "
              f"{len(problems)} failures |")
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
