"""xarray, netCDF4, rasterio and pystac judge what the outputs of `outcrop run program` are."""
import os
import pathlib
import subprocess
import xml.dom.minidom

import netCDF4
import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
ALBERS = {"grid_mapping_name": "albers_conical_equal_area", "standard_parallel": np.array([29.5, 45.5]),
          "latitude_of_projection_origin": 23.0, "longitude_of_central_meridian": -96.0, "false_easting": 0.0,
          "false_northing": 0.0, "semi_major_axis": 6378137.0, "inverse_flattening": 298.257222101}


def source(order="falling", place="lonlat", dtype="float32"):
    """Days of temperature, some missing, on degrees, on a projection, or on bare y and x."""
    random = np.random.default_rng(3)
    values = random.standard_normal((40, 60, 90)) * 10
    values = np.where(random.random(values.shape) < 0.05, np.nan, values) if dtype.startswith("f") else values.round()
    y = np.arange(60) * 0.5 + 20.25
    y = y[::-1] if order == "falling" else y
    x = np.arange(90) * 0.5 - 120.0
    names = ("lat", "lon") if place == "lonlat" else ("y", "x")
    if place == "albers":
        y, x = (y - 30) * 4000.0, (x + 100) * 4000.0
    time = np.datetime64("2003-11-20", "ns") + np.arange(40) * np.timedelta64(1, "D")
    data = xr.DataArray(values.astype(dtype), dims=("time", *names), coords={"time": time, names[0]: y, names[1]: x}, name="t",
                        attrs={"units": "degC", "long_name": "temperature"})
    if place == "lonlat":
        data["lat"].attrs.update(standard_name="latitude", units="degrees_north")
        data["lon"].attrs.update(standard_name="longitude", units="degrees_east")
    dataset = data.to_dataset()
    if place == "albers":
        data["y"].attrs.update(standard_name="projection_y_coordinate", units="m")
        data["x"].attrs.update(standard_name="projection_x_coordinate", units="m")
        # As of another grid: what is written must not go on with it.
        dataset = data.assign_attrs(grid_mapping="crs").to_dataset()
        dataset["crs"] = xr.DataArray(0, attrs=ALBERS | {"GeoTransform": "1 2 0 3 0 -4"})
    return dataset


def run(folder, steps, outputs, *options, check=True, **kind):
    dataset = source(**kind)
    dataset.to_netcdf(folder / "t.nc", encoding={"t": {"chunksizes": (7, 33, 41), "_FillValue": None if kind.get("dtype") == "int32" else -999.0}})
    text = f'title = "A test"\n[[step]]\nname = "t"\nop = "open"\npath = "t.nc"\nvariable = "t"\n{steps}\n'
    text += "".join(f"[[output]]\n{output}\n" for output in outputs)
    (folder / "p.toml").write_text(text)
    said = subprocess.run([OUTCROP, "run", "program", folder / "p.toml", *options], capture_output=True, text=True)
    if check:
        assert said.returncode == 0, said.stderr
    return dataset["t"], said


def step(name, op, parameters=""):
    return f'[[step]]\nname = "{name}"\nop = "{op}"\n{parameters}\n'


@pytest.mark.parametrize("order", ["falling", "rising"])
@pytest.mark.parametrize("place", ["lonlat", "albers", "bare"])
def test_netcdf_is_what_xarray_has(tmp_path, order, place):
    steps = step("s", "isel", 'at = { time = [5, 33] }') + step("r", "multiply", 'of = ["s", 2]')
    want, _ = run(tmp_path, steps, ['of = "r"\nto = "r.nc"\nchunks = { time = 4 }'], "--memory", "300MB", order=order, place=place)
    want = want.isel(time=slice(5, 33)) * 2
    with xr.open_dataset(tmp_path / "r.nc") as got:
        np.testing.assert_array_equal(got["r"].values, want.values)
        assert got["r"].dims == want.dims and got["r"].dtype == np.float32
        for dim in want.dims:
            np.testing.assert_array_equal(got[dim].values, want[dim].values)
        assert got["r"].encoding["chunksizes"][0] == 4 and got["r"].attrs["units"] == "degC"
    with netCDF4.Dataset(tmp_path / "r.nc") as got:
        assert np.isnan(got["r"]._FillValue) and got.Conventions.startswith("CF-") and "values_of" not in got.ncattrs()
        if place == "albers":
            mapping = got[got["r"].grid_mapping]
            assert mapping.grid_mapping_name == "albers_conical_equal_area"
            y, x = got["y"][:], got["x"][:]
            dx, dy = x[1] - x[0], y[1] - y[0]
            assert [float(n) for n in mapping.GeoTransform.split()] == [x[0] - dx / 2, dx, 0, y[0] - dy / 2, 0, dy]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.toml", "r.nc", "t.nc"]


@pytest.mark.parametrize("order", ["falling", "rising"])
@pytest.mark.parametrize("place", ["lonlat", "albers", "bare"])
@pytest.mark.parametrize("dims", [2, 3])
def test_geotiff_is_a_cog_at_its_place(tmp_path, order, place, dims):
    y, x = ("lat", "lon") if place == "lonlat" else ("y", "x")
    steps = step("r", "mean", 'dim = "time"') if dims == 2 else step("r", "isel", 'at = { time = [0, 6] }')
    steps += step("c", "isel", f"at = {{ {y} = [10, 58], {x} = [5, 85] }}") + step("m", "coarsen", f"window = {{ {y} = 2, {x} = 2 }}")
    want, _ = run(tmp_path, steps, [f'of = "m"\nto = "m.tif"\nchunks = {{ {y} = 16, {x} = 16 }}'], order=order, place=place)
    want = (want.mean("time") if dims == 2 else want.isel(time=slice(0, 6))).isel({y: slice(10, 58), x: slice(5, 85)})
    want = want.coarsen({y: 2, x: 2}).mean()
    path = tmp_path / "m.tif"
    assert cog_validate(path)[0]
    with rasterio.open(path) as got:
        values = got.read()
        np.testing.assert_allclose(values if dims == 3 else values[0], want.values, rtol=1e-5, atol=1e-5)
        dy, dx = float(want[y][1] - want[y][0]), float(want[x][1] - want[x][0])
        place_of = Affine(dx, 0, float(want[x][0]) - dx / 2, 0, dy, float(want[y][0]) - dy / 2)
        assert got.transform.almost_equals(place_of, 1e-9), (got.transform, place_of)
        assert np.isnan(got.nodata) and got.dtypes[0] == "float32" and got.block_shapes[0] == (16, 16)
        if place == "bare":
            assert got.crs is None
        elif place == "lonlat":
            assert got.crs.to_epsg() == 4326
        else:
            assert got.crs.to_dict()["proj"] == "aea"
        if dims == 3:
            assert got.count == 6 and got.descriptions[1].startswith("2003-11-21")


def test_columns_before_rows_become_an_image(tmp_path):
    steps = step("m", "mean", 'dim = "time"') + step("r", "transpose", 'dim = ["lon", "lat"]')
    want, _ = run(tmp_path, steps, ['of = "r"\nto = "r.tif"'])
    with rasterio.open(tmp_path / "r.tif") as got:
        np.testing.assert_allclose(got.read(1), want.mean("time").values, rtol=1e-5, atol=1e-5)


def test_seasons_name_bands_and_times_are_decoded(tmp_path):
    want, _ = run(tmp_path, step("r", "mean", 'groupby = "season"'), ['of = "r"\nto = "r.tif"', 'of = "r"\nto = "r.nc"'])
    with rasterio.open(tmp_path / "r.tif") as got:
        seasons = got.descriptions
    with xr.open_dataset(tmp_path / "r.nc") as got:
        assert [str(s) for s in got["season"].values] == list(seasons) == list(want.groupby("time.season").mean()["season"].values)


def test_images_of_days_keep_their_place_and_are_bands(tmp_path):
    values = np.random.default_rng(1).integers(0, 300, (3, 50, 60)).astype("int16")
    values[:, 0, :5] = -999
    for day in range(3):
        profile = {"driver": "GTiff", "width": 60, "height": 50, "count": 1, "dtype": "int16", "nodata": -999, "crs": "EPSG:32633"}
        with rasterio.open(tmp_path / f"d{day}.tif", "w", transform=Affine(30, 0, 4e5, 0, -30, 5.5e6), **profile) as file:
            file.write(values[day], 1)
    (tmp_path / "p.toml").write_text(
        '[[step]]\nname = "v"\nop = "open"\npath = "d*.tif"\ndim = "day"\n' + step("c", "isel", "at = { y = [10, 40], x = [5, 50] }")
        + '[[output]]\nof = "c"\nto = "c.tif"\n[[output]]\nof = "c"\nto = "c.nc"\n')
    said = subprocess.run([OUTCROP, "run", "program", tmp_path / "p.toml"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    with rasterio.open(tmp_path / "c.tif") as got:
        assert got.crs.to_epsg() == 32633 and got.transform.almost_equals(Affine(30, 0, 4e5 + 150, 0, -30, 5.5e6 - 300))
        assert got.descriptions == ("day=0", "day=1", "day=2") and np.isnan(got.nodata)
        np.testing.assert_array_equal(got.read(), values[:, 10:40, 5:50].astype("float32"))
    with xr.open_dataset(tmp_path / "c.nc") as got:
        assert got["spatial_ref"].attrs["GeoTransform"] == "400150 30 0 5499700 0 -30" and "32633" in got["spatial_ref"].attrs["crs_wkt"]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float64"])
def test_types_stay_what_they_are(tmp_path, dtype):
    steps = step("r", "astype", f'dtype = "{dtype}"') + step("one", "isel", "at = { time = 3 }")
    want, _ = run(tmp_path, steps, ['of = "one"\nto = "r.tif"', 'of = "one"\nto = "r.nc"'], dtype="int32")
    want = want.isel(time=3).astype(dtype)
    with rasterio.open(tmp_path / "r.tif") as got, xr.open_dataset(tmp_path / "r.nc") as nc:
        assert got.dtypes[0] == dtype == nc["one"].dtype
        np.testing.assert_array_equal(got.read(1), want.values)
        np.testing.assert_array_equal(nc["one"].values, want.values)
        assert got.nodata is None or dtype == "float64"


@pytest.mark.parametrize("steps, output, words", [
    (step("r", "fft2"), 'to = "r.tif"', ["complex", "absolute", ".zarr"]),
    (step("r", "fft2"), 'to = "r.nc"', ["complex"]),
    (step("r", "mean", 'dim = ["lat", "lon"]'), 'to = "r.tif"', ["rows and columns", ".nc"]),
    (step("r", "negative"), 'to = "r.tif"\nchunks = { lat = 100, lon = 100 }', ["multiple of 16"]),
    (step("lat", "negative") + step("r", "negative"), 'to = "r.png"\n[[output]]\nof = "lat"\nto = "lat.nc"', ["`lat`", "another name"]),
    (step("r", "negative"), 'to = "r.grib"', [".zarr, .nc, .tif"]),
    (step("r", "negative"), 'to = "r.png"\nplot = "line"', ["one dimension", "isel"]),
    (step("r", "negative"), 'to = "r.png"\nplot = "pie"', ["pie"]),
    (step("r", "negative"), 'to = "r.png"\nrange = [3, 1]', ["range = ["]),
    (step("r", "negative"), 'to = "r.png"\nbins = 10', ["histogram"]),
    (step("r", "negative"), 'to = "r.nc"\ntitle = "x"', [".png or .svg"]),
    (step("r", "negative"), 'to = "r.nc"\nchunks = { z = 3 }', ["`z`", "time, lat, lon"]),
])
def test_what_a_format_lacks_is_refused_before_anything_is_computed(tmp_path, steps, output, words):
    _, said = run(tmp_path, steps, [f'of = "r"\n{output}'], check=False)
    assert said.returncode == 2 and all(word in said.stderr for word in words), said.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.toml", "t.nc"]


def test_parts_make_one_file(tmp_path):
    steps = step("r", "negative")
    for part in ["1/3", "3/3", "2/3"]:
        assert not (tmp_path / "r.tif").exists()
        want, _ = run(tmp_path, steps, ['of = "r"\nto = "r.tif"'], "--partition", part)
    with rasterio.open(tmp_path / "r.tif") as got:
        np.testing.assert_array_equal(got.read(), -want.values)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.toml", "r.tif", "t.nc"]


PICTURES = {
    "image": (step("r", "mean", 'dim = "time"'), ""),
    "line": (step("r", "mean", 'dim = ["lat", "lon"]'), ""),
    "histogram": (step("r", "negative"), 'plot = "histogram"\nbins = 40\n'),
    "facets": (step("r", "isel", "at = { time = [0, 12] }"), 'title = "Twelve days"\nrange = [-20, 20]\n'),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_png_and_svg(tmp_path, kind):
    steps, options = PICTURES[kind]
    run(tmp_path, steps, [f'of = "r"\nto = "r.{form}"\n{options}' for form in ("png", "svg")])
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
    texts = [t.firstChild.data for t in xml.dom.minidom.parse(str(tmp_path / "r.svg")).getElementsByTagName("text")]
    wanted = {"image": ["r", "temperature (degC)", "lon (degrees_east)", "30"], "line": ["r", "temperature (degC)", "2003-12-04"],
              "histogram": ["r", "temperature (degC)", "count", "0"], "facets": ["Twelve days", "2003-11-20", "2003-12-01", "-20"]}
    assert all(word in texts for word in wanted[kind]), texts


def test_results_are_items_with_place_time_and_digest(tmp_path):
    steps = step("m", "mean", 'dim = "time"') + step("line", "mean", 'of = "t"\ndim = ["lat", "lon"]')
    outputs = ['of = "m"\nto = "m.tif"', 'of = "m"\nto = "m.zarr"', 'of = "m"\nto = "m.png"', 'of = "line"\nto = "line.csv"', 'of = "line"']
    for _ in range(2):
        run(tmp_path, steps, outputs[:-1], "--catalog", tmp_path / "results")
    catalog = pystac.Catalog.from_file(str(tmp_path / "results/catalog.json"))
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert sorted(items) == ["p-line", "p-m"]
    for item in items.values():
        JsonSchemaSTACValidator().validate_core(item.to_dict(), pystac.STACObjectType.ITEM, "1.1.0", item.get_self_href())
        assert item.bbox == [-120.25, 20.0, -75.25, 50.0] and item.geometry["type"] == "Polygon"
        fields = item.properties
        assert fields["start_datetime"] == "2003-11-20T00:00:00Z" and fields["end_datetime"] == "2003-12-29T00:00:00Z"
        assert fields["processing:lineage"].startswith("A test: t = open, m = mean") and "outcrop" in fields["processing:software"]
        assert fields["processing:expression"]["expression"][1] == {"name": "m", "op": "mean", "dim": "time"}
        assert [link.get_absolute_href() for link in item.get_links("derived_from")] == [str(tmp_path / "t.nc")] or \
            item.get_links("derived_from")[0].href.endswith("t.nc")
    assets = items["p-m"].assets
    assert sorted(assets) == ["data", "m.zarr", "picture"] and assets["data"].media_type == pystac.MediaType.COG
    for asset in [assets["data"], assets["picture"], items["p-line"].assets["table"]]:
        path = pathlib.Path(asset.get_absolute_href().removeprefix("file://"))
        assert asset.extra_fields["file:size"] == path.stat().st_size and asset.extra_fields["file:checksum"].startswith("1e20")
    said = subprocess.run([OUTCROP, "validate", tmp_path / "results/catalog.json"], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
