"""Times ObsPy and libmseed on the files that `cargo bench -p outcrop-formats --bench miniseed` leaves in target."""
import pathlib
import time

import obspy
import pymseed

target = pathlib.Path(__file__).parents[3] / "target"


def best(read, rounds=5):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        assert read() == 20_000_000
        times.append(time.perf_counter() - start)
    return min(times)


for name in ("steim1", "steim2", "int32"):
    path = target / f"bench_{name}.mseed"
    data = path.read_bytes()

    def by_obspy():
        return obspy.read(str(path), format="MSEED")[0].stats.npts

    def by_libmseed():
        return pymseed.MS3TraceList.from_buffer(data, unpack_data=True)[0][0].numsamples

    def headers():
        return pymseed.MS3TraceList.from_buffer(data, unpack_data=False)[0][0].samplecnt

    print(f"{name}: ObsPy {best(by_obspy) * 1e3:.0f} ms, libmseed {best(by_libmseed) * 1e3:.0f} ms, "
          f"of which headers {best(headers) * 1e3:.0f} ms")
