//! Catalogs: recipes with tables and expressions, builds that go on, checks, migration.

use serde_json::{Value, json};

use crate::bench::{BIN, Bench};

fn ids(bench: &Bench, catalog: &str) -> Vec<String> {
    let said = bench.run(&format!("search {catalog} --format ids"));
    assert_eq!(said.code, 0, "{said:?}");
    said.out.lines().map(str::to_owned).collect()
}

#[test]
fn a_table_of_files_becomes_a_catalog() {
    let bench = Bench::new();
    bench.write(
        "files.csv",
        "name,day,kind,file\na,2020-01-01,vv,x/1.tif\na,2020-01-01,vh,x/2.tif\nb,2020-01-02,vv,3.tif\n",
    );
    bench.write(
        "recipe.toml",
        "id = 't'\ndescription = 'd'\n[table]\nhref = 'files.csv'\n[item]\nid = '{name}'\ndatetime = '{day}T00:00:00Z'\n\
         [assets.'{kind}']\nhref = '{file}'\ntitle = '{kind} of {name}'\n",
    );
    let said = bench.run("build recipe.toml --to c --json");
    assert_eq!((said.code, said.json()["assets"].clone()), (0, json!(3)), "{said:?}");
    assert_eq!(ids(&bench, "c"), ["a", "b"]);
    let item: Value = serde_json::from_str(&bench.run("search c --ids a --format ndjson").out).unwrap();
    assert_eq!(item["assets"]["vh"]["title"], "vh of a");
    assert!(item["assets"]["vv"]["href"].as_str().unwrap().ends_with("/x/1.tif"));
    // A row that lacks what the item needs is named with its line.
    bench.write("files.csv", "name,day,kind,file\na,2020-01-01,vv,1.tif\n,2020-01-02,vv,2.tif\n");
    let said = bench.run("build recipe.toml --to c --update");
    assert!(said.code == 1 && said.err.contains("line 3"), "{said:?}");
    bench.write("files.csv", "other\n1\n");
    bench.run("build recipe.toml --to d").could_not_run(&["files.csv", "line 2"]);
}

#[test]
fn expressions_and_globs_choose_files() {
    let bench = Bench::new();
    for name in ["tmin_1980.nc", "tmax_1980.nc", "tmin_1981.nc", "old/tmin_1979.nc", "readme.txt", "tmin_1982.nc.tmp"] {
        bench.write(&format!("archive/{name}"), "");
    }
    let recipe = "id = 'r'\ndescription = 'd'\n[listing]\nhref = 'archive'\nexclude = ['old/**']\n[item]\nid = '{year}'\n\
        datetime = '{year}-01-01T00:00:00Z'\n[assets.'{kind}']\nregex = '(?P<kind>t(min|max))_(?P<year>\\d{4})\\.nc'\n";
    bench.write("recipe.toml", recipe);
    let said = bench.run("build recipe.toml --to c --json");
    assert_eq!((said.json()["items"].clone(), said.json()["assets"].clone()), (json!(2), json!(3)), "{said:?}");
    bench.write("bad.toml", recipe.replace("(?P<kind>", "(?P<kind"));
    bench.run("build bad.toml --to d").could_not_run(&["bad.toml", "assets", "not a regular expression"]);
}

#[test]
fn documents_are_checked_and_brought_to_the_version_of_now() {
    let bench = Bench::new();
    let item = json!({"type": "Feature", "stac_version": "1.0.0", "id": "i", "geometry": null, "links": [],
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:epsg": 4326},
        "assets": {"a": {"href": "./a.tif", "raster:bands": [{"data_type": "int16"}]}}});
    let root = json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "d",
        "links": [{"rel": "item", "href": "./i.json"}]});
    bench.write("c/catalog.json", root.to_string());
    bench.write("c/i.json", item.to_string());
    let said = bench.run("validate c");
    assert!(said.code == 0 && said.err.contains("2 documents: 2 valid, 0 not"), "{said:?}");
    assert!(said.err.contains("projection/v1.1.0"), "what is not checked is said: {said:?}");
    let said = bench.run("migrate c --in-place --json");
    assert_eq!(said.json(), json!({"documents": 2, "changed": 2, "failed": 0}));
    let new: Value = serde_json::from_slice(&std::fs::read(bench.path("c/i.json")).unwrap()).unwrap();
    assert_eq!(new["properties"]["proj:code"], "EPSG:4326");
    assert_eq!(new["assets"]["a"], json!({"href": "./a.tif", "data_type": "int16"}));
    let said = bench.run("validate c --json");
    assert_eq!((said.code, said.json()["valid"].clone()), (0, json!(2)), "{said:?}");
    assert_eq!(said.json()["schemas_not_at_hand"], json!({}));
    assert_eq!(bench.run("migrate c --in-place --json").json()["changed"], 0);
    // A fault is named with its document, field and what was expected.
    bench.write("c/i.json", new.to_string().replace("\"EPSG:4326\"", "4326"));
    let said = bench.run("validate c");
    assert!(said.code == 1 && said.out.contains("c/i.json") && said.out.contains("`properties.proj:code`"), "{said:?}");
    // Items of a file go to a file.
    bench.write("old.ndjson", format!("{item}\n"));
    assert_eq!(bench.run("migrate old.ndjson -o new.json").code, 0);
    let all: Value = serde_json::from_slice(&std::fs::read(bench.path("new.json")).unwrap()).unwrap();
    assert_eq!(all["features"][0]["stac_version"], "1.1.0");
    assert_eq!(bench.run("validate new.json").code, 0);
}

#[test]
fn a_killed_build_goes_on_and_a_search_says_that_an_index_is_old() {
    let bench = Bench::new();
    bench.write(
        "recipe.toml",
        "id = 'k'\ndescription = 'd'\nlayout = '${part}'\n[variables]\npart = { from = 1, to = 20 }\n\
         n = { from = 1, to = 400 }\n[item]\nid = '{part}-{n}'\ndatetime = '2000-01-01T00:00:00Z'\n\
         properties = { part = 'p{part}' }\n[assets.a]\nhref = 'https://example.com/{part}/{n}.nc'\n",
    );
    for wait in [30, 90, 200] {
        let mut child = std::process::Command::new(BIN)
            .args(["--quiet", "build", "recipe.toml", "--to", "c"])
            .current_dir(bench.folder.path())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = bench.run("build recipe.toml --to c --index --json");
    assert_eq!((said.code, said.json()["items"].clone()), (0, json!(8000)), "{said:?}");
    assert_eq!(bench.run("search c --count").out, "8000\n");
    assert_eq!(bench.run("search c --count --no-index").out, "8000\n");
    let said = bench.run("validate c --json");
    assert_eq!((said.json()["documents"].clone(), said.json()["valid"].clone()), (json!(8021), json!(8021)));
    assert!(!bench.path(".c.outcrop.part").exists());
    let root = std::fs::read_to_string(bench.path("c/catalog.json")).unwrap();
    bench.write("c/catalog.json", root.replace("\"d\"", "\"e\""));
    let said = bench.run("search c --count");
    assert!(said.out == "8000\n" && said.err.contains("outcrop index"), "{said:?}");
    assert_eq!(bench.run("build recipe.toml --to c --update").code, 0);
    let said = bench.run("search c --count");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("8000\n", ""));
}

#[test]
fn a_file_of_items_and_a_part_of_a_catalog_become_catalogs() {
    let bench = Bench::new();
    let item = |id: &str, year: u32| {
        json!({"type": "Feature", "stac_version": "1.1.0", "id": id, "collection": "c", "links": [],
            "geometry": {"type": "Point", "coordinates": [year - 2000, 2]}, "bbox": [year - 2000, 2, year - 2000, 2],
            "properties": {"datetime": format!("{year}-01-01T00:00:00Z")}, "assets": {"a": {"href": "./a.tif"}}})
    };
    let lines = [item("a", 2001), item("b", 2002), item("d", 2002)].map(|item| item.to_string()).join("\n");
    bench.write("items.ndjson", lines);
    let said = bench.run("harvest items.ndjson --to one --layout ${year} --index --json");
    assert_eq!((said.code, said.json()["items"].clone()), (0, json!(3)), "{said:?}");
    assert!(bench.path("one/c/2002/b/b.json").exists() && bench.path("one/items.parquet").exists());
    assert_eq!(ids(&bench, "one"), ["a", "b", "d"]);
    assert_eq!(bench.run("validate one").code, 0);
    let item: Value = serde_json::from_str(&bench.run("search one --ids a --format ndjson").out).unwrap();
    assert!(item["assets"]["a"]["href"].as_str().unwrap().ends_with("/a.tif"));
    // Again a part of it, as a tree of the same shape.
    assert_eq!(bench.run("harvest one --datetime 2002 --to two --flat --id two").code, 0);
    assert!(bench.path("two/c/2002/b.json").exists() && !bench.path("two/c/2001").exists());
    let root: Value = serde_json::from_slice(&std::fs::read(bench.path("two/catalog.json")).unwrap()).unwrap();
    assert_eq!(root["id"], "two");
    bench.run("harvest one --to two").could_not_run(&["two", "not empty"]);
    let said = bench.run("harvest nowhere.ndjson --to three");
    said.could_not_run(&["nowhere.ndjson"]);
    assert!(!bench.path("three").exists() && !bench.path(".three.outcrop.part").exists());
}
