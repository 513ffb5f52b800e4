"""xarray, rasterio and pystac judge how `outcrop run program` opens the items of a catalog as one array."""
import datetime
import os
import pathlib
import subprocess

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
UTC = datetime.timezone.utc


def item(name, time, **assets):
    """An item whose assets are (file, bands)."""
    made = pystac.Item(name, {"type": "Point", "coordinates": [5, 52]}, [5, 52, 5, 52], time,
                       {} if time else {"start_datetime": "2001-01-01T00:00:00Z", "end_datetime": "2001-12-31T00:00:00Z"})
    for key, (path, bands) in assets.items():
        fields = {"bands": [{"name": band} for band in bands]} if bands else {}
        made.add_asset(key, pystac.Asset(str(path), roles=["data"], extra_fields=fields))
    made.add_asset("preview", pystac.Asset("preview.jpg", roles=["thumbnail"]))
    return made


def catalog(folder, items):
    root = pystac.Catalog("scenes", "for a test")
    root.add_items(items)
    root.normalize_and_save(str(folder / "stac"), pystac.CatalogType.SELF_CONTAINED)


def image(path, bands, *, dtype="uint16", transform=None, crs="EPSG:32631", scales=None, offsets=None, units=None, **profile):
    transform = transform or rasterio.Affine(10, 0, 500000, 0, -10, 5800000)
    bands = np.asarray(bands, dtype)
    profile = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands), "dtype": dtype,
               "crs": crs, "transform": transform, "tiled": True, "blockxsize": 32, "blockysize": 32, **profile}
    with rasterio.open(path, "w", **profile) as to:
        to.write(bands)
        if scales:
            to.scales, to.offsets = scales, offsets
        if units:
            to.units = units
    return path


def run(folder, open_, *more, of="v", expect=0):
    text = f'[[step]]\nname = "v"\nop = "open"\n{open_}\n'
    for name, rest in more:
        text += f'[[step]]\nname = "{name}"\n{rest}\n'
    text += f'[[output]]\nof = "{of}"\nto = "out.zarr"\n'
    (folder / "p.toml").write_text(text)
    said = subprocess.run([OUTCROP, "run", "program", folder / "p.toml"], capture_output=True, text=True)
    assert said.returncode == expect, said.stderr
    return said.stderr if expect else xr.open_zarr(folder / "out.zarr", consolidated=False)[of].load()


def random(shape, seed=1, low=0, high=4000):
    return np.random.default_rng(seed).integers(low, high, shape)


def test_bands_of_scenes_stand_in_the_order_of_time(tmp_path):
    times = [datetime.datetime(2020, 6, day, 10, 30, tzinfo=UTC) for day in (9, 3, 6)]
    pixels = [random((2, 40, 50), seed) for seed in range(3)]
    paths = [image(tmp_path / f"s{n}.tif", p, nodata=0) for n, p in enumerate(pixels)]
    catalog(tmp_path, [item(f"s{n}", times[n], visual=(paths[n], ["red", "nir"])) for n in range(3)])
    got = run(tmp_path, 'items = "stac/catalog.json"\nband = "nir"')
    order = [1, 2, 0]
    want = np.stack([pixels[n][1] for n in order]).astype("float32")
    want[want == 0] = np.nan
    np.testing.assert_array_equal(got.values, want)
    assert got.dims == ("time", "y", "x")
    assert [str(t)[:19] for t in got.time.values] == [times[n].strftime("%Y-%m-%dT%H:%M:%S") for n in order]
    np.testing.assert_allclose(got.y.values, 5800000 - 5 - 10 * np.arange(40))
    one = run(tmp_path, 'items = "stac/catalog.json#s2"\nband = 1')
    np.testing.assert_array_equal(np.nan_to_num(one.values[0]), pixels[2][0])
    june = run(tmp_path, 'items = "stac"\nband = "red"\ndatetime = "2020-06-01/2020-06-07"')
    assert june.shape == (2, 40, 50)
    said = run(tmp_path, 'items = "stac"', expect=2)
    assert "`visual.red`, `visual.nir`" in said and "`band`" in said


def test_scale_offset_units_and_masks_are_those_of_each_band(tmp_path):
    pixels = [random((2, 33, 47), seed) for seed in (5, 6)]
    rules = [((0.5, 0.0001), (1.0, -0.1)), ((0.25, 0.0002), (2.0, 0.0))]
    items = []
    for n in range(2):
        path = image(tmp_path / f"p{n}.tif", pixels[n], nodata=7, scales=rules[n][0], offsets=rules[n][1])
        items.append(item(f"p{n}", datetime.datetime(2021, 1, 1 + n, tzinfo=UTC), data=(path, [])))
    catalog(tmp_path, items)
    for band in (0, 1):
        got = run(tmp_path, f'items = "stac"\nasset = "data"\nband = {band + 1}')
        for n in range(2):
            stored = pixels[n][band]
            want = np.where(stored == 7, np.nan, stored * rules[n][0][band] + rules[n][1][band])
            np.testing.assert_allclose(got.values[n], want, rtol=1e-6)
    raw = run(tmp_path, 'items = "stac"\nband = 2\ndecode = "raw"')
    assert raw.dtype == np.uint16 and (raw.values == np.stack([p[1] for p in pixels])).all()


def test_a_mask_makes_holes(tmp_path):
    pixels = random((1, 30, 30), 3)
    hole = np.ones((30, 30), bool)
    hole[4:9, 10:22] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        image(tmp_path / "m.tif", pixels)
        with rasterio.open(tmp_path / "m.tif", "r+") as to:
            to.write_mask(hole)
    catalog(tmp_path, [item("m", datetime.datetime(2021, 1, 1, tzinfo=UTC), b=("../../" + "m.tif", []))])
    with rasterio.open(tmp_path / "m.tif") as source:
        want = source.read(1, masked=True).filled(0) * 1.0
        want[source.read_masks(1) == 0] = np.nan
    got = run(tmp_path, 'path = "m.tif"')
    np.testing.assert_array_equal(got.values.squeeze(), want)


def yearly(folder, year, days, since, chunk, packed):
    """A NetCDF file of daily means with a time axis of its own."""
    values = np.random.default_rng(year).standard_normal((days, 6, 8)) * 10
    values[3, 2, 2] = np.nan
    time = np.datetime64(f"{year}-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    data = xr.DataArray(values, dims=("time", "lat", "lon"), name="t2m", attrs={"units": "degC"},
                        coords={"time": time, "lat": 50 - np.arange(6) * 1.0, "lon": np.arange(8) * 1.0})
    how = {"chunksizes": chunk, "zlib": True}
    if packed:
        data.attrs["valid_range"] = np.array([-30000, 30000], "int16")
        how |= {"dtype": "int16", "scale_factor": 0.01, "add_offset": 3.0, "_FillValue": np.int16(-9999)}
    path = folder / f"t2m_{year}.nc"
    data.to_netcdf(path, engine="netcdf4", encoding={"t2m": how, "time": {"units": since}})
    return path


def test_years_of_unlike_length_units_chunks_and_packing_are_one_axis(tmp_path):
    files = [yearly(tmp_path, 2000, 366, "days since 2000-01-01", (30, 6, 8), False),
             yearly(tmp_path, 2001, 365, "hours since 1970-01-01", (100, 3, 4), True),
             yearly(tmp_path, 1999, 365, "days since 1950-01-01", (365, 2, 2), False)]
    catalog(tmp_path, [item(f"y{n}", None, t2m=(path, [])) for n, path in enumerate(files)])
    got = run(tmp_path, 'items = "stac"\nasset = "t2m"\nvariable = "t2m"')
    want = xr.concat([xr.open_dataset(files[n], engine="netcdf4")["t2m"].load() for n in (2, 0, 1)], "time")
    assert (got.time.values == want.time.values).all()
    np.testing.assert_allclose(got.values, want.values, rtol=1e-6)
    packed = run(tmp_path, 'path = "t2m_2001.nc"\nvariable = "t2m"')
    assert not {"valid_range", "scale_factor", "add_offset"} & (set(packed.attrs) | set(packed.encoding))
    months = run(tmp_path, 'items = "stac"\nvariable = "t2m"', ("m", 'op = "mean"\ngroupby = "month"'), of="m")
    np.testing.assert_allclose(months.values, want.groupby("time.month").mean().values, rtol=1e-5, atol=1e-6)
    glued = run(tmp_path, 'path = ["t2m_1999.nc", "t2m_2000.nc", "t2m_2001.nc"]\nvariable = "t2m"\ndim = "time"')
    assert (glued.time.values == want.time.values).all()


@pytest.mark.parametrize("fault, words", [
    ("crs", ["two", "CRS"]), ("grid", ["two", "cells"]), ("shape", ["two", "30 rows"]), ("band", ["two", "nir"]),
    ("units", ["two", "kelvin"]), ("time", ["2020-06-01", "select one"]), ("gone", ["two.tif"]), ("cut", ["two"])])
def test_what_does_not_fit_is_named(tmp_path, fault, words):
    day = datetime.datetime(2020, 6, 1, tzinfo=UTC)
    later = day if fault == "time" else day + datetime.timedelta(days=1)
    shift = rasterio.Affine(10, 0, 500005 if fault == "grid" else 500000, 0, -10, 5800000)
    one = image(tmp_path / "one.tif", random((1, 32, 32)), units=["celsius"])
    two = image(tmp_path / "two.tif", random((1, 30 if fault == "shape" else 32, 32)), transform=shift,
                crs="EPSG:32632" if fault == "crs" else "EPSG:32631", units=["kelvin" if fault == "units" else "celsius"])
    if fault == "gone":
        two.unlink()
    if fault == "cut":
        two.write_bytes(two.read_bytes()[:900])
    key = "nir" if fault == "band" else "red"
    catalog(tmp_path, [item("one", day, red=(one, [])), item("two", later, **{key: (two, [])})])
    said = run(tmp_path, 'items = "stac"' + ("" if fault == "band" else '\nasset = "red"'), expect=2)
    # An asset that one item lacks is told by the item that has it not.
    for word in ["red"] if fault == "band" else words:
        assert word in said, said
    assert not (tmp_path / "out.zarr").exists()


def test_an_order_that_nothing_tells_is_asked_for(tmp_path):
    items = []
    for name in "ab":
        made = item(name, None, v=(image(tmp_path / f"{name}.tif", random((1, 8, 8))), []))
        made.properties.pop("start_datetime"), made.properties.pop("end_datetime")
        items.append(made)
    catalog(tmp_path, items)
    for path in (tmp_path / "stac").rglob("*.json"):
        path.write_text(path.read_text())
    said = run(tmp_path, 'items = "stac"', expect=2)
    assert "a.tif" in said and "labels" in said


def test_names_tell_the_time_where_nothing_else_does(tmp_path):
    for day in (3, 1, 2):
        image(tmp_path / f"tmax-2019-02-0{day}.tif", np.full((1, 8, 8), day))
    items = [item(f"n{day}", None, tmax=(tmp_path / f"tmax-2019-02-0{day}.tif", [])) for day in (3, 1, 2)]
    for made in items:
        for name in ("start_datetime", "end_datetime"):
            made.properties[name] = "2019-02-01T00:00:00Z" if name.startswith("start") else "2019-03-01T00:00:00Z"
    catalog(tmp_path, items)
    got = run(tmp_path, 'items = "stac"\nlabels = "YYYY-MM-DD"')
    assert [str(t)[:10] for t in got.time.values] == ["2019-02-01", "2019-02-02", "2019-02-03"]
    assert got.values[:, 0, 0].tolist() == [1, 2, 3]


def test_days_of_names_are_labels_of_files(tmp_path):
    for day in range(28, 33):
        name = (datetime.date(2019, 1, 1) + datetime.timedelta(days=day)).strftime("t.%Y.%m.%d.tif")
        image(tmp_path / name, np.full((1, 8, 8), day))
    got = run(tmp_path, 'path = "t.*.tif"\ndim = "time"', ("i", 'op = "isel"\nat = { band = 0 }'),
              ("m", 'op = "mean"\ngroupby = "month"'), of="m")
    assert got.values[:, 0, 0].tolist() == [29.0, 31.5]
    got = run(tmp_path, 'path = "t.*.tif"\ndim = "day"\nlabels = "YYYY.MM.DD"')
    assert str(got.day.values[-1])[:10] == "2019-02-02"
    assert "labels" in run(tmp_path, 'path = "t.*.tif"\ndim = "time"\nlabels = "YYYYDDD"', expect=2)


def test_items_are_given_beside_the_program(tmp_path):
    paths = [image(tmp_path / f"g{n}.tif", np.full((1, 8, 8), n + 1)) for n in range(4)]
    catalog(tmp_path, [item(f"g{n}", datetime.datetime(2020, 1, 1 + n, tzinfo=UTC), b1=(paths[n], [])) for n in range(4)])
    (tmp_path / "m.toml").write_text('[[step]]\nname = "v"\nop = "open"\n[[step]]\nname = "m"\nop = "mean"\n')
    said = subprocess.run([OUTCROP, "run", "program", tmp_path / "m.toml", "--items", tmp_path / "stac", "--datetime",
                           "2020-01-02/2020-01-03"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "m = 2.5\n"), said.stderr


def test_a_file_that_is_broken_inside_is_named_and_the_rest_is_computed(tmp_path):
    days = [datetime.datetime(2020, 1, 1 + n, tzinfo=UTC) for n in range(6)]
    paths = [image(tmp_path / f"g{n}.tif", random((1, 64, 64), n), compress="deflate") for n in range(6)]
    catalog(tmp_path, [item(f"g{n}", days[n], b1=(paths[n], [])) for n in range(6)])
    (tmp_path / "p.toml").write_text(
        'title = "Twice <the> value"\n[[step]]\nname = "v"\nop = "open"\nitems = "stac"\n[[step]]\nname = "d"\nop = "multiply"\n'
        'of = ["v", 2.0]\n[[output]]\nof = "d"\nto = "d.zarr"\nchunks = { time = 1 }\n')
    whole = paths[3].read_bytes()
    with rasterio.open(paths[3]) as source:
        offset = int(source.get_tag_item("BLOCK_OFFSET_1_0", "TIFF", bidx=1))
    paths[3].write_bytes(whole[:offset] + b"\xff" * 60 + whole[offset + 60:])
    os.utime(paths[3], (1e9, 1e9))
    command = [OUTCROP, "run", "program", tmp_path / "p.toml", "--report", tmp_path / "r.html"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1, said.stderr
    assert "g3.tif" in said.stderr and "failed: d [3:4" in said.stderr and "computes what is missing" in said.stderr
    assert not (tmp_path / "d.zarr").exists()
    page = (tmp_path / "r.html").read_text()
    assert "g3.tif" in page and "Twice &lt;the&gt; value" in page and "<svg" in page and 'class="failed"' in page
    paths[3].write_bytes(whole)
    os.utime(paths[3], (1e9, 1e9))
    said = subprocess.run([*command[:-1], tmp_path / "r.json"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    import json
    report = json.loads((tmp_path / "r.json").read_text())
    run_, earlier = report["outputs"][0]["tasks"]
    assert report["outputs"][0]["failed"] == [] and len(report["inputs"]) == 6 and earlier >= 1 and run_ >= 1
    got = xr.open_zarr(tmp_path / "d.zarr", consolidated=False)["d"].load()
    want = np.stack([rasterio.open(path).read(1) for path in paths]) * 2.0
    np.testing.assert_array_equal(got.values, want)


def test_the_vegetation_index_of_scenes_is_that_of_numpy(tmp_path):
    red, nir = random((5, 40, 50), 1, 1), random((5, 40, 50), 2, 1)
    items = []
    for n in range(5):
        files = [image(tmp_path / f"{name}{n}.tif", [band[n]], nodata=0, scales=[1e-4], offsets=[0]) for name, band in (("r", red), ("n", nir))]
        items.append(item(f"s{n}", datetime.datetime(2023, 6, 1 + n, tzinfo=UTC), red=(files[0], []), nir=(files[1], [])))
    catalog(tmp_path, items)
    program = tmp_path / "ndvi.toml"
    program.write_text((pathlib.Path(__file__).parents[2] / "examples" / "programs" / "ndvi.toml").read_text())
    said = subprocess.run([OUTCROP, "run", "program", program, "--items", tmp_path / "stac"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    r, n = (band * np.float32(1e-4) for band in (red, nir))
    with rasterio.open(tmp_path / "ndvi.tif") as result:
        np.testing.assert_allclose(result.read(1), np.median((n - r) / (n + r), axis=0), rtol=2e-5, atol=1e-6)
        assert result.crs.to_epsg() == 32631 and result.transform == rasterio.Affine(10, 0, 500000, 0, -10, 5800000)
    assert (tmp_path / "ndvi.png").stat().st_size > 1000
