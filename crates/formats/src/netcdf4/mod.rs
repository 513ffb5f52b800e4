//! Writes NetCDF-4: HDF5 with dimension scales, chunk by chunk.
//!
//! Chunks are compressed by the calling threads and appended as they come, so no variable is held in memory; the headers
//! and chunk indexes follow at the end. The file appears whole, by [`Writer::finish`]. The libraries that write HDF5 in
//! Rust hold all values until the end, which is why this does not use them. What netCDF-C expects of HDF5:
//! <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html#netcdf_4_spec>.

mod encode;
mod header;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor};

use crate::array::{AttrValue, Attrs, ChunkGrid, Codec, DType};
use crate::codec::shuffle;
use crate::layout::{MAX_DIMS, product};
use crate::part_file::PartFile;
use crate::refs::Entry;
use crate::{Error, Result};

/// Largest chunk in bytes.
const MAX_CHUNK: u64 = 256 << 20;

/// A dimension to be written.
#[derive(Debug, Clone)]
struct Dimension {
    name: String,
    len: u64,
    unlimited: bool,
}

/// A variable to be written.
#[derive(Debug, Clone)]
pub struct VariableSpec {
    /// Name.
    pub name: String,
    /// Names of the dimensions, outermost first; none for a scalar.
    pub dims: Vec<String>,
    /// Type of the elements: numbers or `Char`.
    pub dtype: DType,
    /// Length of a chunk along each dimension; `None` is one piece without compression.
    pub chunk: Option<Vec<u64>>,
    /// Level of compression, 1 to 12, after shuffling; `None` is none. 1 to 9 are comparable to zlib's.
    pub deflate: Option<u8>,
    /// The fill value as one element in native byte order; else the attribute `_FillValue`, or netCDF's default.
    pub fill: Option<Vec<u8>>,
    /// Attributes. `_FillValue` is written where `fill` is given.
    pub attrs: Attrs,
}

/// A variable with its chunks as they were written.
struct Member {
    spec: VariableSpec,
    grid: ChunkGrid,
    codecs: Vec<Codec>,
    fill: Vec<u8>,
    chunk_bytes: usize,
    entries: Mutex<Vec<Entry>>,
}

/// Writes one NetCDF-4 file.
///
/// - Chunks may come from several threads, in any order, each once; those that never come are fill value.
pub struct Writer {
    file: PartFile,
    attrs: Attrs,
    dims: Vec<Dimension>,
    members: Vec<Member>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("file", &self.file).field("dims", &self.dims).finish_non_exhaustive()
    }
}

fn failed(name: &str, why: impl Into<String>) -> Error {
    Error::NetCdf { name: name.to_owned(), why: why.into() }
}

fn check_name<'a>(name: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<()> {
    if name.is_empty() || name.contains(['/', '\0']) || name.len() > 255 || name.starts_with("_nc4_") {
        return Err(failed(name, "a name is 1 to 255 bytes without slashes and does not start with `_nc4_`"));
    }
    if taken.any(|other| other == name) { Err(failed(name, "the name is taken")) } else { Ok(()) }
}

impl Writer {
    /// Starts a file that will appear at `target`.
    ///
    /// # Errors
    /// [`Error::Store`] if it cannot be made.
    pub fn create(target: &Path, attrs: &Attrs) -> Result<Self> {
        let file = PartFile::create(target, header::SUPERBLOCK)?;
        Ok(Self { file, attrs: attrs.clone(), dims: Vec::new(), members: Vec::new() })
    }

    /// Adds a dimension of `len` positions.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the name is not one or is taken.
    pub fn add_dim(&mut self, name: &str, len: u64) -> Result<()> {
        self.add(Dimension { name: name.to_owned(), len, unlimited: false })
    }

    /// Adds a dimension that may grow later and has `len` positions now.
    ///
    /// # Errors
    /// As [`Writer::add_dim`].
    pub fn add_unlimited_dim(&mut self, name: &str, len: u64) -> Result<()> {
        self.add(Dimension { name: name.to_owned(), len, unlimited: true })
    }

    fn add(&mut self, dim: Dimension) -> Result<()> {
        check_name(&dim.name, self.dims.iter().map(|d| d.name.as_str()))?;
        self.dims.push(dim);
        Ok(())
    }

    fn dim(&self, name: &str) -> Result<&Dimension> {
        self.dims.iter().find(|dim| dim.name == name).ok_or_else(|| failed(name, "there is no such dimension"))
    }

    /// Adds a variable.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the name, the dimensions, the chunks or the type do not fit.
    pub fn add_variable(&mut self, spec: &VariableSpec) -> Result<()> {
        let name = spec.name.as_str();
        check_name(name, self.members.iter().map(|m| m.spec.name.as_str()))?;
        let number = spec.dtype.is_real() && spec.dtype != DType::Float16;
        if !(number || spec.dtype == DType::Char) || spec.dims.len() > MAX_DIMS {
            return Err(failed(name, "it needs a type of numbers or char, and at most 32 dimensions"));
        }
        let dims = spec.dims.iter().map(|dim| self.dim(dim)).collect::<Result<Vec<_>>>()?;
        let grows = dims.iter().any(|dim| dim.unlimited);
        let shape: Vec<u64> = dims.iter().map(|dim| dim.len).collect();
        let chunk = match &spec.chunk {
            Some(chunk) if chunk.len() == shape.len() && !chunk.contains(&0) && !shape.is_empty() => chunk.clone(),
            Some(chunk) => return Err(failed(name, format!("chunk {chunk:?} does not fit shape {shape:?}"))),
            None if grows || spec.deflate.is_some() => {
                return Err(failed(name, "compression and unlimited dimensions need chunks"));
            }
            None => shape.iter().map(|len| (*len).max(1)).collect(),
        };
        let bytes = product(&chunk, name)?.saturating_mul(spec.dtype.size() as u64);
        // A variable in one piece is written at once, so its limit is that of a chunk too.
        let fits = usize::try_from(bytes).ok().filter(|_| bytes <= MAX_CHUNK);
        let what = || format!("size of a chunk of `{name}` in bytes");
        let chunk_bytes = fits.ok_or_else(|| Error::Limit { what: what(), value: bytes, limit: MAX_CHUNK })?;
        let mut codecs = Vec::new();
        if spec.deflate.is_some() {
            if spec.dtype.size() > 1 {
                codecs.push(Codec::Shuffle { element: spec.dtype.size() });
            }
            codecs.push(Codec::Deflate);
        }
        let fill = header::fill(spec);
        if fill.len() != spec.dtype.size() {
            return Err(failed(name, format!("its fill value has {} bytes, not {}", fill.len(), spec.dtype.size())));
        }
        let grid = ChunkGrid { shape, chunk };
        let entries = Mutex::default();
        self.members.push(Member { spec: spec.clone(), grid, codecs, fill, chunk_bytes, entries });
        Ok(())
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.members.iter().find(|m| m.spec.name == name).ok_or_else(|| failed(name, "there is no such variable"))
    }

    /// Size of a whole chunk of a variable in bytes.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if there is no such variable.
    pub fn chunk_bytes(&self, name: &str) -> Result<usize> {
        Ok(self.member(name)?.chunk_bytes)
    }

    /// Writes one whole chunk in C order and native byte order; at the edge, what lies beyond the shape is not used.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the position or the number of bytes does not fit; [`Error::Store`], for example when the
    /// disk is full.
    pub fn write_chunk(&self, name: &str, index: &[u64], raw: &[u8]) -> Result<()> {
        let member = self.member(name)?;
        let linear = linear(&member.grid, index)
            .ok_or_else(|| failed(name, format!("chunk {index:?} is not one of {:?}", member.grid.counts())))?;
        if raw.len() != member.chunk_bytes {
            return Err(failed(name, format!("{} bytes were given, {} are wanted", raw.len(), member.chunk_bytes)));
        }
        let bytes = member.encode(raw)?;
        let offset = self.file.append(&bytes)?;
        let entry = Entry { linear, offset, length: bytes.len() as u64, filter_mask: 0 };
        member.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(())
    }

    /// Writes all values of a variable, in C order and native byte order.
    ///
    /// # Errors
    /// As [`Writer::write_chunk`].
    pub fn write(&self, name: &str, raw: &[u8]) -> Result<()> {
        let member = self.member(name)?;
        let size = member.spec.dtype.size();
        let want = product(&member.grid.shape, name)?.saturating_mul(size as u64);
        if raw.len() as u64 != want {
            return Err(failed(name, format!("{} bytes were given, {want} are wanted", raw.len())));
        }
        let counts = member.grid.counts();
        for position in 0..product(&counts, name)? {
            let mut index = vec![0; counts.len()];
            let mut rest = position;
            for (at, count) in index.iter_mut().zip(&counts).rev() {
                *at = rest % count;
                rest /= count;
            }
            self.write_chunk(name, &index, &cut(member, &index, raw))?;
        }
        Ok(())
    }

    /// Writes the headers, flushes the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if a chunk was written twice or an attribute is larger than 64 KiB; [`Error::Store`].
    pub fn finish(self) -> Result<()> {
        let Self { file, attrs, dims, members } = self;
        header::write(&file, &attrs, &dims, &members)?;
        file.finish()
    }
}

impl Member {
    fn encode<'a>(&self, raw: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>> {
        let size = self.spec.dtype.size();
        let mut bytes = std::borrow::Cow::Borrowed(raw);
        if cfg!(target_endian = "big") {
            crate::codec::order::swap(bytes.to_mut(), size);
        }
        let Some(level) = self.spec.deflate else { return Ok(bytes) };
        if size > 1 {
            bytes = shuffle::encode(&bytes, size).into();
        }
        let level = CompressionLvl::new(i32::from(level))
            .map_err(|_| failed(&self.spec.name, format!("{level} is no level of compression (1 to 12)")))?;
        let mut compressor = Compressor::new(level);
        let mut out = vec![0; compressor.zlib_compress_bound(bytes.len())];
        let length = compressor
            .zlib_compress(&bytes, &mut out)
            .map_err(|_| failed(&self.spec.name, "a chunk cannot be compressed"))?;
        out.truncate(length);
        Ok(out.into())
    }
}

fn linear(grid: &ChunkGrid, index: &[u64]) -> Option<u64> {
    let counts = grid.counts();
    (index.len() == counts.len()).then_some(())?;
    let step = |at: u64, (i, count): (&u64, &u64)| (i < count).then(|| at.checked_mul(*count)?.checked_add(*i))?;
    index.iter().zip(&counts).try_fold(0, step)
}

/// A whole chunk out of a whole variable, with fill value beyond the edge.
fn cut(member: &Member, index: &[u64], raw: &[u8]) -> Vec<u8> {
    let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (grid, size) = (&member.grid, member.spec.dtype.size());
    let Some((run_chunk, outer)) = grid.chunk.split_last() else { return raw.to_vec() };
    let mut out = member.fill.repeat(member.chunk_bytes / size);
    let last = outer.len();
    let start = index[last] * run_chunk;
    let run = place((*run_chunk).min(grid.shape[last] - start)) * size;
    for row in 0..outer.iter().product::<u64>() {
        let (mut rest, mut from, mut stride, mut inside) = (row, start, grid.shape[last], true);
        for axis in (0..last).rev() {
            let at = index[axis] * grid.chunk[axis] + rest % grid.chunk[axis];
            rest /= grid.chunk[axis];
            inside &= at < grid.shape[axis];
            from += at * stride;
            stride *= grid.shape[axis];
        }
        if inside {
            let (from, to) = (place(from) * size, place(row * run_chunk) * size);
            out[to..to + run].copy_from_slice(&raw[from..from + run]);
        }
    }
    out
}

/// Attributes with the fill value as `_FillValue`, in the type of the variable.
fn attributes(spec: &VariableSpec) -> Vec<(String, Option<DType>, AttrValue)> {
    let mut all = Vec::new();
    if let Some(fill) = &spec.fill {
        let mut little = fill.clone();
        if cfg!(target_endian = "big") {
            little.reverse();
        }
        let bits = little.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let value = AttrValue::of_bits(spec.dtype, std::iter::once(bits));
        all.extend(value.map(|value| ("_FillValue".to_owned(), Some(spec.dtype), value)));
    }
    let others = spec.attrs.iter().filter(|(name, _)| spec.fill.is_none() || name.as_str() != "_FillValue");
    for (name, value) in others {
        // These must have the type of the variable (NUG, "Attribute Conventions").
        let of_variable =
            matches!(name.as_str(), "_FillValue" | "missing_value" | "valid_min" | "valid_max" | "valid_range");
        let dtype = (of_variable && spec.dtype != DType::Char).then_some(spec.dtype);
        all.push((name.clone(), dtype, value.clone()));
    }
    all
}
