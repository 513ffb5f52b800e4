#!/usr/bin/env bash
# Seconds to make a cloud-optimised GeoTIFF with all overviews out of a plain one of 4096 x 4096 cells: `outcrop convert`
# beside GDAL's COG driver (rasterio), on the same file with the same codec, predictor, level and resampling.
#
#   cargo build --release && bash crates/formats/benches/cog.sh [PYTHON with rasterio]
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=${1:-target/venv/bin/python}
folder=target/bench_cog
mkdir -p "$folder"
"$python" - "$folder" target/release/outcrop <<'PY'
import os, subprocess, sys, time
import numpy as np
import rasterio
from rasterio.shutil import copy
from rasterio.transform import from_origin

folder, outcrop = sys.argv[1:]
y, x = np.mgrid[:4096, :4096]
field = np.sin(x / 311) * 20 + np.cos(y / 173) * 15 + np.random.default_rng(1).normal(0, 0.05, x.shape)
for dtype, array in (("float32", field.astype("float32")), ("uint16", ((field + 50) * 100).astype("uint16"))):
    source = f"{folder}/{dtype}.tif"
    if not os.path.exists(source):
        with rasterio.open(source, "w", driver="GTiff", width=4096, height=4096, count=1, dtype=dtype, tiled=True,
                           blockxsize=512, blockysize=512, crs="EPSG:32631",
                           transform=from_origin(500000, 4600000, 10, 10)) as f:
            f.write(array, 1)
    resampling = "average" if dtype == "float32" else "nearest"
    for codec, level in (("deflate", 6), ("zstd", 9), ("lzw", None)):
        for threads in (1, 2):
            ours, theirs = [], []
            for _ in range(3):
                start = time.perf_counter()
                compress = codec if level is None else f"{codec}:{level}"
                subprocess.run([outcrop, "--quiet", "convert", source, "--to", f"{folder}/ours.tif", "--compress", compress,
                                "--resampling", resampling, "--threads", str(threads)], check=True)
                ours.append(time.perf_counter() - start)
                options = dict(driver="COG", compress=codec.upper(), predictor="YES", num_threads=str(threads),
                               overview_resampling=resampling, blocksize=512)
                if level is not None:
                    options["level"] = level
                start = time.perf_counter()
                copy(source, f"{folder}/theirs.tif", **options)
                # The flush to the disk is part of ours.
                with open(f"{folder}/theirs.tif") as f:
                    os.fsync(f.fileno())
                theirs.append(time.perf_counter() - start)
            sizes = [os.path.getsize(f"{folder}/{who}.tif") / 1e6 for who in ("ours", "theirs")]
            print(f"{dtype} {codec} {threads} threads: outcrop {min(ours):.2f} s {sizes[0]:.1f} MB, "
                  f"GDAL {min(theirs):.2f} s {sizes[1]:.1f} MB")
PY
