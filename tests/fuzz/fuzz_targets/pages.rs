//! Pages of STAC APIs, and catalogs of very many links: as trees and without.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_stac::api::parse_page;
use outcrop_stac::{parse, parse_catalog};
use outcrop_store::{Href, Request};

fuzz_target!(|data: &[u8]| {
    let href = Href::parse("https://archive.example/search").expect("a plain href");
    let bytes = data.to_vec().into();
    let request = Request::post(&href, r#"{"limit": 10}"#.to_owned());
    if let Ok((items, Some(next))) = parse_page(&request, &bytes) {
        assert!(next.href.starts_with("http"), "the next page is at {}", next.href);
        let _ = items.into_iter().flatten().map(|item| item.to_portable().is_ok()).filter(|ok| *ok).count();
    }
    let cut = parse_catalog(&href, data);
    // What is read without the tree of its links is read with it.
    if let (Ok(tree), Ok(cut)) = (parse(href, &bytes), cut) {
        let down = |rel: &str| matches!(rel, "child" | "item");
        let want = tree.links().filter(|link| down(link.rel)).count();
        assert_eq!((want, cut.links().filter(|link| down(link.rel)).count()), (cut.cut_links(), 0));
        assert_eq!((cut.id(), cut.kind()), (tree.id(), tree.kind()));
    }
});
