"""Foreign programs judge what `outcrop demo` and `outcrop build` write. JUDGED names the folder with both."""
import datetime
import hashlib
import os
import pathlib

import netCDF4
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator

JUDGED = pathlib.Path(os.environ["JUDGED"])
DEMO = JUDGED / "demo"
ARCHIVE = DEMO / "archive"


def everything(root):
    catalog = pystac.Catalog.from_file(str(root / "catalog.json"))
    documents = [catalog, *(item for item in catalog.get_items(recursive=True))]
    return catalog, documents + [child for parent, children, _ in catalog.walk() for child in children]


@pytest.mark.parametrize("name", ["demo/catalog", "demo/local", "demo/results", "daymet"])
def test_catalogs_pass_the_core_schemas(name):
    _, documents = everything(JUDGED / name)
    validator = JsonSchemaSTACValidator()
    for document in documents:
        kind = pystac.STACObjectType.ITEM if isinstance(document, pystac.Item) else pystac.STACObjectType.CATALOG
        validator.validate_core(document.to_dict(), kind, "1.1.0", document.get_self_href())


def test_the_daymet_catalog_is_complete():
    catalog, documents = everything(JUDGED / "daymet")
    items = list(catalog.get_items(recursive=True))
    assert (len(items), sum(len(item.assets) for item in items)) == (159, 1113)
    assert len(list((JUDGED / "daymet").rglob("*.json"))) == 163
    assert [child.id for child in catalog.get_children()] == ["na", "hi", "pr"]
    item = catalog.get_item("pr-1950", recursive=True)
    assert item.datetime == datetime.datetime(1950, 1, 1, tzinfo=datetime.timezone.utc)
    assert item.assets["swe"].href.endswith("/ornldaac/2129/daymet_v4_daily_pr_swe_1950.nc")
    assert set(item.assets["swe"].to_dict()) == {"href"}


def test_fetched_copies_are_the_originals_and_hrefs_say_where_they_are():
    local = pystac.Catalog.from_file(str(DEMO / "local/catalog.json"))
    item = local.get_item("lakes-1981", recursive=True)
    folder = pathlib.Path(item.get_self_href()).parent
    for key in ["tmin", "tmax"]:
        href = item.assets[key].href
        assert pathlib.PurePosixPath(href).name == href.removeprefix("./")  # pystac adds the ./
        digest = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / href, ARCHIVE / "lakes" / href)]
        assert digest[0] == digest[1]
        assert item.assets[key].extra_fields["alternate"]
    for key in ["dayl", "prcp"]:
        assert item.assets[key].href.startswith("http://127.0.0.1:")


def test_results_point_to_their_source():
    results = pystac.Catalog.from_file(str(DEMO / "results/catalog.json"))
    (item,) = results.get_items(recursive=True)
    (link,) = [link for link in item.links if link.rel == "derived_from"]
    assert pystac.Item.from_file(link.get_absolute_href()).id == "lakes-1981"
    for asset in item.assets.values():
        assert pathlib.Path(asset.href).exists()


@pytest.mark.parametrize("year, last", [(1980, "1980-12-30T12"), (1981, "1981-12-31T12")])
def test_the_archive_opens_in_xarray_and_netcdf4(year, last):
    path = ARCHIVE / f"rockies/daymet_v4_daily_rockies_tmin_{year}.nc"
    data = xr.open_dataset(path, decode_coords="all", engine="netcdf4")
    assert data.tmin.dims == ("time", "y", "x") and data.tmin.dtype == "f4"
    assert data.sizes["time"] == 365
    assert str(data.time.values[0])[:13] == f"{year}-01-01T12" and str(data.time.values[-1])[:13] == last
    crs = pyproj.CRS.from_cf(data.lambert_conformal_conic.attrs)
    lon, lat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(*np.meshgrid(data.x, data.y))
    np.testing.assert_allclose(data.lon.values, lon, atol=1e-5)
    np.testing.assert_allclose(data.lat.values, lat, atol=1e-5)
    with netCDF4.Dataset(path) as file:
        variable = file["tmin"]
        assert variable.chunking() == [1, *variable.shape[1:]]
        assert variable.filters()["zlib"] and variable.filters()["shuffle"]
        assert file.dimensions["time"].isunlimited() and variable._FillValue == -9999


def test_the_archive_opens_in_gdal():
    path = ARCHIVE / "rockies/daymet_v4_daily_rockies_tmax_1981.nc"
    with rasterio.open(f"netcdf:{path}:tmax") as file:
        assert file.count == 365 and file.nodata == -9999
        got = file.read(180, masked=True)
    want = xr.open_dataset(path).tmax.values[179]
    np.testing.assert_array_equal(got.filled(np.nan), want)


def growing_degree_hours(tmin, tmax, dayl):
    """As the reference workflow writes it; inputs in degrees F and hours."""
    hours = np.arange(24).reshape(-1, 1, 1, 1)
    dt = tmax - tmin
    with np.errstate(all="ignore"):
        day = np.sin(hours * np.pi / (dayl + 4)) * dt
        night = (1 - np.log(hours - np.floor(dayl)) / np.log(24 - dayl)) * np.sin(np.pi / (dayl + 4) * dayl) * dt
    t = np.where(np.isfinite(night), night, day) + tmin - 31.0
    return np.clip(t, 0, None).sum(axis=0)


def first_leaf(gdh, coefficients):
    padded = np.concatenate([np.repeat(gdh[:1], 7, axis=0), gdh])
    def rolling(n):
        return sum(padded[7 - k : len(padded) - k] for k in range(n))
    dde2, dd57 = rolling(3), rolling(8) - rolling(5)
    with np.errstate(all="ignore"):
        synop = (dde2 >= 637).cumsum(axis=0)
        days = np.arange(len(gdh)).reshape(-1, 1, 1)
        score = coefficients[0] * days + coefficients[1] * synop + coefficients[2] * dde2 + coefficients[3] * dd57
        above = score > 999.5
    return np.where(above.any(axis=0), above.argmax(axis=0), np.nan)


PLANTS = {
    "lilac": (3.306, 13.878, 0.201, 0.153, 0),
    "arnold red": (4.266, 20.899, 0.0, 0.248, 1),
    "zabelli": (2.802, 21.433, 0.266, 0.0, 0),
}


@pytest.mark.parametrize("consolidated", [True, False])
def test_first_leaf_equals_the_reference_formula_in_numpy(consolidated):
    def year(name):
        path = ARCHIVE / f"lakes/daymet_v4_daily_lakes_{name}_1981.nc"
        return xr.open_dataset(path)[name].values[:300]

    tmin, tmax, dayl = year("tmin") * np.float32(1.8) + 32, year("tmax") * np.float32(1.8) + 32, year("dayl") / 3600
    gdh = growing_degree_hours(tmin, tmax, dayl.astype("f4"))
    got = xr.open_zarr(DEMO / "first-leaf.zarr", group="1981", consolidated=consolidated)
    layers = []
    for plant, (*coefficients, shift) in PLANTS.items():
        layers.append(first_leaf(gdh, coefficients) + shift)
        np.testing.assert_array_equal(got["first-leaf"].sel(plant=plant).values, layers[-1], plant)
    np.testing.assert_array_equal(got["first-leaf"].sel(plant="mean").values, np.round(np.mean(layers, axis=0)))
    np.testing.assert_array_equal(got["first-leaf-doy"].values, got["first-leaf"].values + 1)
    assert got["first-leaf"].dims == ("plant", "y", "x")
    assert np.isnan(got["first-leaf"].values).any() and np.isfinite(got["first-leaf"].values).any()
    source = xr.open_dataset(ARCHIVE / "lakes/daymet_v4_daily_lakes_tmin_1981.nc")
    mapping = got[got["first-leaf"].attrs["grid_mapping"]]
    assert pyproj.CRS.from_cf(mapping.attrs) == pyproj.CRS.from_cf(source.lambert_conformal_conic.attrs)
    np.testing.assert_array_equal(got.x.values, source.x.values.astype("f8"))


def test_the_map_is_a_picture():
    with rasterio.open(DEMO / "first-leaf.png") as picture:
        pixels = picture.read()
    assert pixels.shape[0] == 3 and pixels.shape[1] > 400 and pixels.shape[2] > 600
    assert len(np.unique(pixels.reshape(3, -1), axis=1).T) > 15
