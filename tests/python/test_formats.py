"""Other programs read what crates/formats writes. SAMPLES names the folder that its example write_samples filled."""
import os
import pathlib

import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

SAMPLES = pathlib.Path(os.environ.get("SAMPLES", "samples"))


@pytest.mark.parametrize("store", ["v2.zarr", "v3.zarr"])
@pytest.mark.parametrize("group", ["1980", "1981"])
@pytest.mark.parametrize("consolidated", [True, False, None])
@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
def test_zarr(store, group, consolidated):
    d = xr.open_zarr(SAMPLES / store, group=group, consolidated=consolidated)
    want = np.arange(30, dtype="f8").reshape(2, 3, 5)
    want[1, 2:, 3:] = np.nan
    np.testing.assert_array_equal(d["leaf"].values, want)
    assert d["leaf"].dims == ("plant", "y", "x")
    assert d["leaf"].dtype == "f8"
    assert d["leaf"].attrs["units"] == "1"
    assert d["leaf"].chunks == ((1, 1), (2, 1), (3, 2)) if d["leaf"].chunks else True
    assert list(d["plant"].values) == ["lilac", "arnold red"]
    assert d["note"].values.ravel().tolist() == ["", "größe", "日本", " ", "x", "long " * 100]
    assert d.sel(plant="lilac", x=4, y=30)["leaf"].item() == 14
    assert d.attrs == {"title": group}


@pytest.mark.parametrize("store", ["v2.zarr", "v3.zarr"])
def test_zarr_root_lists_its_groups(store):
    import zarr
    assert set(zarr.open_group(SAMPLES / store, mode="r").group_keys()) == {"1980", "1981"}


@pytest.mark.parametrize("store", ["types_v2.zarr", "types_v3.zarr"])
def test_zarr_of_all_types(store):
    import warnings

    import zarr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_zarr = zarr.open_group(SAMPLES / store, mode="r")
        by_xarray = xr.open_zarr(SAMPLES / store, mask_and_scale=False)
    kinds = [f"{i}{n}" for i in ("int", "uint") for n in (8, 16, 32, 64)]
    kinds += ["float16", "float32", "float64", "complex64", "complex128"]
    names = kinds if "v2" in store else kinds + [f"{kind}_sharded" for kind in kinds]
    assert set(by_zarr.array_keys()) == set(names) == set(by_xarray.variables)
    for name in names:
        kind = name.removesuffix("_sharded")
        flat = np.arange(35) % 10 if kind == "float16" else np.arange(35)
        want = flat.reshape(5, 7).astype(kind) + (1j if kind.startswith("c") else 0)
        want[4] = 9 + (1j if kind.startswith("c") else 0)
        got = by_zarr[name]
        assert got.dtype == kind and got.chunks == (2, 3)
        assert got.shards == ((4, 6) if name != kind else None)
        assert got.fill_value == want[4, 0]
        np.testing.assert_array_equal(got[:], want, err_msg=name)
        np.testing.assert_array_equal(by_xarray[name].values, want, err_msg=name)


def expected():
    return (np.arange(60_000) % 1000).astype("f4").reshape(30, 40, 50)


def test_netcdf4():
    with netCDF4.Dataset(SAMPLES / "sample.nc") as f:
        assert f.data_model == "NETCDF4"
        assert {n: (len(d), d.isunlimited()) for n, d in f.dimensions.items()} == {
            "time": (30, True), "y": (40, False), "x": (50, False), "nv": (2, False)}
        assert f.title == "größe"
        assert list(f.names) == ["a", "bcd"]
        assert f.number == 7 and f.long == 1 << 40 and f.half == np.float32(0.5)
        assert list(f.range) == [-1.0, 2.5]
        assert f.empty == ""
        v = f["v"]
        assert v.dimensions == ("time", "y", "x") and v.chunking() == [1, 7, 8]
        assert v.filters()["zlib"] and v.filters()["shuffle"]
        assert v._FillValue == np.float32(-9999) and v.missing_value.dtype == "f4"
        np.testing.assert_array_equal(v[:], expected())
        assert f["y"].dimensions == ("x",) and f["lat"].dimensions == ("y", "x")
        np.testing.assert_array_equal(f["lat"][:].ravel(), np.arange(2000))
        assert f["crs"][:] == -7
        b = f["time_bnds"][:]
        assert b[:16].mask.all() and b[16, 0] == 0 and b[29, 1] == 27
        np.testing.assert_array_equal(f["time"][:], np.arange(30))


@pytest.mark.parametrize("engine", ["netcdf4"])
def test_xarray(engine):
    d = xr.open_dataset(SAMPLES / "sample.nc", engine=engine)
    np.testing.assert_array_equal(d["v"].values, expected())
    assert d["time"].values[1] == np.datetime64("1980-01-02")
    assert d["v"].dtype == "f4"
    assert d["v"].encoding["chunksizes"] == (1, 7, 8)


def test_h5py():
    with h5py.File(SAMPLES / "sample.nc") as f:
        np.testing.assert_array_equal(f["v"][...], expected())
        assert [d[0].name for d in f["v"].dims] == ["/time", "/y", "/x"]
        assert f["time"].is_scale
        assert len(f["time"].attrs["REFERENCE_LIST"]) == 2


def test_netcdf4_can_be_appended_to(tmp_path):
    import shutil
    copy = tmp_path / "a.nc"
    shutil.copy(SAMPLES / "sample.nc", copy)
    with netCDF4.Dataset(copy, "a") as f:
        f["v"][30] = np.full((40, 50), 5, "f4")
        f.added = "x"
    with netCDF4.Dataset(copy) as f:
        assert len(f.dimensions["time"]) == 31 and (f["v"][30] == 5).all()
        np.testing.assert_array_equal(f["v"][:30], expected())


CLASSIC = {"cdf1": "NETCDF3_CLASSIC", "cdf2": "NETCDF3_64BIT_OFFSET", "cdf5": "NETCDF3_64BIT_DATA"}
CLASSIC_TYPES = {"int8": "i1", "char": "S1", "int16": "i2", "int32": "i4", "float32": "f4", "float64": "f8",
                 "uint8": "u1", "uint16": "u2", "uint32": "u4", "int64": "i8", "uint64": "u8"}


def classic_types(name):
    return list(CLASSIC_TYPES)[:6] if name != "cdf5" else list(CLASSIC_TYPES)


def classic_want(rows, kind):
    want = (65 + np.arange(5 * rows)).reshape(rows, 5).astype("u1")
    want = want.view("S1") if kind == "S1" else want.astype(kind)
    fill = netCDF4.default_fillvals[kind]
    want[2:, 3:] = fill
    return want


@pytest.mark.parametrize("name", CLASSIC)
def test_netcdf3_by_netcdf_c(name):
    with netCDF4.Dataset(SAMPLES / f"{name}.nc") as f:
        f.set_auto_mask(False)
        assert f.data_model == CLASSIC[name]
        assert {n: (len(d), d.isunlimited()) for n, d in f.dimensions.items()} == {
            "y": (4, False), "time": (3, True), "x": (5, False)}
        assert f.title == "größe" and list(f.numbers) == [7, -8] and f.half == np.float32(0.5)
        assert list(f.range) == [-1.0, 2.5] and f.empty == ""
        for kind in classic_types(name):
            numpy = CLASSIC_TYPES[kind]
            for variable, dims, rows in [(kind, ("y", "x"), 4), (f"{kind}_t", ("time", "x"), 3)]:
                assert f[variable].dimensions == dims and f[variable].dtype == numpy
                np.testing.assert_array_equal(f[variable][:], classic_want(rows, numpy), err_msg=variable)
            if kind != "char":
                assert f[kind].valid_max.dtype == numpy
        assert f["filled"]._FillValue == np.float32(9) and (f["filled"][:] == 9).all()
        assert f["scalar"][...] == 77
    with netCDF4.Dataset(SAMPLES / f"{name}_single.nc") as f:
        np.testing.assert_array_equal(f["v"][:].ravel(), np.arange(15))


@pytest.mark.parametrize("name", CLASSIC)
def test_netcdf3_is_as_netcdf_c_writes_it(name, tmp_path):
    """The same content by netCDF-C has the same bytes."""
    with netCDF4.Dataset(tmp_path / "a.nc", "w", format=CLASSIC[name]) as f:
        f.set_fill_on()
        f.createDimension("time", None)
        f.createDimension("x", 3)
        f.createVariable("v", "i1", ("time", "x"))[:] = np.arange(15).reshape(5, 3)
    assert (SAMPLES / f"{name}_single.nc").read_bytes().rstrip(b"\0") == (
        (tmp_path / "a.nc").read_bytes().rstrip(b"\0"))


@pytest.mark.parametrize("name,engine", [("cdf1", "scipy"), ("cdf2", "scipy"), ("cdf1", "netcdf4"), ("cdf5", "netcdf4")])
def test_netcdf3_by_xarray(name, engine):
    d = xr.open_dataset(SAMPLES / f"{name}.nc", engine=engine, mask_and_scale=False)
    for kind in classic_types(name):
        for variable, rows in [(kind, 4), (f"{kind}_t", 3)]:
            want = classic_want(rows, CLASSIC_TYPES[kind])
            np.testing.assert_array_equal(d[variable].values, want, err_msg=variable)


@pytest.mark.parametrize("name", CLASSIC)
def test_netcdf3_can_be_appended_to(name, tmp_path):
    import shutil
    shutil.copy(SAMPLES / f"{name}.nc", tmp_path / "a.nc")
    with netCDF4.Dataset(tmp_path / "a.nc", "a") as f:
        f.set_auto_mask(False)
        f["int16_t"][3] = 5
        np.testing.assert_array_equal(f["int16_t"][:3], classic_want(3, "i2"))
        np.testing.assert_array_equal(f["float64_t"][:3], classic_want(3, "f8"))


@pytest.mark.parametrize("form", ["json", "parq"])
@pytest.mark.parametrize("name", ["netcdf4.nc", "classic.nc", "cdf5.nc", "offset64.nc"])
def test_references_open_as_the_file_does(name, form):
    fixture = pathlib.Path(__file__).parents[2] / "crates/formats/tests/fixtures" / name
    storage = {"fo": str(SAMPLES / f"{name}.{form}"), "remote_protocol": "file"}
    options = {"storage_options": storage, "consolidated": False}
    want = xr.open_dataset(fixture)
    got = xr.open_dataset("reference://", engine="zarr", backend_kwargs=options)
    assert set(got.variables) == set(want.variables)
    for variable in want.variables:
        assert got[variable].dims == want[variable].dims
        np.testing.assert_array_equal(got[variable].values, want[variable].values, err_msg=variable)


MSEED_START = 1_614_834_367_891_234_000
MSEED_ENCODINGS = {"int16": "INT16", "int32": "INT32", "float32": "FLOAT32", "float64": "FLOAT64", "steim1": "STEIM1",
                   "steim2": "STEIM2"}


def mseed_expected(name):
    i = np.arange(9000)
    values = (i * i) % 4001 - 2000
    return values.astype(name if name.startswith("float") else "i4")


@pytest.mark.parametrize("name", MSEED_ENCODINGS)
def test_miniseed_2_by_obspy(name):
    import obspy
    first, second = obspy.read(SAMPLES / f"{name}_v2.mseed", format="MSEED", details=True)
    assert first.id == second.id == "XX.ABC.00.BHZ"
    assert first.stats.mseed.encoding == MSEED_ENCODINGS[name]
    assert first.stats.mseed.record_length == 512 and first.stats.mseed.byteorder == ">"
    assert first.stats.starttime.ns == MSEED_START and first.stats.sampling_rate == 40
    assert second.stats.starttime.ns == MSEED_START + 235_000_000_000
    assert abs(second.stats.sampling_rate - 19.9975) < 1e-5
    np.testing.assert_array_equal(first.data, mseed_expected(name))
    np.testing.assert_array_equal(second.data, mseed_expected(name)[:300])
    assert first.data.dtype == mseed_expected(name).dtype


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", MSEED_ENCODINGS)
def test_miniseed_by_libmseed(name, version):
    import pymseed
    with pymseed.MS3Record.from_file(str(SAMPLES / f"{name}_v{version}.mseed"), validate_crc=True) as records:
        found = [(r.formatversion, r.sourceid, r.starttime, r.samplecnt, r.pubversion) for r in records]
    assert {r[0] for r in found} == {version} and {r[1] for r in found} == {"FDSN:XX_ABC_00_B_H_Z"}
    assert sum(r[3] for r in found) == 9300
    assert found[0][2] == MSEED_START
    assert {r[4] for r in found} == ({4} if version == 3 else {2})
    (trace,) = pymseed.MS3TraceList.from_file(str(SAMPLES / f"{name}_v{version}.mseed"), unpack_data=True)
    first, second = trace
    assert first.starttime == MSEED_START and first.samprate == 40
    assert second.starttime == MSEED_START + 235_000_000_000
    assert abs(second.samprate - 19.9975) < (1e-12 if version == 3 else 1e-5)
    np.testing.assert_array_equal(first.np_datasamples, mseed_expected(name))
    np.testing.assert_array_equal(second.np_datasamples, mseed_expected(name)[:300])


# What crates/formats reads from GeoTIFF files, beside what rasterio (GDAL) reads today: the fixtures are held to want.json
# by the crate's own tests, and want.json to rasterio here.
TIFF = pathlib.Path(__file__).parents[2] / "crates/formats/tests/fixtures/tiff"


def tiff_cases():
    import json
    return [(name, want) for name, want in json.loads((TIFF / "want.json").read_text()).items() if "refused" not in want]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, want", tiff_cases(), ids=lambda case: case if isinstance(case, str) else "")
def test_geotiff_fixtures_are_what_rasterio_reads(name, want):
    with rasterio.open(TIFF / name) as f:
        got = f.read()
        assert list(got.shape) == want["shape"]
        if "transform" in want:
            assert list(f.transform.to_gdal()) == want["transform"]
    if "values" in want:
        np.testing.assert_array_equal(got.ravel(), np.array(want["values"], dtype="f8"))
    elif "written" not in want:
        flat = np.arange(got.size, dtype="i8")
        expected = ((flat * 7 + 3) % 101 % want.get("limit", 101)).reshape(got.shape)
        np.testing.assert_array_equal(got.real, expected)
