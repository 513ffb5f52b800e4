#!/usr/bin/env bash
# First leaf of one year beside the workflow in xarray and Dask, in one run on the same data and cores.
#
#   compare.sh DATA PEER.py PYTHON [RUNS]
#
# DATA holds daymet_v4_daily_na_{tmin,tmax,dayl}_1980.nc (chunks of one day); PEER.py is the workflow as people write
# it (arguments: DATA threads|distributed --coarsen N --engine E --out STORE); PYTHON has its packages.
set -euo pipefail
data=$(realpath "$1") peer=$2 python=$3 runs=${4:-3}
cd "$(dirname "$0")/../../.."
cargo build --release --locked --quiet
outcrop=$PWD/target/release/outcrop
measure="python3 $PWD/crates/pipelines/benches/measure.py"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/recipe.toml" <<EOF
id = "bench"
description = "one year"
[listing]
href = "$data"
[item]
id = "na-{year}"
datetime = "{year}-01-01T00:00:00Z"
bbox = [-178.0, 14.0, -53.0, 83.0]
[assets."{param}"]
pattern = "daymet_v4_daily_na_{param}_{year}.nc"
EOF
"$outcrop" --quiet build "$work/recipe.toml" --to "$work/catalog"
leaf=("$outcrop" --quiet run spring-index --items "$work/catalog" --to "$work/leaf.zarr" --plants lilac)
cat "$data"/*.nc >/dev/null
echo "| program | CPU s | wall s | peak memory |"
echo "|---|---|---|---|"
$measure "outcrop, coarsen 20" "$runs" "${leaf[@]}" --coarsen 20
$measure "outcrop, coarsen 20, every day read" "$runs" "${leaf[@]}" --coarsen 20 --no-early-end
$measure "outcrop, full resolution" "$runs" "${leaf[@]}"
$measure "outcrop, full resolution, every day read" "$runs" "${leaf[@]}" --no-early-end
cd "$(dirname "$peer")"
peer=$PWD/$(basename "$peer")
$measure "xarray + Dask threads, netCDF4, tuned opening, coarsen 20" 1 "$python" "$peer" "$data" threads --coarsen 20 --engine netcdf4 --fast-open --out "$work/p.zarr"
$measure "xarray + Dask threads, h5netcdf, coarsen 20" 1 "$python" "$peer" "$data" threads --coarsen 20 --out "$work/p.zarr"
$measure "xarray + Dask distributed, h5netcdf, as people write it, coarsen 20" 1 "$python" "$peer" "$data" distributed --coarsen 20 --out "$work/p.zarr"
