"""`outcrop search` finds what pystac-client finds at a STAC API server over the same items (stac-fastapi with pgstac).

Each query is put to the server by pystac-client, and by outcrop to the server, a file of the items, a static catalog and
a table of them. Where the server is not right by the specifications, items are tried one by one here.
"""
import concurrent.futures
import datetime
import json
import os
import pathlib
import random
import subprocess

import pystac
import pystac_client
import pytest
import shapely.geometry

from stac_server import stac_server

OUTCROP = os.environ.get("OUTCROP") or pathlib.Path(__file__).parents[2] / "target" / "release" / "outcrop"
UTC = datetime.timezone.utc
# pystac-client does not know the version of the sort extension that the server names.
pytestmark = pytest.mark.filterwarnings("ignore:Server does not conform to SORT")


def run(*arguments):
    return subprocess.run([OUTCROP, "--quiet", *map(str, arguments)], capture_output=True, text=True)


def outcrop(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def name_of(item):
    return item["collection"], item["id"]


def time_text(rng, moment, n):
    """RFC 3339 in its forms: whole seconds, fractions, offsets."""
    if n % 3 == 1:
        moment += datetime.timedelta(milliseconds=rng.randrange(1, 1000))
    if n % 4 == 3:
        zone = datetime.timezone(datetime.timedelta(hours=rng.choice([-11, -3, 2, 5.5])))
        return moment.astimezone(zone).isoformat()
    return moment.isoformat().replace("+00:00", "Z")


def box_ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def geometry_of(rng, n, collection):
    """On quarters of a degree, so that edges and corners touch exactly."""
    def pick(low, high):
        return rng.randrange(low * 4, high * 4) / 4

    if collection == "across":
        south, west, east = pick(-40, 30), pick(165, 179), pick(-179, -165)
        north = south + pick(1, 8)
        rings = [box_ring(west, south, 180, north)], [box_ring(-180, south, east, north)]
        kinds = [
            lambda: {"type": "MultiPolygon", "coordinates": list(rings)},
            lambda: {"type": "MultiLineString", "coordinates": [[[west, south], [180, north]], [[-180, north], [east, south]]]},
            lambda: {"type": "Polygon", "coordinates": rings[n % 2]},
            lambda: {"type": "Point", "coordinates": [rng.choice([180, -180, west, east]), south]},
        ]
        return kinds[n % 4 if n % 8 else 0]()
    lon, lat, wide, high = pick(-60, 50), pick(-50, 40), pick(1, 9), pick(1, 9)
    if collection == "wide-2":
        lon = pick(-180, 170)
    box = box_ring(lon, lat, lon + wide, lat + high)
    kinds = [
        lambda: {"type": "Polygon", "coordinates": [box]},
        lambda: {"type": "Polygon", "coordinates": [box[:3] + box[:1]]},
        lambda: {"type": "Point", "coordinates": [lon, lat]},
        lambda: {"type": "Point", "coordinates": [lon, lat, pick(-100, 4000)]},
        lambda: {"type": "LineString", "coordinates": [[lon, lat], [lon + wide, lat + high], [lon + wide, lat]]},
        lambda: {"type": "MultiPoint", "coordinates": [[lon, lat], [lon + wide, lat + high]]},
        lambda: {"type": "MultiPolygon", "coordinates": [[box], [box_ring(lon + wide + 0.25, lat, lon + wide + 1, lat + 1)]]},
        lambda: {"type": "Polygon", "coordinates": [
            box, box_ring(lon + wide / 4, lat + high / 4, lon + wide / 2, lat + high / 2)[::-1]]},
    ]
    return rng.choice(kinds)()


def bbox_of(geometry):
    west, south, east, north = shapely.geometry.shape(geometry).bounds
    if geometry["type"] in ("MultiPolygon", "MultiLineString") and (west, east) == (-180, 180):
        parts = [part.bounds for part in shapely.geometry.shape(geometry).geoms]
        west, east = max(part[0] for part in parts), min(part[2] for part in parts)
    return [west, south, east, north]


def make_items():
    rng = random.Random(20201128)
    items = []
    for n in range(600):
        collection = ["plain", "wide-2", "across"][n % 3]
        first = datetime.datetime(2018 + n % 3, 1, 1, tzinfo=UTC)
        moment = first + datetime.timedelta(hours=rng.randrange(0, 700 * 24), minutes=rng.choice([0, 0, 59]))
        properties = {
            "datetime": time_text(rng, moment, n), "seq": (n * 7919) % 10007, "name": f"{rng.choice('aZzÄé_ω中')}-{n:03}",
            "platform": rng.choice(["sat-a", "sat-b", "sat_a", "Sät 100%", "o'brien"]), "ranged": n % 4 == 2,
            "created": time_text(rng, moment + datetime.timedelta(days=9), n + 1),
            "nested": {"deep": {"level": n % 10}, "list": [[n, n + 1], [n % 4]]}, "tags": [f"t{k}" for k in range(n % 4)],
        }
        if n % 6:
            properties["eo:cloud_cover"] = rng.choice([rng.randrange(0, 100), rng.randrange(0, 1000) / 10])
        if n % 3 == 1 or n % 7 == 0:
            properties["view:off_nadir"] = -rng.randrange(0, 200) / 8
        if n % 11 == 0:
            properties["grade"] = None
        elif n % 2:
            properties["grade"] = rng.choice("ABC")
        if properties["ranged"]:
            last = moment + datetime.timedelta(hours=rng.randrange(1, 2000))
            properties |= {"start_datetime": time_text(rng, moment, n), "end_datetime": time_text(rng, last, n + 1)}
            if n % 8 == 2:
                properties["datetime"] = None
        if n == 33:
            properties["datetime"] = "2019-02-28T23:59:59.500Z"
        geometry = geometry_of(rng, n, collection)
        forms = ["item-{}", "a.b.{}.json", "urn:x:{}", "Ünïcode_ß_{}", "中文-🌍-{}", "{} with space"]
        items.append({
            "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "collection": collection,
            # Some ids are in each collection.
            "id": f"shared-{n // 3}" if n < 30 else forms[n // 3 % len(forms)].format(n),
            "geometry": geometry, "bbox": bbox_of(geometry), "properties": properties, "links": [],
            "assets": {"data": {"href": f"https://example.com/{n}.tif", "roles": ["data"]}},
        })
    return items


def make_collections():
    boxes = {"plain": [-60, -50, 60, 50], "wide-2": [-180, -50, 180, 50], "across": [165, -40, -165, 40]}
    ends = [["2018-01-01T00:00:00Z", "2023-01-01T00:00:00Z"]]
    return [
        {"type": "Collection", "id": name, "stac_version": "1.1.0", "description": name, "license": "other", "links": [],
         "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": ends}}}
        for name, bbox in boxes.items()
    ]


ITEMS = make_items()
SHAPES = {name_of(item): shapely.geometry.shape(item["geometry"]) for item in ITEMS}
# The server compares properties by these kinds, others as texts.
QUERYABLES = {"seq": {"type": "integer"}, "eo:cloud_cover": {"type": "number"}, "view:off_nadir": {"type": "number"},
              "created": {"type": "string", "format": "date-time"}}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Where the items are, for outcrop."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "items.ndjson").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    catalog = pystac.Catalog("root", "All items")
    for content in make_collections():
        collection = pystac.Collection.from_dict(content)
        collection.add_items(pystac.Item.from_dict(item) for item in ITEMS if item["collection"] == content["id"])
        catalog.add_child(collection)
    catalog.normalize_and_save(str(folder / "catalog"), pystac.CatalogType.SELF_CONTAINED)
    outcrop("index", folder / "items.ndjson", "-o", folder / "items.parquet")
    with stac_server(make_collections(), ITEMS, QUERYABLES) as url:
        yield {"server": url, "ndjson": folder / "items.ndjson", "catalog": folder / "catalog",
               "table": folder / "items.parquet"}


@pytest.fixture(scope="module")
def client(sources):
    # After an error the server closes the connection, while the client would go on with it.
    return pystac_client.Client.open(sources["server"], headers={"Connection": "close"})


def arguments(search):
    """A query of pystac-client as options."""
    texts = {"bbox": lambda bbox: ",".join(map(str, bbox)), "intersects": json.dumps, "query": json.dumps,
             "filter": lambda filter: json.dumps(filter) if isinstance(filter, dict) else filter}
    texts |= dict.fromkeys(["ids", "collections", "sortby", "fields"], ",".join)
    return [f"--{name.replace('_', '-')}={texts.get(name, str)(value)}" for name, value in search.items()]


def found(source, search):
    """What outcrop finds."""
    lines = outcrop("search", source, "--format", "ndjson", *arguments(search)).splitlines()
    return [name_of(json.loads(line)) for line in lines]


def found_in(sources, search):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(sources, pool.map(lambda source: found(source, search), sources.values())))


def served(client, search):
    """What pystac-client finds."""
    few = {"include": ["id", "collection"], "exclude": ["links"]}
    return [name_of(item) for item in client.search(**{"limit": 250, "fields": few} | search).items_as_dicts()]


def tried(test):
    """What a test of one item fits, brute force."""
    return [name_of(item) for item in ITEMS if test(item)]


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def time_of(name):
    return lambda item: moment(item["properties"][name]) if item["properties"].get(name) else None


def meets(*geometries):
    """A test of an item against parts of a region."""
    return lambda item: any(SHAPES[name_of(item)].intersects(geometry) for geometry in geometries)


def op(name, *args):
    return {"op": name, "args": list(args)}


def prop(name):
    return {"property": name}


def polygon(*boxes):
    return {"type": "Polygon", "coordinates": [box_ring(*boxes[0]), *(box_ring(*hole)[::-1] for hole in boxes[1:])]}


TRIANGLE = {"type": "Polygon", "coordinates": [[[-30, -30], [30, -20], [0, 35], [-30, -30]]]}
TRIANGLE_TEXT = "POLYGON((-30 -30, 30 -20, 0 35, -30 -30))"
IDS = [ITEMS[n]["id"] for n in [4, *range(60, 600, 35)]]
JUNE, SPRING = "TIMESTAMP('2019-06-01T00:00:00Z')", ("2018-03-01T00:00:00Z", "2018-06-15T12:00:00Z")
# A day on which an item was made, after its midnight.
LAST_DAY = min(made for made in map(time_of("created"), ITEMS) if made > moment("2019-06-15T00:00:00Z")).astimezone(UTC).date()
SAME = {
    "ids": {"ids": IDS},
    "ids that are in each collection": {"ids": ["shared-3", "shared-7"], "collections": ["wide-2", "across"]},
    "two collections": {"collections": ["plain", "wide-2"], "limit": 100},
    "bbox": {"bbox": [-20, -10, 15, 20]},
    "bbox of fractions": {"bbox": [-20.123, -10.5, 15.75, 20.333]},
    "bbox of the world": {"bbox": [-180, -90, 180, 90]},
    "bbox up to the antimeridian": {"bbox": [170, -20, 180, 20]},
    "bbox from the antimeridian": {"bbox": [-180, -20, -178, 20]},
    "intersects polygon": {"intersects": TRIANGLE},
    "intersects polygon with a hole": {"intersects": polygon([-50, -40, 50, 40], [-30, -30, 30, 30])},
    "intersects line": {"intersects": {"type": "LineString", "coordinates": [[-60, -40], [0, 0], [60, 30]]}},
    "intersects lines": {"intersects": {"type": "MultiLineString", "coordinates": [[[-60, 0], [60, 0]], [[9, -9], [9, 9]]]}},
    "intersects point": {"intersects": {"type": "Point", "coordinates": [10, 10]}},
    "intersects point on a corner": {"intersects": {"type": "Point", "coordinates": ITEMS[60]["bbox"][:2]}},
    "intersects points": {"intersects": {"type": "MultiPoint", "coordinates": [[10, 10], [-20, 5.5], [3, -7], [-1, 20]]}},
    "intersects polygons": {"intersects": {"type": "MultiPolygon", "coordinates": [
        [box_ring(170, -10, 180, 10)], [box_ring(-180, -10, -175, 10)]]}},
    "intersects collection": {"intersects": {"type": "GeometryCollection", "geometries": [
        {"type": "Point", "coordinates": [10, 10]}, polygon([-40, 0, -20, 15])]}},
    "moment": {"datetime": "2019-06-01T00:00:00Z"},
    "moment of an item": {"datetime": ITEMS[31]["properties"]["datetime"]},
    "interval": {"datetime": "2019-03-01T00:00:00Z/2019-09-30T12:30:00Z"},
    "interval with offsets": {"datetime": "2019-03-01T00:00:00+05:00/2019-03-30T12:30:00.5-03:00"},
    "open start": {"datetime": "../2018-06-30T00:00:00Z"},
    "open end": {"datetime": "2021-06-01T00:00:00Z/.."},
    "day": {"datetime": "2019-06-01"},
    "months": {"datetime": "2019-11/2020-02"},
    "year": {"datetime": "2020"},
    "number on the left, JSON": {"collections": ["wide-2"], "filter": op(">=", 20, prop("eo:cloud_cover"))},
    "texts, names": {"filter": "\"name\" >= 'a' AND properties.name < 'z' AND platform <> 'sat-a'"},
    "truth": {"collections": ["across"], "filter": op("=", prop("ranged"), True)},
    "unequal, property missing on some": {"collections": ["plain"], "filter": "grade <> 'A'"},
    "NOT, property missing on some": {"collections": ["wide-2"], "filter": "NOT (grade = 'A')"},
    "AND, OR, NOT with what is unknown": {
        "filter": "(platform = 'sat-a' OR view:off_nadir < -20) AND NOT (eo:cloud_cover > 30 AND grade = 'A')"},
    "IN texts, quotes": {"filter": "platform IN ('o''brien', 'Sät 100%') AND grade NOT IN ('A', 'B')"},
    "IN numbers": {"filter": "nested.deep.level IN (1, 7)"},
    "BETWEEN": {"filter": "eo:cloud_cover BETWEEN 10 AND 60 AND seq NOT BETWEEN 1000 AND 9000"},
    "LIKE": {"filter": "platform LIKE 'sat_a' AND NOT platform LIKE 'sat\\_a' OR platform LIKE '%100\\%'"},
    "NOT LIKE, CASEI": {"filter": "grade NOT LIKE 'A%' AND CASEI(platform) LIKE CASEI('SÄT%')"},
    "IS NULL": {"filter": "grade IS NULL AND view:off_nadir IS NOT NULL"},
    "id and collection": {"filter": "collection IN ('wide-2', 'across') AND id LIKE 'Ünïcode%'"},
    "two properties": {"filter": "eo:cloud_cover > view:off_nadir + 90"},
    "S_INTERSECTS": {"filter": f"S_INTERSECTS(geometry, {TRIANGLE_TEXT}) AND eo:cloud_cover < 80"},
    "S_DISJOINT, JSON": {"filter": op("s_disjoint", prop("geometry"), polygon([-170, -45, 170, 45]))},
    "S_WITHIN": {"filter": f"S_WITHIN(geometry, {TRIANGLE_TEXT})"},
    "S_CONTAINS": {"filter": "S_CONTAINS(geometry, POINT(10.1 10.1)) OR S_CONTAINS(geometry, POINT(-20.1 10.1))"},
    "T_AFTER, T_BEFORE": {"filter": f"T_AFTER(created, DATE('2021-08-01')) OR T_BEFORE(created, TIMESTAMP('{SPRING[0]}'))"},
    "T_INTERSECTS": {"filter": f"T_INTERSECTS(created, INTERVAL('{SPRING[0]}', '{SPRING[1]}'))"},
    "T_INTERSECTS, interval of days": {"filter": f"T_INTERSECTS(created, INTERVAL('2019-06-01', '{LAST_DAY}'))"},
    "T_DURING": {"filter": "ranged = true AND "
                           f"T_DURING(INTERVAL(start_datetime, end_datetime), INTERVAL('{SPRING[0]}', '{SPRING[1]}'))"},
    "time of a property": {"filter": f"created > {JUNE} AND created <= TIMESTAMP('2019-09-01T00:00:00Z')"},
    "datetime": {"filter": f"ranged = false AND datetime BETWEEN {JUNE} AND TIMESTAMP('2019-09-01T00:00:00Z')"},
    "A_CONTAINS": {"collections": ["plain"], "filter": "A_CONTAINS(tags, ('t2', 't1'))"},
    "A_OVERLAPS, JSON": {"collections": ["wide-2"], "filter": op("a_overlaps", prop("tags"), ["t2", "t9"])},
    "query": {"query": {"eo:cloud_cover": {"lt": 20, "gte": 5}}},
    "query of two properties": {"query": {"eo:cloud_cover": {"lte": 50}, "platform": {"eq": "sat-b"}}},
    "query neq": {"query": {"grade": {"neq": "A"}}},
    "query of a time": {"query": {"created": {"gt": "2021-01-01T00:00:00Z"}}},
    "collections, box and time": {"collections": ["plain", "wide-2"], "bbox": [-40, -40, 40, 40], "datetime": "2019/2020"},
    "box, time and filter": {"bbox": [-40, -40, 40, 40], "datetime": "2019-01-01T00:00:00Z/..", "filter": "eo:cloud_cover < 60"},
    "geometry and query": {"intersects": polygon([-40, -40, 40, 40]), "query": {"platform": {"eq": "sat-a"}}},
    "pages": {"collections": ["wide-2"], "limit": 17},
    "max-items": {"collections": ["wide-2"], "sortby": ["-name"], "max_items": 25, "limit": 10},
    "by a text": {"sortby": ["name"], "collections": ["across"]},
    "by collection and text, down": {"sortby": ["collection", "-name"], "bbox": [-60, -40, 20, 40]},
    "by id, down": {"sortby": ["-id"], "collections": ["plain"]},
    "by a number": {"sortby": ["seq"], "bbox": [-40, -40, 40, 40]},
    "by a number, down": {"sortby": ["-properties.seq"], "datetime": "2019"},
    "by a property missing on some": {"sortby": ["grade", "name"], "bbox": [-40, -40, 40, 40]},
    "by a time": {"sortby": ["created", "name"], "collections": ["plain"]},
}
@pytest.mark.parametrize("name", SAME)
def test_as_the_server(sources, client, name):
    search = SAME[name]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        wanted = pool.submit(served, client, search)
        all_names = found_in(sources, search)
    wanted = wanted.result()
    assert wanted and len(wanted) == len(set(wanted))
    order = list if "sortby" in search else sorted
    for source, names in all_names.items():
        assert order(names) == order(wanted), source


def by_datetime(item):
    """True if the property itself is there and late; a range has none."""
    return item["properties"]["datetime"] is not None and time_of("datetime")(item) >= moment("2021-01-01T00:00:00Z")


def in_range(item):
    start, end = time_of("start_datetime")(item), time_of("end_datetime")(item)
    return bool(start) and start <= moment("2019-07-01T00:00:00Z") and end >= moment("2019-06-01T00:00:00Z")


def in_february(item):
    start, end = (time_of(name)(item) or time_of("datetime")(item) for name in ("start_datetime", "end_datetime"))
    return start < moment("2019-03-01T00:00:00Z") and end >= moment("2019-02-01T00:00:00Z")


def high(low, most):
    """A test of the heights of an item, which are 0 where it has none."""
    def test(item):
        coordinates = item["geometry"]["coordinates"]
        return low <= (coordinates[2] if item["geometry"]["type"] == "Point" and len(coordinates) == 3 else 0) <= most
    return test


WEST, SOUTH = ITEMS[60]["bbox"][:2]
# Why the server differs, the query, a test of an item, what outcrop gets from the server: the right items, or of them those
# that the server gives, or a refusal (words of it).
DIFFERS = {
    "box that is a line": (
        "an envelope without area is an invalid polygon: some geometries that touch it are not found",
        {"bbox": [WEST, -60, WEST, 60]}, meets(shapely.LineString([(WEST, -60), (WEST, 60)])), "fewer"),
    "box that is a point": (
        "an envelope without area is an invalid polygon: some geometries that touch it are not found",
        {"bbox": [WEST, SOUTH, WEST, SOUTH]}, meets(shapely.Point(WEST, SOUTH)), "fewer"),
    "box with heights": (
        "it fails on boxes of six numbers (HTTP 500)",
        {"bbox": [-40, -40, 100, 40, 40, 5000]},
        lambda item: meets(shapely.box(-40, -40, 40, 40))(item) and high(100, 5000)(item), "right"),
    "box with heights that hold the ground": (
        "it fails on boxes of six numbers (HTTP 500)",
        {"bbox": [-20, -20, -50, 20, 20, 0]},
        lambda item: meets(shapely.box(-20, -20, 20, 20))(item) and high(-50, 0)(item), "right"),
    "datetime that is null": (
        "for items with a range, `datetime` of a filter is their start",
        {"filter": "datetime >= TIMESTAMP('2021-01-01T00:00:00Z')"}, by_datetime, "right"),
    "range in a filter": (
        "`start_datetime` and `end_datetime` of a filter are `datetime` for items without a range",
        {"filter": "T_INTERSECTS(INTERVAL(start_datetime, end_datetime), "
                   "INTERVAL('2019-06-01T00:00:00Z', '2019-07-01T00:00:00Z'))"}, in_range, "right"),
    "last second of a month": (
        "pystac-client ends a month with its last whole second",
        {"datetime": "2019-02"}, in_february, "right"),
    "arithmetic beside another test": (
        "it fails on arithmetic within AND (HTTP 500)",
        {"filter": "view:off_nadir / 2 < -5 AND seq < 4000"},
        lambda item: item["properties"].get("view:off_nadir", 0) / 2 < -5 and item["properties"]["seq"] < 4000,
        "HTTP status 500"),
    "A_EQUALS": (
        "CQL2 compares arrays as sets, it as lists",
        {"filter": "A_EQUALS(tags, ('t1', 't0'))"}, lambda item: set(item["properties"]["tags"]) == {"t0", "t1"}, "fewer"),
    "A_CONTAINEDBY": (
        "it knows this operator by another name (HTTP 500)",
        {"filter": "A_CONTAINEDBY(tags, ('t0'))"}, lambda item: set(item["properties"]["tags"]) <= {"t0"}, "HTTP status 500"),
    "BBOX": (
        "it has no boxes in filters (HTTP 500)",
        {"filter": "S_INTERSECTS(geometry, BBOX(-10, -10, 10, 10))"}, meets(shapely.box(-10, -10, 10, 10)), "HTTP status 500"),
    "query in": (
        "it has not all operators of the query extension",
        {"query": {"platform": {"in": ["sat-a", "sat_a"]}}},
        lambda item: item["properties"]["platform"] in ("sat-a", "sat_a"), "right"),
    "query startsWith": (
        "it has not all operators of the query extension",
        {"query": {"platform": {"startsWith": "sat_"}}},
        lambda item: item["properties"]["platform"].startswith("sat_"), "right"),
    "query contains and endsWith": (
        "it has not all operators of the query extension",
        {"query": {"platform": {"contains": "00", "endsWith": "%"}}},
        lambda item: item["properties"]["platform"].endswith("00%"), "right"),
    "query and filter": (
        "it takes one of them",
        {"query": {"grade": {"neq": "A"}}, "filter": "seq < 5000"},
        lambda item: item["properties"].get("grade") in ("B", "C") and item["properties"]["seq"] < 5000, "right"),
}


@pytest.mark.parametrize("name", DIFFERS)
def test_where_the_server_differs(sources, client, name):
    _, search, test, there = DIFFERS[name]
    wanted = sorted(tried(test))
    assert wanted
    here = {source: path for source, path in sources.items() if source != "server"}
    for source, names in found_in(here, search).items():
        assert sorted(names) == wanted, source
    try:
        given = served(client, search)
    except pystac_client.exceptions.APIError:
        given = None
    assert given is None or sorted(given) != wanted, "it differs no more"
    if there in ("right", "fewer"):
        right = wanted if there == "right" else sorted(set(wanted) & set(given))
        assert sorted(found(sources["server"], search)) == right
    else:
        refused = run("search", sources["server"], "--retries", 0, *arguments(search))
        assert refused.returncode == 2 and there in refused.stderr


def crossing_boxes():
    rng = random.Random(180)
    sides = [(rng.randrange(160 * 4, 180 * 4) / 4, rng.randrange(-180 * 4, -160 * 4) / 4) for _ in range(10)]
    boxes = [[west, south, east, south + rng.randrange(8, 160) / 4]
             for west, east in sides for south in [rng.randrange(-45 * 4, 35 * 4) / 4]]
    return [*boxes, [20, -30, 10, 40], [179.75, -90, -179.75, 90]]


@pytest.mark.parametrize("bbox", crossing_boxes(), ids=str)
def test_boxes_across_the_antimeridian(sources, bbox):
    west, south, east, north = bbox
    wanted = sorted(tried(meets(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))))
    assert wanted
    for source, names in found_in(sources, {"bbox": bbox}).items():
        assert sorted(names) == wanted, source


@pytest.mark.parametrize("sortby", ["eo:cloud_cover", "-eo:cloud_cover", "-view:off_nadir", "-grade", "-ranged"])
def test_what_is_missing_comes_last(sources, sortby):
    """The server has what is missing first where the highest come first; nothing is specified."""
    key, least = (lambda item: item["properties"].get(sortby.lstrip("-"))), sorted(ITEMS, key=name_of)
    there = sorted((item for item in least if key(item) is not None), key=key, reverse=sortby.startswith("-"))
    wanted = [name_of(item) for item in [*there, *(item for item in least if key(item) is None)]]
    for source, names in found_in(sources, {"sortby": [sortby]}).items():
        assert names == wanted, source


@pytest.mark.parametrize("source", ["server", "ndjson", "catalog", "table"])
def test_ids_that_other_tests_exclude(sources, client, source):
    search = {"ids": IDS, "collections": ["plain"]}
    wanted = served(client, search)
    assert 0 < len(wanted) < len(IDS)
    assert sorted(found(sources[source], search)) == sorted(wanted)


def test_fields(sources):
    options = ["--collections", "across", "--fields", "id,properties.datetime", "--format", "ndjson"]
    wanted = {item["id"]: time_of("datetime")(item) for item in ITEMS if item["collection"] == "across"}
    for source, path in sources.items():
        items = [json.loads(line) for line in outcrop("search", path, *options).splitlines()]
        # Where fields are asked for, the server leaves out what is null.
        assert all(item.keys() - {"properties"} == {"id"} for item in items), source
        assert all(item.get("properties", {}).keys() <= {"datetime"} for item in items), source
        assert len(items) == len(wanted), source
        assert {item["id"]: time_of("datetime")({"properties": {}} | item) for item in items} == wanted, source


@pytest.mark.parametrize("options", [[], ["--unsorted"], ["--sortby=-name"], ["--max-items=50"]], ids=" ".join)
def test_pages_of_seven_give_every_item_once(sources, options):
    options = ["--collections", "plain", "--limit", 7, *options, "--format", "ids"]
    ids = outcrop("search", sources["server"], *options).splitlines()
    there = {item["id"] for item in ITEMS if item["collection"] == "plain"}
    assert len(ids) == len(set(ids)) and set(ids) <= there
    assert len(ids) == (50 if "--max-items=50" in options else len(there))


def test_pystac_reads_what_is_written(sources, tmp_path):
    wanted = {name_of(item): item for item in ITEMS if meets(shapely.box(-40, -40, 40, 40))(item)}
    for source, path in sources.items():
        target = tmp_path / f"{source}.json"
        outcrop("search", path, "--bbox=-40,-40,40,40", "--limit", 20, "-o", target)
        assert [file.name for file in tmp_path.iterdir()] == [target.name]
        items = pystac.ItemCollection.from_file(str(target)).items
        assert len(items) == len(wanted)
        for item in items:
            original = wanted[item.collection_id, item.id]
            assert item.geometry == original["geometry"] and item.bbox == original["bbox"], source
            assert item.datetime == time_of("datetime")(original), source
            assert item.properties["tags"] == original["properties"]["tags"], source
            assert item.assets["data"].href == original["assets"]["data"]["href"], source
        target.unlink()
