//! Catalogs of THREDDS servers (`catalog.xml`).

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::Entry;
use crate::{Error, Href, Result};

/// Path below the service, name and exact size of a dataset.
type Dataset = (String, String, Option<u64>);

/// Datasets with a `urlPath` become files below the HTTPServer service, `catalogRef`s become folders.
pub(super) fn read(href: &Href, xml: &str) -> Result<Vec<Entry>> {
    let bad = |why: String| Error::Listing { href: href.clone(), why };
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut base: Option<String> = None;
    let mut entries: Vec<Dataset> = Vec::new();
    let mut folders = Vec::new();
    let mut unit: Option<f64> = None;
    loop {
        let event = reader.read_event().map_err(|e| bad(format!("malformed XML: {e}")))?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                b"service" if attr(tag, "serviceType").is_some_and(|kind| kind.eq_ignore_ascii_case("HTTPServer")) => {
                    base = base.or(attr(tag, "base"));
                }
                b"dataset" => {
                    if let Some(path) = attr(tag, "urlPath") {
                        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                        entries.push((path, name, None));
                    }
                }
                b"catalogRef" => {
                    folders.extend(attr(tag, "href").map(|to| (to, attr(tag, "title").or(attr(tag, "name")))));
                }
                b"dataSize" => unit = attr(tag, "units").and_then(|units| bytes_per(&units)),
                _ => {}
            },
            Event::Text(text) => {
                if let (Some(unit), Some(last)) = (unit.take(), entries.last_mut()) {
                    let number = text.decode().ok().and_then(|text| text.trim().parse::<f64>().ok());
                    // Only whole bytes are exact; `1.3 Gbytes` is rounded.
                    last.2 = number
                        .filter(|n| (unit - 1.0).abs() < f64::EPSILON && n.fract() == 0.0 && *n >= 0.0)
                        .map(whole);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let base = base.unwrap_or_else(|| "/thredds/fileServer/".to_owned());
    let mut out = Vec::with_capacity(entries.len() + folders.len());
    for (path, name, size) in entries {
        let target = href.join(&format!("{}/{path}", base.trim_end_matches('/')))?;
        out.push(Entry::file(target, name, size));
    }
    for (to, title) in folders {
        let name = title.unwrap_or_else(|| to.clone());
        out.push(Entry::folder(href.join(&to)?, name));
    }
    Ok(out)
}

fn attr(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == name.as_bytes())?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

fn bytes_per(units: &str) -> Option<f64> {
    match units.to_ascii_lowercase().as_str() {
        "bytes" => Some(1.0),
        "kbytes" => Some(1e3),
        "mbytes" => Some(1e6),
        "gbytes" => Some(1e9),
        "tbytes" => Some(1e12),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
fn whole(number: f64) -> u64 {
    number as u64
}
