#!/usr/bin/env bash
# Seconds to read GeoTIFF files of 4096 x 4096 cells in tiles of 512, by outcrop and by rasterio, on 1 and 2 threads.
#
#   geotiff.sh PYTHON      PYTHON has rasterio and numpy
set -euo pipefail
python=$1
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/geotiff.py" make "$work"
cd "$here/../../.."
for threads in 1 2; do
  cargo bench --quiet --locked --workspace --bench geotiff -- "$threads" "$work"/*.tif | sed "s|$work/|outcrop  |"
  "$python" "$here/geotiff.py" read "$threads" "$work"/*.tif | sed "s|$work/|rasterio |"
done | sort -k2,2 -k3,3 -k1,1
