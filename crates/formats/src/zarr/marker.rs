//! The completion marker of an array, `.outcrop.json` in its folder: what a store that lost chunks is found out by.
//!
//! ```json
//! {"outcrop_marker": 1, "metadata": "9af01b2c", "chunks": 12, "stored": 10, "unwritten": [[3, 4], [8, 9]]}
//! ```
//!
//! - It is written after all chunks are on the disk. `chunks` counts objects (chunks, or shards), `stored` those that are
//!   there: of fill value alone none is stored. `unwritten` are their positions in C order, as ranges; it is left out
//!   where there are too many.
//! - `metadata` is a CRC-32C of the document of the array without its attributes. Where another program has given the
//!   array another shape or other codecs, it differs, and the marker is of no array any more.
//! - The consolidated metadata name the arrays that have one (`outcrop`), so that stores of others cost no request. It is
//!   not in the folder of a group, where zarr-python warns of names that it does not know.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Name of the marker in the folder of its array.
pub(crate) const MARKER: &str = ".outcrop.json";
/// The member of consolidated metadata that names marked arrays.
pub(super) const HINT: &str = "outcrop";
/// The version that is written and read.
const VERSION: u64 = 1;
/// Most ranges of chunks that were never written.
const MAX_RANGES: usize = 1 << 14;

/// What a marker says.
///
/// - `stored` is at most `chunks`; `unwritten` are ranges in order, within `chunks`, of all that is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    #[serde(rename = "outcrop_marker")]
    version: u64,
    /// Checksum of the metadata.
    metadata: String,
    /// Objects of the whole array.
    chunks: u64,
    /// Objects that were stored.
    pub(crate) stored: u64,
    /// First and behind the last of each run of objects that were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unwritten: Option<Vec<[u64; 2]>>,
}

/// The version alone: all else may be of another form.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "outcrop_marker")]
    version: u64,
}

impl Marker {
    /// Of an array of so many objects, of which these are stored.
    pub(super) fn new(document: &Value, chunks: u64, stored: &BTreeSet<u64>) -> Self {
        let mut unwritten = Vec::new();
        let mut next = 0;
        for at in stored.iter().copied().chain([chunks]) {
            if at > next {
                unwritten.push([next, at]);
            }
            next = at.saturating_add(1);
        }
        let unwritten = Some(unwritten).filter(|ranges| ranges.len() <= MAX_RANGES);
        Self { version: VERSION, metadata: digest(document), chunks, stored: stored.len() as u64, unwritten }
    }

    /// Reads a marker.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let damaged = |why: &dyn std::fmt::Display| format!("it is damaged ({why}); copy the array again");
        let Version { version } = serde_json::from_slice(bytes).map_err(|e| damaged(&e))?;
        if version != VERSION {
            return Err(format!("it is of version {version}, this program reads {VERSION}; use a newer one"));
        }
        let marker: Self = serde_json::from_slice(bytes).map_err(|e| damaged(&e))?;
        if marker.is_sound() { Ok(marker) } else { Err(damaged(&"its numbers do not fit together")) }
    }

    fn is_sound(&self) -> bool {
        let Some(ranges) = &self.unwritten else { return self.stored <= self.chunks };
        let mut next = 0;
        let mut count = 0u64;
        for [from, to] in ranges {
            if *from < next || from >= to || *to > self.chunks {
                return false;
            }
            count += to - from;
            next = *to;
        }
        self.stored.checked_add(count) == Some(self.chunks)
    }

    /// True if it is of this array as it is now.
    pub(super) fn is_of(&self, document: &Value) -> bool {
        self.metadata == digest(document)
    }

    /// True if this object (in C order) was stored; `None` if that is not known.
    pub(super) fn has(&self, linear: u64) -> Option<bool> {
        match &self.unwritten {
            Some(ranges) => {
                let at = ranges.partition_point(|[_, to]| *to <= linear);
                Some(ranges.get(at).is_none_or(|[from, _]| linear < *from))
            }
            None => (self.stored == self.chunks).then_some(true),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// The checksum of a document of an array, whatever the order of its members, without what may change at any time.
fn digest(document: &Value) -> String {
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "attributes" | "consolidated_metadata"));
    }
    document.sort_all_objects();
    format!("{:08x}", crc32c::crc32c(document.to_string().as_bytes()))
}

/// The member of consolidated metadata that names marked arrays.
pub(super) fn hint(arrays: impl Iterator<Item = String>) -> Value {
    json!({"markers": arrays.collect::<Vec<_>>()})
}

/// The arrays that consolidated metadata name as marked; none in those of other programs.
pub(super) fn hinted(consolidated: &Value) -> BTreeSet<String> {
    let names = consolidated[HINT]["markers"].as_array().map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_knows_what_was_stored() {
        let document = json!({"shape": [12], "attributes": {"a": 1}});
        let marker = Marker::new(&document, 6, &BTreeSet::from([0, 1, 4]));
        assert_eq!(marker.unwritten, Some(vec![[2, 4], [5, 6]]));
        let again = Marker::parse(&marker.bytes()).unwrap();
        assert_eq!(again, marker);
        let has: Vec<_> = (0..6).map(|at| again.has(at).unwrap()).collect();
        assert_eq!(has, [true, true, false, false, true, false]);
        assert!(again.is_of(&json!({"attributes": {}, "shape": [12]})) && !again.is_of(&json!({"shape": [13]})));
        assert_eq!(Marker::new(&document, 2, &BTreeSet::from([0, 1])).unwritten, Some(Vec::new()));
        // Too many ranges: it is known only that some are missing.
        let odd: BTreeSet<u64> = (0..40_000).map(|at| 2 * at + 1).collect();
        let sparse = Marker::parse(&Marker::new(&document, 80_000, &odd).bytes()).unwrap();
        assert_eq!((sparse.stored, sparse.has(3)), (40_000, None));
    }

    #[test]
    fn markers_that_lie_are_named() {
        let of = |changes: &str| format!(r#"{{"outcrop_marker": 1, "metadata": "0", {changes}}}"#);
        for (text, want) in [
            (String::new(), "damaged"),
            ("[]".to_owned(), "damaged"),
            (r#"{"outcrop_marker": 2, "else": []}"#.to_owned(), "version 2, this program reads 1; use a newer one"),
            (of(r#""chunks": 2"#), "damaged"),
            (of(r#""chunks": 2, "stored": 3"#), "do not fit"),
            (of(r#""chunks": 2, "stored": 2, "unwritten": [[0, 1]]"#), "do not fit"),
            (of(r#""chunks": 3, "stored": 1, "unwritten": [[1, 2], [0, 1]]"#), "do not fit"),
            (of(r#""chunks": 2, "stored": 1, "unwritten": [[1, 3]]"#), "do not fit"),
        ] {
            let why = Marker::parse(text.as_bytes()).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
        }
    }
}
