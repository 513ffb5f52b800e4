//! Index pages and THREDDS catalogs: every member lies below a folder that was asked for, or is an HTTP href.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_store::{Href, parse_listing};

fuzz_target!(|data: &[u8]| {
    let href = Href::parse("http://archive.example/data/").expect("a plain href");
    for media in ["", "text/html", "application/xml"] {
        let Ok(entries) = parse_listing(&href, data, media) else { continue };
        for entry in entries {
            assert!(!entry.href.is_local(), "a remote listing names the local {}", entry.href);
        }
    }
});
