"""rasterio, netCDF4 and xarray compare what `outcrop convert` made of the fixtures with the fixtures."""
import os
import pathlib

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

CONVERTED = pathlib.Path(os.environ.get("JUDGED", "judged")) / "converted"
FIXTURES = pathlib.Path(__file__).parents[2] / "crates" / "formats" / "tests" / "fixtures"
# The reader refuses the first by name; GeoKeys of the second, oblique Mercator, are not written.
REFUSED = {"fax.tif", "crs_omerc.tif"}
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


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("error")
def test_zarr(name):
    with xr.open_dataset(FIXTURES / name, decode_cf=False) as want:
        got = xr.open_zarr(CONVERTED / f"{name}.zarr", decode_cf=False)
        assert set(got.variables) <= set(want.variables) and got.variables
        for variable in got.variables:
            np.testing.assert_array_equal(got[variable].values, want[variable].values)
            assert got[variable].dims == want[variable].dims
