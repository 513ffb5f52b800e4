//! What headers say of time and of properties.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use outcrop_catalog::{BuildOptions, BuildReport, Error, Recipe, build};
use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{AttrValue, Attrs, DType};
use outcrop_store::{Href, Store, StoreOptions};
use serde_json::{Value, json};

fn text(text: &str) -> AttrValue {
    AttrValue::Text(text.to_owned())
}

/// A file with times in days and, where there are any, their bounds.
fn timed(path: &Path, times: &[f64], bounds: &[[f64; 2]]) {
    let attrs: Attrs = [
        ("institution".to_owned(), text("here")),
        ("levels".to_owned(), AttrValue::Int(vec![1, 2])),
        ("depth".to_owned(), AttrValue::Float32(vec![0.1])),
    ]
    .into_iter()
    .collect();
    let mut writer = Writer::create(path, &attrs).unwrap();
    writer.add_dim("time", times.len() as u64).unwrap();
    writer.add_dim("nv", 2).unwrap();
    let mut add = |name: &str, dims: &[&str], attrs: &[(&str, &str)]| {
        let spec = VariableSpec {
            name: name.to_owned(),
            dims: dims.iter().map(|dim| (*dim).to_owned()).collect(),
            dtype: DType::Float64,
            chunk: None,
            deflate: None,
            fill: None,
            attrs: attrs.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
        };
        writer.add_variable(&spec).unwrap();
    };
    add("time", &["time"], &[("units", "days since 2000-01-01"), ("bounds", "time_bnds"), ("standard_name", "time")]);
    if !bounds.is_empty() {
        add("time_bnds", &["time", "nv"], &[]);
    }
    add("gain", &[], &[]);
    add("v", &["time"], &[("instrument", "probe")]);
    let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
    writer.write("time", &bytes(times)).unwrap();
    if !bounds.is_empty() {
        writer.write("time_bnds", &bytes(&bounds.concat())).unwrap();
    }
    writer.write("gain", &bytes(&[2.5])).unwrap();
    writer.finish().unwrap();
}

fn recipe(archive: &Path, more: &str) -> Result<Recipe, Error> {
    let text = format!(
        "id = 'c'\ndescription = 'd'\nflat = true\n[listing]\nhref = '{}'\n[assets.data]\npattern = '{{name}}.{{kind}}'\n{more}",
        archive.display()
    );
    Recipe::parse("r.toml", &text)
}

const ITEM: &str = "[item]\nid = '{name}-{kind}'\nbbox = [0, 0, 1, 1]\n";

fn built(archive: &Path, more: &str) -> (tempfile::TempDir, BuildReport) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let to = tempfile::tempdir().unwrap();
    let recipe = recipe(archive, more).unwrap();
    let report = store.wait(build(&store, &recipe, &Href::from_path(to.path()), &BuildOptions::default())).unwrap();
    (to, report)
}

/// The properties of an item of a catalog.
fn properties(to: &tempfile::TempDir, id: &str) -> Value {
    let item: Value = serde_json::from_slice(&std::fs::read(to.path().join(format!("{id}.json"))).unwrap()).unwrap();
    item["properties"].clone()
}

#[test]
fn bounds_of_time_are_its_start_and_end() {
    let archive = tempfile::tempdir().unwrap();
    let put = |name: &str, times: &[f64], bounds: &[[f64; 2]]| {
        timed(&archive.path().join(format!("{name}.nc")), times, bounds);
    };
    put("year", &[15.5, 45.5, 75.5], &[[0.0, 31.0], [31.0, 60.0], [60.0, 91.0]]);
    put("falling", &[1.5, 0.5], &[[2.0, 1.0], [1.0, 0.0]]);
    put("month", &[15.5], &[[0.0, 31.0]]);
    put("moment", &[15.5], &[]);
    put("elsewhere", &[15.5, 45.5], &[[0.0, 0.0], [0.0, 0.0]]);
    let (to, report) = built(archive.path(), &format!("{ITEM}[headers]\nfields = ['datetime']\n"));
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let span = |start: &str, end: &str| json!({"datetime": null, "start_datetime": start, "end_datetime": end});
    assert_eq!(properties(&to, "year-nc"), span("2000-01-01T00:00:00Z", "2000-04-01T00:00:00Z"));
    assert_eq!(properties(&to, "falling-nc"), span("2000-01-01T00:00:00Z", "2000-01-03T00:00:00Z"));
    let mut month = span("2000-01-01T00:00:00Z", "2000-02-01T00:00:00Z");
    month["datetime"] = "2000-01-16T12:00:00Z".into();
    assert_eq!(properties(&to, "month-nc"), month);
    assert_eq!(properties(&to, "moment-nc"), json!({"datetime": "2000-01-16T12:00:00Z"}));
    // Bounds that are not around their times are none.
    assert_eq!(properties(&to, "elsewhere-nc"), span("2000-01-16T12:00:00Z", "2000-02-15T12:00:00Z"));
}

#[test]
fn attributes_become_properties() {
    let archive = tempfile::tempdir().unwrap();
    timed(&archive.path().join("a.nc"), &[1.0], &[]);
    let more = format!(
        "{ITEM}datetime = '2000-01-01T00:00:00Z'\nproperties = {{ place = 'there' }}\n[headers.properties]\n\
         institution = 'institution'\nlevels = 'levels'\ndepth_m = 'depth'\ninstrument = 'v:instrument'\n\
         'x:instrument' = 'instrument'\ngain = 'gain'\nplace = 'institution'\n"
    );
    let (to, report) = built(archive.path(), &more);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(
        properties(&to, "a-nc"),
        json!({"datetime": "2000-01-01T00:00:00Z", "institution": "here", "levels": [1, 2], "depth_m": 0.1, "instrument": "probe",
            "x:instrument": "probe", "gain": 2.5, "place": "there"})
    );
}

#[test]
fn settings_of_das_files_become_properties() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/fixtures");
    let archive = tempfile::tempdir().unwrap();
    for name in ["das_prodml.h5", "das_silixa.h5", "das_terra15.h5", "das_plain.h5"] {
        std::fs::copy(fixtures.join(name), archive.path().join(name)).unwrap();
    }
    let more = format!(
        "{ITEM}[headers]\nfields = ['datetime']\nproperties = {{ gauge_length_m = 'gauge_length', layout = 'das_layout' }}\n"
    );
    let (to, report) = built(archive.path(), &more);
    for (name, layout) in [("das_prodml", "ProdML"), ("das_silixa", "Silixa iDAS"), ("das_terra15", "Terra15")] {
        let properties = properties(&to, &format!("{name}-h5"));
        assert_eq!((&properties["gauge_length_m"], &properties["layout"]), (&json!(8.0), &json!(layout)));
    }
    // A file that does not say it makes no item, and is named.
    let [failed] = report.failed.as_slice() else { panic!("{:?}", report.failed) };
    assert_eq!(failed.what, "das_plain-h5");
    let why = failed.why.to_string();
    assert!(
        why.contains("none of its files has an attribute `gauge_length` for the property `gauge_length_m`"),
        "{why}"
    );
}

#[test]
fn files_of_an_item_that_differ_say_so() {
    let archive = tempfile::tempdir().unwrap();
    for (name, moment) in [("a.nc", 1.0), ("a.cdf", 1.0)] {
        timed(&archive.path().join(name), &[moment], &[]);
    }
    let path: PathBuf = archive.path().join("a.cdf");
    let mut writer =
        Writer::create(&path, &[("institution".to_owned(), text("elsewhere"))].into_iter().collect()).unwrap();
    writer.add_dim("x", 1).unwrap();
    writer.finish().unwrap();
    let text = format!(
        "id = 'c'\ndescription = 'd'\n[listing]\nhref = '{}'\n[assets.'{{kind}}']\npattern = '{{name}}.{{kind}}'\n[item]\nid = '{{name}}'\n\
         datetime = '2000-01-01T00:00:00Z'\n[headers.properties]\ninstitution = 'institution'\n",
        archive.path().display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let to = tempfile::tempdir().unwrap();
    let recipe = Recipe::parse("r.toml", &text).unwrap();
    let report = store.wait(build(&store, &recipe, &Href::from_path(to.path()), &BuildOptions::default())).unwrap();
    let [failed] = report.failed.as_slice() else { panic!("{:?}", report.failed) };
    let why = failed.why.to_string();
    assert!(why.contains("`institution` is \"elsewhere\" in asset `cdf` and \"here\" in `nc`"), "{why}");
}

#[test]
fn an_item_ends_so_long_after_its_start() {
    let archive = tempfile::tempdir().unwrap();
    for name in ["20000131.30", "20000131.x"] {
        std::fs::write(archive.path().join(name), "x").unwrap();
    }
    let item = "[item]\nid = '{name}-{kind}'\nstart = '2000-01-31T00:00:00Z'\n";
    let (to, report) = built(archive.path(), &format!("{item}length = 'PT{{kind}}S'\n"));
    let expected =
        json!({"datetime": null, "start_datetime": "2000-01-31T00:00:00Z", "end_datetime": "2000-01-31T00:00:30Z"});
    assert_eq!(properties(&to, "20000131-30"), expected);
    let [failed] = report.failed.as_slice() else { panic!("{:?}", report.failed) };
    assert!(failed.why.to_string().contains("`PTxS` is not a duration that can follow 2000-01-31"), "{}", failed.why);
    let (to, _) = built(archive.path(), &format!("{item}length = 'P1M'\n"));
    assert_eq!(properties(&to, "20000131-30")["end_datetime"], "2000-02-29T00:00:00Z");
    for (more, why) in [
        (format!("{item}length = '1 day'\n"), "`1 day` is not a duration"),
        (format!("{item}end = '2001-01-01T00:00:00Z'\nlength = 'P1D'\n"), "not both"),
        (item.to_owned(), "come together"),
        ("[item]\nid = '{name}-{kind}'\nlength = 'P1D'\n".to_owned(), "come together"),
        (format!("{item}length = 'P1D'\n[headers.properties]\nend_datetime = 'x'\n"), "a time comes from"),
    ] {
        let error = recipe(archive.path(), &more).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
