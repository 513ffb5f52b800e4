#!/usr/bin/env bash
# The feature `gdal`: lints and tests of the crate that has it, and a check of the binary with it. Installs libgdal-dev
# where it is absent; where that cannot be had it says so, with CI=true it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v pkg-config >/dev/null && pkg-config --exists 'gdal >= 3.5'; }

if ! have; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends libgdal-dev pkg-config; } || true
fi
if ! have; then
  echo "skipped: libgdal-dev 3.5 or newer cannot be had" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
fi

# The whole workspace is named so that its crates are built with the features that they have anyway.
with=(--release --locked --workspace --features outcrop-formats/gdal)
cargo clippy "${with[@]}" --lib --test gdal --bin outcrop -- -D warnings
cargo test "${with[@]}" --test gdal
cargo test "${with[@]}" --lib gdal::
