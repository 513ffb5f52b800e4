"""NumPy, xarray and rasterio judge what `outcrop run heat-index` computes and writes."""
import csv
import datetime
import json
import os
import pathlib
import subprocess

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.transform import from_origin

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
ROWS, COLUMNS, DAYS = 70, 90, 8
FIRST = datetime.date(2016, 2, 26)
STORED = {
    "plain": {},
    "deflate": {"compress": "deflate"},
    "tiled": {"compress": "deflate", "predictor": 3, "tiled": True, "blockxsize": 32, "blockysize": 16},
    "lzw": {"compress": "lzw", "predictor": 2, "blockysize": 7},
    "zstd": {"compress": "zstd", "tiled": True, "blockxsize": 64, "blockysize": 64},
}


def days(count=DAYS):
    return [FIRST + datetime.timedelta(i) for i in range(count)]


def temperatures(dtype="float32", nodata=-9999, nans=False):
    """Temperatures of some days as they are stored: sea without data, a cell that comes and goes, a day without any."""
    random = np.random.default_rng(7)
    values = random.normal(15, 12, (DAYS, ROWS, COLUMNS)).round(2)
    if dtype.startswith(("int", "uint")):
        values = (values * 100).round() if dtype == "int16" else values.round() + 60
    values = values.astype(dtype)
    if nodata is not None:
        values[:, :20, :30] = nodata
        values[::2, 40, 50] = nodata
        values[3] = nodata
    if nans:
        values[5, 60, 60] = np.nan
    return values


def write(folder, values, nodata=-9999, names="himax.{:%Y.%m.%d}.tif", stored=({},), scale=None, units=None):
    folder.mkdir(exist_ok=True)
    paths = []
    for i, (day, plane) in enumerate(zip(days(len(values)), values)):
        path = folder / names.format(day)
        with rasterio.open(path, "w", driver="GTiff", width=COLUMNS, height=ROWS, count=1, dtype=values.dtype, nodata=nodata,
                           crs="EPSG:4326", transform=from_origin(-10, 60, .5, .25), **stored[i % len(stored)]) as image:
            image.write(plane, 1)
            if scale:
                image.scales, image.offsets = (scale[0],), (scale[1],)
            if units:
                image.units = (units,)
        paths.append(path)
    return paths


def run(folder, paths, *options, check=True):
    to = folder / "heat"
    done = subprocess.run([OUTCROP, "--json", "run", "heat-index", *map(str, paths), "--to", str(to), *options],
                          capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return to, (json.loads(done.stdout) if done.returncode == 0 else done)


def daily(to):
    with open(to / "daily.csv") as lines:
        rows = list(csv.DictReader(lines))
    return [row["date"] for row in rows], np.array([float(row["mean_f"]) for row in rows]), np.array([int(row["count"]) for row in rows])


def masked(values, nodata):
    wide = values.astype("float64")
    return wide if nodata is None else np.where(values == np.array(nodata).astype(values.dtype), np.nan, wide)


def mean_over_time(values):
    counts = (~np.isnan(values)).sum(0)
    sums = np.where(np.isnan(values), 0, values).sum(0)
    with np.errstate(invalid="ignore"):
        return sums / counts


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("dtype, nodata", [("float32", -9999), ("float64", -9999), ("float32", -32768.5), ("int16", -32768),
                                           ("uint8", 255), ("int32", -1), ("float32", None), ("float32", float("nan"))])
def test_all_ways_of_storing(tmp_path, dtype, nodata, stored):
    options = dict(STORED[stored])
    if options.get("predictor") == 3 and not dtype.startswith("float"):
        options["predictor"] = 2
    if options.get("predictor") == 2 and dtype == "float64":
        del options["predictor"]
    values = temperatures(dtype, nodata)
    paths = write(tmp_path / "in", values, nodata, stored=(options,))
    to, said = run(tmp_path, reversed(paths))
    truth = masked(values, nodata)
    single = dtype in ("float32", "int16", "uint8")
    with rasterio.open(to / "mean.tif") as image, rasterio.open(paths[0]) as first:
        got = image.read(1)
        assert image.dtypes[0] == ("float32" if single else "float64")
        assert (image.shape, image.transform, image.crs) == (first.shape, first.transform, first.crs)
        assert image.nodata == first.nodata or (image.nodata != image.nodata and first.nodata != first.nodata)
        assert image.profile.get("compress") == first.profile.get("compress")
    want = mean_over_time(truth).astype(got.dtype)
    if nodata is not None:
        want = np.where(np.isnan(want), np.array(nodata).astype(got.dtype), want)
    np.testing.assert_array_equal(got, want)
    assert said["days"] == DAYS and said["missing_days"] == 0 and said["months"] == [2, 3]
    with rasterio.open(to / "monthly.tif") as image:
        assert image.descriptions == ("February", "March")
        months = np.array([day.month for day in days()])
        for band, month in enumerate([2, 3]):
            want = mean_over_time(truth[months == month]).astype(got.dtype)
            read = image.read(band + 1, masked=True).filled(np.nan)
            np.testing.assert_array_equal(np.where(np.isnan(want), np.nan, read), want)
    names, means, counts = daily(to)
    assert names == [str(day) for day in days()]
    kind = np.float32 if single else np.float64
    fahrenheit = truth.astype(kind) * kind(1.8) + kind(32)
    with np.errstate(invalid="ignore"), pytest.warns() if np.isnan(fahrenheit).all((1, 2)).any() else np.errstate():
        want = np.nanmean(fahrenheit.astype("f8"), (1, 2))
    np.testing.assert_allclose(means, want, rtol=1e-12)
    np.testing.assert_array_equal(counts, (~np.isnan(truth)).sum((1, 2)))


def test_the_same_bits_in_all_ways_and_with_any_threads(tmp_path):
    values = temperatures(nans=True)
    first = None
    for name, stored in [*((name, (options,)) for name, options in STORED.items()), ("mixed", tuple(STORED.values()))]:
        if "predictor" in stored[0] and stored[0]["predictor"] == 2:
            stored = ({**stored[0], "predictor": 1},)
        paths = write(tmp_path / name, values, stored=stored)
        for executor in (["--threads", "1"], ["--threads", "4"], ["--executor", "serial"]):
            to, _ = run(tmp_path / name, paths, *executor)
            with rasterio.open(to / "mean.tif") as mean, rasterio.open(to / "monthly.tif") as monthly:
                bits = (mean.read().tobytes(), monthly.read().tobytes(), (to / "daily.csv").read_bytes())
            first = first or bits
            assert bits == first, (name, executor)


def test_nan_poisons_its_day_unless_it_is_missing(tmp_path):
    paths = write(tmp_path / "in", temperatures(nans=True))
    to, said = run(tmp_path, paths)
    _, means, counts = daily(to)
    assert np.isnan(means).tolist() == [i in (3, 5) for i in range(DAYS)]
    assert (said["days_with_nan"], said["days_without_data"]) == (1, 1)
    to, _ = run(tmp_path, paths, "--nan", "missing")
    _, missing, fewer = daily(to)
    assert np.isnan(missing).tolist() == [i == 3 for i in range(DAYS)]
    assert fewer[5] == counts[5] - 1


def test_without_a_mask_nodata_is_a_number(tmp_path):
    values = temperatures(nans=True)
    paths = write(tmp_path / "in", values)
    to, _ = run(tmp_path, paths, "--masking", "none")
    want = xr.DataArray(values.astype("f8"), dims=("time", "y", "x")).mean("time").values.astype("f4")
    with rasterio.open(to / "mean.tif") as image:
        np.testing.assert_array_equal(image.read(1), want)


def test_scaled_integers_and_units(tmp_path):
    values = temperatures("int16", -9999)
    paths = write(tmp_path / "in", values, scale=(0.01, 273.15), units="K")
    to, said = run(tmp_path, paths)
    kelvin = masked(values, -9999) * 0.01 + 273.15
    with rasterio.open(to / "mean.tif") as image:
        np.testing.assert_allclose(image.read(1, masked=True).filled(np.nan), mean_over_time(kelvin), rtol=1e-6)
        assert image.scales == (1.0,)
    _, means, _ = daily(to)
    with pytest.warns(RuntimeWarning):
        want = np.nanmean((kelvin - 273.15) * 1.8 + 32, (1, 2))
    np.testing.assert_allclose(means, want, rtol=2e-6)
    assert said["assumed"] == []


def test_selections_are_those_of_xarray(tmp_path):
    values = temperatures()
    paths = write(tmp_path / "in", values)
    array = xr.DataArray(masked(values, -9999), dims=("time", "y", "x"), coords={
        "time": np.array(days(), "datetime64[ns]"), "y": 60 - .25 * (np.arange(ROWS) + .5), "x": -10 + .5 * (np.arange(COLUMNS) + .5)})
    cases = [
        (["--sel", "y=55:50,x=-5:19"], array.sel(y=slice(55, 50), x=slice(-5, 19))),
        (["--isel", "y=5:-12,x=20:31,time=1:"], array.isel(y=slice(5, -12), x=slice(20, 31), time=slice(1, None))),
        (["--months", "3"], array.where(array.time.dt.month == 3, drop=True)),
        (["--sel", "time=2016-02-28:2016-03-01", "--isel", "x=:1"], array.sel(time=slice("2016-02-28", "2016-03-01")).isel(x=slice(0, 1))),
    ]
    for options, part in cases:
        to, said = run(tmp_path, paths, *options)
        with rasterio.open(to / "mean.tif") as image:
            np.testing.assert_array_equal(image.read(1, masked=True).filled(np.nan),
                                          part.mean("time").values.astype("f4"), err_msg=str(options))
            x, y = image.xy(0, 0)
            assert (x, y) == pytest.approx((float(part.x[0]), float(part.y[0])))
        assert said["days"] == part.sizes["time"]
    to, said = run(tmp_path, paths, "--sel", "y=50:55", check=False)
    assert said.returncode == 2 and "nothing along y" in said.stderr and "y=20:-5" in said.stderr
    to, _ = run(tmp_path, paths, "--nearest", "1.2,57.13")
    with open(to / "nearest.csv") as lines:
        got = np.array([float(row["value"]) for row in csv.DictReader(lines)])
    want = array.sel(x=1.2, y=57.13, method="nearest").values
    np.testing.assert_array_equal(got.astype("f4"), want.astype("f4"))


def test_zarr_and_item(tmp_path):
    values = temperatures()
    paths = write(tmp_path / "in", values)
    for version in ("2", "3"):
        to, _ = run(tmp_path, paths, "--zarr", version, "--catalog", str(tmp_path / "results"))
        data = xr.open_zarr(to / "heat-index.zarr", consolidated=None)
        with rasterio.open(to / "mean.tif") as mean, rasterio.open(to / "monthly.tif") as monthly:
            np.testing.assert_array_equal(data["mean"].values, mean.read(1, masked=True).filled(np.nan))
            np.testing.assert_array_equal(data["monthly"].values, monthly.read(masked=True).filled(np.nan))
        np.testing.assert_array_equal(data["daily_mean"].values, daily(to)[1])
        assert data.time.values.tolist() == np.array(days(), "datetime64[ns]").tolist()
        assert data.month.values.tolist() == [2, 3] and data["mean"].dtype == "float32"
    item = next(pystac.Catalog.from_file(str(tmp_path / "results/catalog.json")).get_items(recursive=True))
    JsonSchemaSTACValidator().validate_core(item.to_dict(), pystac.STACObjectType.ITEM, "1.1.0", item.get_self_href())
    assert item.bbox == pytest.approx([-10, 60 - .25 * ROWS, -10 + .5 * COLUMNS, 60])
    assert len([link for link in item.links if link.rel == "derived_from"]) == DAYS
    assert {"mean", "monthly", "daily", "map", "zarr"} <= set(item.assets)


def test_items_say_the_day(tmp_path):
    values = temperatures()
    paths = write(tmp_path / "in", values, names="image-{:%j}.tif")
    features = []
    for day, path in zip(days(), paths):
        item = pystac.Item(f"d{day}", None, None, datetime.datetime(day.year, day.month, day.day), {})
        item.add_asset("tmax", pystac.Asset(str(path), media_type="image/tiff; application=geotiff"))
        item.add_asset("about", pystac.Asset("about.txt"))
        features.append(item.to_dict())
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    to, said = run(tmp_path, ["--items", tmp_path / "items.json"])
    assert daily(to)[0] == [str(day) for day in days()]
    done = run(tmp_path, paths, check=False)[1]
    assert done.returncode == 2 and "image-057.tif" in done.stderr and "--date-pattern" in done.stderr


def test_what_does_not_fit_names_the_file(tmp_path):
    values = temperatures()
    paths = write(tmp_path / "in", values)
    other = tmp_path / "in" / "other.2016-02-26.tif"
    other.write_bytes(paths[0].read_bytes())
    done = run(tmp_path, [*paths, other], check=False)[1]
    assert done.returncode == 2 and "other.2016-02-26.tif" in done.stderr and "2016-02-26 is also that of" in done.stderr
    odd = {"crs": {"crs": "EPSG:32631"}, "grid": {"transform": from_origin(-10, 61, .5, .25)}, "size": {"height": ROWS - 1}}
    for name, change in odd.items():
        path = tmp_path / "in" / f"{name}.2016-04-01.tif"
        with rasterio.open(paths[0]) as first:
            profile = {**first.profile, **change}
            with rasterio.open(path, "w", **profile) as image:
                image.write(first.read(1)[: profile["height"]], 1)
        done = run(tmp_path, [*paths, path], check=False)[1]
        assert done.returncode == 2 and f"{name}.2016-04-01.tif" in done.stderr, done.stderr


def test_a_plan_says_what_would_be_read(tmp_path):
    paths = write(tmp_path / "in", temperatures(), stored=(STORED["tiled"],))
    to, plan = run(tmp_path, [path for path in paths if "02.28" not in path.name], "--plan")
    assert not to.exists()
    assert plan["pipeline"] == "heat-index" and plan["files"] == DAYS - 1 and plan["missing_days"] == ["2016-02-28"]
    assert plan["plane"] == [ROWS, COLUMNS] and plan["stored_bytes"] > 0 and plan["memory_bytes"] > 0
