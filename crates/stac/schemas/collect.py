"""Collects the JSON schemas of STAC 1.0 and 1.1 and of its extensions into this folder, from packages that carry them.

  collect.py SOURCE...     source packages (.tar.gz) of pystac and pystac-ext-*, and unpacked crates (stac-validate)

The packages of pystac hold recorded answers of the servers of the schemas (`cassettes`); the crate stac-validate holds those
of STAC 1.0. A schema lies here under its own address. `../src/validate/schemas.rs` names them all.
"""
import json
import pathlib
import sys
import tarfile

import yaml

here = pathlib.Path(__file__).parent
found = {}


def add(address, text):
    schema = json.loads(text)
    if isinstance(schema, dict) and ("$schema" in schema or "$id" in schema):
        found.setdefault(address.rstrip("#"), schema)


def add_file(text):
    schema = json.loads(text)
    address = schema.get("$id", "") if isinstance(schema, dict) else ""
    if address.startswith("http"):
        add(address.replace("commonjson", "common.json"), text)


def is_whole(schema):
    """True if all that it refers to is at hand."""
    text = json.dumps(schema)
    references = [part.split('"')[0].split("#")[0] for part in text.split('"$ref": "http')[1:]]
    known = {*found, "https://proj.org/schemas/v0.7/projjson.schema.json", "https://proj.org/schemas/v0.4/projjson.schema.json",
             "http://json-schema.org/draft-07/schema"}
    return all("http" + reference in known for reference in references)


def of_package(package):
    for member in package.getmembers():
        if not member.isfile() or not member.name.endswith((".yaml", ".json")):
            continue
        text = package.extractfile(member).read().decode("utf-8", "replace")
        if member.name.endswith(".json"):
            if '"$schema"' in text and "/tests/" not in member.name:
                add_file(text)
            continue
        if "schema.json" not in text:
            continue
        for interaction in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]:
            body = interaction["response"]["body"].get("string")
            if interaction["request"]["uri"].endswith(".json") and interaction["response"]["status"]["code"] == 200:
                if isinstance(body, str) and body.lstrip().startswith("{"):
                    add(interaction["request"]["uri"], body)


for source in sorted(sys.argv[1:]):
    if source.endswith(".tar.gz"):
        of_package(tarfile.open(source))
    else:
        for file in sorted(pathlib.Path(source).rglob("schemas/**/*.json")):
            add_file(file.read_text())

keep = ("https://schemas.stacspec.org/v1.", "https://stac-extensions.github.io/", "https://geojson.org/", "https://proj.org/")
lines = []
for address, schema in sorted(found.items()):
    if not address.startswith(keep) or not is_whole(schema):
        continue
    path = here / address.removeprefix("https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, separators=(",", ":"), ensure_ascii=False) + "\n")
    lines.append(f'    ("{address}", include_str!("../../schemas/{path.relative_to(here)}")),\n')
table = here / "../src/validate/schemas.rs"
table.parent.mkdir(exist_ok=True)
table.write_text(
    "//! The schemas that are at hand, by address. Made by `schemas/collect.py`.\n\n"
    "/// Address and text of each schema.\n"
    f"pub(super) const SCHEMAS: [(&str, &str); {len(lines)}] = [\n" + "".join(lines) + "];\n"
)
