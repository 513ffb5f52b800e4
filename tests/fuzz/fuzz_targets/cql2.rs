//! Expressions of CQL2: parsed, written again, and tested on an item.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_catalog::Cql;
use outcrop_stac::RawItem;
use outcrop_store::Href;

const ITEM: &str = r#"{"type":"Feature","stac_version":"1.1.0","id":"a","collection":"c","geometry":{"type":"Point",
    "coordinates":[1,2]},"bbox":[1,2,1,2],"properties":{"datetime":"2020-01-01T00:00:00Z","eo:cloud_cover":5,"name":"x_y",
    "list":[1,"a",null],"deep":{"a":[true]}},"links":[],"assets":{}}"#;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(cql) = Cql::parse(text) else { return };
    let item = RawItem::parse(Href::parse("/i.json").expect("an href"), ITEM.into()).expect("an item");
    let _ = cql.fits(&item);
    let _ = (cql.to_json(), cql.to_text());
});
