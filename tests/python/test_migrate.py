"""What `outcrop migrate` makes of STAC 1.0, beside pystac's migration.

pystac knows no rule for bands: `eo:bands` and `raster:bands` stay, with their extensions (crates/stac/tests/migrate.rs compares
bands with rustac). Everything else must be equal but for what is said here.
"""
import json
import pathlib
import subprocess

import pystac
import pytest
from pystac.serialization import identify_stac_object, migrate_to_latest

OUTCROP = pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"


def extension(name, version):
    return f"https://stac-extensions.github.io/{name}/{version}/schema.json"


def item(name, properties=(), extensions=(), assets=()):
    return {"type": "Feature", "stac_version": "1.0.0", "stac_extensions": list(extensions), "id": name, "geometry": None,
            "properties": {"datetime": "2020-01-01T00:00:00Z", **dict(properties)}, "links": [], "assets": dict(assets)}


def collection(name, **fields):
    extent = {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}
    return {"type": "Collection", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "description": "d", "license": "MIT",
            "extent": extent, "links": [], **fields}


PROJ = extension("projection", "v1.1.0")
DOCUMENTS = [
    item("plain"),
    item("licence", {"license": "proprietary", "platform": "landsat-8", "unknown": {"a": [1, 2.5, None]}}),
    item("various", {"license": "various"}),
    item("projected", {"proj:epsg": 32633, "proj:shape": [3, 4]}, [PROJ]),
    item("of assets", {"proj:epsg": 4326}, [PROJ], {"a": {"href": "a.tif", "proj:epsg": 3857}, "b": {"href": "b.tif"}}),
    item("view", {"view:off_nadir": 1.5, "eo:cloud_cover": 3}, [extension("view", "v1.0.0"), extension("eo", "v1.1.0")]),
    collection("licence of a collection", license="proprietary"),
    collection("assets of items", stac_extensions=[extension("item-assets", "v1.0.0")],
               item_assets={"a": {"type": "image/tiff", "roles": ["data"]}}),
    {"type": "Catalog", "stac_version": "1.0.0", "id": "catalog", "description": "d", "links": [], "stac_extensions": []},
]


def migrated(document, folder):
    path = folder / {"Catalog": "catalog.json", "Collection": "collection.json"}.get(document["type"], "item.json")
    path.write_text(json.dumps(document))
    subprocess.run([OUTCROP, "--quiet", "migrate", path, "--in-place"], check=True, capture_output=True)
    return json.loads(path.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["id"])
def test_documents_are_what_pystac_makes_of_them(document, tmp_path):
    ours = migrated(document, tmp_path)
    theirs = migrate_to_latest(document, identify_stac_object(document))
    # Both list the new version; order has no meaning. We also name the version of `eo` that 1.1 is for; its field is the same.
    ours["stac_extensions"] = sorted(name.replace("eo/v2.0.0", "eo/v1.1.0") for name in ours["stac_extensions"])
    theirs["stac_extensions"] = sorted(theirs["stac_extensions"])
    assert ours == theirs


def test_a_crs_without_a_code_keeps_saying_so(tmp_path):
    # Version 2 of the extension has a `proj:code` that is null, as version 1 had `proj:epsg`; pystac drops the field.
    old = item("no code", {"proj:epsg": None, "proj:wkt2": "X"}, [PROJ])
    properties = {"datetime": "2020-01-01T00:00:00Z", "proj:wkt2": "X"}
    assert migrated(old, tmp_path)["properties"] == {**properties, "proj:code": None}
    assert migrate_to_latest(old, identify_stac_object(old))["properties"] == properties


def test_codes_of_summaries_follow_their_field(tmp_path):
    # pystac looks at the fields of items and assets only, so that a collection would sum up a field that no item has any more.
    old = collection("c", stac_extensions=[PROJ], summaries={"proj:epsg": [4326, 3857]})
    assert migrated(old, tmp_path)["summaries"] == {"proj:code": ["EPSG:4326", "EPSG:3857"]}
    assert migrate_to_latest(old, identify_stac_object(old))["summaries"] == {"proj:epsg": [4326, 3857]}
