"""Each call by which a fetch changes files fails once, fails from then on, falls short, or is the last before a kill.

    python3 tests/torture/calls.py PROGRAM [--every N] [--only WORD] [--verbose]

A fetch of three assets (9 MiB, 2 MiB, 40 kB; from `outcrop serve`, thus with ETags and records) into an empty folder, and
the same over a catalog of 20 older items with other versions of the three. After each fault: an exit code of 0, 1 or 2 (no
signal, no panic, no hang), an error that names a path of the destination, every file under a final name one whole version,
every document parses and every link leads to one, the 20 older items and their files are there. Then the same fetch without
a fault: exit 0, all digests right, nothing temporary left. With --every N only each N-th call is taken (the quick run).
"""
import argparse
import errno
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tracer  # noqa: E402

SIZES = {"large": 9 << 20, "middle": 2 << 20, "small": 40_000}
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EINTR": errno.EINTR, "EACCES": errno.EACCES}
KILLS = ["before", "after", "torn"]


def content(name, version):
    return random.Random(f"{name} {version}").randbytes(SIZES[name] + version)


def item(id, assets, title):
    return {"type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": None, "links": [],
            "properties": {"datetime": "2000-01-01T00:00:00Z", "title": title},
            "assets": {key: {"href": href} for key, href in assets.items()}}


class Bench:
    def __init__(self, program, work):
        self.program, self.work = program, work
        self.archive = work / "archive"
        self.archive.mkdir()
        for version in (1, 2):
            (self.archive / f"v{version}").mkdir()
            for name in SIZES:
                (self.archive / f"v{version}" / f"{name}.nc").write_bytes(content(name, version))
        self.versions = {name: {hashlib.sha256(content(name, v)).hexdigest() for v in (1, 2)} for name in SIZES}
        self.wanted = {name: hashlib.sha256(content(name, 2)).hexdigest() for name in SIZES}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.server = subprocess.Popen([program, "--quiet", "serve", str(self.archive), "--bind", f"127.0.0.1:{port}"])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        self.olds = {f"old-{n:02}": b"old %d" % n * 50 for n in range(20)}
        self.env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        self.env["HOME"] = str(work)

    def items(self, name, version, olds):
        one = {key: f"{self.base}/v{version}/{key}.nc" for key in SIZES}
        features = [item("new", one, f"version {version}")] if version else []
        features += [item(id, {"old": str(self.work / "olds" / f"{id}.nc")}, "old") for id in olds]
        path = self.work / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return path

    def prepare(self):
        (self.work / "olds").mkdir()
        for id, data in self.olds.items():
            (self.work / "olds" / f"{id}.nc").write_bytes(data)
        self.items("new.json", 2, [])
        self.items("olds.json", 0, self.olds)
        self.items("before.json", 1, [])
        for items, keys in (("olds.json", ["old"]), ("before.json", SIZES)):
            ended = self.plain(items, self.work / "template", keys)
            assert ended.returncode == 0, ended.stderr

    def arguments(self, items, to, keys=SIZES):
        words = ["fetch", str(self.work / items), "--asset", ",".join(keys), "--to", str(to), "--retries", "0"]
        return [self.program, *words]

    def plain(self, items, to, keys=SIZES):
        words = self.arguments(items, to, keys)
        return subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)

    def traced(self, to, wanted, fault=None):
        return tracer.run(self.arguments("new.json", to), str(to), wanted, fault, str(self.work), self.env)


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left_over(to):
    return sorted(str(p.relative_to(to)) for p in to.rglob("*") if re.search(r"\.(part|record)$", p.name))


def documents(to, problems):
    """All items that the root leads to, each document parsed and each link followed."""
    found, todo = {}, [to / "catalog.json"]
    while todo:
        path = todo.pop()
        try:
            body = json.loads(path.read_bytes())
        except (OSError, ValueError) as why:
            problems.append(f"{path.relative_to(to)} does not parse: {why}")
            continue
        if body["type"] == "Feature":
            found[body["id"]] = (path, body)
        todo += [path.parent / link["href"] for link in body["links"] if link["rel"] in ("child", "item")]
    return found


def check_there(bench, to, is_over, problems):
    """What must hold at every moment."""
    for path in to.rglob("*.nc"):
        name = path.stem
        if name in bench.olds:
            if path.read_bytes() != bench.olds[name]:
                problems.append(f"{path.name} was changed")
        elif sha(path) not in bench.versions[name]:
            problems.append(f"{path.name} is not whole")
    found = documents(to, problems) if (to / "catalog.json").exists() else {}
    if is_over:
        lost = [id for id in [*bench.olds, "new"] if id not in found]
        lost += [id for id in bench.olds if not (to / id / f"{id}.nc").exists()]
        if lost:
            problems.append(f"lost: {lost}")
    for id, (path, body) in found.items():
        for key, asset in body["assets"].items():
            copy = path.parent / asset["href"]
            if "://" not in asset["href"] and not copy.exists():
                problems.append(f"{id} names {asset['href']}, which is not there")
    ledger = to / ".outcrop-fetch.ledger.ndjson"
    for line in ledger.read_text().splitlines() if ledger.exists() else []:
        line = json.loads(line)
        if line["state"] != "failed" and not (to / line["file"]).is_file():
            problems.append(f"the ledger calls {line['file']} done")
    journal = to / ".outcrop-fetch.journal"
    for line in journal.read_bytes().splitlines() if journal.exists() else []:
        total, _, text = line.decode(errors="replace").partition(" ")
        if checksum(text) == total and not (to / json.loads(text)["file"]).is_file():
            problems.append(f"the journal calls {json.loads(text)['file']} done")


def checksum(text):
    """FNV-1a, as the journal has it."""
    total = 0xCBF29CE484222325
    for byte in text.encode():
        total = ((total ^ byte) * 0x100000001B3) % (1 << 64)
    return f"{total:016x}"


def check_done(bench, to, is_over, problems):
    """What holds after a run that says that all is done."""
    for name, want in bench.wanted.items():
        path = to / "new" / f"{name}.nc"
        if not path.exists() or sha(path) != want:
            problems.append(f"{name}.nc is not the new version")
    found = documents(to, problems)
    want = set(bench.olds if is_over else []) | {"new"}
    if set(found) != want:
        problems.append(f"the catalog names {sorted(found)}")
    elif found["new"][1]["properties"]["title"] != "version 2":
        problems.append("the item is not the new one")
    elif any("://" in asset["href"] for asset in found["new"][1]["assets"].values()):
        problems.append("the item does not name its copies")


def judge(bench, to, is_over, fault, ended):
    """The problems after one fault, and after the run that follows it."""
    problems = []
    is_kill = fault.how in KILLS
    if ended.hung:
        problems.append("it hung")
    elif is_kill and ended.hit and ended.signal is None:
        # The call that kills may be the last thing that the process does.
        if ended.code != 0:
            problems.append(f"exit {ended.code}")
    elif not is_kill and (ended.signal is not None or ended.code not in (0, 1, 2)):
        problems.append(f"exit {ended.code}, signal {ended.signal}")
    if "panicked" in ended.err:
        problems.append("it panicked")
    if not is_kill and ended.code in (1, 2) and str(to) not in ended.err:
        problems.append("no path is named")
    check_there(bench, to, is_over, problems)
    if ended.code == 0:
        check_done(bench, to, is_over, problems)
    problems = [f"{problem}" for problem in problems]
    again = bench.plain("new.json", to)
    later = []
    if again.returncode != 0:
        later.append(f"exit {again.returncode}: {again.stderr.strip()[-300:]}")
    check_there(bench, to, is_over, later)
    check_done(bench, to, is_over, later)
    name = ended.calls[fault.at][0] if fault.at < len(ended.calls) else ""
    # What could not be removed stays: a kill comes before the removal, an error is told by none.
    if left_over(to) and (is_kill or not name.startswith("unlink")) and not fault.ever:
        later.append(f"left over: {left_over(to)}")
    return problems + [f"afterwards: {problem}" for problem in later]


def faults_at(n, name):
    for code in ERRORS.values():
        for ever in (False, True):
            # A call that is interrupted for ever is one that never ends.
            if not (code == errno.EINTR and ever):
                yield tracer.Fault(n, code, ever)
    yield tracer.Fault(n, "before")
    yield tracer.Fault(n, "after")
    if name in tracer.WRITES:
        yield tracer.Fault(n, "short")
        yield tracer.Fault(n, "torn")


def label(fault):
    name = next((name for name, code in ERRORS.items() if code == fault.how), fault.how)
    return f"{name}{' for ever' if fault.ever else ''}"


def scenario(bench, name, is_over, options):
    to = bench.work / "to"

    def fresh():
        shutil.rmtree(to, ignore_errors=True)
        if is_over:
            subprocess.run(["cp", "-a", bench.work / "template", to], check=True)
        else:
            to.mkdir()

    totals = []
    for kind, wanted in (("changes", tracer.Changes), ("reads", tracer.Reads)):
        if options.only and options.only not in f"{name} {kind}":
            continue
        fresh()
        calls = bench.traced(to, wanted()).calls
        runs = failures = hits = 0
        taken = range(0, len(calls), options.every)
        for n in taken:
            for fault in faults_at(n, calls[n][0]):
                if kind == "reads" and (fault.how not in (errno.EIO, errno.EACCES) or fault.ever):
                    continue
                fresh()
                ended = bench.traced(to, wanted(), fault)
                runs, hits = runs + 1, hits + ended.hit
                problems = judge(bench, to, is_over, fault, ended)
                failures += bool(problems)
                if problems or options.verbose:
                    at = ended.calls[n] if n < len(ended.calls) else ("none", "")
                    print(f"  {name}: call {n}, {at[0]} {at[1]}, {label(fault)}: exit {ended.code}; "
                          f"{'; '.join(problems) or 'fine'}", flush=True)
                    if problems and options.verbose:
                        print(ended.err)
        print(f"| {kind} of a fetch {name} | {len(taken)} of {len(calls)} calls, {runs} faults, {hits} met | "
              f"{failures} failures |", flush=True)
        totals.append((runs, hits, failures))
    return totals


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not tracer.allowed():
        print("skipped: calls can only be counted on x86_64 Linux, where processes may be traced")
        return 0
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(os.path.realpath(options.program), pathlib.Path(os.path.realpath(work)))
        try:
            bench.prepare()
            totals = scenario(bench, "into an empty folder", False, options)
            totals += scenario(bench, "over an older catalog", True, options)
        finally:
            bench.server.kill()
            bench.server.wait()
    # A run that meets no fault tests nothing.
    return 1 if any(failures or 2 * hits < runs for runs, hits, failures in totals) else 0


if __name__ == "__main__":
    sys.exit(main())
