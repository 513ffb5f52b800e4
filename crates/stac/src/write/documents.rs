//! The documents of a catalog as they are written: their links, and for items that come as bytes all else as it is.

use std::path::PathBuf;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::members::Member;
use super::{TreeWriter, is_plain, item_href};
use crate::document::{STRUCTURE, kept_links};
use crate::published::{Linker, document_href};
use crate::tokens::in_lines;
use crate::{Body, Error, Kind, Published, RawItem, Result};

/// No links, in a document in lines: a line break with two spaces stands only before its own fields.
const NO_LINKS: &[u8] = b"\n  \"links\": []";

/// The links that lead from the items of a folder to what is above them, and where their files lie.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) links: Vec<Value>,
    /// Id of the collection above.
    pub(super) collection: Option<Value>,
    pub(super) files: PathBuf,
}

impl TreeWriter {
    /// What the items of a folder have alike; made with the first of them.
    pub(super) fn common(&mut self, folder: usize) -> Result<Common> {
        if let Some(common) = &self.folders[folder].common {
            return Ok(common.clone());
        }
        let here = &self.folders[folder];
        // Relative links are the same for every id.
        let own = item_href(&self.base, (&here.path, "x"), &self.options)?;
        let linker = Linker { published: self.options.published, own: &own };
        let mut links = vec![linker.link("root", &self.folder_href(0)?, self.folders[0].kind)];
        links.push(linker.link("parent", &self.folder_href(folder)?, here.kind));
        let above = self.collection_above(folder);
        if let Some(collection) = above {
            links.push(linker.link("collection", &self.folder_href(collection)?, Kind::Collection));
        }
        let collection = above.map(|at| self.folders[at].body.get("id").cloned().unwrap_or_default());
        let ids: Vec<&str> = here.path.iter().map(String::as_str).collect();
        let document = document_href(&self.options.to, &ids, Kind::Catalog)?.to_path().unwrap_or_default();
        let files = document.parent().map(PathBuf::from).unwrap_or_default();
        let common = Common { links, collection, files };
        self.folders[folder].common = Some(common.clone());
        Ok(common)
    }

    pub(super) fn linked_item(&mut self, folder: usize, id: &str, mut item: Body) -> Result<Body> {
        let Common { mut links, collection, .. } = self.common(folder)?;
        let kept = kept_links(&item);
        let above = collection.is_some();
        if let Some(id) = collection {
            item.insert("collection".into(), id);
        } else if !kept.iter().any(|link| link["rel"] == "collection") {
            item.remove("collection");
        }
        links.extend(kept.into_iter().filter(|link| !above || link["rel"] != "collection"));
        if self.options.published == Published::Absolute {
            let own = item_href(&self.base, (&self.folders[folder].path, id), &self.options)?;
            links.extend(Linker { published: self.options.published, own: &own }.own_link(&self.folder_href(0)?));
        }
        item.insert("links".into(), Value::Array(links));
        Ok(item)
    }

    /// The JSON of an item with its new links; `None` where a tree has to be made for it.
    pub(super) fn linked_json(&mut self, folder: usize, id: &str, item: &RawItem) -> Result<Option<Vec<u8>>> {
        let Common { links, collection, .. } = self.common(folder)?;
        let Ok(old) = item.links().map(serde_json::from_str::<Vec<&RawValue>>).transpose() else { return Ok(None) };
        let rel_of = |link: &RawValue| {
            serde_json::from_str::<Value>(link.get()).ok().and_then(|link| Some(link.get("rel")?.as_str()?.to_owned()))
        };
        let mut all: Vec<String> = links.iter().map(Value::to_string).collect();
        let mut names_collection = false;
        for link in old.unwrap_or_default() {
            let rel = rel_of(link).unwrap_or_default();
            names_collection |= rel == "collection";
            if !(STRUCTURE.contains(&rel.as_str()) || collection.is_some() && rel == "collection") {
                all.push(link.get().to_owned());
            }
        }
        if collection.is_none() && item.collection().is_some() && !names_collection {
            return Ok(None);
        }
        if self.options.published == Published::Absolute {
            let own = item_href(&self.base, (&self.folders[folder].path, id), &self.options)?;
            let link = Linker { published: self.options.published, own: &own }.own_link(&self.folder_href(0)?);
            all.extend(link.map(|link| link.to_string()));
        }
        let links = format!("[{}]", all.join(","));
        let collection = collection.as_ref().and_then(Value::as_str);
        Ok(item.with_links(&links, collection).map(|json| in_lines(&json, 0)))
    }

    /// The document of a folder. No tree is made of its links, of which there may be a million.
    pub(super) fn folder_json(&self, at: usize) -> Result<Vec<u8>> {
        let (own, root) = (self.folder_href(at)?, self.folder_href(0)?);
        let folder = &self.folders[at];
        let linker = Linker { published: self.options.published, own: &own };
        let mut body = folder.body.clone();
        let others = kept_links(&body);
        body.insert("links".into(), Value::Array(Vec::new()));
        let json = self.json(&body)?;
        let split = memchr::memmem::find(&json, NO_LINKS).map_or(json.len(), |at| at + NO_LINKS.len() - 1);
        let (head, tail) = json.split_at(split);
        let mut out = Vec::with_capacity(json.len() + 128 * folder.members.len());
        out.extend_from_slice(head);
        let mut is_first = true;
        let mut push = |link: &[u8]| {
            out.extend_from_slice(if std::mem::take(&mut is_first) { b"\n    " } else { b",\n    " });
            out.extend_from_slice(link);
        };
        push(&in_lines(linker.link("root", &root, self.folders[0].kind).to_string().as_bytes(), 2));
        for member in folder.members.iter() {
            push(&in_lines(self.member_link(at, &member, &linker)?.to_string().as_bytes(), 2));
        }
        let parent = folder.parent.map(|parent| Ok::<_, Error>((self.folder_href(parent)?, self.folders[parent].kind)));
        if let Some((parent, kind)) = parent.transpose()? {
            push(&in_lines(linker.link("parent", &parent, kind).to_string().as_bytes(), 2));
        }
        for link in others.iter().chain(&linker.own_link(&root)) {
            push(&in_lines(link.to_string().as_bytes(), 2));
        }
        out.extend_from_slice(b"\n  ");
        out.extend_from_slice(tail);
        Ok(out)
    }

    pub(super) fn member_link(&self, at: usize, member: &Member<'_>, linker: &Linker<'_>) -> Result<Value> {
        let folder = &self.folders[at];
        Ok(match member {
            Member::Catalog(child) => linker.link("child", &self.folder_href(*child)?, self.folders[*child].kind),
            Member::Item(id) if is_plain(id) && self.options.published != Published::Absolute => {
                let place = if self.options.flat { String::new() } else { format!("{id}/") };
                json!({"rel": "item", "href": format!("./{place}{id}.json"), "type": Kind::Item.media_type()})
            }
            Member::Item(id) => {
                linker.link("item", &item_href(&self.base, (&folder.path, id), &self.options)?, Kind::Item)
            }
        })
    }

    pub(super) fn json(&self, body: &Body) -> Result<Vec<u8>> {
        let href = &self.options.to;
        serde_json::to_vec_pretty(body).map_err(|e| Error::Write {
            href: href.clone(),
            source: outcrop_store::Error::Io { action: "write", href: href.clone(), source: e.into() },
        })
    }
}
