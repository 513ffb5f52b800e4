//! What the files of an item say of it. Who reads headers makes it, who writes items takes it.

use serde_json::Value;

use crate::Body;

/// Place, time and fields of the assets of an item, as the headers of its files tell them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Portrait {
    /// Fields of the asset of each file: `type`, `proj:*`, `cube:*`, `bands`.
    pub assets: Vec<Body>,
    /// Outline of all cells, where they have a place.
    pub geometry: Option<Value>,
    /// Box around them: west, south, east, north.
    pub bbox: Option<Value>,
    /// The one moment of all files, RFC 3339.
    pub moment: Option<String>,
    /// First and last moment.
    pub span: Option<(String, String)>,
    /// Schemas of the extensions of these fields.
    pub extensions: Vec<String>,
}
