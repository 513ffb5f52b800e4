//! Files over HTTP with index pages and byte ranges.
//!
//! It serves a folder read-only: files with `Range`, `ETag`-free conditional requests and media types, folders as index
//! pages in the form that nginx gives. It is what the demo uses as its remote archive, and `outcrop serve`.

mod error;
mod guard;
mod index;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

pub use error::{Error, Result};

/// A folder that is being served; dropping it stops the server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves `folder` at `address` (port 0 for a free one) until the value is dropped.
    ///
    /// # Errors
    /// [`Error::NotAFolder`]; [`Error::Bind`] if the address is taken or not allowed.
    pub async fn start(folder: &Path, address: SocketAddr) -> Result<Self> {
        let (listener, router) = prepare(folder, address).await?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            // Small answers must not wait for the client's acknowledgement (Nagle); failing that they are only slower.
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the folder.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until the server fails; it does not end by itself.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn prepare(folder: &Path, address: SocketAddr) -> Result<(TcpListener, Router)> {
    let root = folder.canonicalize().ok().filter(|path| path.is_dir());
    let root = root.ok_or_else(|| Error::NotAFolder { path: folder.to_owned() })?;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
    let router = Router::new()
        .fallback(respond)
        .with_state(root)
        .layer(from_fn_with_state(address.ip().is_loopback(), guard::check));
    Ok((listener, router))
}

/// An index page for a folder, the bytes of a file, or 404.
async fn respond(State(root): State<PathBuf>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(folder) = index::folder(&root, &path).await {
        return index::page(&folder, &path).await;
    }
    match ServeDir::new(&root).append_index_html_on_directories(false).try_call(request).await {
        Ok(response) => response.into_response(),
        Err(_) => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}
