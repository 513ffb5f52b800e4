//! Consolidated metadata of a whole store, gathered from its folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use outcrop_store::publish;
use serde_json::{Map, Value};

use super::marker::{self, MARKER};
use super::write::{bytes, failed, io};
use super::{ZarrFormat, metadata};
use crate::Result;

/// Deepest folder of a store that is looked at.
const MAX_DEPTH: usize = 32;

/// Gathers the metadata of all groups at the root, so that one request opens the store.
pub(super) fn consolidate(root: &Path, format: ZarrFormat) -> Result<()> {
    let (mut found, mut marked) = (BTreeMap::new(), Vec::new());
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| io(&folder, e))? {
            let entry = entry.map_err(|e| io(&folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_document = match format {
                ZarrFormat::V2 => matches!(name.as_str(), ".zarray" | ".zgroup" | ".zattrs"),
                ZarrFormat::V3 => name == "zarr.json" && !prefix.is_empty(),
            };
            if is_document {
                let text = fs::read(entry.path()).map_err(|e| io(&entry.path(), e))?;
                let document: Value = serde_json::from_slice(&text).map_err(|e| failed(&name, e))?;
                found.insert((prefix.clone(), name), document);
            } else if name == MARKER {
                marked.push(prefix.trim_end_matches('/').to_owned());
            } else if depth < MAX_DEPTH && !name.starts_with('.') && is_node(&entry.path(), format) {
                folders.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
            }
        }
    }
    marked.sort_unstable();
    let hint = marker::hint(marked.into_iter());
    let mut batch = publish::Batch::default();
    let (path, document) = match format {
        ZarrFormat::V2 => {
            let members: Map<String, Value> = found.into_iter().map(|((p, n), d)| (format!("{p}{n}"), d)).collect();
            (root.join(".zmetadata"), metadata::consolidated_v2(&members, hint))
        }
        ZarrFormat::V3 => {
            let path = root.join("zarr.json");
            let text = fs::read(&path).map_err(|e| io(&path, e))?;
            let old: Value = serde_json::from_slice(&text).map_err(|e| failed("zarr.json", e))?;
            let attrs = old["attributes"].as_object().cloned().unwrap_or_default();
            let member = |((prefix, _), document): ((String, String), Value)| {
                (prefix.trim_end_matches('/').to_owned(), without_consolidated(document))
            };
            (path, metadata::group_v3(&attrs, &found.into_iter().map(member).collect(), hint))
        }
    };
    batch.write(&path, &bytes(&document))?;
    Ok(())
}

fn without_consolidated(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.shift_remove("consolidated_metadata");
    }
    document
}

/// True for folders that are groups or arrays, so that folders of chunks are not walked.
fn is_node(path: &Path, format: ZarrFormat) -> bool {
    match format {
        ZarrFormat::V2 => path.join(".zgroup").is_file() || path.join(".zarray").is_file(),
        ZarrFormat::V3 => path.join("zarr.json").is_file(),
    }
}
