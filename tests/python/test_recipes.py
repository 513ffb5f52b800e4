"""The recipes of `catalogs/`: what they build of imitations of their archives is the samples, and what other programs see."""
import datetime
import importlib.util
import json
import os
import pathlib
import subprocess
import tomllib

import h5py
import netCDF4
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import rasterio.warp
from pystac.validation.stac_validator import JsonSchemaSTACValidator

ROOT = pathlib.Path(__file__).parents[2]
CATALOGS = ROOT / "catalogs"
OUTCROP = os.environ.get("OUTCROP", ROOT / "target" / "release" / "outcrop")

spec = importlib.util.spec_from_file_location("samples", CATALOGS / "samples.py")
samples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(samples)

RECIPES = [*samples.RECIPES.items(), ("porotomo-das", "raw.toml")]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The imitations, as folders of buckets."""
    root = tmp_path_factory.mktemp("archives")
    for make in samples.ARCHIVES.values():
        make(root)
    return root


@pytest.fixture(scope="module")
def built(archives, tmp_path_factory):
    """The catalogs by recipe, and the number of requests by key."""
    folder = tmp_path_factory.mktemp("built")
    with samples.buckets(archives) as (environment, count):
        for name, recipe in RECIPES:
            samples.build(OUTCROP, CATALOGS / name / recipe, folder / name / recipe, environment)
    return folder, count


def documents(folder):
    """The documents of a catalog by path, without the sizes of files, which depend on who wrote them."""
    def without_size(value):
        if isinstance(value, dict):
            return {key: without_size(inner) for key, inner in value.items() if key != "file:size"}
        return [without_size(inner) for inner in value] if isinstance(value, list) else value

    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".outcrop-build"]
    return {str(path.relative_to(folder)): without_size(json.loads(path.read_text())) for path in paths}


def items_of(folder):
    root = next(path for path in [folder / "catalog.json", folder / "collection.json"] if path.exists())
    return list(pystac.read_file(str(root)).get_items(recursive=True))


def assets_of(built, archives, name, recipe="recipe.toml"):
    """Items, keys and assets, and the file of each."""
    for item in items_of(built[0] / name / recipe):
        for key, asset in item.assets.items():
            yield item, key, asset, archives / asset.href.removeprefix("s3://")


@pytest.mark.parametrize("name", samples.RECIPES)
def test_the_samples_are_what_the_recipes_build(built, name):
    assert documents(CATALOGS / name / "sample") == documents(built[0] / name / samples.RECIPES[name])


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_another_archive_can_stand_in_place_of_the_listing(built, archives, tmp_path, name, recipe):
    href = tomllib.loads((CATALOGS / name / recipe).read_text())["listing"]["href"]
    folder = archives / href.removeprefix("s3://")
    command = [OUTCROP, "--quiet", "build", CATALOGS / name / recipe, "--listing", folder, "--to", tmp_path / "local"]
    subprocess.run(command, check=True)
    local = json.dumps(documents(tmp_path / "local")).replace(f"{archives}/", "s3://")
    assert json.loads(local) == documents(built[0] / name / recipe)


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_the_catalogs_are_valid(built, name, recipe):
    folder = built[0] / name / recipe
    report = subprocess.run([OUTCROP, "validate", folder, "--json"], capture_output=True, text=True)
    assert report.returncode == 0, report.stdout + report.stderr
    for item in items_of(folder):
        JsonSchemaSTACValidator().validate_core(item.to_dict(), pystac.STACObjectType.ITEM, "1.1.0", item.get_self_href())


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_sizes_are_those_of_the_files(built, archives, name, recipe):
    assets = list(assets_of(built, archives, name, recipe))
    wanted = [None if recipe == "raw.toml" else path.stat().st_size for *_, path in assets]
    assert assets and [asset.extra_fields.get("file:size") for _, _, asset, _ in assets] == wanted


def test_files_are_read_in_few_requests(built):
    count = {key: number for key, number in built[1].items() if key != "list"}
    assert {number for key, number in count.items() if key.endswith(".tif")} == {1}
    # One of them is for the bounds of time.
    assert max(number for key, number in count.items() if key.endswith((".nc", ".h5"))) <= 5
    assert not [key for key in count if "/H5/" in key or key.endswith(".json")]


def test_sentinel_2(built, archives):
    assets = list(assets_of(built, archives, "sentinel-2-l2a-cogs"))
    assert sorted({item.id for item, *_ in assets}) == ["S2A_36QWD_20200701_0_L2A", "S2B_36QWD_20200805_0_L2A"]
    assert len(assets) == 2 * 9
    for item, key, asset, path in assets:
        assert item.id == path.parent.name and key == path.stem
        day = datetime.datetime.strptime(item.id.split("_")[2], "%Y%m%d").replace(tzinfo=datetime.timezone.utc)
        assert item.common_metadata.start_datetime == day
        assert item.common_metadata.end_datetime == day + datetime.timedelta(hours=23, minutes=59, seconds=59)
        assert item.properties["platform"] == "Sentinel-" + item.id[1:3]
        assert item.properties["grid:code"] == "MGRS-36QWD"
        assert asset.media_type == pystac.MediaType.COG
        with rasterio.open(path) as image:
            fields = asset.extra_fields
            assert fields["proj:code"] == f"EPSG:{image.crs.to_epsg()}"
            assert fields["proj:shape"] == list(image.shape)
            assert fields["proj:transform"] == list(image.transform)[:6]
            assert fields["proj:bbox"] == list(image.bounds)
            assert [band["data_type"] for band in fields["bands"]] == list(image.dtypes)
            assert [band["nodata"] for band in fields["bands"]] == list(image.nodatavals)
            assert fields.get("gsd", image.res[0]) == image.res[0]
            box = rasterio.warp.transform_bounds(image.crs, "EPSG:4326", *image.bounds, densify_pts=31)
        np.testing.assert_allclose(item.bbox, box, atol=1e-6)
    bands = {key: asset.extra_fields["bands"][0] for _, key, asset, _ in assets}
    common = {key: band["eo:common_name"] for key, band in bands.items() if "eo:common_name" in band}
    assert common == {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22"}
    assert all(bands[key]["name"] == key for key in common)


def test_porotomo(built, archives):
    assets = list(assets_of(built, archives, "porotomo-das"))
    assert len(assets) == 3
    for item, _, asset, path in assets:
        assert item.id == path.stem
        with h5py.File(path) as file:
            data, times = file["DasRawData/RawData"], file["DasRawData/DasTimeArray"][:]
            variable = asset.extra_fields["cube:variables"]["DasRawData/RawData"]
            assert (variable["dimensions"], variable["data_type"]) == (["time", "distance"], data.dtype.name)
            assert [band["data_type"] for band in asset.extra_fields["bands"]] == [data.dtype.name]
        ends = [str(np.datetime64(int(time), "ns").astype("datetime64[ms]")) for time in times[[0, -1]]]
        of_item = [item.common_metadata.start_datetime, item.common_metadata.end_datetime]
        assert [end.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] for end in of_item] == ends
        assert asset.extra_fields["cube:dimensions"]["time"]["extent"] == [
            item.properties["start_datetime"], item.properties["end_datetime"]]
    starts = {item.id: item.common_metadata.start_datetime for item, *_ in assets}
    raw = {item.id: item.datetime for item, *_ in assets_of(built, archives, "porotomo-das", "raw.toml")}
    assert raw == starts


def test_daymet(built, archives):
    assets = list(assets_of(built, archives, "daymet-daily-v4", "listed.toml"))
    assert [(item.id, key) for item, key, *_ in assets] == [("hi-1980", "prcp"), ("hi-1980", "tmin")]
    for item, key, asset, path in assets:
        fields = asset.extra_fields
        with netCDF4.Dataset(path) as file:
            x, y, time, data = (file[name] for name in ["x", "y", "time", key])
            mapping = file["lambert_conformal_conic"]
            crs = pyproj.CRS.from_cf({name: mapping.getncattr(name) for name in mapping.ncattrs()})
            assert fields["proj:shape"] == [len(y), len(x)]
            assert fields["proj:transform"] == [1000, 0, x[0] - 500, 0, -1000, y[0] + 500]
            bounds = file[time.bounds]
            ends = [bounds[0, 0], bounds[-1, 1]]
            ends = netCDF4.num2date(ends, time.units, time.calendar, only_use_cftime_datetimes=False)
            assert [item.properties[name] for name in ["start_datetime", "end_datetime"]] == [
                end.strftime("%Y-%m-%dT%H:%M:%SZ") for end in ends]
            assert fields["cube:dimensions"]["time"]["step"] == "P1D"
            assert fields["cube:variables"][key]["dimensions"] == list(data.dimensions)
            assert fields["bands"] == [{"name": key, "description": data.long_name, "unit": data.units,
                                        "data_type": data.dtype.name, "nodata": data._FillValue}]
            plane = [x[0] - 500, y[-1] - 500, x[-1] + 500, y[0] + 500]
        assert fields["proj:bbox"] == plane
        for crs in [crs, fields["proj:wkt2"]]:
            to_lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
            np.testing.assert_allclose(item.bbox, to_lonlat.transform_bounds(*plane, densify_pts=31), atol=1e-6)
