//! Groups that several writers write, at once or one after another was killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use super::ZarrFormat;
use super::lower::KeyNames;
use super::write::{GroupWriter, Member, io};
use crate::Result;
use crate::array::Attrs;
use crate::layout::{position, product};

impl GroupWriter {
    /// As [`GroupWriter::create`], but what is written stays when the writer is dropped or killed, and the next one with the same `key`
    /// (letters and digits, which stand for all that decides the values) goes on with it. Several at once may write parts of one group.
    ///
    /// # Errors
    /// As there.
    pub fn resume(root: &Path, group: &str, format: ZarrFormat, (attrs, key): (&Attrs, &str)) -> Result<Self> {
        let mut writer = Self::staged(root, group, (format, attrs), |target| {
            let name = target.file_name().unwrap_or_default().to_string_lossy().chars().take(60).collect::<String>();
            target.with_file_name(format!(".{name}.{key}.resume"))
        })?;
        writer.resumes = true;
        Ok(writer)
    }

    /// The folder where the group grows until it is finished. Hidden files in it are removed then.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Finds the objects that earlier writers left, and removes their notes.
    pub(super) fn count_stored(&self) -> Result<()> {
        for (name, Member { counts, stored, .. }) in &self.arrays {
            let names = KeyNames::written(self.format);
            let folder = self.staging.join(name);
            let is_there = |linear: &u64| folder.join(names.name(position(*linear, counts).into_iter())).exists();
            let there: BTreeSet<u64> = (0..product(counts, name)?).filter(is_there).collect();
            *stored.lock().unwrap_or_else(PoisonError::into_inner) = there;
        }
        for entry in fs::read_dir(&self.staging).map_err(|e| io(&self.staging, e))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') && entry.path().is_file() {
                let name = entry.file_name();
                // Those of this format are written anew.
                if !name.to_string_lossy().starts_with(".z") {
                    fs::remove_file(entry.path()).map_err(|e| io(&entry.path(), e))?;
                }
            }
        }
        Ok(())
    }
}
