"""Copies to S3 (moto), Azure Blob Storage (azurite) and WebDAV (wsgidav), read back by boto3, pystac and rasterio."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import boto3
import numpy as np
import pystac
import pytest
import rasterio
import wsgidav.wsgidav_app
from cheroot import wsgi
from moto.server import ThreadedMotoServer

ROOT = pathlib.Path(__file__).parents[2]
OUTCROP = os.environ.get("OUTCROP", ROOT / "target" / "release" / "outcrop")
AZURITE = ROOT / "target" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
# Larger than two parts of an upload.
WIDTH, HEIGHT = 4300, 4300


class Place:
    """Where copies go, and how what is there is read by others."""

    def __init__(self, href, settings, download):
        self.href, self.settings, self.download = href, settings, download

    def run(self, tmp_path, *arguments, code=0):
        environment = {**os.environ, **self.settings, "OUTCROP_STATE": str(tmp_path / "state")}
        done = subprocess.run([OUTCROP, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    client.create_bucket(Bucket="bucket")

    def download(below, folder):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=below):
            for entry in page.get("Contents", []):
                path = folder / entry["Key"].removeprefix(below + "/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(client.get_object(Bucket="bucket", Key=entry["Key"])["Body"].read())
        assert not client.list_multipart_uploads(Bucket="bucket").get("Uploads"), "an upload was left"

    yield Place("s3://bucket", settings, download)
    server.stop()


@pytest.fixture(scope="module")
def webdav(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dav")
    config = {"provider_mapping": {"/": {"root": str(folder), "readonly": False}}, "simple_dc": {"user_mapping": {"*": True}},
              "logging": {"enable_loggers": []}, "verbose": 0}
    server = wsgi.Server(("127.0.0.1", 0), wsgidav.wsgidav_app.WsgiDAVApp(config))
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    yield Place(f"http://127.0.0.1:{server.bind_addr[1]}", {}, lambda below, to: shutil.copytree(folder / below, to, dirs_exist_ok=True))
    server.stop()


# The account and key that azurite has for everybody.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def azure_request(endpoint, method, path, query=""):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    lines = "".join("\n" + pair.replace("=", ":") for pair in sorted(filter(None, query.split("&"))))
    text = f"{method}" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2023-11-03\n/{ACCOUNT}/{ACCOUNT}/{path}{lines}"
    sign = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": date, "x-ms-version": "2023-11-03", "Authorization": f"SharedKey {ACCOUNT}:{sign}"}
    request = urllib.request.Request(f"{endpoint}/{path}{'?' if query else ''}{query}", method=method, headers=headers)
    return urllib.request.urlopen(request).read()


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    if not AZURITE.exists():
        if os.environ.get("CI") == "true":
            raise FileNotFoundError(AZURITE)
        pytest.skip(f"skipped: {AZURITE} is not there (tests/run.sh installs it where there is npm)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("azurite")
    server = subprocess.Popen([AZURITE, "--silent", "--skipApiVersionCheck", "--location", folder, "--blobPort", str(port)])
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    for _ in range(100):
        try:
            azure_request(endpoint, "PUT", "bucket", "restype=container")
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    settings = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_ENDPOINT": endpoint}

    def download(below, to):
        page = azure_request(endpoint, "GET", "bucket", "comp=list&restype=container").decode()
        for name in [part.split("</Name>")[0] for part in page.split("<Name>")[1:]]:
            if name.startswith(below + "/"):
                path = to / name.removeprefix(below + "/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(azure_request(endpoint, "GET", f"bucket/{name}"))

    yield Place("az://bucket", settings, download)
    server.kill()


@pytest.fixture(params=["s3", "webdav", "azure"])
def place(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A catalog of two images that pystac wrote: one small, one larger than a part."""
    folder = tmp_path_factory.mktemp("source")
    catalog = pystac.Catalog("c", "two images")
    for name, shape in [("small", (3, 4)), ("large", (HEIGHT, WIDTH))]:
        path = folder / "files" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        profile = {"driver": "GTiff", "width": shape[1], "height": shape[0], "count": 1, "dtype": "uint8", "crs": "EPSG:4326",
                   "transform": rasterio.transform.from_origin(0, 50, 0.001, 0.001)}
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.random.default_rng(7).integers(0, 255, shape, "uint8"), 1)
        west, south, east, north = box = [0, 50 - shape[0] / 1000, shape[1] / 1000, 50]
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        item = pystac.Item(name, {"type": "Polygon", "coordinates": [ring]}, box, datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), {})
        item.add_asset("image", pystac.Asset(str(path), media_type=pystac.MediaType.GEOTIFF))
        catalog.add_item(item)
    catalog.normalize_and_save(str(folder / "catalog"), pystac.CatalogType.SELF_CONTAINED)
    return folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_copied_is_read_by_others(place, source, tmp_path):
    to = f"{place.href}/one"
    place.run(tmp_path, "fetch", source / "catalog", "--asset", "image", "--to", to)
    here = tmp_path / "here"
    place.download("one", here)
    catalog = pystac.Catalog.from_file(str(here / "catalog.json"))
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert items.keys() == {"small", "large"}
    for name, item in items.items():
        path = pathlib.Path(item.assets["image"].get_absolute_href())
        assert path.parent == here / name and digest(path) == digest(source / "files" / f"{name}.tif")
        with rasterio.open(path) as image:
            assert image.read(1).shape == ((3, 4) if name == "small" else (HEIGHT, WIDTH))
    ledger = [json.loads(line) for line in (here / ".outcrop-fetch.ledger.ndjson").read_text().splitlines()]
    assert sorted(line["state"] for line in ledger) == ["done", "done"]
    # It finds what it wrote, from another machine too.
    shutil.rmtree(tmp_path / "state")
    summary = json.loads(place.run(tmp_path, "fetch", source / "catalog", "--asset", "image", "--to", to, "--json").stdout)
    assert (summary["copied"], summary["skipped"]) == (0, 2)
    assert "2 files are right" in place.run(tmp_path, "fetch", to + "/catalog.json", "--verify").stderr
    # And back.
    place.run(tmp_path, "fetch", to + "/catalog.json", "--asset", "image", "--to", tmp_path / "back")
    assert digest(tmp_path / "back" / "large" / "large.tif") == digest(source / "files" / "large.tif")


@pytest.mark.parametrize("name", ["s3", "azure"])
def test_two_machines_that_publish_at_once_lose_nothing(request, name, source, tmp_path):
    place = request.getfixturevalue(name)
    runs = []
    for item in ["small", "large"]:
        environment = {**os.environ, **place.settings, "OUTCROP_STATE": str(tmp_path / item)}
        line = [OUTCROP, "fetch", source / "catalog", "--ids", item, "--asset", "image", "--to", f"{place.href}/both"]
        runs.append(subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True))
    for run in runs:
        said = run.communicate(timeout=120)[1]
        assert run.returncode == 0 and "takes no conditional writes" not in said, said
    place.download("both", tmp_path / "here")
    catalog = pystac.Catalog.from_file(str(tmp_path / "here" / "catalog.json"))
    assert {item.id for item in catalog.get_items(recursive=True)} == {"small", "large"}
    assert (tmp_path / "here" / ".outcrop-fetch.lease").read_text() == "free\n"


def test_a_part_of_an_image_goes_there(place, source, tmp_path):
    box = "--bbox=1,48,2,49"
    place.run(tmp_path, "fetch", source / "catalog", "--ids", "large", "--asset", "image", "--to", f"{place.href}/cut", "--cut", box, code=0)
    place.download("cut", tmp_path / "here")
    item = pystac.Item.from_file(str(tmp_path / "here" / "large" / "large.json"))
    with rasterio.open(item.assets["image"].get_absolute_href()) as cut, rasterio.open(source / "files" / "large.tif") as whole:
        window = rasterio.windows.from_bounds(*cut.bounds, whole.transform).round_offsets().round_lengths()
        assert np.array_equal(cut.read(1), whole.read(1, window=window)) and cut.width <= 1002


def test_a_stopped_copy_leaves_no_upload(s3, source, tmp_path):
    """INT in the middle of a large object: the upload is given up within 5 s, the next run is whole."""
    environment = {**os.environ, **s3.settings, "OUTCROP_STATE": str(tmp_path / "state")}
    line = [OUTCROP, "fetch", source / "catalog", "--asset", "image", "--to", "s3://bucket/stopped", "--limit-rate", "5MB"]
    running = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE)
    time.sleep(2.5)
    running.send_signal(subprocess.signal.SIGINT)
    start = time.monotonic()
    assert running.wait() == 130 and time.monotonic() - start < 5
    s3.download("stopped", tmp_path / "there")
    assert not (tmp_path / "there" / "large" / "large.tif").exists()
    s3.run(tmp_path, "fetch", source / "catalog", "--asset", "image", "--to", "s3://bucket/stopped")
    s3.download("stopped", tmp_path / "there")
    assert digest(tmp_path / "there" / "large" / "large.tif") == digest(source / "files" / "large.tif")


def test_refusals_name_the_place(s3, source, tmp_path):
    done = s3.run(tmp_path, "fetch", source / "catalog", "--asset", "image", "--to", "s3://nobody/x", code=2)
    assert "cannot write `s3://nobody/x/.outcrop-fetch.journal`: the bucket does not exist (NoSuchBucket" in done.stderr


def test_events_and_the_limit_on_speed(source, tmp_path):
    events = tmp_path / "events.ndjson"
    line = [OUTCROP, "fetch", source / "catalog", "--asset", "image", "--to", tmp_path / "to", "--limit-rate", "10MB",
            "--events", events, "--asset-filter", "key = 'image'", "--quiet"]
    start = time.monotonic()
    subprocess.run(line, check=True)
    size = (source / "files" / "large.tif").stat().st_size
    # The first pieces of 4 MiB come at once.
    assert time.monotonic() - start > (size - 2 * (4 << 20)) / 10e6
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert {event["event"] for event in told} >= {"begin", "progress", "end", "asset"}
    assert sorted(event["item"] for event in told if event["event"] == "asset") == ["large", "small"]
    assert max(event["done"] for event in told if event["event"] == "end") == size
