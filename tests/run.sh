#!/usr/bin/env bash
# All set-up and all tests, on a fresh Debian machine with Rust and a C compiler.
#
#   bash tests/run.sh          the tests of the crates, then foreign programs that judge what outcrop writes
#   bash tests/run.sh --full   also the fuzz targets (60 s each), the kill test (100 rounds) and the torture of fetches
#
# The venv is target/venv, made from tests/python/requirements.lock. Data beside the checkout (../shared/data) is
# used where it is; without it the tests that need it say `skipped`, with CI=true they fail.
set -euo pipefail
cd "$(dirname "$0")/.."
full=""
for argument in "$@"; do
  case "$argument" in
    --full) full=1 ;;
    *) echo "usage: bash tests/run.sh [--full]" >&2; exit 2 ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }

sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo

install_packages() {
  say "system packages: $*"
  $sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_packages() {
  local missing=()
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# For the STAC API server that tests/python/test_search_server.py starts; without it that test says `skipped`.
need_postgis() {
  compgen -G '/usr/share/postgresql/*/extension/postgis.control' >/dev/null && return
  # The package would make a cluster and start it.
  local config=/etc/postgresql-common/createcluster.d/outcrop.conf installed=""
  $sudo mkdir -p "$(dirname "$config")" && echo 'create_main_cluster = false' | $sudo tee "$config" >/dev/null &&
    install_packages postgresql-postgis && installed=1
  [ ! -e "$config" ] || $sudo rm "$config"
  [ -n "$installed" ] || [ "${CI:-}" != true ]
}

# For the Azure destination of tests/python/test_destinations.py; without npm that test says `skipped`.
need_azurite() {
  [ ! -e target/azurite/node_modules/.bin/azurite-blob ] || return 0
  if ! command -v npm >/dev/null; then
    [ "${CI:-}" = true ] || return 0
    install_packages nodejs npm
  fi
  say "azurite, the emulator of Azure Blob Storage"
  mkdir -p target/azurite
  npm install --silent --no-audit --no-fund --prefix target/azurite azurite@3.35.0 ||
    [ "${CI:-}" != true ]
}

make_venv() {
  local stamp=target/venv/made-from
  mkdir -p target
  if [ -f "$stamp" ] && cmp -s "$stamp" tests/python/requirements.lock; then
    return
  fi
  say "Python venv for the foreign judges"
  rm -rf target/venv
  python3 -m venv target/venv
  target/venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/python/requirements.lock
  cp tests/python/requirements.lock "$stamp"
}

need_packages
need_postgis
need_azurite
make_venv

say "crates: unit, contract, golden and black-box tests"
cargo test --release --locked --workspace

say "what outcrop writes and finds, judged by pystac, pystac-client, stac-geoparquet, DuckDB, xarray, zarr, netCDF4 and others"
rm -rf target/judged
# Both were built with the tests; another call of cargo would build them again with other features.
outcrop=target/release/outcrop
target/release/examples/write_samples target/judged/samples
for name in netcdf4.nc classic.nc cdf5.nc offset64.nc; do
  for form in json parq; do
    "$outcrop" --quiet info "crates/formats/tests/fixtures/$name" --save-references "target/judged/samples/$name.$form"
  done
done
mkdir -p target/judged/converted
for file in crates/formats/tests/fixtures/tiff/*.tif; do
  name=target/judged/converted/$(basename "$file")
  # What is refused is no file; which ones may be is in the test.
  "$outcrop" --quiet convert "$file" --to "$name" 2>/dev/null || true
done
for name in netcdf4.nc classic.nc cdf5.nc offset64.nc; do
  for to in "$name" "3_$name --format netcdf3" "$name.zarr" "2_$name.zarr --zarr-format 2" "scaled_$name --decode scaled"; do
    # shellcheck disable=SC2086
    "$outcrop" --quiet convert "crates/formats/tests/fixtures/$name" \
      --to target/judged/converted/$to || [ $? -eq 1 ]
  done
done
for to in texts.nc texts.nc.zarr "2_texts.nc.zarr --zarr-format 2"; do
  # shellcheck disable=SC2086
  "$outcrop" --quiet convert crates/formats/tests/fixtures/texts.nc --to target/judged/converted/$to 2>/dev/null ||
    [ $? -eq 1 ]
done
for file in crates/formats/tests/fixtures/*.mseed; do
  name=target/judged/converted/$(basename "$file")
  "$outcrop" --quiet convert "$file" --to "$name" 2>/dev/null || true
  "$outcrop" --quiet convert "$file" --to "$name.nc" 2>/dev/null || true
done
"$outcrop" --quiet demo --to target/judged/demo >/dev/null
"$outcrop" --quiet build catalogs/daymet-daily-v4/recipe.toml --to target/judged/daymet
SAMPLES="$PWD/target/judged/samples" JUDGED="$PWD/target/judged" target/venv/bin/python -m pytest -q tests/python

if [ -n "$full" ]; then
  say "fuzz targets and kill test"
  bash tests/long.sh
fi
say "done"
