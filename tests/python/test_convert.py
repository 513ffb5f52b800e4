"""rasterio, netCDF4 and xarray compare what `outcrop convert` made of the fixtures with the fixtures."""
import os
import pathlib

import netCDF4
import numpy as np
import obspy
import pytest
import rasterio
import xarray as xr

CONVERTED = pathlib.Path(os.environ.get("JUDGED", "judged")) / "converted"
FIXTURES = pathlib.Path(__file__).parents[2] / "crates" / "formats" / "tests" / "fixtures"
# The reader refuses the first by name; GeoKeys of the second, oblique Mercator, are not written; a rate of the third is
# beyond the factors that other files of version 2 have.
REFUSED = {"fax.tif", "crs_omerc.tif", "corrections.mseed"}
IMAGES = sorted((FIXTURES / "tiff").glob("*.tif"))
FILES = ["netcdf4.nc", "classic.nc", "cdf5.nc", "offset64.nc"]


@pytest.mark.parametrize("source", IMAGES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_image(source):
    path = CONVERTED / source.name
    if source.name in REFUSED:
        assert not path.exists()
        return
    with rasterio.open(source) as want, rasterio.open(path) as got:
        assert got.shape == want.shape and got.count == want.count
        np.testing.assert_array_equal(got.read(), want.read())
        np.testing.assert_array_equal(got.dataset_mask(), want.dataset_mask())
        assert got.colorinterp == want.colorinterp
        assert got.nodata == want.nodata or np.isnan(got.nodata) and np.isnan(want.nodata)
        assert got.scales == want.scales and got.offsets == want.offsets
        assert got.descriptions == want.descriptions and got.units == want.units
        np.testing.assert_allclose(np.array(got.transform), np.array(want.transform), rtol=1e-12)
        if want.crs is not None and want.crs.to_epsg() is not None:
            assert got.crs.to_epsg() == want.crs.to_epsg()


def is_kept(variable):
    """Texts, and what has no NumPy type of numbers, are left out and named."""
    return variable.dtype is not str and isinstance(variable.datatype, np.dtype)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("start", ["", "3_"])
def test_netcdf(name, start):
    with netCDF4.Dataset(FIXTURES / name) as want, netCDF4.Dataset(CONVERTED / f"{start}{name}") as got:
        assert got.data_model.startswith("NETCDF3") == (start == "3_")
        assert {n: len(d) for n, d in got.dimensions.items()}.items() <= {n: len(d) for n, d in want.dimensions.items()}.items()
        kept = [variable for variable in want.variables.values() if is_kept(variable)]
        assert [variable.name for variable in kept] == list(got.variables)
        for variable in kept:
            copy = got[variable.name]
            variable.set_auto_maskandscale(False), copy.set_auto_maskandscale(False)
            variable.set_auto_chartostring(False), copy.set_auto_chartostring(False)
            assert copy.dimensions == variable.dimensions and copy.dtype == variable.dtype
            np.testing.assert_array_equal(copy[...], variable[...])
            for name in variable.ncattrs():
                attr, want = np.asarray(copy.getncattr(name)), np.asarray(variable.getncattr(name))
                np.testing.assert_array_equal(attr, want)
                # The older versions of NetCDF-3 have no wide and no unsigned integers.
                narrowed = start and attr.dtype == np.int32 and want.dtype.kind in "iu"
                assert want.dtype.kind == "U" or attr.dtype == want.dtype or narrowed, name


@pytest.mark.parametrize("name", FILES)
def test_scaled_is_what_xarray_opens(name):
    options = {"decode_times": False, "decode_coords": False}
    # Without the limits of values, which xarray does not apply.
    limits = ("valid_min", "valid_max", "valid_range")
    with xr.open_dataset(FIXTURES / name, **options) as want, xr.open_dataset(CONVERTED / f"scaled_{name}", **options) as got:
        for variable in got.variables:
            if any(limit in want[variable].attrs for limit in limits):
                continue
            assert got[variable].dtype == want[variable].dtype or "since" in want[variable].attrs.get("units", ""), variable
            np.testing.assert_array_equal(got[variable].values, want[variable].values)


@pytest.mark.parametrize("copy", ["texts.nc", "texts.nc.zarr", "2_texts.nc.zarr"])
def test_texts(copy):
    path = CONVERTED / copy
    with xr.open_dataset(FIXTURES / "texts.nc") as want:
        got = xr.open_dataset(path, engine="zarr") if copy.endswith(".zarr") else xr.open_dataset(path)
        assert set(got.variables) == set(want.variables)
        for variable in want.variables:
            assert got[variable].dims == want[variable].dims
            # Bytes of texts that have no encoding stay bytes in xarray.
            whole = lambda array: [text.decode() if isinstance(text, bytes) else text for text in array.values.ravel().tolist()]
            assert whole(got[variable]) == whole(want[variable])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("start", ["", "2_"])
@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
def test_zarr(name, start):
    with xr.open_dataset(FIXTURES / name, decode_cf=False) as want:
        got = xr.open_zarr(CONVERTED / f"{start}{name}.zarr", decode_cf=False)
        assert set(got.variables) <= set(want.variables) and got.variables
        # Characters become texts, of one dimension less: test_texts.
        for variable in (name for name in got.variables if want[name].dtype.kind not in "SUO"):
            np.testing.assert_array_equal(got[variable].values, want[variable].values)
            assert got[variable].dims == want[variable].dims


@pytest.mark.parametrize("source", sorted(set(FIXTURES.glob("*.mseed")) - {FIXTURES / "version3.mseed"}), ids=lambda path: path.name)
def test_waveforms(source):
    """The same segments, sample by sample, as ObsPy reads them (version 2); characters are no waveforms."""
    path = CONVERTED / source.name
    if source.name in REFUSED:
        assert not path.exists()
        return
    numbers = lambda stream: [trace for trace in stream if trace.data.dtype.kind in "if" and trace.stats.npts]
    want, got = numbers(obspy.read(str(source))), numbers(obspy.read(str(path)))
    key = lambda trace: (trace.id, trace.stats.starttime.ns)
    assert [key(trace) for trace in sorted(got, key=key)] == [key(trace) for trace in sorted(want, key=key)]
    for copy, trace in zip(sorted(got, key=key), sorted(want, key=key)):
        np.testing.assert_array_equal(copy.data, trace.data)
        assert copy.stats.sampling_rate == pytest.approx(trace.stats.sampling_rate, rel=1e-6)
