"""Where the files of a recipe come from: tables that pandas wrote, folders of a WebDAV server, catalogs that pystac wrote."""
import datetime
import json
import os
import pathlib
import subprocess
import threading

import numpy as np
import pandas
import pystac
import pytest
import rasterio
import wsgidav.wsgidav_app
from cheroot import wsgi

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"


def outcrop(*arguments):
    return subprocess.run([OUTCROP, "--quiet", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def built(recipe, to, *options):
    path = to.parent / f"{to.name}.toml"
    path.write_text(recipe)
    summary = json.loads(outcrop("build", path, "--to", to, "--json", *options))
    name = "collection.json" if (to / "collection.json").exists() else "catalog.json"
    return summary, {item.id: item for item in pystac.read_file(str(to / name)).get_items(recursive=True)}


def test_a_table_of_pandas(tmp_path):
    moments = pandas.to_datetime(["2020-01-01T06:00:00.25Z", "2020-01-02T00:00:00Z", "2020-01-02T00:00:00Z"], format="ISO8601")
    frame = pandas.DataFrame({
        "name": ["a", "b", "b"], "moment": moments, "day": moments.date, "number": [1, 2, 2], "share": [0.5, None, 0.25],
        "kind": ["x", "x", "y"], "file": ["a.tif", "https://example.com/b.tif", "s3://bucket/b/y.tif"], "ignored": [[1], [2], [3]],
    })
    frame.to_parquet(tmp_path / "files.parquet")
    _, items = built(f"""
        id = "t"
        description = "d"
        [table]
        href = "files.parquet"
        [item]
        id = "{{name}}-{{number}}"
        datetime = "{{moment}}"
        properties = {{ day = "{{day}}" }}
        [assets."{{kind}}"]
        href = "{{file}}"
        title = "{{kind}}"
        """, tmp_path / "catalog")
    assert items.keys() == {"a-1", "b-2"}
    assert items["a-1"].datetime == datetime.datetime(2020, 1, 1, 6, 0, 0, 250_000, tzinfo=datetime.timezone.utc)
    assert items["a-1"].properties["day"] == "2020-01-01"
    assert items["a-1"].assets["x"].href == str(tmp_path / "a.tif")
    assert {key: asset.href for key, asset in items["b-2"].assets.items()} == {
        "x": "https://example.com/b.tif", "y": "s3://bucket/b/y.tif"}


@pytest.fixture
def webdav(tmp_path):
    """A server of a folder whose pages list nothing."""
    folder = tmp_path / "archive"
    (folder / "données 2020").mkdir(parents=True)
    for name, value in [("t_1.tif", 1), ("t_2.tif", 2)]:
        profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "uint8", "crs": "EPSG:4326",
                   "transform": rasterio.transform.from_origin(value, 50, 0.5, 0.5)}
        with rasterio.open(folder / "données 2020" / name, "w", **profile) as file:
            file.write(np.full((3, 4), value, "uint8"), 1)
    config = {"provider_mapping": {"/": {"root": str(folder), "readonly": True}}, "simple_dc": {"user_mapping": {"*": True}},
              "dir_browser": {"enable": False}, "logging": {"enable_loggers": []}, "verbose": 0}
    server = wsgi.Server(("127.0.0.1", 0), wsgidav.wsgidav_app.WsgiDAVApp(config))
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.bind_addr[1]}/", folder
    server.stop()


def test_folders_of_webdav(webdav, tmp_path):
    base, folder = webdav
    recipe = f"""
        id = "w"
        description = "d"
        [listing]
        href = "{base}"
        [item]
        id = "i{{n}}"
        datetime = "2020-01-0{{n}}T00:00:00Z"
        [assets.t]
        pattern = "t_{{n}}.tif"
        [headers]
        fields = ["file:size", "proj", "bbox"]
        """
    to = tmp_path / "catalog"
    summary, items = built(recipe, to)
    assert items.keys() == {"i1", "i2"} and summary["failed"] == []
    assert items["i2"].bbox == [2, 48.5, 4, 50]
    asset = items["i2"].assets["t"]
    assert asset.href == f"{base}donn%C3%A9es%202020/t_2.tif"
    file = folder / "données 2020" / "t_2.tif"
    assert asset.extra_fields["file:size"] == file.stat().st_size
    # The listing tells versions: what has not changed is not asked for.
    before = summary["bytes_read"]
    summary, _ = built(recipe, to, "--update")
    assert summary["kept"] == 2 and summary["bytes_read"] < before
    file.write_bytes(file.read_bytes() + b"\0")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    summary, items = built(recipe, to, "--update")
    assert summary["kept"] == 1 and items["i2"].assets["t"].extra_fields["file:size"] == file.stat().st_size


def test_a_catalog_of_pystac_as_source(tmp_path):
    catalog = pystac.Catalog("old", "d")
    for n in range(4):
        moment = datetime.datetime(2020, 1, 1 + n, tzinfo=datetime.timezone.utc)
        item = pystac.Item(f"i{n}", {"type": "Point", "coordinates": [n, 1]}, [n, 1, n, 1], moment, {"eo:cloud_cover": n * 30})
        item.add_asset("data", pystac.Asset("./data.nc", title="Data", media_type="application/netcdf"))
        catalog.add_item(item)
    catalog.normalize_and_save(str(tmp_path / "old"), pystac.CatalogType.SELF_CONTAINED)
    summary, items = built("""
        id = "new"
        description = "d"
        layout = "${month}"
        [stac]
        href = "old/catalog.json"
        filter = "eo:cloud_cover >= 60"
        [collection]
        license = "other"
        [item]
        id = "{id}"
        [assets."{asset}"]
        href = "{href}"
        roles = ["data"]
        """, tmp_path / "new")
    assert items.keys() == {"i2", "i3"} and summary["failed"] == []
    new = items["i2"]
    assert (new.geometry["coordinates"], new.datetime.day, new.properties["eo:cloud_cover"]) == ([2, 1], 3, 60)
    asset = new.assets["data"]
    assert (asset.title, asset.roles, asset.media_type) == ("Data", ["data"], "application/netcdf")
    assert asset.href == str(tmp_path / "old" / "i2" / "data.nc")
    assert new.collection_id == "new"
    outcrop("validate", tmp_path / "new")
