"""xarray, scipy and pystac judge what `outcrop run das` makes of files that h5py wrote."""
import json
import os
import pathlib
import subprocess

import h5py
import numpy as np
import pystac
import pytest
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from scipy import signal

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
START = 1_666_723_076_000_000  # microseconds since 1970
STEP = 5000
CHANNELS, SAMPLES = 45, 1300


def samples(seed=3, files=3, dtype="int16"):
    """A recording of some files: noise, a drift of each channel, and what all channels have in common."""
    random = np.random.default_rng(seed)
    time = np.arange(files * SAMPLES) * STEP / 1e6
    data = random.standard_normal((CHANNELS, files * SAMPLES)) * 300
    data += np.linspace(-500, 900, CHANNELS)[:, None] + np.linspace(-40, 70, CHANNELS)[:, None] * time
    return (data + 400 * np.sin(2 * np.pi * 1.7 * time)).round().astype(dtype)


def write(path, data, first, dims="locus, time", chunks=None, step=STEP):
    """One file in the layout of ProdML: `dims` is one text, or names of the axes."""
    names = [name.strip() for name in dims.split(",")] if isinstance(dims, str) else dims
    with h5py.File(path, "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update({"NumberOfLoci": CHANNELS, "SpatialSamplingInterval": 2.0, "GaugeLength": 20.0,
                                  "SpatialSamplingIntervalUnit": "m", "StartLocusIndex": 10})
        raw = acquisition.create_group("Raw[0]")
        raw.attrs.update({"OutputDataRate": 1e6 / step, "RawDataUnit": "rad * 2PI/2^16"})
        values = data if names[0] in ("locus", "distance") else data.T
        variable = raw.create_dataset("RawData", data=values, chunks=chunks, compression="gzip" if chunks else None)
        variable.attrs["Dimensions"] = dims if isinstance(dims, str) else np.array(dims, dtype=h5py.string_dtype())
        raw.create_dataset("RawDataTime", data=START + (first + np.arange(data.shape[1], dtype="i8")) * step)
    return path


def recording(folder, data, **layout):
    parts = range(0, data.shape[1], SAMPLES)
    return [write(folder / f"{at:06}.h5", data[:, at:at + SAMPLES], at, **layout) for at in parts]


def run(folder, files, *options, code=0):
    """The summary of a run; the result is in `out.zarr`."""
    command = [OUTCROP, "--json", "run", "das", *files, "--to", folder / "out.zarr", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def chain(data, band=(0.025, 5.0), order=5, every=4, kind="bandpass", trends=("constant", "linear"), rate=200.0):
    """The workflow in double precision, and rounded where it is gathered."""
    traces = data.astype("f4").astype("f8")
    for trend in trends:
        traces = signal.detrend(traces, type=trend)
    sos = signal.butter(order, band, kind, fs=rate, output="sos")
    kept = signal.sosfiltfilt(sos, traces)[:, ::every].astype("f4")
    return kept


def without_median(kept):
    return kept - np.median(kept.astype("f8"), axis=0).astype("f4")


def close(got, want):
    """Within single precision of the largest value: the median is a value of that precision."""
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-7 * np.abs(want).max())


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("layout", [
    {"dims": "locus, time"},
    {"dims": ["locus", "time"], "chunks": (7, 500)},
    {"dims": "time, locus"},
    {"dims": ["time", "locus"], "chunks": (200, 45)},
], ids=["plain", "chunked", "plain-time-first", "chunked-time-first"])
def test_the_chain_is_that_of_scipy(tmp_path, dtype, layout):
    data = samples(dtype=dtype)
    summary = run(tmp_path, recording(tmp_path, data, **layout))
    assert summary["gaps"] == [] and summary["missing"] == 0
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        assert result.strain_rate.dims == ("distance", "time")
        assert result.strain_rate.dtype == np.float32
        close(result.strain_rate.values, without_median(chain(data)))
        want = np.arange(0, data.shape[1], 4) * STEP * 1000 + np.datetime64(START, "us").astype("M8[ns]").astype("i8")
        assert (result.time.values.astype("M8[ns]").astype("i8") == want).all()
        assert result.distance.attrs["units"] == "m"
        assert np.diff(result.distance.values) == pytest.approx(2.0)
        assert result.strain_rate.attrs["units"] == "rad * 2PI/2^16"
        assert result.attrs["filter_band"] == "0.025-5 Hz" and len(result.attrs["source_files"]) == 3
    for picture in summary["pictures"]:
        assert pathlib.Path(picture.removeprefix("file://")).read_bytes().startswith(b"\x89PNG")


def test_times_are_whole_numbers_in_the_unit_of_the_file(tmp_path):
    run(tmp_path, recording(tmp_path, samples()), "--no-images")
    with xr.open_zarr(tmp_path / "out.zarr", decode_times=False) as result:
        assert result.time.dtype == np.int64
        assert result.time.attrs["units"] == "microseconds since 1970-01-01"
        assert (result.time.values == START + np.arange(0, 3900, 4) * STEP).all()
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("options, want", [
    (["--band", "0.5,20", "--order", "3", "--every", "1"], {"band": (0.5, 20), "order": 3, "every": 1}),
    (["--lowpass", "8", "--every", "10"], {"band": 8, "kind": "lowpass", "every": 10}),
    (["--highpass", "2", "--order", "4", "--every", "1"], {"band": 2, "kind": "highpass", "order": 4, "every": 1}),
    (["--detrend", "constant", "--band", "0.5,20"], {"trends": ("constant",), "band": (0.5, 20)}),
    (["--detrend", "none", "--band", "0.5,20"], {"trends": (), "band": (0.5, 20)}),
])
def test_every_parameter_is_an_option(tmp_path, options, want):
    data = samples()
    run(tmp_path, recording(tmp_path, data), *options)
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        close(result.strain_rate.values, without_median(chain(data, **want)))


def test_channels_time_and_the_median_are_chosen(tmp_path):
    data = samples()
    files = recording(tmp_path, data)
    run(tmp_path, files, "--channels", "5:30", "--no-median", "--from-channel", "6", "--to-channel", "6")
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        kept = chain(data[5:30])
        close(result.strain_rate.values, kept)
        places = result.distance.values
    run(tmp_path, files, "--distance", f"{places[3]}:{places[9]}")
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        close(result.strain_rate.values, without_median(chain(data[8:15])))
    run(tmp_path, files, "--time", "2022-10-25T18:37:58Z/2022-10-25T18:38:09.995Z")
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        close(result.strain_rate.values, without_median(chain(data[:, 400:2800])))


def test_gaps_are_told_and_files_that_differ_are_refused(tmp_path):
    data = samples()
    first, second, third = recording(tmp_path, data)
    summary = run(tmp_path, [third, first])
    [gap] = summary["gaps"]
    assert (gap["at"], gap["seconds"]) == (SAMPLES, pytest.approx(SAMPLES * STEP / 1e6 + STEP / 1e6))
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        close(result.strain_rate.values, without_median(chain(np.delete(data, range(SAMPLES, 2 * SAMPLES), axis=1))))
    assert "gap of" in run(tmp_path, [third, first], "--gaps", "refuse", code=2)
    slow = write(tmp_path / "slow.h5", data[:, :SAMPLES], SAMPLES, step=2 * STEP)
    why = run(tmp_path, [first, slow], code=2)
    assert "slow.h5" in why and "000000.h5" in why and "0.01 s" in why
    assert "0 and half the sampling rate" in run(tmp_path, [first], "--band", "1,100", code=2)


def test_little_memory_gives_the_same_bytes(tmp_path):
    for layout in [{"dims": "locus, time"}, {"dims": "time, locus", "chunks": (300, 45)}]:
        files = recording(tmp_path, samples(files=12), **layout)
        run(tmp_path, files)
        with xr.open_zarr(tmp_path / "out.zarr") as result:
            want = result.strain_rate.values
        plan = run(tmp_path, files, "--memory", "8MB", "--threads", "1", "--scratch", tmp_path, "--plan")
        assert plan["memory_bytes"] <= 8_000_000
        run(tmp_path, files, "--memory", "8MB", "--threads", "1", "--scratch", tmp_path)
        with xr.open_zarr(tmp_path / "out.zarr") as result:
            assert (result.strain_rate.values == want).all()
        run(tmp_path, files, "--executor", "serial")
        with xr.open_zarr(tmp_path / "out.zarr") as result:
            assert (result.strain_rate.values == want).all()


def test_items_are_read_and_the_result_is_an_item(tmp_path):
    data = samples()
    features = []
    for path in recording(tmp_path, data):
        item = pystac.Item(path.stem, {"type": "Point", "coordinates": [-121.5, 36.8]}, [-121.5, 36.8, -121.5, 36.8],
                           pystac.utils.str_to_datetime("2022-10-25T18:37:56Z"), {})
        item.add_asset("data", pystac.Asset(str(path)))
        item.add_asset("notes", pystac.Asset(str(path) + ".txt"))
        features.append(item.to_dict())
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    run(tmp_path, [], "--items", tmp_path / "items.json", "--catalog", tmp_path / "results")
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        close(result.strain_rate.values, without_median(chain(data)))
    [item] = pystac.Catalog.from_file(str(tmp_path / "results/catalog.json")).get_items(recursive=True)
    JsonSchemaSTACValidator().validate_core(item.to_dict(), pystac.STACObjectType.ITEM, "1.1.0", item.get_self_href())
    assert item.id == "out" and set(item.assets) == {"data", "raw", "processed"}
    assert len(item.get_links("derived_from")) == 3
    assert item.properties["start_datetime"] == "2022-10-25T18:37:56Z"
    with xr.open_zarr(pathlib.Path(item.assets["data"].get_absolute_href().removeprefix("file://"))) as result:
        assert result.sizes["distance"] == CHANNELS
