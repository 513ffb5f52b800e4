"""Makes the files of geotiff.sh (`make FOLDER`), or reads them with rasterio (`read THREADS FILE...`), best of nine."""
import os
import sys
import time

import numpy as np
import rasterio

SIDE = 4096
FILES = {
    "f32_deflate_p3": dict(compress="deflate", predictor=3), "f32_deflate_p2": dict(compress="deflate", predictor=2),
    "f32_lzw_p3": dict(compress="lzw", predictor=3), "f32_zstd_p3": dict(compress="zstd", predictor=3),
    "u16_deflate_p2": dict(compress="deflate", predictor=2), "u16_lzw_p2": dict(compress="lzw", predictor=2),
    "u16_zstd_p2": dict(compress="zstd", predictor=2),
}


def make(folder):
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    field = np.sin(x / 311) + np.cos(y / 173) * np.sin(x / 97 + y / 511)
    data = {"f32": (280 + 15 * field + random.standard_normal((SIDE, SIDE)) * 0.05).astype("f4"),
            "u16": np.clip(2000 + 1500 * field + random.standard_normal((SIDE, SIDE)) * 8, 1, 65535).astype("u2")}
    for name, options in FILES.items():
        array = data[name[:3]]
        with rasterio.open(f"{folder}/{name}.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype=array.dtype,
                           tiled=True, blockxsize=512, blockysize=512, **options) as f:
            f.write(array, 1)


def read(threads, paths):
    for path in paths:
        best = 1e9
        with rasterio.open(path) as f:
            out = np.empty(f.shape, f.dtypes[0])
        for _ in range(9):
            start = time.perf_counter()
            with rasterio.open(path, NUM_THREADS=threads) as f:
                f.read(1, out=out)
            best = min(best, time.perf_counter() - start)
        print(path, threads, f"{best:.3f}")


if sys.argv[1] == "make":
    os.makedirs(sys.argv[2], exist_ok=True)
    make(sys.argv[2])
else:
    read(sys.argv[2], sys.argv[3:])
