//! Where and when the cells of a file are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use outcrop_catalog::{Survey, survey};
use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{AttrValue, Attrs, DType, Opened};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::shared_data;

fn of(path: &Path) -> Result<Survey, String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let opened = store.wait(Opened::open(&store, &Href::from_path(path))).unwrap();
    store.wait(survey(opened)).map_err(|e| {
        let cause = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
        format!("{e}: {cause}")
    })
}

/// Two columns and three rows of Daymet's projection, labelled in these units.
fn projected(path: &Path, units: &str, labels: [[f64; 3]; 2]) {
    let mut writer = Writer::create(path, &Attrs::new()).unwrap();
    writer.add_dim("y", 3).unwrap();
    writer.add_dim("x", 3).unwrap();
    let text = |text: &str| AttrValue::Text(text.to_owned());
    let mut add = |name: &str, dims: &[&str], attrs: Vec<(&str, AttrValue)>| {
        let spec = VariableSpec {
            name: name.to_owned(),
            dims: dims.iter().map(|d| (*d).to_owned()).collect(),
            dtype: DType::Float64,
            chunk: None,
            deflate: None,
            fill: None,
            attrs: attrs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        writer.add_variable(&spec).unwrap();
    };
    for (name, standard) in [("x", "projection_x_coordinate"), ("y", "projection_y_coordinate")] {
        add(name, &[name], vec![("standard_name", text(standard)), ("units", text(units))]);
    }
    let number = |n: f64| AttrValue::Float64(vec![n]);
    let lcc = vec![
        ("grid_mapping_name", text("lambert_conformal_conic")),
        ("standard_parallel", AttrValue::Float64(vec![25.0, 60.0])),
        ("longitude_of_central_meridian", number(-100.0)),
        ("latitude_of_projection_origin", number(42.5)),
        ("false_easting", number(0.0)),
        ("false_northing", number(0.0)),
        ("semi_major_axis", number(6_378_137.0)),
        ("inverse_flattening", number(298.257_223_563)),
    ];
    add("crs", &[], lcc);
    add("v", &["y", "x"], vec![("grid_mapping", text("crs"))]);
    for (name, labels) in ["x", "y"].into_iter().zip(labels) {
        writer.write(name, &labels.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn coordinates_in_kilometres_are_kilometres() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // The cell of Daymet at 85 W, 40 N.
    projected(&at("m.nc"), "m", [[1_216_250.0, 1_217_250.0, 1_218_250.0], [-154_500.0, -155_500.0, -156_500.0]]);
    projected(&at("km.nc"), "km", [[1216.25, 1217.25, 1218.25], [-154.5, -155.5, -156.5]]);
    projected(&at("K.nc"), "K", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]);
    let (metres, kilometres) = (of(&at("m.nc")).unwrap(), of(&at("km.nc")).unwrap());
    assert_eq!(metres.plane, Some([1_215_750.0, -157_000.0, 1_218_750.0, -154_000.0]));
    assert_eq!(kilometres.plane, metres.plane);
    let [west, south, east, north] = kilometres.bbox.unwrap();
    assert!(west < -85.0 && -85.0 < east && south < 40.0 && 40.0 < north, "{west} {south} {east} {north}");
    let why = of(&at("K.nc")).unwrap_err();
    assert!(why.contains("coordinate `x` of a projection") && why.contains("units `K`"), "{why}");
}

#[test]
fn a_real_file_in_kilometres_lies_where_it_is() {
    let Some(folder) = shared_data("real/daymet") else { return };
    let found = of(&folder.join("tmax_monavg_2000_ncss.nc")).unwrap();
    let [west, south, east, north] = found.bbox.unwrap();
    assert!(-88.0 < west && east < -82.0 && 38.0 < south && north < 42.0, "{west} {south} {east} {north}");
}
