"""xarray, rasterio and pystac judge what `outcrop fetch --cut` writes: the same cells, in items that are valid."""
import datetime
import json
import os
import pathlib
import subprocess

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import rasterio.warp
import rasterio.windows
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rio_cogeo.cogeo import cog_validate

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
RANDOM = np.random.default_rng(5)


def cut(folder, files, *options):
    """The item of the parts of files, fetched with options."""
    world = [-180.0, -90.0, 180.0, 90.0]
    ring = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
    item = pystac.Item("i", {"type": "Polygon", "coordinates": [ring]}, world, None, {},
                       start_datetime=datetime.datetime(2000, 1, 1), end_datetime=datetime.datetime(2001, 1, 1))
    for key, path in files.items():
        item.add_asset(key, pystac.Asset(str(path), extra_fields={"file:size": 1}))
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item.to_dict()]}))
    subprocess.run([OUTCROP, "--quiet", "fetch", folder / "items.json", "--asset", "*", "--to", folder / "part", "--cut",
                    *options], check=True, capture_output=True, text=True)
    catalog = pystac.Catalog.from_file(str(folder / "part/catalog.json"))
    item = next(catalog.get_items("i", recursive=True))
    JsonSchemaSTACValidator().validate_core(item.to_dict(), pystac.STACObjectType.ITEM, "1.1.0", item.get_self_href())
    return item


def opened(item, key):
    asset = item.assets[key]
    path = pathlib.Path(item.get_self_href()).parent / asset.href
    assert asset.extra_fields["file:size"] == path.stat().st_size
    assert asset.extra_fields["alternate"]["remote"]["href"].startswith("/")
    return path


@pytest.mark.parametrize("falling", [False, True], ids=["rising", "falling"])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_64BIT"])
def test_netcdf_is_sel_of_xarray(tmp_path, falling, calendar, format):
    lat, lon = np.linspace(-30, 30, 121), np.linspace(0, 359, 360)
    time = xr.date_range("2000-01-01", periods=24, freq="7D", calendar=calendar, use_cftime=calendar != "standard")
    cells = RANDOM.integers(-30000, 30000, (24, 121, 360)).astype("i2")
    lat = lat[::-1] if falling else lat
    source = xr.Dataset({"t": (("time", "lat", "lon"), cells, {"long_name": "T"}), "u": (("lat",), lat * 2)},
                        {"time": time, "lat": ("lat", lat, {"units": "degrees_north"}),
                         "lon": ("lon", lon, {"units": "degrees_east"})})
    packed = {"scale_factor": 0.01, "_FillValue": -32768, "dtype": "i2"}
    chunks = {"chunksizes": (4, 50, 90), "zlib": True} if format == "NETCDF4" else {}
    source["t"] = source["t"] * 0.01
    source.to_netcdf(tmp_path / "a.nc", format=format, encoding={"t": {**packed, **chunks}})
    item = cut(tmp_path, {"a": tmp_path / "a.nc"}, "--bbox=-20,-10.25,-5,7.5", "--datetime", "2000-02/2000-03")
    rows = slice(7.5, -10.25) if falling else slice(-10.25, 7.5)
    with xr.open_dataset(tmp_path / "a.nc") as source, xr.open_dataset(opened(item, "a")) as part:
        want = source.sel(lat=rows, lon=slice(340, 355), time=slice("2000-02", "2000-03"))
        assert want.sizes["time"] in (8, 9) and want.sizes["lon"] == 16
        xr.testing.assert_identical(part.load(), want.load())
    assert item.bbox == pytest.approx([-20.5, -10.25, -4.5, 7.75])
    assert item.assets["a"].extra_fields["proj:shape"] == [part.sizes["lat"], 16]


def test_projected_netcdf_is_sel_by_the_box_in_its_plane(tmp_path):
    crs = pyproj.CRS.from_proj4("+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +ellps=WGS84 +units=m")
    x, y = np.arange(-500_000, 500_001, 10_000.0), np.arange(400_000, -400_001, -10_000.0)
    cells = RANDOM.random((y.size, x.size)).astype("f4")
    source = xr.Dataset({"t": (("y", "x"), cells, {"grid_mapping": "crs"}), "crs": ((), 0, crs.to_cf())},
                        {"x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
                         "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"})})
    source.to_netcdf(tmp_path / "a.nc")
    item = cut(tmp_path, {"a": tmp_path / "a.nc"}, "--bbox=-102,41,-99,43.5")
    west, south, east, north = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform_bounds(-102, 41, -99, 43.5)
    with xr.open_dataset(tmp_path / "a.nc") as source, xr.open_dataset(opened(item, "a")) as part:
        want = source.sel(x=slice(west, east), y=slice(north, south))
        xr.testing.assert_identical(part.load(), want.load())


def around(source, west, east, name="lon"):
    """The cells between two longitudes of an axis all round, in the order from west to east."""
    lon = (source[name] - west) % 360 + west
    moved = source.assign_coords({name: lon.assign_attrs(source[name].attrs)}).sortby(name)
    return moved.sel({name: slice(west, east)})


@pytest.mark.parametrize("first", [0.0, -180.0, 0.25])
@pytest.mark.parametrize("box", [(-20, 20), (170, -170), (-179, 179), (-1.5, 0.5)], ids=str)
@pytest.mark.parametrize("format", ["nc", "zarr"])
def test_boxes_at_both_ends_of_an_axis_all_round(tmp_path, first, box, format):
    lon, lat = first + np.arange(720) / 2, np.linspace(90, -90, 61)
    cells = np.where(RANDOM.random((3, 61, 720)) < 0.1, np.nan, RANDOM.random((3, 61, 720))).astype("f4")
    source = xr.Dataset({"t": (("time", "lat", "lon"), cells), "zonal": (("lon",), np.arange(720, dtype="i4")),
                         "lon_bnds": (("lon", "nv"), np.stack([lon - 0.25, lon + 0.25], 1))},
                        {"time": xr.date_range("2000-01-01", periods=3), "lat": ("lat", lat, {"units": "degrees_north"}),
                         "lon": ("lon", lon, {"units": "degrees_east", "bounds": "lon_bnds", "valid_min": lon[0], "valid_max": lon[-1]})})
    if format == "nc":
        source.to_netcdf(tmp_path / "a.nc", encoding={"t": {"chunksizes": (1, 25, 100), "zlib": True}})
    else:
        source.to_zarr(tmp_path / "a.zarr", encoding={"t": {"chunks": (1, 25, 100)}})
    item = cut(tmp_path, {"a": tmp_path / f"a.{format}"}, f"--bbox={box[0]},-30,{box[1]},30")
    east = box[1] + (360 if box[1] < box[0] else 0)
    engine = {"nc": "netcdf4", "zarr": "zarr"}[format]
    with xr.open_dataset(tmp_path / f"a.{format}", engine=engine) as source, xr.open_dataset(tmp_path / f"part/i/a.{format}", engine=engine) as part:
        want = around(source, box[0], east).sel(lat=slice(30, -30))
        # An axis of which the box is one piece keeps its longitudes.
        turn = np.round((part.lon.values[0] - want.lon.values[0]) / 360) * 360
        np.testing.assert_allclose(part.lon, want.lon + turn)
        # Readers mask what is outside the valid range.
        assert part.lon.min() >= part.lon.attrs.get("valid_min", -np.inf) and part.lon.max() <= part.lon.attrs.get("valid_max", np.inf)
        np.testing.assert_array_equal(part.t, want.t)
        np.testing.assert_array_equal(part.zonal, want.zonal)
        np.testing.assert_allclose(part.lon_bnds, np.stack([part.lon - 0.25, part.lon + 0.25], 1))
    if box[0] > box[1]:
        assert item.bbox[0] > 169 and item.bbox[2] < -169
    else:
        assert [item.bbox[0], item.bbox[2]] == pytest.approx([want.lon.values[0] - 0.25, want.lon.values[-1] + 0.25])


@pytest.mark.parametrize("first", [0.0, -180.0])
def test_geotiff_of_the_world_across_its_seam(tmp_path, first):
    cells = RANDOM.integers(1, 60000, (2, 360, 720)).astype("u2")
    profile = dict(driver="GTiff", width=720, height=360, count=2, dtype="uint16", crs=4326, nodata=0, tiled=True, blockxsize=256,
                   blockysize=256, compress="deflate", transform=rasterio.Affine(0.5, 0, first, 0, -0.5, 90))
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as image:
        image.write(cells)
    box = (-10, 10) if first == 0 else (170, -170)
    item = cut(tmp_path, {"a": tmp_path / "a.tif"}, f"--bbox={box[0]},-20,{box[1]},20")
    path = opened(item, "a")
    assert cog_validate(path)[0]
    with rasterio.open(path) as part:
        np.testing.assert_array_equal(part.read(), np.concatenate([cells[:, 140:220, 700:], cells[:, 140:220, :20]], 2))
        assert part.transform == rasterio.Affine(0.5, 0, box[0], 0, -0.5, 20)
    assert item.bbox == [box[0], -20, box[1], 20]


def test_packed_axes_are_cut_by_what_they_mean(tmp_path):
    lon, lat, cells = np.arange(0, 20, 0.5), np.arange(40, 60, 0.25), RANDOM.random((80, 40)).astype("f4")
    source = xr.Dataset({"t": (("lat", "lon"), cells)}, {"lat": ("lat", lat, {"units": "degrees_north"}),
                                                         "lon": ("lon", lon, {"units": "degrees_east"})})
    packed = {"dtype": "i2", "scale_factor": 0.25, "_FillValue": None}
    source.to_netcdf(tmp_path / "a.nc", encoding={"lat": {**packed, "add_offset": 30.0}, "lon": packed})
    item = cut(tmp_path, {"a": tmp_path / "a.nc"}, "--bbox=3,45,8,50")
    with xr.open_dataset(tmp_path / "a.nc") as source, xr.open_dataset(opened(item, "a")) as part:
        xr.testing.assert_identical(part.load(), source.sel(lat=slice(45, 50), lon=slice(3, 8)).load())
    assert item.bbox == pytest.approx([2.75, 44.875, 8.25, 50.125])


@pytest.mark.parametrize("format", ["nc", "zarr"])
def test_the_transform_of_a_grid_mapping_moves_along(tmp_path, format):
    """rioxarray and GDAL take it before the coordinates."""
    x, y = 500_050 + 100.0 * np.arange(300), 5_000_050 - 100.0 * np.arange(200)
    mapping = {**pyproj.CRS(32631).to_cf(), "GeoTransform": "500000 100 0 5000100 0 -100"}
    source = xr.Dataset({"t": (("y", "x"), RANDOM.random((200, 300)).astype("f4"), {"grid_mapping": "spatial_ref"}), "spatial_ref": ((), 0, mapping)},
                        {"x": ("x", x, {"standard_name": "projection_x_coordinate", "units": "m"}),
                         "y": ("y", y, {"standard_name": "projection_y_coordinate", "units": "m"})})
    {"nc": source.to_netcdf, "zarr": source.to_zarr}[format](tmp_path / f"a.{format}")
    subprocess.run([OUTCROP, "--quiet", "convert", tmp_path / f"a.{format}", "--to", tmp_path / f"b.{format}", "--isel", "y=20:120,x=30:130"],
                   check=True, capture_output=True, text=True)
    with xr.open_dataset(tmp_path / f"b.{format}", engine={"nc": "netcdf4", "zarr": "zarr"}[format], decode_coords="all") as part:
        assert [float(n) for n in part.spatial_ref.attrs["GeoTransform"].split()] == [503_000, 100, 0, 4_998_100, 0, -100]
        assert (part.x[0], part.y[0]) == (503_050, 4_998_050)
    if format == "nc":
        with rasterio.open(tmp_path / "b.nc") as part:
            assert part.transform == rasterio.Affine(100, 0, 503_000, 0, -100, 4_998_100)


@pytest.mark.parametrize("epsg", [4326, 32631, 3413])
def test_geotiff_is_a_window_of_rasterio(tmp_path, epsg):
    corner, step = {4326: ((0, 50), 0.01), 32631: ((400_000, 5_500_000), 100), 3413: ((-200_000, -2_000_000), 500)}[epsg]
    box = {4326: (1, 45, 4, 48), 32631: (2, 48.8, 3, 49.3), 3413: (-50, 69, -44, 71)}[epsg]
    cells = RANDOM.integers(0, 60000, (3, 700, 600)).astype("u2")
    profile = dict(driver="GTiff", width=600, height=700, count=3, dtype="uint16", crs=epsg, nodata=7, tiled=True, blockxsize=128,
                   blockysize=128, compress="deflate", transform=rasterio.Affine(step, 0, corner[0], 0, -step, corner[1]))
    with rasterio.open(tmp_path / "a.tiff", "w", **profile) as image:
        image.write(cells)
        image.descriptions = ("blue", "green", "red")
    item = cut(tmp_path, {"a": tmp_path / "a.tiff"}, f"--bbox={','.join(map(str, box))}", "--band", "green,3")
    path = opened(item, "a")
    assert cog_validate(path)[0] and path.name == "a.tif"
    with rasterio.open(tmp_path / "a.tiff") as image, rasterio.open(path) as part:
        west, south, east, north = rasterio.warp.transform_bounds(4326, epsg, *box, densify_pts=21)
        xs, ys = (np.arange(600) + 0.5) * step + corner[0], corner[1] - (np.arange(700) + 0.5) * step
        columns, rows = np.flatnonzero((xs >= west) & (xs <= east)), np.flatnonzero((ys >= south) & (ys <= north))
        assert columns.size and rows.size
        window = rasterio.windows.Window(columns[0], rows[0], columns.size, rows.size)
        np.testing.assert_array_equal(part.read(), image.read([2, 3], window=window))
        assert part.transform.almost_equals(image.window_transform(window), 1e-6)
        assert (part.crs, part.nodata, part.descriptions) == (image.crs, 7, ("green", "red"))
        shape = [part.height, part.width]
    fields = item.assets["a"].to_dict()
    assert (fields["proj:shape"], fields["proj:code"], len(fields["bands"])) == (shape, f"EPSG:{epsg}", 2)
    assert fields["type"] == pystac.MediaType.COG


@pytest.mark.parametrize("name", ["NL.HGN.mseed", "NL.HGN.D.2020.001"])
def test_miniseed_is_slice_of_obspy(tmp_path, name):
    """Two channels, one with a gap, at rates that are no whole numbers of nanoseconds."""
    import obspy
    start = obspy.UTCDateTime(2020, 1, 1, 0, 0, 0, 123456)
    traces = []
    for channel, rate, first, count in [("BHZ", 40.0, 0, 9000), ("BHZ", 40.0, 400, 9000), ("LHZ", 3.0, 0, 2000), ("HHZ", 100.0, 5000, 50)]:
        header = {"network": "NL", "station": "HGN", "location": "", "channel": channel, "sampling_rate": rate, "starttime": start + first}
        traces.append(obspy.Trace(RANDOM.integers(-9000, 9000, count).astype("i4"), header))
    obspy.Stream(traces).write(str(tmp_path / name), format="MSEED", encoding="STEIM2")
    media = "application/vnd.fdsn.mseed"
    item = pystac.Item("i", None, None, None, {}, start_datetime=datetime.datetime(2020, 1, 1), end_datetime=datetime.datetime(2020, 1, 2))
    item.add_asset("a", pystac.Asset(str(tmp_path / name), media_type=media))
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item.to_dict()]}))
    low, high = start + 100.5, start + 500
    subprocess.run([OUTCROP, "--quiet", "fetch", tmp_path / "items.json", "--asset", "a", "--to", tmp_path / "part", "--cut",
                    "--datetime", f"{low}/{high}"], check=True, capture_output=True, text=True)
    got = obspy.read(str(tmp_path / "part" / "i" / name))
    want = obspy.read(str(tmp_path / name)).slice(low, high, nearest_sample=False)
    key = lambda trace: (trace.id, trace.stats.starttime)
    got, want = sorted(got, key=key), sorted(want, key=key)
    assert [trace.id for trace in got] == [trace.id for trace in want] and len(got) == 3
    for one, other in zip(got, want):
        assert one.stats.starttime == other.stats.starttime and one.stats.sampling_rate == other.stats.sampling_rate
        assert np.array_equal(one.data, other.data)
    document = json.loads((tmp_path / "part" / "i" / "i.json").read_text())
    assert document["properties"]["start_datetime"] >= "2020-01-01T00:01:40"
