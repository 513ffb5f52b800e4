"""Makes small imitations of the archives of these recipes, and of them the samples beside the recipes.

    python catalogs/samples.py [--outcrop PROGRAM] [NAME ...]

The files have the names, folders, grids, axes and attributes of the archives; their pixels and samples were never written,
so they have a few kB. They are served on loopback as buckets of S3, so that the recipes are built as they are.
"""
import argparse
import collections
import contextlib
import datetime
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
import xml.sax.saxutils

import h5py
import netCDF4
import numpy as np
import rasterio
import rasterio.shutil

HERE = pathlib.Path(__file__).parent
RECIPES = {
    "daymet-daily-v4": "listed.toml",
    "sentinel-2-l2a-cogs": "recipe.toml",
    "porotomo-das": "recipe.toml",
}


def sentinel(root):
    """Two scenes of MGRS square 36QWD, whose corner is at 499980 E, 1900020 N of UTM zone 36 N."""
    kinds = {(10, 1, "uint16"): ["B02", "B03", "B04", "B08"], (20, 1, "uint16"): ["B11", "B12", "B8A"],
             (20, 1, "uint8"): ["SCL"], (10, 3, "uint8"): ["TCI"]}
    folder = root / "sentinel-cogs/sentinel-s2-l2a-cogs/36/Q/WD/2020"
    scenes = [folder / "7/S2A_36QWD_20200701_0_L2A", folder / "8/S2B_36QWD_20200805_0_L2A"]
    for scene in scenes:
        scene.mkdir(parents=True)
        (scene / f"{scene.name}.json").write_text("{}")
    plain, cog = root / "plain.tif", root / "cog.tif"
    for (metres, count, dtype), names in kinds.items():
        cells = 109800 // metres
        grid = {"crs": "EPSG:32636", "transform": rasterio.Affine(metres, 0, 499980, 0, -metres, 1900020)}
        with rasterio.open(plain, "w", driver="GTiff", width=cells, height=cells, count=count, dtype=dtype, nodata=0,
                           tiled=True, blockxsize=1024, blockysize=1024, sparse_ok=True, **grid):
            pass
        rasterio.shutil.copy(plain, cog, driver="COG", sparse_ok=True, compress="DEFLATE", blocksize=1024,
                             overview_resampling="NEAREST")
        for path in (scene / f"{name}.tif" for scene in scenes for name in names):
            shutil.copy(cog, path)
    plain.unlink(), cog.unlink()


def porotomo(root):
    """Three blocks of 30 s on two days, in both trees of HDF5."""
    for start in ["2016-03-24T23:59:48", "2016-03-25T14:00:48", "2016-03-25T14:01:18"]:
        start = datetime.datetime.fromisoformat(start + "+00:00")
        name = f"{start:%Y%m%d}/PoroTomo_iDAS16043_{start:%y%m%d%H%M%S}.h5"
        times = np.uint64(start.timestamp()) * np.uint64(10**9) + np.arange(30000, dtype="uint64") * np.uint64(10**6)
        for tree in ["H5-standardized", "H5"]:
            (root / f"nrel-pds-porotomo/DAS/{tree}/DASH/{name}").parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(root / f"nrel-pds-porotomo/DAS/H5-standardized/DASH/{name}", "w") as file:
            file.create_group("DasMetadata").attrs.update(MetadataStandard="DAS-RCN v1.10", RawDataStandard="PRODML v2.2")
            end = start + datetime.timedelta(seconds=29.999)
            file.create_group("DasMetadata/Interrogator/Acquisition").attrs.update(
                AcquisitionSampleRate="1000", AcquisitionSampleRateUnit="Hz", GaugeLength="10", GaugeLengthUnit="meters",
                AcquisitionStartTime=f"{start:%FT%TZ}", AcquisitionEndTime=f"{end:%FT%T}.999000000Z", UnitOfMeasure="NaN",
                NumberOfChannels=8721, SpatialSamplingInterval="1.021", SpatialSamplingIntervalUnit="meters")
            data = file.create_dataset("DasRawData/RawData", (30000, 8721), "float32")
            data.attrs["DasDimensions"] = np.array(["time step", "locus"], dtype=h5py.string_dtype())
            file["DasRawData/DasTimeArray"] = times
        with h5py.File(root / f"nrel-pds-porotomo/DAS/H5/DASH/{name}", "w") as file:
            file.create_dataset("das", (30000, 8721), "float32")
            file.create_dataset("t", (30000,), "float64")
            for axis in ["channel", "trace", "x", "y", "z"]:
                file.create_dataset(axis, (8721,), "float64")
            file.create_dataset("crs", (1,), "S32")


def daymet(root):
    """A leap year of Hawaii: its 365 steps are those up to 30 December."""
    folder = root / "my-bucket/daymet_v4_daily"
    folder.mkdir(parents=True)
    first = (datetime.date(1980, 1, 1) - datetime.date(1950, 1, 1)).days
    about = {"prcp": ("daily total precipitation", "mm/day", "area: mean time: sum"),
             "tmin": ("daily minimum temperature", "degrees C", "area: mean time: minimum")}
    for name, (long_name, units, cell_methods) in about.items():
        with netCDF4.Dataset(folder / f"daymet_v4_daily_hi_{name}_1980.nc", "w") as file:
            file.Conventions = "CF-1.6"
            for dim, length in {"x": 284, "y": 584, "time": None, "nv": 2}.items():
                file.createDimension(dim, length)

            def add(name, dtype, dims, values=None, fill=None, **attrs):
                variable = file.createVariable(name, dtype, dims, fill_value=fill, zlib=bool(dims), complevel=1)
                variable.setncatts(attrs)
                if values is not None:
                    variable[:] = values

            add("x", "f4", ["x"], -5802250.0 + 1000 * np.arange(284), units="m", long_name="x coordinate of projection",
                standard_name="projection_x_coordinate")
            add("y", "f4", ["y"], -39000.0 - 1000 * np.arange(584), units="m", long_name="y coordinate of projection",
                standard_name="projection_y_coordinate")
            add("lat", "f4", ["y", "x"], units="degrees_north", long_name="latitude coordinate", standard_name="latitude")
            add("lon", "f4", ["y", "x"], units="degrees_east", long_name="longitude coordinate", standard_name="longitude")
            add("time", "f4", ["time"], first + 0.5 + np.arange(365), units="days since 1950-01-01 00:00:00",
                long_name="24-hour day based on local time", calendar="standard", bounds="time_bnds")
            add("time_bnds", "f4", ["time", "nv"], first + np.add.outer(np.arange(365), [0, 1]))
            add("yearday", "i2", ["time"], 1 + np.arange(365), long_name="day of the year")
            add("lambert_conformal_conic", "i2", [], grid_mapping_name="lambert_conformal_conic",
                longitude_of_central_meridian=-100.0, latitude_of_projection_origin=42.5, false_easting=0.0,
                false_northing=0.0, standard_parallel=[25.0, 60.0], semi_major_axis=6378137.0,
                inverse_flattening=298.257223563)
            add(name, "f4", ["time", "y", "x"], fill=np.float32(-9999), long_name=long_name, units=units,
                missing_value=np.float32(-9999), coordinates="lat lon", grid_mapping="lambert_conformal_conic",
                cell_methods=cell_methods)


ARCHIVES = {"daymet-daily-v4": daymet, "sentinel-2-l2a-cogs": sentinel, "porotomo-das": porotomo}


class Bucket(http.server.BaseHTTPRequestHandler):
    """Ranges of files and ListObjectsV2 of folders; the first component of a path is the bucket."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        if query.get("list-type") == "2":
            self.server.count["list"] += 1
            return self.answer(200, listing(self.server.root / bucket, query.get("prefix", "")).encode())
        path = self.server.root / bucket / key
        self.server.count[key] += 1
        if not path.is_file():
            return self.answer(404)
        data, asked = path.read_bytes(), re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self.answer(200, data, Accept_Ranges="bytes")
        first, last = asked.groups()
        start = int(first) if first else max(len(data) - int(last), 0)
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return self.answer(416, Content_Range=f"bytes */{len(data)}")
        self.answer(206, data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(data)}")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def listing(bucket, prefix):
    """The members of a folder; `prefix` ends with a slash."""
    text = "<ListBucketResult><IsTruncated>false</IsTruncated>"
    folder = bucket / prefix
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        key = xml.sax.saxutils.escape(prefix + path.name)
        if path.is_dir():
            text += f"<CommonPrefixes><Prefix>{key}/</Prefix></CommonPrefixes>"
        else:
            text += f"<Contents><Key>{key}</Key><Size>{path.stat().st_size}</Size></Contents>"
    return text + "</ListBucketResult>"


@contextlib.contextmanager
def buckets(root):
    """Serves the folders below `root` as buckets: the environment that names them, and the number of requests by key."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        server.root, server.count = root, collections.Counter()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield {**os.environ, "AWS_ENDPOINT_URL_S3": endpoint, "AWS_NO_SIGN_REQUEST": "YES"}, server.count
        finally:
            server.shutdown()


def build(outcrop, recipe, to, environment):
    """Builds a recipe as it is; what only updates need is left out."""
    subprocess.run([outcrop, "--quiet", "build", recipe, "--to", to], check=True, env=environment)
    (to / ".outcrop-build").unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; by default all")
    parser.add_argument("--outcrop", default=HERE.parent / "target/release/outcrop", help="the program")
    arguments = parser.parse_args()
    for name in arguments.names or RECIPES:
        with tempfile.TemporaryDirectory() as root, buckets(pathlib.Path(root)) as (environment, _):
            ARCHIVES[name](pathlib.Path(root))
            shutil.rmtree(HERE / name / "sample", ignore_errors=True)
            build(arguments.outcrop, HERE / name / RECIPES[name], HERE / name / "sample", environment)


if __name__ == "__main__":
    main()
