//! Walks the directories of a file, and fetches the values of their tags.

use std::collections::BTreeSet;
use std::ops::Range;

use outcrop_store::{Sparse, Step};

use super::directory::{Directory, Form, Read, read, within};
use super::image::tag;
use super::lower::lower;
use crate::array::FileMeta;
use crate::{Error, Result};

/// Most directories of a file.
const MAX_DIRECTORIES: usize = 4096;
/// Most bytes of directories and values, without the arrays of chunks.
const MAX_HEADER: u64 = 16 << 20;

/// Reads the header of a TIFF file.
#[derive(Debug, Default)]
pub(crate) struct OpenWalk {
    form: Option<Form>,
    next: u64,
    seen: BTreeSet<u64>,
    directories: Vec<Directory>,
    refused: Vec<(String, String)>,
    bytes: u64,
}

/// True if these are the first bytes of a TIFF or BigTIFF file.
pub(crate) fn is_tiff(head: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| head.starts_with(*magic))
}

impl OpenWalk {
    pub(crate) fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        let form = if let Some(form) = self.form {
            form
        } else {
            let head = 0..have.len().min(16);
            let Some(bytes) = have.get(&head) else { return Ok(Step::Need(vec![head])) };
            let (form, first) = Form::parse(&bytes)?;
            if first == 0 {
                return Err(Error::malformed("the header", "it names no directory"));
            }
            (self.form, self.next) = (Some(form), first);
            form
        };
        if let Some(range) = self.walk(form, have)? {
            return Ok(Step::Need(vec![range]));
        }
        let missing = self.values(have)?;
        if missing.is_empty() {
            return lower(form, &self.directories, std::mem::take(&mut self.refused), have).map(Step::Done);
        }
        Ok(Step::Need(missing))
    }

    /// Reads directories until the chain ends or bytes are missing.
    fn walk(&mut self, form: Form, have: &Sparse) -> Result<Option<Range<u64>>> {
        while self.next != 0 {
            let offset = self.next;
            if self.directories.len() >= MAX_DIRECTORIES {
                let (value, limit) = (MAX_DIRECTORIES as u64 + 1, MAX_DIRECTORIES as u64);
                return Err(Error::Limit { what: "number of directories".into(), value, limit });
            }
            if self.seen.contains(&offset) {
                self.end("it was read before: the chain of directories is a circle");
                break;
            }
            match read(form, offset, have) {
                Ok(Read::Need(range)) => return Ok(Some(range)),
                Ok(Read::Value(directory)) => {
                    self.seen.insert(offset);
                    self.count(directory.size)?;
                    self.next = directory.next;
                    self.directories.push(directory);
                }
                // What stands before a directory that cannot be read is of use.
                Err(error) if !self.directories.is_empty() => self.end(&error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The chain ends at a directory that cannot be read.
    fn end(&mut self, why: &str) {
        self.refused.push((format!("directory at byte {}", self.next), why.to_owned()));
        self.next = 0;
    }

    fn count(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_HEADER {
            let what = "size of the header in bytes".to_owned();
            return Err(Error::Limit { what, value: self.bytes, limit: MAX_HEADER });
        }
        Ok(())
    }

    /// Values of tags that are not at hand.
    fn values(&self, have: &Sparse) -> Result<Vec<Range<u64>>> {
        let mut missing = Vec::new();
        let mut total = self.bytes;
        for directory in &self.directories {
            for (tag, entry) in directory.entries.iter().filter(|(tag, _)| tag::READ.contains(tag)) {
                let what = format!("the value of tag {tag} of the directory at byte {}", directory.offset);
                let place = within(entry.place.clone(), have.len(), &what)?;
                total = total.saturating_add(place.end - place.start);
                if total > MAX_HEADER {
                    let what = "size of the header in bytes".to_owned();
                    return Err(Error::Limit { what, value: total, limit: MAX_HEADER });
                }
                missing.extend(have.missing(&place));
            }
        }
        Ok(missing)
    }
}
