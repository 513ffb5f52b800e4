//! Zarr groups: those that xarray wrote, and our own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use outcrop_formats::zarr::{self, ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{npz, shared_data};

fn store() -> (tokio::runtime::Runtime, Store) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    (runtime, store)
}

#[test]
fn groups_that_xarray_wrote_have_its_values() {
    let Some(folder) = shared_data("golden/e_spring") else { return };
    // The file has the mean of the plants as a fourth one.
    let want = npz::<f64>(&folder.join("daymet_want.npz"), "first_leaf");
    let (_runtime, store) = store();
    for name in ["spring_v2.zarr", "spring_v3.zarr"] {
        let zarr = zarr::open(&store, &Href::from_path(&folder.join(name))).unwrap();
        let info = zarr.array("1981/first-leaf").unwrap();
        assert_eq!(info.dims, ["plant", "y", "x"]);
        assert_eq!(info.chunk, [1, 2, 3]);
        assert!(info.fill.is_some_and(f64::is_nan));
        let got = zarr.read_f64("1981/first-leaf").unwrap();
        assert_eq!(outcrop_testkit::difference(&got, &want.as_slice().unwrap()[..60], 0.0, 0.0), None, "{name}");
        let plants = zarr.read_text("1981/plant").unwrap();
        assert_eq!(plants.len(), 3);
        assert!(plants.iter().any(|p| p == "lilac"), "{plants:?}");
        assert!(zarr.groups.contains_key("1981"));
    }
}

fn spec(name: &str, dims: &[&str], shape: &[u64], chunk: &[u64], dtype: Element) -> ArraySpec {
    let dims = dims.iter().map(|d| (*d).to_owned()).collect();
    let attrs = Attrs::from_iter([("units".to_owned(), AttrValue::Text("1".into()))]);
    let (shape, chunk) = (shape.to_vec(), chunk.to_vec());
    let compression = ZarrCompression::Default;
    ArraySpec { name: name.into(), dims, shape, chunk, shard: None, dtype, compression, fill: None, attrs }
}

fn write(root: &Path, format: ZarrFormat, value: f64) -> GroupWriter {
    let mut writer = GroupWriter::create(root, "1980", format, &Attrs::new()).unwrap();
    writer
        .add_array(&spec("leaf", &["plant", "y", "x"], &[2, 3, 5], &[1, 2, 3], Element::Number(DType::Float64)))
        .unwrap();
    writer.add_array(&spec("plant", &["plant"], &[2], &[2], Element::Text { chars: 12 })).unwrap();
    writer.write_text("plant", &["lilac".into(), "zabelli é".into()]).unwrap();
    std::thread::scope(|scope| {
        for plant in 0..2u64 {
            let writer = &writer;
            scope.spawn(move || {
                // The last column of chunks is given cut; the chunk at (0, 1, 0) is never written.
                writer.write_chunk("leaf", &[plant, 0, 0], &[value; 6]).unwrap();
                writer.write_chunk("leaf", &[plant, 0, 1], &[value + 1.0; 4]).unwrap();
                writer.write_chunk("leaf", &[plant, 1, 1], &[value + 2.0, value + 3.0]).unwrap();
            });
        }
    });
    writer
}

#[test]
fn a_group_appears_whole_and_replaces_the_old_one() {
    let (_runtime, store) = store();
    for format in [ZarrFormat::V2, ZarrFormat::V3] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a.zarr");
        drop(write(&root, format, 7.0));
        assert!(!root.exists(), "a dropped writer leaves nothing");
        write(&root, format, 1.0).finish().unwrap();
        let unfinished = write(&root, format, 2.0);
        let href = Href::from_path(&root);
        let read = || zarr::open(&store, &href).unwrap().read_f64("1980/leaf").unwrap();
        assert_eq!(read()[0].to_bits(), 1f64.to_bits());
        unfinished.finish().unwrap();
        let nan = f64::NAN;
        let plant = [2.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0, 2.0, 3.0, 3.0, nan, nan, nan, 4.0, 5.0];
        let want: Vec<f64> = plant.iter().chain(&plant).copied().collect();
        assert_eq!(outcrop_testkit::difference(&read(), &want, 0.0, 0.0), None);
        let zarr = zarr::open(&store, &href).unwrap();
        assert_eq!(zarr.read_text("1980/plant").unwrap(), ["lilac", "zabelli é"]);
        assert_eq!(zarr.array("1980/leaf").unwrap().attrs["units"], AttrValue::Text("1".into()));
        // The group alone opens too, and without consolidated metadata.
        assert!(zarr::open(&store, &Href::from_path(&root.join("1980"))).unwrap().read_f64("leaf").is_ok());
        for name in [".zmetadata", "1980/.zmetadata"] {
            let _ = std::fs::remove_file(root.join(name));
        }
        assert_eq!(outcrop_testkit::difference(&read(), &want, 0.0, 0.0), None);
        let hidden = |name: &str| name.contains(".part");
        let left = std::fs::read_dir(&root).unwrap().any(|e| hidden(&e.unwrap().file_name().to_string_lossy()));
        assert!(!left, "no part is left");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(GroupWriter::create(dir.path(), "../x", ZarrFormat::V3, &Attrs::new()).is_err());
    let writer = write(dir.path(), ZarrFormat::V3, 0.0);
    assert!(writer.write_chunk("leaf", &[0, 0, 0], &[0f32; 6]).is_err());
    assert!(writer.write_chunk("leaf", &[0, 0, 0], &[0f64; 5]).is_err());
    assert!(writer.write_chunk("leaf", &[0, 0, 2], &[0f64; 6]).is_err());
    assert!(writer.write_chunk("none", &[0], &[0f64; 6]).is_err());
    assert!(writer.write_text("plant", &["a text that is too long".into(), String::new()]).is_err());
}
