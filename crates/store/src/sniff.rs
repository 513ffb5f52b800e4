//! Web pages that come in place of data: log-in forms, error pages of object stores.

const PAGES: [&str; 7] = ["html", "htm", "xhtml", "xml", "svg", "gml", "kml"];
const BINARY: [&str; 13] =
    ["nc", "nc4", "cdf", "h5", "hdf5", "hdf", "he5", "tif", "tiff", "grib", "grib2", "parquet", "zip"];

fn ends_with_one_of(name: &str, endings: &[&str]) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    endings.contains(&ending.as_str())
}

/// True for names of pages and other mark-up.
pub(crate) fn may_be_page(name: &str) -> bool {
    ends_with_one_of(name, &PAGES)
}

/// True if the first bytes of an object with this name are those of a page.
pub(crate) fn is_page(name: &str, first: &[u8]) -> bool {
    let start = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let starts = |with: &str| start.get(..with.len()).is_some_and(|part| part.eq_ignore_ascii_case(with.as_bytes()));
    let html = starts("<!doctype html") || starts("<html");
    !may_be_page(name) && (html || ends_with_one_of(name, &BINARY) && (starts("<?xml") || starts("<error")))
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn pages_are_told_from_data_by_their_first_bytes() {
        assert!(is_page("a.nc", b"\n <!DOCTYPE html><html>"));
        assert!(is_page("a.json", b"<HTML>"));
        assert!(is_page("a.tif", b"\xef\xbb\xbf<?xml version='1.0'?><Error>"));
        for (name, bytes) in [("a.nc", &b"CDF\x01"[..]), ("a.html", b"<html>"), ("a.xml", b"<?xml"), ("a.nc", b"")] {
            assert!(!is_page(name, bytes), "{name}");
        }
        assert!(!is_page("notes", b"<?xml"), "a name that says nothing may be XML");
    }
}
