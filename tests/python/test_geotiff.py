"""GDAL (rasterio), rio-cogeo and PROJ judge the GeoTIFF files that crates/formats writes."""
import os
import pathlib

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.enums import MaskFlags
from rio_cogeo.cogeo import cog_validate

FOLDER = pathlib.Path(os.environ.get("SAMPLES", "samples")) / "tiff"
IMAGES = sorted(FOLDER.glob("*_*_*.tif"))


def test_there_are_samples():
    assert len(IMAGES) == 12 * 4 * 3


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_image(path):
    dtype, _, interleave = path.stem.split("_")
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as image:
        assert image.shape == (130, 150)
        band, y, x = np.mgrid[: image.count, :130, :150]
        values = (37 * band + 7 * y + x) % 101
        if dtype.startswith("float"):
            values = values * 0.5
        if dtype.startswith("complex"):
            values = values * 0.5 - 0.5j
        assert image.dtypes == (dtype,) * image.count
        np.testing.assert_array_equal(image.read(), values.astype(dtype))
        assert image.crs.to_epsg() == 32631
        assert image.transform.to_gdal() == (500000, 30, 0, 4600000, 0, -30)
        assert image.nodata == (50 if dtype[0] in "fc" else 100)
        assert image.scales == (0.5,) * image.count and image.offsets == (-3,) * image.count
        assert image.units == ("K",) * image.count
        assert image.descriptions == tuple(f"band <{b}> & more" for b in range(image.count))
        assert image.tags()["title"] == "samples"
        assert all(image.overviews(b + 1) == [2, 4] for b in range(image.count))
        assert image.profile["interleave"] == ("pixel" if interleave == "pixel" else "band")


def test_mask():
    path = FOLDER / "masked.tif"
    assert cog_validate(path, strict=True) == (True, [], [])
    y, x = np.mgrid[:130, :150]
    valid = ~((x >= 64) & (x < 96)) & ((y + x) % 3 != 0)
    with rasterio.open(path) as image:
        assert image.mask_flag_enums == ([MaskFlags.per_dataset],)
        np.testing.assert_array_equal(image.dataset_mask(), 255 * valid)
        np.testing.assert_array_equal(image.read(1), np.where(valid, (y + x) % 200, 255))
        assert image.overviews(1) == [2, 4, 8]
    with rasterio.open(path, overview_level=0) as image:
        any_valid = valid.reshape(65, 2, 75, 2).any(axis=(1, 3))
        np.testing.assert_array_equal(image.dataset_mask(), 255 * any_valid)
        # Cells without data take no part in averages.
        assert image.read(1)[any_valid].max() < 200


@pytest.mark.parametrize("path", sorted(FOLDER.glob("crs_*.tif")), ids=lambda path: path.stem)
def test_crs(path):
    want = pyproj.CRS(path.with_suffix(".txt").read_text())
    with rasterio.open(path) as image:
        got = pyproj.CRS(image.crs.to_wkt())
    for place in [(7, 50), (-90, 45), (-3, 60)]:
        points = [
            pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(*place) for crs in (want, got)
        ]
        np.testing.assert_allclose(points[0], points[1], atol=1e-4)
