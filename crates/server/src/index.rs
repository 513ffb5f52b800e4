//! Index pages of folders.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'&');

/// The folder below `root` that a request path names, if it is one; links do not lead out of `root`.
pub(crate) async fn folder(root: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?.into_owned();
    let relative = PathBuf::from(decoded.trim_start_matches('/'));
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let found = tokio::fs::canonicalize(root.join(relative)).await.ok()?;
    (found.starts_with(root) && found.is_dir()).then_some(found)
}

/// The page of a folder; a path without a slash at the end is sent to the one with it.
pub(crate) async fn page(folder: &Path, path: &str) -> Response {
    if !path.ends_with('/') {
        return Redirect::permanent(&format!("{path}/")).into_response();
    }
    match entries(folder).await {
        Ok(entries) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], render(path, &entries)).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Names (folders with a slash) and sizes in bytes, sorted.
async fn entries(folder: &Path) -> std::io::Result<Vec<(String, Option<u64>)>> {
    let mut entries = Vec::new();
    let mut reader = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = reader.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let meta = entry.metadata().await?;
        entries.push(if meta.is_dir() { (format!("{name}/"), None) } else { (name, Some(meta.len())) });
    }
    entries.sort();
    Ok(entries)
}

fn render(path: &str, entries: &[(String, Option<u64>)]) -> String {
    let title = escape(&percent_decode_str(path).decode_utf8_lossy());
    let mut page = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Index of {title}</title></head>\n\
         <body><h1>Index of {title}</h1><hr><pre><a href=\"../\">../</a>\n"
    );
    for (name, size) in entries {
        let href = utf8_percent_encode(name, ESCAPED);
        let pad = 60usize.saturating_sub(name.chars().count());
        let size = size.map_or("-".to_owned(), |size| size.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<a href=\"./{href}\">{}</a>{:pad$} {size:>16}", escape(name), "");
    }
    page.push_str("</pre><hr></body></html>\n");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
