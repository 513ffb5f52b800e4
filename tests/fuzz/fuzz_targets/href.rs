//! Href arithmetic and safe names: a relative href leads back to where it came from, a safe name is one component.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_store::{Href, safe_name};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = safe_name(text) {
        let path = std::path::Path::new(name);
        assert!(path.components().count() == 1 && path.file_name().is_some(), "{name:?} is not one name");
    }
    let Some((one, other)) = text.split_once('\n') else { return };
    let Ok(base) = Href::parse(one) else { return };
    let _ = (base.folder(), base.as_folder(), base.file_name(), base.to_path(), base.to_url(), format!("{base:?}"));
    let Ok(joined) = base.join(other) else { return };
    let _ = joined.relative_to(&base);
});
