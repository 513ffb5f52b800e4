"""Writes the keys of recipes into recipe.md from the types in crates/catalog/src/recipe/mod.rs and their comments.

python3 docs/reference/recipe_keys.py          after a change of these types
python3 docs/reference/recipe_keys.py --check  fails if the page is not what they say
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / "crates/catalog/src/recipe/mod.rs"
PAGE = ROOT / "docs/reference/recipe.md"
BEGIN, END = "<!-- keys: written by recipe_keys.py -->\n", "<!-- end of keys -->\n"
# Where the keys of each type stand in a recipe.
PLACES = [
    ("Recipe", "", "At the top"),
    ("CollectionRecipe", "collection.", "`[collection]`"),
    ("Provider", "collection.providers.", "`[[collection.providers]]`"),
    ("Listing", "listing.", "`[listing]`"),
    ("TableOfFiles", "table.", "`[table]`"),
    ("StacSource", "stac.", "`[stac]`"),
    ("ItemRecipe", "item.", "`[item]`"),
    ("Link", "links.", "`[[links]]` and `[[item.links]]`"),
    ("AssetRecipe", "assets.KEY.", '`[assets."KEY"]`'),
    ("Headers", "headers.", "`[headers]`"),
]
TYPES = {
    "String": "text", "bool": "true or false", "usize": "number", "char": "character", "Template": "template",
    "Layout": "text", "Published": "text", "FileRegex": "regular expression", "Glob": "glob", "toml::Table": "table",
    "BoxList": "numbers, or lists of them", "Boxes": "numbers, or by a variable", "f64": "number", "Field": "text", "Values": "values",
}


def kind(rust):
    """The type of a key in words."""
    inner = re.fullmatch(r"(?:Option|Vec)<(.*)>", rust)
    if rust.startswith("Option"):
        return kind(inner[1])
    if rust.startswith("Vec"):
        return {"text": "texts", "glob": "globs", "number": "numbers"}.get(kind(inner[1]), "tables")
    if rust.startswith("["):
        return "two texts"
    if rust.startswith("IndexMap"):
        return "table" if rust.endswith("String>") else "tables"
    return TYPES.get(rust, "table")


def fields(name, source):
    body = re.search(r"pub struct " + name + r" \{\n(.*?)\n\}", source, re.S)[1]
    for doc, attributes, field, rust in re.findall(
        r"((?:    /// .*\n)+)((?:    #\[.*\]\n)*)    pub (\w+): (.*),", body + "\n"
    ):
        key = re.search(r'rename = "(\w+)"', attributes)
        key = key[1] if key else field
        meaning = " ".join(line.strip().removeprefix("/// ") for line in doc.strip().split("\n"))
        optional = rust.startswith("Option") or "default" in attributes
        yield key, kind(rust), meaning.rstrip("."), optional


def tables(source):
    out = []
    for name, prefix, place in PLACES:
        out.append(f"\n### {place}\n\n| key | is | meaning |\n|---|---|---|\n")
        for key, what, meaning, optional in fields(name, source):
            required = "" if optional else " (required)"
            out.append(f"| `{prefix}{key}` | {what}{required} | {meaning.replace('|', chr(92) + '|')} |\n")
    out.append("\n### Fields of `headers.fields`\n\n| field | what it gives |\n|---|---|\n")
    variants = re.search(r"pub enum Field \{\n(.*?)\n\}", source, re.S)[1]
    for doc, field in re.findall(r'((?:    /// .*\n)+)    #\[serde\(rename = "(.*)"\)\]', variants):
        meaning = " ".join(line.strip().removeprefix("/// ") for line in doc.strip().split("\n"))
        out.append(f"| `{field}` | {meaning.rstrip('.')} |\n")
    return "".join(out) + "\n"


page = PAGE.read_text()
before, rest = page.split(BEGIN)
after = rest.split(END)[1]
new = before + BEGIN + tables(SOURCE.read_text()) + END + after
if "--check" in sys.argv[1:]:
    sys.exit(0 if new == page else f"{PAGE.relative_to(ROOT)} is not what the types say; run docs/reference/recipe_keys.py")
PAGE.write_text(new)
