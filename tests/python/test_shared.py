"""Every array file of ../shared/data, value by value: what `outcrop convert` copies equals what the reference library reads.

NetCDF-3 is judged by netCDF4, NetCDF-4 and HDF5 by h5py, GeoTIFF by rasterio, miniSEED by ObsPy, Zarr by zarr-python.
"""
import collections
import json
import os
import pathlib
import subprocess

import h5py
import netCDF4
import numpy as np
import obspy
import pytest
import rasterio
import zarr

ROOT = pathlib.Path(__file__).parents[2]
OUTCROP = ROOT / "target" / "release" / "outcrop"
DATA = ROOT.parent / "shared" / "data"


def files(*endings):
    found = sorted(path for ending in endings for path in DATA.rglob(f"*{ending}") if ".zarr" not in str(path.parent))
    return [pytest.param(path, id=str(path.relative_to(DATA))) for path in found]


def test_data_is_there():
    if not DATA.exists():
        assert not os.environ.get("CI"), f"{DATA} is not there"
        pytest.skip(f"{DATA} is not there")


def outcrop(*arguments, codes=(0,)):
    done = subprocess.run([OUTCROP, "--quiet", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode in codes, done.stderr
    return done


def names(path):
    return [variable["name"] for variable in json.loads(outcrop("info", path, "--json").stdout)["variables"]]


def values(path, name, folder):
    """The stored values of one variable, through a store of Zarr."""
    outcrop("convert", path, "--to", folder / "out.zarr", "--var", name)
    group = zarr.open_group(folder / "out.zarr", mode="r")
    return group[name.split("/")[-1]][...]


def same(got, want, name):
    want = np.asarray(want)
    # Booleans and enumerations of HDF5 are whole numbers; characters are joined, and their padding goes.
    if want.dtype.kind == "b":
        want = want.astype("uint8")
    if got.dtype.kind in "UTO" or want.dtype.kind in "SUO":
        text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
        want = netCDF4.chartostring(want, encoding="none") if want.dtype == "S1" and want.ndim > got.ndim else want
        assert [text(v).rstrip("\0 ") for v in want.ravel().tolist()] == [text(v).rstrip("\0 ") for v in got.ravel().tolist()], name
        return
    assert got.shape == want.shape and got.dtype == want.dtype.newbyteorder("="), (name, got.dtype, want.dtype, got.shape, want.shape)
    assert got.tobytes() == want.astype(got.dtype).tobytes(), name


@pytest.mark.parametrize("path", files(".nc", ".h5", ".hdf5"))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hdf5_and_netcdf(path, tmp_path):
    listed = names(path)
    compared = 0
    if path.read_bytes()[:3] == b"CDF":
        with netCDF4.Dataset(path) as want:
            want.set_auto_maskandscale(False), want.set_auto_chartostring(False)
            assert listed == list(want.variables)
            for name in listed:
                same(values(path, name, tmp_path), want[name][...], name)
                compared += 1
    else:
        with h5py.File(path) as want:
            datasets = {}
            want.visititems(lambda name, node: datasets.__setitem__(name, node) if isinstance(node, h5py.Dataset) else None)
            kind = lambda node: node.dtype.kind if node.shape is not None else "O"
            for name, node in datasets.items():
                # Dimensions without a variable are no variables; texts of any length, lists and references go other ways.
                if str(node.attrs.get("NAME", b"")).startswith("b'This is a netCDF dimension but not"):
                    continue
                if kind(node) in "OV" or name not in listed:
                    assert name in listed or kind(node) in "OV" or "phony" in name, name
                    continue
                same(values(path, name, tmp_path), node[...], name)
                compared += 1
    assert compared, "nothing was compared"


@pytest.mark.parametrize("path", files(".tif", ".tiff"))
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images(path, tmp_path):
    with rasterio.open(path) as want:
        got = values(path, "band_data", tmp_path)
        assert got.tobytes() == want.read().tobytes() and got.shape == (want.count, *want.shape)


@pytest.mark.parametrize("path", files(".mseed"))
@pytest.mark.filterwarnings("ignore")
def test_waveforms(path, tmp_path):
    stream = obspy.read(str(path))
    want = collections.defaultdict(list)
    for trace in stream:
        if trace.stats.npts and trace.data.dtype.kind in "if":
            want[trace.id].append(trace)
    outcrop("convert", path, "--to", tmp_path / "out.zarr", codes=(0, 1))
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    got = collections.defaultdict(list)
    for name, array in group.arrays():
        # Texts are joined, and without times.
        if not name.startswith("time") and array.ndim:
            got[("." + name[2:] if name.startswith("_.") else name).split("_")[0]].append((group[array.metadata.dimension_names[0]][0], array))
    assert {name: len(traces) for name, traces in want.items()}.items() <= {name: len(a) for name, a in got.items()}.items()
    for name, traces in want.items():
        # At one start, the longer one first: order in the file is not that of the starts.
        arrays = sorted(got[name], key=lambda pair: (pair[0], -pair[1].shape[0]))
        for (start, array), trace in zip(arrays, sorted(traces, key=lambda t: (t.stats.starttime.ns, -t.stats.npts))):
            assert abs(int(start) - trace.stats.starttime.ns) < 1000, name
            np.testing.assert_array_equal(array[...], trace.data)


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(DATA))) for path in sorted(DATA.rglob("*.zarr"))])
def test_stores(path, tmp_path):
    want = zarr.open_group(path, mode="r")
    listed = names(path)
    assert listed
    for name in listed:
        same(values(path, name, tmp_path), want[name][...], name)
