"""Each case of stac2dcache's `copy_asset` on its own test catalog, with `outcrop fetch`; pystac reads what comes of it."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pystac
import pytest
import rasterio

ROOT = pathlib.Path(__file__).parents[2]
OUTCROP = os.environ.get("OUTCROP", ROOT / "target" / "release" / "outcrop")
DATA = ROOT.parent / "shared" / "data" / "real" / "stac" / "stac2dcache"

if not DATA.exists():
    if os.environ.get("CI") == "true":
        raise FileNotFoundError(DATA)
    pytest.skip(f"skipped: {DATA} is not there", allow_module_level=True)

IDS = ["tile_1", "tile_2", "tile_3", "tile_4"]


def fetch(*arguments):
    return subprocess.run([OUTCROP, "fetch", *map(str, arguments)], capture_output=True, text=True, check=False)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@pytest.fixture
def catalog(tmp_path):
    """The catalog and its assets beside each other, as in the tests of stac2dcache."""
    shutil.copytree(DATA / "test-catalog", tmp_path / "test-catalog")
    shutil.copytree(DATA / "test-catalog_assets", tmp_path / "test-catalog_assets")
    for path in (tmp_path / "test-catalog").rglob("tile_*.json"):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = str(tmp_path / "test-catalog_assets" / pathlib.Path(asset["href"]).name)
        path.write_text(json.dumps(item))
    return tmp_path / "test-catalog"


def key_of(catalog):
    (key,) = json.loads((catalog / "tile_1" / "tile_1.json").read_text())["assets"]
    return key


def written(item, key):
    """The href as it stands in the document; pystac puts `./` before it."""
    return json.loads(pathlib.Path(item.get_self_href()).read_text())["assets"][key]["href"]


def assert_copied(root, ids, key):
    """What `ids` names has its file beside it, by its bare name; all resolves, opens and is valid."""
    read = pystac.Catalog.from_file(str(root / "catalog.json"))
    items = {item.id: item for item in read.get_items(recursive=True)}
    for item_id in ids:
        item = items[item_id]
        asset = item.assets[key]
        assert written(item, key) == f"{item_id}.tif"
        path = pathlib.Path(item.get_self_href()).parent / f"{item_id}.tif"
        assert pathlib.Path(asset.get_absolute_href()) == path
        assert digest(path) == digest(DATA / "test-catalog_assets" / f"{item_id}.tif")
        assert asset.extra_fields["file:size"] == path.stat().st_size
        with rasterio.open(path) as image:
            assert image.shape == (100, 100)
    return items


def test_all_items_beside_themselves(catalog):
    key = key_of(catalog)
    assert fetch(catalog, "--asset", key, "--in-place").returncode == 0
    assert_copied(catalog, IDS, key)


def test_one_item(catalog):
    key = key_of(catalog)
    before = {name: (catalog / name / f"{name}.json").read_bytes() for name in IDS}
    assert fetch(catalog, "--asset", key, "--ids", "tile_2", "--in-place").returncode == 0
    assert_copied(catalog, ["tile_2"], key)
    for name in IDS:
        assert ((catalog / name / f"{name}.json").read_bytes() == before[name]) == (name != "tile_2")
    assert sorted(path.name for path in catalog.rglob("*.tif")) == ["tile_2.tif"]


def test_another_destination(catalog, tmp_path):
    key = key_of(catalog)
    to = tmp_path / "copy"
    before = {path: path.read_bytes() for path in catalog.rglob("*.json")}
    assert fetch(catalog, "--asset", key, "--to", to).returncode == 0
    items = assert_copied(to, IDS, key)
    assert sorted(items) == IDS
    assert {path: path.read_bytes() for path in catalog.rglob("*.json")} == before
    # The copy stands for itself: also without what it was made of, and elsewhere.
    moved = tmp_path / "moved"
    to.rename(moved)
    shutil.rmtree(catalog.parent / "test-catalog_assets")
    assert_copied(moved, IDS, key)
    assert fetch(moved, "--verify").returncode == 0


def test_a_second_run_copies_nothing_and_changes_nothing(catalog):
    key = key_of(catalog)
    fetch(catalog, "--asset", key, "--in-place")
    before = {path: path.read_bytes() for path in catalog.rglob("*.json")}
    again = fetch(catalog, "--asset", key, "--in-place")
    assert again.returncode == 0 and "copied 0 files" in again.stderr
    assert {path: path.read_bytes() for path in catalog.rglob("*.json")} == before


def test_what_is_not_there_is_an_error_that_names_it(catalog):
    missing = fetch(catalog, "--asset", "nope", "--in-place")
    assert missing.returncode == 1 and "has no asset `nope`" in missing.stderr
    unknown = fetch(catalog, "--asset", key_of(catalog), "--ids", "tile_9", "--in-place")
    assert unknown.returncode == 2 and "tile_9" in unknown.stderr, unknown.stderr
    remote = fetch("https://127.0.0.1:9/catalog.json", "--asset", "k", "--in-place", "--retries", "0")
    assert remote.returncode == 2


def test_the_copied_catalog_of_sentinel_2_keeps_what_was_not_copied(tmp_path):
    """Only thumbnails, from a stand-in of their host; the other assets keep their remote hrefs."""
    shutil.copytree(DATA / "s2-catalog", tmp_path / "s2")
    files = tmp_path / "files"
    files.mkdir()
    for path in (tmp_path / "s2").rglob("S2*.json"):
        item = json.loads(path.read_text())
        image = files / f"{item['id']}.jpg"
        image.write_bytes(item["id"].encode() * 100)
        item["assets"]["thumbnail"]["href"] = str(image)
        path.write_text(json.dumps(item))
    to = tmp_path / "copy"
    assert fetch(tmp_path / "s2", "--asset", "thumbnail", "--to", to).returncode == 0
    source = {i.id: i for i in pystac.Catalog.from_file(str(tmp_path / "s2/catalog.json")).get_items(recursive=True)}
    copied = {i.id: i for i in pystac.Catalog.from_file(str(to / "catalog.json")).get_items(recursive=True)}
    assert sorted(source) == sorted(copied)
    for item_id, item in copied.items():
        assert written(item, "thumbnail") == f"{item_id}.jpg"
        assert pathlib.Path(item.assets["thumbnail"].get_absolute_href()).read_bytes() == item_id.encode() * 100
        for key, asset in source[item_id].assets.items():
            if key != "thumbnail":
                assert item.assets[key].href == asset.href
