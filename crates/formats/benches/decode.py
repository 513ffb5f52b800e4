"""Times h5py on the file that `cargo bench -p outcrop-formats --bench decode` leaves in target.

On 2 threads each reads half of the chunks from a file of its own; libhdf5 has one lock for all of them.
"""
import pathlib
import threading
import time

import h5py

path = pathlib.Path(__file__).parents[3] / "target" / "bench_decode.nc"
STEP = 8


def read(part, parts):
    with h5py.File(path) as f:
        v = f["v"]
        for n, t in enumerate(range(0, v.shape[0], STEP)):
            if n % parts == part:
                v[t : t + STEP]


def best(threads, rounds=9):
    times = []
    for _ in range(rounds):
        workers = [threading.Thread(target=read, args=(i, threads)) for i in range(threads)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        times.append(time.perf_counter() - start)
    return min(times)


def opening(rounds=200):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        with h5py.File(path) as f:
            f["v"].shape
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2]


with h5py.File(path) as f:
    megabytes = f["v"].size * 4 / 1e6
print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}")
for threads in (1, 2):
    print(f"{threads} threads: {megabytes / best(threads):.0f} MB/s")
print(f"open: median {opening() * 1e3:.3f} ms")
