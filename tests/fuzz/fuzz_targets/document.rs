//! STAC documents: kind, links, assets and members of whatever JSON comes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_stac::{Layout, parse};
use outcrop_store::Href;

fuzz_target!(|data: &[u8]| {
    let bytes = data.to_vec().into();
    for name in ["http://archive.example/a/catalog.json", "http://archive.example/a/items.ndjson"] {
        let href = Href::parse(name).expect("a plain href");
        let Ok(document) = parse(href, &bytes) else { continue };
        for link in document.links() {
            let _ = document.resolve(link.href);
        }
        let layout = Layout::parse("${year}/${region}").expect("a plain layout");
        let _ = layout.values(document.body());
        let _ = document.to_model();
        let _ = (document.id(), document.kind(), document.assets().count(), document.property("datetime"));
        let _ = document.into_items().take(100).filter(Result::is_ok).count();
    }
});
