//! Files of WebDAV servers (RFC 4918): sent under a hidden name, then renamed.

use bytes::Bytes;
use futures::stream;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Open;
use crate::http::Change;
use crate::{Error, Href, Result, Store};

/// Parts that wait for the connection.
const WAITING: usize = 2;

/// A file that is sent as it comes.
#[derive(Debug)]
pub(super) struct Flow {
    store: Store,
    href: Href,
    hidden: Href,
    parts: Option<mpsc::Sender<std::io::Result<Bytes>>>,
    task: Option<JoinHandle<Result<()>>>,
    is_done: bool,
    _open: Open,
}

/// The name of a file before it is whole.
fn hidden(href: &Href) -> Result<Href> {
    let name = href.file_name().unwrap_or_default();
    href.join(&format!("./.{name}.outcrop.part"))
}

/// True if both are of one origin, where one request can copy.
pub(super) fn is_same_origin(store: &Store, from: &Href, to: &Href) -> Result<bool> {
    if from.is_local() || to.is_local() {
        return Ok(false);
    }
    let origin = |href: &Href| store.located(href).map(|place| place.to_url().map(|url| url.origin()));
    Ok(matches!((origin(from)?, origin(to)?), (Some(from), Some(to)) if from == to))
}

fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap_or_default()
}

/// Sends a change, and makes the folders of the file if they are missing.
async fn in_folders(store: &Store, change: &Change<'_>) -> Result<()> {
    let response = store.http.change(change, |status| matches!(status, 404 | 409)).await?;
    if response.status().is_success() {
        return Ok(());
    }
    make_folders(store, change.href).await?;
    store.http.change(change, |_| false).await.map(|_| ())
}

/// Makes the folders of a file, from the lowest that is there on.
async fn make_folders(store: &Store, href: &Href) -> Result<()> {
    let mut missing = Vec::new();
    let mut folder = href.folder();
    loop {
        let change = Change { href: &folder, method: method("MKCOL"), headers: HeaderMap::new(), body: None };
        // 405: it is there.
        let response = store.http.change(&change, |status| matches!(status, 404 | 405 | 409)).await?;
        if !matches!(response.status().as_u16(), 404 | 409) {
            break;
        }
        let above = folder.join("../")?;
        missing.push(std::mem::replace(&mut folder, above));
        if missing.last() == Some(&folder) {
            let why = "its folder cannot be made: the server has no WebDAV there".to_owned();
            return Err(Error::NotWritten { href: href.clone(), why });
        }
    }
    for folder in missing.iter().rev() {
        let change = Change { href: folder, method: method("MKCOL"), headers: HeaderMap::new(), body: None };
        // Another may have made it meanwhile.
        store.http.change(&change, |status| status == 405).await?;
    }
    Ok(())
}

/// A failure by the name that people know.
fn named(href: &Href, error: Error) -> Error {
    let href = href.clone();
    match error {
        Error::NotWritten { why, .. } => Error::NotWritten { href, why },
        Error::Status { status, .. } => Error::Status { href, status },
        Error::Transport { tries, source, .. } => Error::Transport { href, tries, source },
        other => other,
    }
}

/// Gives a file its name, in the place of what has it now.
async fn rename(store: &Store, hidden: &Href, href: &Href) -> Result<()> {
    let target = store.http.url_of(href)?;
    let broken = |_| Error::NotWritten { href: href.clone(), why: "its name cannot be sent".to_owned() };
    let mut headers = HeaderMap::new();
    headers.insert("destination", HeaderValue::try_from(target.as_str()).map_err(broken)?);
    headers.insert("overwrite", HeaderValue::from_static("T"));
    let change = Change { href: hidden, method: method("MOVE"), headers, body: None };
    let renamed = store.http.change(&change, |_| false).await.map(|_| ());
    renamed.map_err(|error| match named(href, error) {
        Error::NotWritten { href, why } => Error::NotWritten { href, why: format!("MOVE: {why}") },
        other => other,
    })
}

/// Writes a file by one request under a hidden name, and renames it.
pub(super) async fn put(store: &Store, href: &Href, bytes: Bytes) -> Result<()> {
    let hidden = hidden(href)?;
    let change = Change { href: &hidden, method: Method::PUT, headers: HeaderMap::new(), body: Some(bytes) };
    in_folders(store, &change).await.map_err(|error| named(href, error))?;
    rename(store, &hidden, href).await
}

/// Copies a file within its server; false if the server does not.
pub(super) async fn copy(store: &Store, from: &Href, to: &Href) -> Result<bool> {
    let hidden = hidden(to)?;
    let target = store.http.url_of(&hidden)?;
    let Ok(target) = HeaderValue::try_from(target.as_str()) else { return Ok(false) };
    let mut headers = HeaderMap::new();
    headers.insert("destination", target);
    headers.insert("overwrite", HeaderValue::from_static("T"));
    let change = Change { href: from, method: method("COPY"), headers, body: None };
    let response = store.http.change(&change, |status| (400..600).contains(&status)).await?;
    let response = if response.status().as_u16() == 409 {
        make_folders(store, to).await?;
        store.http.change(&change, |status| (400..600).contains(&status)).await?
    } else {
        response
    };
    if !response.status().is_success() {
        return Ok(false);
    }
    rename(store, &hidden, to).await.map(|()| true)
}

impl Flow {
    pub(super) async fn begin(store: &Store, href: &Href, size: Option<u64>) -> Result<Self> {
        let hidden = hidden(href)?;
        // An empty file first: it makes the folders, and tells what the server thinks of it before the bytes are gone.
        let change = Change { href: &hidden, method: Method::PUT, headers: HeaderMap::new(), body: Some(Bytes::new()) };
        in_folders(store, &change).await.map_err(|error| named(href, error))?;
        let (parts, from) = mpsc::channel(WAITING);
        let body = stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) });
        let (owner, place) = (store.clone(), hidden.clone());
        let task = store.runtime().spawn(async move { owner.http.send_stream(&place, size, body).await });
        let (store, href, open) = (store.clone(), href.clone(), store.writing.open());
        Ok(Self { store, href, hidden, parts: Some(parts), task: Some(task), is_done: false, _open: open })
    }

    pub(super) async fn send(&mut self, part: Bytes) -> Result<()> {
        let sent = match &self.parts {
            Some(parts) => parts.send(Ok(part)).await.is_ok(),
            None => false,
        };
        // Who does not listen any more has a reason.
        if sent { Ok(()) } else { self.end().await }
    }

    async fn end(&mut self) -> Result<()> {
        self.parts = None;
        let ended = || Error::NotWritten { href: self.href.clone(), why: "the server ended the request".to_owned() };
        match self.task.take() {
            Some(task) => task.await.map_err(|_| ended())?.map_err(|error| named(&self.href, error)),
            None => Err(ended()),
        }
    }

    pub(super) async fn finish(&mut self) -> Result<()> {
        self.end().await?;
        rename(&self.store, &self.hidden, &self.href).await?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let (store, hidden) = (self.store.clone(), self.hidden.clone());
        // What stays does no harm: the next one takes its place.
        self.store.writing.clean(self.store.runtime(), async move { drop(store.delete(&hidden).await) });
    }
}
