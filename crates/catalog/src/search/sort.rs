//! Items in an order. Only their keys stay in memory; the items themselves go to a temporary file where they are many.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use outcrop_grid::interval::parse_time;
use outcrop_stac::{Ancestors, RawItem};
use outcrop_store::Href;
use serde_json::Value;

use super::{Found, cql};
use crate::{Error, Result};

/// Bytes of items that stay in memory.
const MOST_HELD: usize = 64 << 20;

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Name of a property, or of a field: `id`, `collection`, `properties.datetime`.
    pub field: String,
    /// Which end comes first.
    pub direction: Direction,
}

/// Which end of an order comes first. What is missing comes last either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The lowest.
    #[default]
    Ascending,
    /// The highest.
    Descending,
}

impl std::str::FromStr for SortKey {
    type Err = Error;

    /// `datetime`, `+datetime`, or `-datetime` for the highest first.
    fn from_str(text: &str) -> Result<Self> {
        let (direction, field) = match text.strip_prefix('-') {
            Some(rest) => (Direction::Descending, rest),
            None => (Direction::Ascending, text.strip_prefix('+').unwrap_or(text)),
        };
        if field.is_empty() {
            return Err(Error::Sort { text: text.to_owned() });
        }
        Ok(Self { field: field.to_owned(), direction })
    }
}

impl std::fmt::Display for SortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.direction == Direction::Descending { "-" } else { "+" };
        write!(f, "{sign}{}", self.field)
    }
}

/// The order of items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// As the source gives them: nothing is held.
    #[default]
    AsFound,
    /// By these keys, then by collection and id. Without keys by collection and id alone.
    By(Vec<SortKey>),
}

/// A value of a key; the order of the variants is that of values of unlike kinds.
#[derive(Debug, Clone, PartialEq)]
enum Rank {
    Truth(bool),
    Number(f64),
    Time(DateTime<Utc>),
    Text(String),
    Missing,
}

impl Rank {
    /// Of a value of this name; texts of properties of time are times.
    fn of(name: &str, value: Option<&Value>) -> Self {
        match value {
            Some(Value::String(text)) if cql::is_time(name) => {
                parse_time(text).map_or_else(|| Self::Text(text.clone()), Self::Time)
            }
            Some(Value::Bool(truth)) => Self::Truth(*truth),
            Some(Value::Number(number)) => number.as_f64().map_or(Self::Missing, Self::Number),
            Some(Value::String(text)) => Self::Text(text.clone()),
            None | Some(Value::Null) => Self::Missing,
            Some(other) => Self::Text(other.to_string()),
        }
    }

    fn place(&self) -> u8 {
        match self {
            Self::Truth(_) => 0,
            Self::Number(_) => 1,
            Self::Time(_) => 2,
            Self::Text(_) => 3,
            Self::Missing => 4,
        }
    }

    fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        let by_value = match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => return self.place().cmp(&other.place()),
            (Self::Truth(a), Self::Truth(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.place().cmp(&other.place()),
        };
        if direction == Direction::Descending { by_value.reverse() } else { by_value }
    }
}

struct Entry {
    ranks: Vec<Rank>,
    collection: String,
    id: String,
    href: Href,
    ancestors: Ancestors,
    place: Place,
}

enum Place {
    Memory(Bytes),
    File { offset: u64, length: usize },
}

/// Takes items and gives them back in order.
pub(crate) struct Sorter {
    keys: Vec<SortKey>,
    entries: Vec<Entry>,
    held: usize,
    file: Option<File>,
    written: u64,
}

fn failed(source: std::io::Error) -> Error {
    Error::Spool { folder: std::env::temp_dir().display().to_string(), source }
}

impl Sorter {
    pub(crate) fn new(keys: Vec<SortKey>) -> Self {
        Self { keys, entries: Vec::new(), held: 0, file: None, written: 0 }
    }

    /// # Errors
    /// [`Error::Stac`] for an item whose properties are no tree, [`Error::Spool`] where the temporary file fails.
    pub(crate) fn add(&mut self, found: Found) -> Result<()> {
        let value = if self.keys.is_empty() { Value::Null } else { found.item.to_value()? };
        let ranks = self.keys.iter().map(|key| Rank::of(&key.field, field(&value, &key.field))).collect();
        self.insert(found, ranks)
    }

    fn insert(&mut self, found: Found, ranks: Vec<Rank>) -> Result<()> {
        let Found { item, ancestors } = found;
        let (collection, id) = (item.collection().unwrap_or_default().into_owned(), item.id().into_owned());
        let place = self.keep(item.bytes())?;
        self.entries.push(Entry { ranks, collection, id, href: item.href().clone(), ancestors, place });
        Ok(())
    }

    fn keep(&mut self, bytes: &Bytes) -> Result<Place> {
        if self.held + bytes.len() <= MOST_HELD {
            self.held += bytes.len();
            // A slice of a large page would keep the page.
            return Ok(Place::Memory(Bytes::copy_from_slice(bytes)));
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile().map_err(failed)?),
        };
        file.write_all(bytes).map_err(failed)?;
        let offset = self.written;
        self.written += bytes.len() as u64;
        Ok(Place::File { offset, length: bytes.len() })
    }

    /// The items in order, one at a time.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = Result<Found>> + Send {
        let keys = std::mem::take(&mut self.keys);
        self.entries.sort_by(|a, b| {
            let by_keys =
                keys.iter().zip(a.ranks.iter().zip(&b.ranks)).map(|(key, (a, b))| a.compare(b, key.direction));
            let by_name = || a.collection.cmp(&b.collection).then_with(|| a.id.cmp(&b.id));
            by_keys.fold(Ordering::Equal, Ordering::then).then_with(by_name)
        });
        let file = self.file;
        self.entries.into_iter().map(move |entry| {
            let bytes = match entry.place {
                Place::Memory(bytes) => bytes,
                Place::File { offset, length } => {
                    let mut bytes = vec![0; length];
                    let file = file.as_ref().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
                    file.read_exact_at(&mut bytes, offset).map_err(failed)?;
                    bytes.into()
                }
            };
            Ok(Found { item: RawItem::parse(entry.href, bytes)?, ancestors: entry.ancestors })
        })
    }
}

/// A property by its whole name or its path; else a field of the item.
fn field<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    let short = name.strip_prefix("properties.").unwrap_or(name);
    let by_path = |from: &'a Value| short.split('.').try_fold(from, |value, step| value.get(step));
    if matches!(name, "id" | "collection") {
        return item.get(name);
    }
    item.get("properties").and_then(|all| all.get(short).or_else(|| by_path(all))).or_else(|| by_path(item))
}
