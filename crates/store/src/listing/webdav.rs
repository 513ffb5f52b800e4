//! Folders of WebDAV servers: the answer to PROPFIND with `Depth: 1` (RFC 4918, 9.1 and 13).

use quick_xml::events::{BytesRef, Event};

use super::{Entry, EntryKind, decoded};
use crate::{Error, Href, Result};

/// Most members of a folder.
const MOST: usize = 1_000_000;

/// The properties that are asked for.
pub(crate) const QUESTION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<propfind xmlns=\"DAV:\"><prop><resourcetype/>\
    <getcontentlength/><getetag/><getlastmodified/></prop></propfind>";

#[derive(Default)]
struct Member {
    href: String,
    is_folder: bool,
    size: Option<u64>,
    etag: Option<String>,
    modified: Option<String>,
}

/// The members of the folder at `href`; the folder itself is left out.
///
/// # Errors
/// [`Error::Listing`] if it is no whole multistatus, or names what is not in the folder.
pub(crate) fn read(href: &Href, bytes: &[u8]) -> Result<Vec<Entry>> {
    let bad = |why: String| Error::Listing { href: href.clone(), why };
    let text = std::str::from_utf8(bytes).map_err(|_| bad("the answer to PROPFIND is not UTF-8".into()))?;
    let members = members(text).map_err(&bad)?;
    let base = href.as_folder();
    let folder = base.to_url().map(|url| decoded(url.path())).unwrap_or_default();
    let mut entries = Vec::with_capacity(members.len().saturating_sub(1));
    for member in members {
        // Behind a proxy a server may name itself otherwise; the path tells.
        let target = base.join(&member.href)?.to_url().ok_or_else(|| bad(format!("`{}` is no URL", member.href)))?;
        let path = target.path().trim_end_matches('/');
        if decoded(path) == folder.trim_end_matches('/') {
            continue;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let plain = decoded(name);
        if decoded(above) != folder.trim_end_matches('/') || plain.contains('/') || matches!(&*plain, "" | "." | "..") {
            return Err(bad(format!("`{}` is no member of the folder", member.href)));
        }
        // `./` keeps a colon in a name from being a scheme.
        let own = base.join(&format!("./{name}"))?;
        entries.push(if member.is_folder {
            Entry::folder(own.as_folder(), plain)
        } else {
            let version = member.etag.or(member.modified);
            Entry { href: own, name: plain, kind: EntryKind::File, size: member.size, version }
        });
    }
    Ok(entries)
}

fn members(text: &str) -> std::result::Result<Vec<Member>, String> {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut path: Vec<String> = Vec::new();
    let mut value = String::new();
    let mut members: Vec<Member> = Vec::new();
    let mut is_whole = false;
    loop {
        match reader.read_event().map_err(|e| format!("malformed XML: {e}"))? {
            Event::Start(tag) => {
                begin(&mut members, &path, tag.local_name().as_ref());
                path.push(String::from_utf8_lossy(tag.local_name().as_ref()).into_owned());
                if path.len() > 16 {
                    return Err("the answer to PROPFIND is nested too deep".into());
                }
                value.clear();
            }
            Event::Empty(tag) => begin(&mut members, &path, tag.local_name().as_ref()),
            Event::Text(text) => value.push_str(&text.decode().map_err(|e| e.to_string())?),
            Event::CData(text) => value.push_str(&text.decode().map_err(|e| e.to_string())?),
            Event::GeneralRef(entity) => value.push_str(&resolved(&entity).ok_or("an entity that is not known")?),
            Event::End(_) => {
                end(&mut members, &path, value.trim())?;
                is_whole |= path.len() == 1 && path[0] == "multistatus";
                path.pop();
                value.clear();
            }
            Event::Eof => break,
            _ => {}
        }
        if members.len() > MOST {
            return Err(format!("it has more than {MOST} members"));
        }
    }
    if is_whole && path.is_empty() { Ok(members) } else { Err("it is no whole answer to PROPFIND".into()) }
}

fn begin(members: &mut Vec<Member>, path: &[String], name: &[u8]) {
    match (path.last().map(String::as_str), name) {
        (Some("multistatus"), b"response") => members.push(Member::default()),
        (Some("resourcetype"), b"collection") => {
            if let Some(member) = members.last_mut() {
                member.is_folder = true;
            }
        }
        _ => {}
    }
}

fn end(members: &mut [Member], path: &[String], value: &str) -> std::result::Result<(), String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(member) = members.last_mut().filter(|_| !value.is_empty()) else { return Ok(()) };
    match path.as_slice() {
        [_, "response", "href"] => value.clone_into(&mut member.href),
        [_, "response", "propstat", "prop", "getcontentlength"] => {
            member.size = Some(value.parse().map_err(|_| format!("`{value}` is not a size"))?);
        }
        [_, "response", "propstat", "prop", "getetag"] => member.etag = Some(value.to_owned()),
        [_, "response", "propstat", "prop", "getlastmodified"] => member.modified = Some(value.to_owned()),
        _ => {}
    }
    Ok(())
}

/// The text of an entity of XML itself.
pub(crate) fn resolved(entity: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Some(character.to_string());
    }
    let name = entity.decode().ok()?;
    quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\">\
        <d:response><d:href>/data/x%20y/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop>\
        <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>\
        <d:response><d:href>http://inner/data/x%20y/a%26b%3A.nc</d:href><d:propstat><d:prop><d:resourcetype/>\
        <d:getcontentlength>12</d:getcontentlength><d:getetag>&quot;e&quot;</d:getetag>\
        <d:getlastmodified>Mon, 12 Jan 1998 09:25:56 GMT</d:getlastmodified></d:prop></d:propstat>\
        <d:propstat><d:prop><d:quota/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>\
        <d:response><d:href>/data/x y/sub</d:href><d:propstat><d:prop><d:resourcetype><d:collection></d:collection>\
        </d:resourcetype></d:prop></d:propstat></d:response></d:multistatus>";

    fn folder() -> Href {
        Href::parse("https://h/data/x%20y").unwrap()
    }

    #[test]
    fn members_of_a_folder_are_read() {
        let entries = read(&folder(), ANSWER.as_bytes()).unwrap();
        let rows: Vec<_> = entries.iter().map(|e| (e.href.as_str(), e.name.as_str(), e.kind, e.size)).collect();
        let want = [
            ("https://h/data/x%20y/a%26b%3A.nc", "a&b:.nc", EntryKind::File, Some(12)),
            ("https://h/data/x%20y/sub/", "sub", EntryKind::Folder, None),
        ];
        assert_eq!(rows, want);
        assert_eq!(entries[0].version.as_deref(), Some("\"e\""));
    }

    #[test]
    fn what_is_elsewhere_or_cut_is_refused() {
        for (from, to) in [
            ("/data/x%20y/a%26b%3A.nc", "/data/a.nc"),
            ("a%26b%3A.nc", "a%2Fb.nc"),
            ("a%26b%3A.nc", "..%2f..%2fb.nc"),
            (">12<", ">twelve<"),
            ("</d:multistatus>", ""),
            ("d:multistatus", "d:other"),
        ] {
            let answer = ANSWER.replace(from, to);
            assert!(matches!(read(&folder(), answer.as_bytes()), Err(Error::Listing { .. })), "{to}");
        }
    }

    #[test]
    fn damaged_answers_do_not_panic() {
        for at in 0..ANSWER.len() {
            let _ = read(&folder(), &ANSWER.as_bytes()[..at]);
            let mut bytes = ANSWER.as_bytes().to_vec();
            bytes[at] ^= 0x11;
            let _ = read(&folder(), &bytes);
        }
    }
}
