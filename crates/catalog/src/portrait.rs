//! What files say of the item that they make: for items whose files are new, such as parts of others.

use outcrop_stac::{Body, Portrait};
use outcrop_store::{Href, Store};
use serde_json::{Map, Value};

use crate::header::{self, Header};
use crate::{Result, item};

/// Reads the headers and coordinates of files, one after the other. What they do not tell is left out.
///
/// # Errors
/// [`crate::Error::Header`] for a file that cannot be read, or is not understood.
pub async fn portrait(store: &Store, files: &[Href]) -> Result<Portrait> {
    let mut headers = Vec::new();
    for href in files {
        headers.push(header::read_all(store, href).await?);
    }
    let (geometry, bbox) = item::place_of(headers.iter()).unzip();
    let (moment, span) = item::when_of(headers.iter());
    let assets: Vec<Body> = headers.iter().map(fields).collect();
    let all: Map<String, Value> =
        assets.iter().enumerate().map(|(at, asset)| (at.to_string(), Value::Object(asset.clone()))).collect();
    let extensions = item::extensions_of(None, &Map::new(), &all);
    Ok(Portrait { assets, geometry, bbox, moment, span, extensions })
}

fn fields(header: &Header) -> Body {
    let mut asset = Body::new();
    asset.insert("type".into(), header.media_type().into());
    asset.extend(header.proj().into_iter().chain(header.cube()).map(|(key, value)| (key.to_owned(), value)));
    asset.insert("bands".into(), header.bands());
    asset
}
