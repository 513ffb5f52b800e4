//! Writes NetCDF classic, chunk by chunk.
//!
//! The header is laid out at the first write; every value then has its place, so chunks are written there by the calling
//! threads and no variable is held in memory. The file appears whole, by [`Writer::finish`].

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::encode::{self, Content, Place, Plan};
use super::header;

use crate::array::{Attrs, ChunkGrid, DType};
use crate::codec::order;
use crate::layout::{MAX_DIMS, position, product};
use crate::part_file::PartFile;
use crate::{Error, Result};

/// Largest chunk in bytes.
const MAX_CHUNK: u64 = 256 << 20;
/// Most chunks of a variable: each takes one bit of memory.
const MAX_CHUNKS: u64 = 1 << 30;

/// A version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// CDF-1: variables begin within 2 GiB.
    Classic,
    /// CDF-2: variables of at most 4 GiB (of a record, where they have them).
    Offset64,
    /// CDF-5: also unsigned and 64-bit integers.
    Data64,
}

impl std::fmt::Display for Version {
    /// The name people use: `CDF-1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Classic => "CDF-1",
            Self::Offset64 => "CDF-2",
            Self::Data64 => "CDF-5",
        })
    }
}

/// A dimension to be written.
#[derive(Debug, Clone)]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) unlimited: bool,
}

/// A variable to be written.
#[derive(Debug, Clone)]
pub struct VariableSpec {
    /// Name.
    pub name: String,
    /// Names of the dimensions, outermost first; none for a scalar.
    pub dims: Vec<String>,
    /// Type of the elements: `Char`, `Int8`, `Int16`, `Int32`, `Float32`, `Float64`; in CDF-5 also the other integers.
    pub dtype: DType,
    /// Length along each dimension of the chunks that are given to [`Writer::write_chunk`]; the file has none.
    pub chunk: Vec<u64>,
    /// The fill value, one element in native byte order, written as `_FillValue`; else that of `attrs`, else netCDF's
    /// default for the type.
    pub fill: Option<Vec<u8>>,
    /// Attributes. `missing_value`, `valid_min`, `valid_max` and `valid_range` get the type of the variable where it
    /// holds them.
    pub attrs: Attrs,
}

/// A variable and which of its chunks are there.
struct Member {
    spec: VariableSpec,
    grid: ChunkGrid,
    fill: Vec<u8>,
    chunk_bytes: usize,
    /// A bit for each chunk, in C order.
    written: Mutex<Vec<u64>>,
}

/// Writes one NetCDF-3 file.
///
/// - Chunks may come from several threads, in any order, each once; those that never come are fill value.
/// - Dropped unfinished, it leaves nothing, and an old file of the name stays.
pub struct Writer {
    file: PartFile,
    version: Option<Version>,
    attrs: Attrs,
    dims: Vec<Dimension>,
    members: Vec<Member>,
    plan: OnceLock<Plan>,
    planning: Mutex<()>,
    failed: AtomicBool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("file", &self.file).field("dims", &self.dims).finish_non_exhaustive()
    }
}

pub(super) fn failed(name: &str, why: impl Into<String>) -> Error {
    Error::NetCdf { name: name.to_owned(), why: why.into() }
}

impl Writer {
    /// Starts a file that will appear at `target`; without a version, of the oldest that holds what is added.
    ///
    /// # Errors
    /// [`Error::Store`] if it cannot be made.
    pub fn create(target: &Path, attrs: &Attrs, version: Option<Version>) -> Result<Self> {
        Ok(Self {
            file: PartFile::create(target, 0)?,
            version,
            attrs: attrs.clone(),
            dims: Vec::new(),
            members: Vec::new(),
            plan: OnceLock::new(),
            planning: Mutex::default(),
            failed: AtomicBool::new(false),
        })
    }

    /// Adds a dimension of `len` positions.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the name is not one or is taken, if `len` is 0, or if values were written already.
    pub fn add_dim(&mut self, name: &str, len: u64) -> Result<()> {
        if len == 0 {
            let why = "NetCDF-3 has no fixed dimension of length 0; make it unlimited, or write NetCDF-4";
            return Err(failed(name, why));
        }
        self.add(Dimension { name: name.to_owned(), len, unlimited: false })
    }

    /// Adds the dimension that may grow later and has `len` positions now.
    ///
    /// # Errors
    /// As [`Writer::add_dim`], and if there is one already.
    pub fn add_unlimited_dim(&mut self, name: &str, len: u64) -> Result<()> {
        if let Some(other) = self.dims.iter().find(|dim| dim.unlimited) {
            let why = format!(
                "`{}` is unlimited already, and NetCDF-3 has one; make it fixed, or write NetCDF-4",
                other.name
            );
            return Err(failed(name, why));
        }
        self.add(Dimension { name: name.to_owned(), len, unlimited: true })
    }

    fn add(&mut self, dim: Dimension) -> Result<()> {
        self.check_new(&dim.name, self.dims.iter().map(|d| d.name.as_str()))?;
        self.dims.push(dim);
        Ok(())
    }

    fn check_new<'a>(&self, name: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<()> {
        encode::check_name(name)?;
        if self.plan.get().is_some() {
            return Err(failed(name, "values were written, so that the header is fixed; add it before"));
        }
        if taken.any(|other| other == name) { Err(failed(name, "the name is taken")) } else { Ok(()) }
    }

    /// Adds a variable.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the name, the dimensions, the chunks, the fill value or the type do not fit, or if values
    /// were written already.
    pub fn add_variable(&mut self, spec: &VariableSpec) -> Result<()> {
        let name = spec.name.as_str();
        self.check_new(name, self.members.iter().map(|m| m.spec.name.as_str()))?;
        encode::check_type(name, spec.dtype)?;
        spec.attrs.keys().try_for_each(|attr| encode::check_name(attr))?;
        let dims = spec.dims.iter().map(|dim| self.dim(dim)).collect::<Result<Vec<_>>>()?;
        if let Some(dim) = dims.iter().skip(1).find(|dim| dim.unlimited) {
            let why =
                format!("`{}` is unlimited and not its first dimension; make it fixed, or write NetCDF-4", dim.name);
            return Err(failed(name, why));
        }
        let shape: Vec<u64> = dims.iter().map(|dim| dim.len).collect();
        if spec.chunk.len() != shape.len() || spec.chunk.contains(&0) || shape.len() > MAX_DIMS {
            let why = format!("chunk {:?} does not fit shape {shape:?} (at most {MAX_DIMS} dimensions)", spec.chunk);
            return Err(failed(name, why));
        }
        let bytes = product(&spec.chunk, name)?.saturating_mul(spec.dtype.size() as u64);
        let chunk_bytes = limited(bytes, MAX_CHUNK, || format!("size of a chunk of `{name}` in bytes"))?;
        let grid = ChunkGrid { shape, chunk: spec.chunk.clone() };
        let chunks = product(&grid.counts(), name)?;
        let chunks = limited(chunks, MAX_CHUNKS, || format!("number of chunks of `{name}`"))?;
        let fill = encode::fill_of(spec)?.unwrap_or_else(|| header::fill(&Attrs::new(), spec.dtype));
        let written = Mutex::new(vec![0; chunks.div_ceil(64)]);
        self.members.push(Member { spec: spec.clone(), grid, fill, chunk_bytes, written });
        Ok(())
    }

    fn dim(&self, name: &str) -> Result<&Dimension> {
        self.dims.iter().find(|dim| dim.name == name).ok_or_else(|| failed(name, "there is no such dimension"))
    }

    /// The header and all places, from the first call on.
    fn plan(&self) -> Result<&Plan> {
        let _one_thread = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let variables = self.members.iter().map(|member| &member.spec).collect();
        let plan = encode::plan(&Content { attrs: &self.attrs, dims: &self.dims, variables }, self.version)?;
        if let Some(last) = plan.end.checked_sub(1) {
            self.file.put(last, &[0])?;
        }
        self.file.put(0, &plan.header)?;
        Ok(self.plan.get_or_init(|| plan))
    }

    /// Writes one whole chunk in C order and native byte order; at the edge, what lies beyond the shape is not used.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the variable, the position or the number of bytes does not fit, if the chunk was written
    /// before, or if the version cannot hold what was added; [`Error::Store`], for example when the disk is full.
    pub fn write_chunk(&self, name: &str, index: &[u64], raw: &[u8]) -> Result<()> {
        let number = self.members.iter().position(|m| m.spec.name == name);
        let number = number.ok_or_else(|| failed(name, "there is no such variable"))?;
        let member = &self.members[number];
        let counts = member.grid.counts();
        let inside = index.len() == counts.len() && index.iter().zip(&counts).all(|(i, n)| i < n);
        if !inside {
            return Err(failed(name, format!("chunk {index:?} is not one of {counts:?}")));
        }
        if raw.len() != member.chunk_bytes {
            return Err(failed(name, format!("{} bytes were given, {} are wanted", raw.len(), member.chunk_bytes)));
        }
        let plan = self.plan()?;
        let place = &plan.places[number];
        let done = self.put(member, place, index, raw).and_then(|()| member.mark(index, &counts));
        if done.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Writes the part of a chunk that lies within the shape, in as few runs as there are.
    fn put(&self, member: &Member, place: &Place, index: &[u64], raw: &[u8]) -> Result<()> {
        let (shape, size) = (&member.grid.shape, member.spec.dtype.size());
        let starts: Vec<u64> = index.iter().zip(&member.grid.chunk).map(|(i, c)| i * c).collect();
        let part: Vec<u64> =
            starts.iter().zip(&member.grid.chunk).zip(shape).map(|((at, c), n)| (*c).min(n - at)).collect();
        let mut bytes = within(raw, &member.grid.chunk, &part, size);
        if cfg!(target_endian = "little") {
            order::swap(&mut bytes, member.spec.dtype.word());
        }
        let mut strides = vec![size as u64; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        if let Some(first) = strides.first_mut() {
            *first = place.stride;
        }
        // Axes from here on lie side by side in the file.
        let (mut axis, first) = (shape.len(), usize::from(place.interleaved));
        while axis > first {
            axis -= 1;
            if part[axis] != shape[axis] {
                break;
            }
        }
        let run = place_of(part[axis..].iter().product::<u64>()) * size;
        let origin = place.begin + starts.iter().zip(&strides).map(|(at, stride)| at * stride).sum::<u64>();
        let mut padding = member.fill.clone();
        if cfg!(target_endian = "little") {
            padding.reverse();
        }
        let padding = padding.into_iter().cycle().take(place_of(place.padding)).collect::<Vec<u8>>();
        for (row, run) in bytes.chunks_exact(run).enumerate() {
            let (mut row, mut offset) = (row as u64, origin);
            for outer in (0..axis).rev() {
                offset += row % part[outer] * strides[outer];
                row /= part[outer];
            }
            let from_unit =
                if place.interleaved { (offset - place.begin) % place.stride } else { offset - place.begin };
            if !padding.is_empty() && from_unit + run.len() as u64 == place.unit {
                self.file.put(offset, &[run, &padding].concat())?;
            } else {
                self.file.put(offset, run)?;
            }
        }
        Ok(())
    }

    /// Writes fill value where nothing was written, flushes the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`Error::NetCdf`] if the version cannot hold what was added, or if a chunk could not be written before;
    /// [`Error::Store`]. An old file of the name then stays.
    pub fn finish(self) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(failed("the file", "a chunk could not be written before"));
        }
        self.plan()?;
        for member in &self.members {
            // A file is zero where nothing was written.
            if member.fill.iter().all(|byte| *byte == 0) {
                continue;
            }
            let counts = member.grid.counts();
            let written = member.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let missing = (0..product(&counts, &member.spec.name)?)
                .filter(|linear| written[place_of(*linear / 64)] >> (linear % 64) & 1 == 0);
            let mut raw = Vec::new();
            for linear in missing {
                if raw.is_empty() {
                    raw = member.fill.repeat(member.chunk_bytes / member.fill.len());
                }
                self.write_chunk(&member.spec.name, &position(linear, &counts), &raw)?;
            }
        }
        self.file.finish()
    }
}

impl Member {
    /// Notes that a chunk is there.
    fn mark(&self, index: &[u64], counts: &[u64]) -> Result<()> {
        let linear = index.iter().zip(counts).fold(0, |at, (i, count)| at * count + i);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let word = &mut written[place_of(linear / 64)];
        let bit = 1 << (linear % 64);
        if *word & bit != 0 {
            return Err(failed(&self.spec.name, format!("chunk {index:?} was written twice")));
        }
        *word |= bit;
        Ok(())
    }
}

fn limited(value: u64, limit: u64, what: impl Fn() -> String) -> Result<usize> {
    let fits = usize::try_from(value).ok().filter(|_| value <= limit);
    fits.ok_or_else(|| Error::Limit { what: what(), value, limit })
}

/// Sizes and positions within allocated memory always fit.
fn place_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The corner of a chunk that lies within the shape, in C order.
fn within(raw: &[u8], chunk: &[u64], part: &[u64], size: usize) -> Vec<u8> {
    let Some((last, outer)) = part.split_last().filter(|_| part != chunk) else { return raw.to_vec() };
    let (run, row_bytes) = (place_of(*last) * size, place_of(chunk[outer.len()]) * size);
    let mut bytes = Vec::with_capacity(place_of(part.iter().product()) * size);
    for row in 0..outer.iter().product::<u64>() {
        let (mut row, mut at, mut stride) = (row, 0, 1);
        for (len, chunk) in outer.iter().zip(chunk).rev() {
            at += row % len * stride;
            row /= len;
            stride *= chunk;
        }
        let at = place_of(at) * row_bytes;
        bytes.extend_from_slice(&raw[at..at + run]);
    }
    bytes
}
