"""NumPy, scipy and xarray judge the operations of `outcrop run program`, on arrays that xarray wrote."""
import os
import pathlib
import subprocess

import numpy as np
import pytest
import xarray as xr
from scipy import signal

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
SHAPE = {"time": 61, "y": 17, "x": 23}
DTYPES = ["float32", "float64", "int16", "uint8", "int32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store for each type: some values missing, days of two years, falling latitudes, chunks that divide nothing."""
    folder = tmp_path_factory.mktemp("program")
    random = np.random.default_rng(5)
    for dtype in DTYPES:
        values = random.standard_normal(tuple(SHAPE.values())) * 40
        if dtype.startswith("float"):
            values[random.random(values.shape) < 0.1] = np.nan
        else:
            values = np.clip(np.round(values), 0 if dtype == "uint8" else -100, 100)
        coords = {"time": np.datetime64("2003-11-20", "ns") + np.arange(61) * np.timedelta64(1, "D"),
                  "y": 50.0 - np.arange(17) * 0.5, "x": -10 + np.arange(23) * 1.0}
        data = xr.DataArray(values.astype(dtype), dims=tuple(SHAPE), coords=coords, name="v")
        data.to_dataset().to_zarr(folder / f"{dtype}.zarr", consolidated=False, zarr_format=3,
                                  encoding={"v": {"chunks": (7, 5, 9)}})
    return folder


def run(place, dtype, steps, *options):
    """The result of steps, `name, op, of, parameters` each, on an array."""
    text = f'[[step]]\nname = "v"\nop = "open"\npath = "{dtype}.zarr"\nvariable = "v"\n'
    for name, op, of, parameters in steps:
        of = "" if of is None else f"of = {of}\n"
        text += f'[[step]]\nname = "{name}"\nop = "{op}"\n{of}{parameters}\n'
    text += f'[[output]]\nof = "{steps[-1][0]}"\nto = "out.zarr"\n'
    program = place / "p.toml"
    program.write_text(text)
    said = subprocess.run([OUTCROP, "run", "program", program, *options], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return xr.open_zarr(place / "out.zarr", consolidated=False)[steps[-1][0]].load()


def source(place, dtype):
    return xr.open_zarr(place / f"{dtype}.zarr", consolidated=False)["v"].load()


def same(got, want, rtol=1e-12):
    want = want.transpose(*got.dims)
    assert got.dtype == want.dtype or (want.dtype == bool and got.dtype == np.uint8), (got.dtype, want.dtype)
    single = got.dtype == np.float32
    np.testing.assert_allclose(got.values, want.values, rtol=4e-6 if single else rtol, atol=2e-5 if single else 1e-11)
    for dim in want.dims:
        if dim in want.coords and dim in got.coords:
            assert (got[dim].values == want[dim].values).all(), dim


CASES = {
    "mean": ([("r", "mean", None, 'dim = "time"')], lambda v: v.mean("time")),
    "mean of all": ([("r", "mean", None, "")], lambda v: v.mean()),
    "sum": ([("r", "sum", None, 'dim = ["y", "x"]')], lambda v: v.sum(["y", "x"])),
    "sum with NaN": ([("r", "sum", None, 'dim = "x"\nskipna = false')], lambda v: v.sum("x", skipna=False)),
    "std": ([("r", "std", None, 'dim = "time"\nddof = 1')], lambda v: v.std("time", ddof=1)),
    "var": ([("r", "var", None, 'dim = "x"')], lambda v: v.var("x")),
    "max": ([("r", "max", None, 'dim = "y"')], lambda v: v.max("y")),
    "count": ([("r", "count", None, 'dim = "time"')], lambda v: v.count("time")),
    "any": ([("r", "any", None, 'dim = "x"')], lambda v: v.any("x")),
    "argmin": ([("f", "fillna", None, "value = 1"), ("r", "argmin", None, 'dim = "time"')],
               lambda v: v.fillna(1).argmin("time")),
    "median": ([("r", "median", None, 'dim = "time"')], lambda v: v.median("time")),
    "quantile": ([("r", "quantile", None, 'dim = "x"\nq = 0.3')], lambda v: v.quantile(0.3, "x").drop_vars("quantile")),
    "months": ([("r", "mean", None, 'groupby = "month"')], lambda v: v.groupby("time.month").mean()),
    "seasons": ([("r", "max", None, 'groupby = "season"')], lambda v: v.groupby("time.season").max()),
    "years": ([("r", "sum", None, 'groupby = "year"')], lambda v: v.groupby("time.year").sum()),
    "coarsen": ([("r", "coarsen", None, "window = { y = 4, x = 3 }")], lambda v: v.coarsen(y=4, x=3, boundary="trim").mean()),
    "coarsen max": ([("r", "coarsen", None, 'window = { time = 7, x = 3 }\nby = "max"')],
                    lambda v: v.coarsen(time=7, x=3, boundary="trim").max()),
    "rolling": ([("r", "rolling", None, 'dim = "time"\nwindow = 5')], lambda v: v.rolling(time=5).mean()),
    "rolling centred": ([("r", "rolling", None, 'dim = "x"\nwindow = 4\ncenter = true\nmin_periods = 2\nby = "sum"')],
                        lambda v: v.rolling(x=4, center=True, min_periods=2).sum()),
    "rolling std": ([("r", "rolling", None, 'dim = "time"\nwindow = 6\nmin_periods = 3\nby = "std"')],
                    lambda v: v.rolling(time=6, min_periods=3).std()),
    "cumsum": ([("r", "cumsum", None, 'dim = "time"')], lambda v: v.cumsum("time")),
    "diff": ([("r", "diff", None, 'dim = "x"\nn = 2')], lambda v: v.diff("x", n=2)),
    "shift": ([("r", "shift", None, 'dim = "time"\nby = -3')], lambda v: v.shift(time=-3)),
    "where": ([("c", "greater", '["v", 3]', ""), ("r", "where", '["v", "c"]', "")], lambda v: v.where(v > 3)),
    "clip": ([("r", "clip", None, "min = 2\nmax = 20")], lambda v: v.clip(2, 20)),
    "isel": ([("r", "isel", None, "at = { time = [3, 50, 4], y = 2, x = [1, 9] }")],
             lambda v: v.isel(time=slice(3, 50, 4), y=2, x=slice(1, 9)).drop_vars("y")),
    "sel": ([("r", "sel", None, "at = { y = [48.2, 45.0], x = 3.3 }")],
            lambda v: v.sel(y=slice(48.2, 45.0)).sel(x=3.3, method="nearest").drop_vars("x")),
    "january": ([("r", "months", None, "month = [1]")], lambda v: v[v["time.month"] == 1]),
    "transpose": ([("r", "transpose", None, 'dim = ["x", "time"]')], lambda v: v.transpose("x", "time", "y")),
    "divide": ([("r", "divide", '["v", 7]', "")], lambda v: v / 7),
    "floor divide": ([("r", "floor_divide", '["v", 7]', "")], lambda v: v // 7),
    "remainder": ([("r", "remainder", '["v", 7]', "")], lambda v: v % 7),
    "anomaly": ([("m", "mean", None, 'dim = "time"'), ("r", "subtract", '["v", "m"]', "")], lambda v: v - v.mean("time")),
    "concat": ([("a", "isel", None, "at = { x = [9, 23] }"), ("r", "concat", '["a", "v"]', 'dim = "x"')],
               lambda v: xr.concat([v.isel(x=slice(9, 23)), v], "x")),
    "rechunk": ([("r", "rechunk", None, "chunks = { y = 3, x = 4 }")], lambda v: v),
    "corr": ([("s", "shift", None, 'dim = "time"\nby = 1'), ("r", "corr", '["v", "s"]', 'dim = "time"')],
             lambda v: xr.corr(v, v.shift(time=1), "time")),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_operations_are_those_of_xarray(place, case, dtype):
    steps, want = CASES[case]
    if dtype == "uint8" and case in ("diff", "clip", "argmin", "cumsum"):
        pytest.skip("wraps, or has another type of the same values")
    got = run(place, dtype, steps)
    want = want(source(place, dtype))
    if case in ("quantile", "corr"):
        # These have double precision here.
        np.testing.assert_allclose(got.values, want.values, rtol=1e-6, atol=1e-6)
        return
    if dtype == "float32" and case in ("years", "cumsum"):
        # xarray adds up in single precision; the sums here are those of double precision, rounded.
        steps, exact = CASES[case]
        want = exact(source(place, dtype).astype("float64")).astype("float32")
    if dtype in ("int16", "uint8", "int32") and (case.startswith(("rolling", "coarsen")) or case in ("cumsum", "median", "argmin")):
        np.testing.assert_allclose(got.values, want.transpose(*got.dims).values, rtol=1e-5, atol=1e-5)
        return
    same(got, want)


def test_traces_are_those_of_scipy(place):
    got = run(place, "float64", [("f", "fillna", None, "value = 0"), ("d", "detrend", None, 'dim = "time"\ntype = "linear"'),
                                 ("r", "sosfiltfilt", None, 'dim = "time"\nbtype = "lowpass"\ncutoff = 3\nfs = 20\norder = 2\nevery = 3')])
    values = source(place, "float64").fillna(0).values
    sos = signal.butter(2, 3, "lowpass", fs=20, output="sos")
    want = signal.sosfiltfilt(sos, signal.detrend(values, axis=0), axis=0)[::3]
    np.testing.assert_allclose(got.values, want, atol=1e-9)


@pytest.mark.parametrize("options", [["--threads", "1"], ["--executor", "serial"], ["--memory", "40MB"], ["--threads", "5"]])
def test_threads_and_memory_change_no_bit(place, options):
    steps = CASES["rolling std"][0] + [("q", "subtract", '["v", "r"]', ""), ("s", "std", None, 'dim = ["x", "time"]')]
    first = run(place, "float32", steps)
    assert run(place, "float32", steps, *options).values.tobytes() == first.values.tobytes()


@pytest.mark.parametrize("join", ["inner", "outer", "left", "right"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "int32"])
def test_joins_are_those_of_xarray(place, dtype, join):
    steps = [("a", "isel", '"v"', "at = { time = [3, 40], x = [0, 15], y = [2, 9] }"),
             ("b", "isel", '"v"', "at = { time = [20, 61], x = [5, 23], y = [2, 9] }"),
             ("r", "subtract", '["a", "b"]', f'join = "{join}"')]
    v = source(place, dtype)
    a, b = v.isel(time=slice(3, 40), x=slice(0, 15), y=slice(2, 9)), v.isel(time=slice(20, 61), x=slice(5, 23), y=slice(2, 9))
    with xr.set_options(arithmetic_join=join):
        want = a - b
    got = run(place, dtype, steps)
    assert got.dtype == want.dtype, (got.dtype, want.dtype)
    for dim in want.dims:
        assert (got[dim].values == want[dim].values).all(), dim
    np.testing.assert_array_equal(got.values, want.transpose(*got.dims).values)
