"""Tables of items: stac-geoparquet, pyarrow and DuckDB read what `outcrop index` writes, and the reverse."""
import datetime
import json
import os
import pathlib
import subprocess

import duckdb
import pyarrow.parquet
import pystac
import pytest
import stac_geoparquet.arrow

JUDGED = pathlib.Path(os.environ["JUDGED"])
OUTCROP = pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"


def outcrop(*arguments):
    return subprocess.run([OUTCROP, "--quiet", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def as_moment(value):
    """Times of one moment are equal, however they are written."""
    if isinstance(value, dict):
        return {key: as_moment(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_moment(inner) for inner in value]
    if isinstance(value, str) and len(value) > 18 and value[10] == "T" and value.endswith("Z"):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


def items_of(path):
    lines = outcrop("search", path, "--no-index", "--format", "ndjson").splitlines()
    return {item["id"]: as_moment(item) for item in map(json.loads, lines)}


ITEMS = [
    {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": f"i{n}", "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [[[n, 0.5], [n + 1.5, 0.5], [n + 1.5, 2], [n, 2], [n, 0.5]]]},
        "bbox": [n, 0.5, n + 1.5, 2.0],
        "properties": {"datetime": f"2020-01-0{n + 1}T06:00:00.250000Z", "eo:cloud_cover": n * 1.5, "count": n,
                       "flags": [f"f{k}" for k in range(n)], "nested": {"a": {"b": [n, n + 1]}}, "on": n % 2 == 0},
        "links": [{"rel": "self", "href": f"https://example.com/i{n}.json"}],
        "assets": {"data": {"href": f"https://example.com/{n}.tif", "roles": ["data"], "bands": [{"name": "b", "nodata": -1}]}},
    }
    for n in range(7)
]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "items.ndjson"
    path.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    return path


def test_stac_geoparquet_reads_our_tables(lines, tmp_path):
    outcrop("index", lines, "-o", tmp_path / "items.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "items.parquet")
    read = {item["id"]: as_moment(item) for item in stac_geoparquet.arrow.stac_table_to_items(table)}
    assert read == {item["id"]: as_moment(item) for item in ITEMS}
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["geometry_types"] == ["Polygon"]
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]


def test_we_read_the_tables_of_stac_geoparquet(lines, tmp_path):
    path = tmp_path / "theirs.parquet"
    stac_geoparquet.arrow.to_parquet(stac_geoparquet.arrow.parse_stac_items_to_arrow(ITEMS), path)
    assert items_of(path) == {item["id"]: as_moment(item) for item in ITEMS}
    found = outcrop("search", path, "--bbox=2.6,1,3.1,1.5", "--datetime", "2020-01-02/2020-01-03", "--format", "ids")
    assert found.split() == ["i2"]
    # An update of a table of another program writes it anew.
    new = dict(ITEMS[3], properties=dict(ITEMS[3]["properties"], count=99))
    (tmp_path / "new.ndjson").write_text(json.dumps(new) + "\n")
    outcrop("index", tmp_path / "new.ndjson", "--update", "-o", path)
    assert items_of(path) == {item["id"]: as_moment(item) for item in ITEMS} | {"i3": as_moment(new)}


def test_duckdb_reads_the_index_of_a_catalog(tmp_path):
    outcrop("index", JUDGED / "daymet", "-o", tmp_path / "items.parquet")
    query = "select count(*), count(distinct id), min(bbox.xmin), max(datetime) from read_parquet(?)"
    rows = duckdb.execute(query, [str(tmp_path / "items.parquet")]).fetchall()
    catalog = pystac.Catalog.from_file(str(JUDGED / "daymet" / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    assert rows == [(len(items), len(items), min(i.bbox[0] for i in items), max(i.datetime for i in items))]


def test_duckdb_tables_of_items_are_read(lines, tmp_path):
    path = tmp_path / "duck.parquet"
    duckdb.execute(f"copy (select id, collection, bbox, properties, assets, links, stac_version from read_json('{lines}')) to "
                   f"'{path}' (format parquet)")
    read = items_of(path)
    assert len(read) == 7 and read["i4"]["assets"]["data"]["bands"] == [{"name": "b", "nodata": -1}]
