//! Writes an array into a Zarr group, chunk by chunk. A run that was killed goes on where it was; several may write parts of one group.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use outcrop_formats::Attrs;
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};

use super::{Partition, Sink};
use crate::expr::{lengths, size};
use crate::strided::{Layout, copy_block};
use crate::{Block, Coord, DataArray, Error, Result};

/// Values of a chunk where the array does not suggest a length.
const CHUNK_VALUES: u64 = 1 << 20;

/// Where and how an array is written.
#[derive(Debug, Clone)]
pub struct ZarrTarget {
    /// Root of the store, a local folder.
    pub root: PathBuf,
    /// Group in it; empty for the root itself.
    pub group: String,
    /// Version of Zarr.
    pub format: ZarrFormat,
    /// Compression of chunks.
    pub compression: ZarrCompression,
    /// Lengths of chunks along dimensions; others are chosen.
    pub chunks: Vec<(String, u64)>,
    /// Attributes of the group.
    pub attrs: Attrs,
    /// One of several runs that write the group together; the last one finishes it.
    pub partition: Option<Partition>,
}

/// Takes an array into a Zarr group.
#[derive(Debug)]
pub struct ZarrSink {
    writer: GroupWriter,
    name: String,
    shape: Vec<u64>,
    chunk: Vec<u64>,
    counts: Vec<u64>,
    /// Chunks that earlier runs wrote, a bit each.
    done: Vec<u64>,
    journal: Mutex<File>,
    partition: Option<Partition>,
    /// Of the folder that is written.
    lock: File,
}

impl ZarrSink {
    /// Starts, or goes on with, a group that holds one array and its labels. What makes the array and what is written decide whether an
    /// earlier run is gone on with.
    ///
    /// # Errors
    /// [`Error::Write`] if the folder cannot be written or holds something else.
    pub fn create(array: &DataArray, target: &ZarrTarget) -> Result<Self> {
        let shape = array.shape();
        let chunk = chunks(array, &target.chunks);
        let told =
            format!("{} {chunk:?} {:?} {:?} {:?}", array.fingerprint(), target.format, target.compression, array.name);
        let key: String = blake3::hash(told.as_bytes()).to_hex().chars().take(16).collect();
        let mut writer = GroupWriter::resume(&target.root, &target.group, target.format, (&target.attrs, &key))
            .map_err(Error::Write)?;
        let lock = lock(writer.staging(), target.partition)?;
        add_labels(&mut writer, array)?;
        let mut attrs = array.attrs.clone();
        for gone in ["_FillValue", "missing_value", "scale_factor", "add_offset", "coordinates"] {
            attrs.shift_remove(gone);
        }
        let spec = ArraySpec {
            name: array.name.clone(),
            dims: array.dims.clone(),
            shape: shape.clone(),
            chunk: chunk.clone(),
            shard: None,
            dtype: Element::Number(array.dtype().stored()),
            compression: target.compression,
            fill: None,
            attrs,
        };
        writer.add_array(&spec).map_err(Error::Write)?;
        let counts: Vec<u64> = shape.iter().zip(&chunk).map(|(len, chunk)| len.div_ceil(*chunk)).collect();
        let all = size(counts.iter().product::<u64>());
        let done = read_journals(writer.staging(), all)?;
        // A journal of its own for each run: what a full disk leaves half written ends it.
        let own = tempfile::Builder::new().prefix(".journal-").tempfile_in(writer.staging());
        let (journal, _) =
            own.map_err(|e| io(writer.staging(), e))?.keep().map_err(|e| io(writer.staging(), e.error))?;
        let (name, partition) = (array.name.clone(), target.partition);
        Ok(Self { writer, name, shape, chunk, counts, done, journal: Mutex::new(journal), partition, lock })
    }

    /// Lengths of chunks.
    pub fn chunk(&self) -> &[u64] {
        &self.chunk
    }

    /// Puts the group in place. As one of several, only the last does; true if it is in place now.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<bool> {
        let staging = self.writer.staging().to_owned();
        let all = size(self.counts.iter().product::<u64>());
        let done = read_journals(&staging, all)?;
        let written: usize = done.iter().map(|word| word.count_ones() as usize).sum();
        if self.partition.is_some() {
            // Those that still write hold a lock as this one did; the last of them finishes.
            self.lock.unlock().map_err(|e| io(&staging, e))?;
            if written < all || self.lock.try_lock().is_err() || !is_same(&self.lock, &staging) {
                return Ok(false);
            }
        }
        if written < all {
            let why = format!("only {written} of {all} chunks were written; run the same command again");
            return Err(Error::Unsupported { action: "finish", array: self.name, why });
        }
        // Chunks that killed runs were writing.
        outcrop_store::publish::remove_abandoned_below(&staging);
        if self.partition.is_none() {
            remove_others(&staging);
        }
        self.writer.finish().map_err(Error::Write)?;
        Ok(true)
    }

    fn linear(&self, index: &[u64]) -> u64 {
        index.iter().zip(&self.counts).fold(0, |at, (i, count)| at * count + i)
    }

    /// Positions of the chunks that a window touches.
    fn chunks_in(&self, window: &[Range<u64>]) -> Vec<Vec<u64>> {
        let along = |(range, chunk): (&Range<u64>, &u64)| -> Vec<u64> {
            if range.is_empty() { Vec::new() } else { (range.start / chunk..=(range.end - 1) / chunk).collect() }
        };
        let each: Vec<Vec<u64>> = window.iter().zip(&self.chunk).map(along).collect();
        crate::expr::products(&each).into_iter().map(|at| at.into_iter().copied().collect()).collect()
    }
}

/// Removes what runs of other versions of an array left unfinished at its place (`.NAME.KEY.resume`), unless one is at work.
fn remove_others(staging: &Path) {
    let name = staging.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, _)) = name.strip_suffix(".resume").and_then(|name| name.rsplit_once('.')) else { return };
    let start = format!("{start}.");
    for entry in staging.parent().and_then(|above| fs::read_dir(above).ok()).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let key = other.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".resume"));
        let is_key = key.is_some_and(|key| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_key && other != name && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            // What cannot be removed does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Locks a folder: alone, or with those that write other parts.
fn lock(folder: &Path, partition: Option<Partition>) -> Result<File> {
    let file = File::open(folder).map_err(|e| io(folder, e))?;
    let locked = if partition.is_some() { file.try_lock_shared() } else { file.try_lock() };
    match locked {
        Ok(()) if is_same(&file, folder) => Ok(file),
        Err(TryLockError::Error(e)) => Err(io(folder, e)),
        _ => {
            let (array, why) = (folder.display().to_string(), "another run writes it now; wait for it".to_owned());
            Err(Error::Unsupported { action: "write", array, why })
        }
    }
}

/// True if a folder that was opened is the one of this name still.
fn is_same(file: &File, folder: &Path) -> bool {
    let own = file.metadata().map(|meta| meta.ino());
    own.ok() == fs::metadata(folder).map(|meta| meta.ino()).ok()
}

fn io(path: &Path, source: std::io::Error) -> Error {
    let href = outcrop_store::Href::from_path(path);
    outcrop_store::Error::Io { action: "write", href, source }.into()
}

fn read_journals(folder: &Path, all: usize) -> Result<Vec<u64>> {
    let mut done = vec![0u64; all.div_ceil(64)];
    for entry in fs::read_dir(folder).map_err(|e| io(folder, e))?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(".journal-") {
            continue;
        }
        let bytes = fs::read(entry.path()).map_err(|e| io(&entry.path(), e))?;
        // What a kill left behind of a last number is no number.
        for number in bytes.as_chunks::<8>().0 {
            let at = size(u64::from_le_bytes(*number));
            if let Some(word) = done.get_mut(at / 64).filter(|_| at < all) {
                *word |= 1 << (at % 64);
            }
        }
    }
    Ok(done)
}

/// Lengths of chunks: those asked for, else those in which the array is read, made larger or smaller to a useful size.
fn chunks(array: &DataArray, asked: &[(String, u64)]) -> Vec<u64> {
    let shape = array.shape();
    let mut chunk: Vec<u64> =
        array.chunks().iter().zip(&shape).map(|(chunk, len)| (*chunk).clamp(1, (*len).max(1))).collect();
    let of = |chunk: &[u64]| chunk.iter().fold(1u64, |n, len| n.saturating_mul(*len));
    while of(&chunk) > CHUNK_VALUES {
        let Some(longest) = (0..chunk.len()).max_by_key(|d| chunk[*d]) else { break };
        chunk[longest] = chunk[longest].div_ceil(2);
    }
    for d in (0..chunk.len()).rev() {
        while of(&chunk) < CHUNK_VALUES / 16 && chunk[d] < shape[d] {
            chunk[d] = (chunk[d] * 2).min(shape[d]);
        }
    }
    for (dim, len) in asked {
        if let Some(at) = array.dims.iter().position(|have| have == dim) {
            chunk[at] = (*len).clamp(1, shape[at].max(1));
        }
    }
    chunk
}

fn add_labels(writer: &mut GroupWriter, array: &DataArray) -> Result<()> {
    for (dim, len) in array.dims.iter().zip(array.shape()) {
        let Some(coord) = array.coords.get(dim).filter(|_| *dim != array.name && len > 0) else { continue };
        add_label(writer, dim, (coord, len)).map_err(Error::Write)?;
    }
    if let Some((name, attrs)) = &array.grid_mapping {
        let scalar = label(name, &[], outcrop_formats::DType::Int32, attrs.clone());
        writer.add_array(&scalar).map_err(Error::Write)?;
        writer.write_chunk(name, &[], &[0i32]).map_err(Error::Write)?;
    }
    Ok(())
}

fn label(name: &str, dims: &[(&str, u64)], dtype: outcrop_formats::DType, attrs: Attrs) -> ArraySpec {
    ArraySpec {
        name: name.to_owned(),
        dims: dims.iter().map(|(dim, _)| (*dim).to_owned()).collect(),
        shape: dims.iter().map(|(_, len)| *len).collect(),
        chunk: dims.iter().map(|(_, len)| (*len).max(1)).collect(),
        shard: None,
        dtype: Element::Number(dtype),
        compression: ZarrCompression::Default,
        fill: None,
        attrs,
    }
}

fn add_label(writer: &mut GroupWriter, dim: &str, (coord, len): (&Coord, u64)) -> outcrop_formats::Result<()> {
    let mut attrs = coord.attrs.clone();
    for gone in ["_FillValue", "missing_value", "bounds", "scale_factor", "add_offset"] {
        attrs.shift_remove(gone);
    }
    if !coord.texts.is_empty() {
        let longest = coord.texts.iter().map(|text| text.chars().count()).max().unwrap_or(1).max(1);
        let spec = label(dim, &[(dim, len)], outcrop_formats::DType::Int32, attrs);
        writer.add_array(&ArraySpec { dtype: Element::Text { chars: longest }, ..spec })?;
        return writer.write_text(dim, &coord.texts);
    }
    if coord.whole.len() as u64 == len {
        writer.add_array(&label(dim, &[(dim, len)], outcrop_formats::DType::Int64, attrs))?;
        return writer.write_chunk(dim, &[0], &coord.whole);
    }
    writer.add_array(&label(dim, &[(dim, len)], outcrop_formats::DType::Float64, attrs))?;
    writer.write_chunk(dim, &[0], &coord.values)
}

impl Sink for ZarrSink {
    fn unit(&self) -> Option<Vec<u64>> {
        Some(self.chunk.clone())
    }

    fn work_bytes(&self, _: u64) -> u64 {
        // One chunk as it is, and compressed.
        3 * self.chunk.iter().product::<u64>() * 8
    }

    fn held(&self, _: u64) -> u64 {
        0
    }

    fn has(&self, window: &[Range<u64>]) -> bool {
        let is_done = |index: &Vec<u64>| {
            let at = size(self.linear(index));
            self.done.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
        };
        self.chunks_in(window).iter().all(is_done)
    }

    fn write(&self, window: &[Range<u64>], values: Block) -> Result<()> {
        let own = Layout::of(&lengths(window));
        let whole: Vec<usize> = self.chunk.iter().map(|len| size(*len)).collect();
        let mut numbers = Vec::new();
        for index in self.chunks_in(window) {
            let part: Vec<Range<u64>> = index
                .iter()
                .zip(self.chunk.iter().zip(&self.shape))
                .map(|(i, (chunk, len))| i * chunk..((i + 1) * chunk).min(*len))
                .collect();
            let part_shape = lengths(&part);
            let stored = if part_shape == whole && lengths(window) == whole {
                self.writer.write_chunk_bytes(&self.name, &index, values.bytes())
            } else {
                let mut block = Block::zeros(values.dtype(), whole.iter().product());
                let from = own.clone().at(part.iter().zip(window).map(|(p, w)| size(p.start - w.start)));
                copy_block(&values, &from, &mut block, &Layout::of(&whole), &part_shape);
                self.writer.write_chunk_bytes(&self.name, &index, block.bytes())
            };
            stored.map_err(Error::Write)?;
            numbers.extend_from_slice(&self.linear(&index).to_le_bytes());
        }
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.write_all(&numbers).map_err(|e| io(self.writer.staging(), e))
    }
}
