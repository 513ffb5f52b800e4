//! Reads the header from the bytes at hand.

use indexmap::IndexMap;
use outcrop_store::{Sparse, Step};

use crate::array::{AttrValue, Attrs, ByteOrder, DType, Dim, FileMeta, Format, Variable};
use crate::layout::{Layout, MAX_DIMS, product, virtual_grid, virtual_rows};
use crate::{Error, Result};

/// First piece of a header, in bytes.
const FIRST: u64 = 8 << 10;
/// Largest header, in bytes.
pub(super) const MAX_HEADER: u64 = 16 << 20;

pub(super) const TAG_DIMENSION: u32 = 10;
pub(super) const TAG_VARIABLE: u32 = 11;
pub(super) const TAG_ATTRIBUTE: u32 = 12;

/// Reads the header of a classic file.
#[derive(Debug)]
pub(crate) struct Header {
    want: u64,
}

impl Header {
    pub(crate) fn new() -> Self {
        Self { want: FIRST }
    }

    pub(crate) fn step(&mut self, have: &Sparse) -> Result<Step<FileMeta>> {
        loop {
            let range = 0..self.want.min(have.len());
            let Some(bytes) = have.get(&range) else { return Ok(Step::Need(std::iter::once(range).collect())) };
            match parse(&bytes, have.len()) {
                Err(Stop::Short) if range.end == have.len() => {
                    return Err(Error::Truncated { what: "the header".into(), need: range.end + 1, have: have.len() });
                }
                Err(Stop::Short) if self.want >= MAX_HEADER => {
                    let what = "size of the header in bytes".to_owned();
                    return Err(Error::Limit { what, value: self.want + 1, limit: MAX_HEADER });
                }
                Err(Stop::Short) => self.want *= 4,
                Err(Stop::Broken(why)) => return Err(Error::malformed("the header", why)),
                Err(Stop::Other(error)) => return Err(error),
                Ok(meta) => return Ok(Step::Done(meta)),
            }
        }
    }
}

/// Why a parser stops.
enum Stop {
    Short,
    Broken(String),
    Other(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

type Parsed<T> = std::result::Result<T, Stop>;

fn broken<T>(why: impl Into<String>) -> Parsed<T> {
    Err(Stop::Broken(why.into()))
}

struct Reader<'a> {
    rest: &'a [u8],
    version: u8,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Parsed<&'a [u8]> {
        let n = usize::try_from(n).map_err(|_| Stop::Short)?;
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Stop::Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn u32(&mut self) -> Parsed<u32> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    /// A count or length: 64 bits in CDF-5, 32 otherwise, never negative.
    fn count(&mut self) -> Parsed<u64> {
        let (n, top) = if self.version == 5 { (self.u64()?, 63) } else { (u64::from(self.u32()?), 31) };
        if n >> top != 0 { broken(format!("a count is negative ({n:#x})")) } else { Ok(n) }
    }

    fn begin(&mut self) -> Parsed<u64> {
        if self.version == 1 { Ok(u64::from(self.u32()?)) } else { self.u64() }
    }

    fn padded(&mut self, n: u64) -> Parsed<&'a [u8]> {
        let bytes = self.take(n)?;
        self.take(n.wrapping_neg() & 3)?;
        Ok(bytes)
    }

    fn name(&mut self) -> Parsed<String> {
        let len = self.count()?;
        Ok(String::from_utf8_lossy(self.padded(len)?).into_owned())
    }

    /// Number of members of a list; 0 where it is absent.
    fn list(&mut self, tag: u32) -> Parsed<u64> {
        let (found, count) = (self.u32()?, self.count()?);
        match found {
            0 if count == 0 => Ok(0),
            found if found == tag => Ok(count),
            found => broken(format!("a list of kind {tag} was expected, {found} found")),
        }
    }

    fn dtype(&mut self) -> Parsed<DType> {
        let code = self.u32()?;
        match (code, self.version) {
            (1, _) => Ok(DType::Int8),
            (2, _) => Ok(DType::Char),
            (3, _) => Ok(DType::Int16),
            (4, _) => Ok(DType::Int32),
            (5, _) => Ok(DType::Float32),
            (6, _) => Ok(DType::Float64),
            (7, 5) => Ok(DType::UInt8),
            (8, 5) => Ok(DType::UInt16),
            (9, 5) => Ok(DType::UInt32),
            (10, 5) => Ok(DType::Int64),
            (11, 5) => Ok(DType::UInt64),
            _ => broken(format!("unknown type {code}")),
        }
    }

    fn attributes(&mut self) -> Parsed<Attrs> {
        let mut attrs = Attrs::new();
        for _ in 0..self.list(TAG_ATTRIBUTE)? {
            let name = self.name()?;
            let dtype = self.dtype()?;
            let count = self.count()?;
            let bytes = count.checked_mul(dtype.size() as u64).ok_or(Stop::Short)?;
            attrs.insert(name, value(self.padded(bytes)?, dtype));
        }
        Ok(attrs)
    }
}

/// Big-endian values of an attribute.
fn value(bytes: &[u8], dtype: DType) -> AttrValue {
    let bits = bytes.chunks_exact(dtype.size()).map(|e| e.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)));
    let text = || AttrValue::Text(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned());
    AttrValue::of_bits(dtype, bits).unwrap_or_else(text)
}

/// A variable as the header has it.
struct Declared {
    name: String,
    dims: Vec<usize>,
    attrs: Attrs,
    dtype: DType,
    begin: u64,
}

fn parse(bytes: &[u8], len: u64) -> Parsed<FileMeta> {
    let mut reader = Reader { rest: bytes, version: 0 };
    let magic = reader.take(4)?;
    reader.version = magic[3];
    let numrecs = if reader.version == 5 { reader.u64()? } else { u64::from(reader.u32()?) };
    let streaming = numrecs == if reader.version == 5 { u64::MAX } else { u64::from(u32::MAX) };
    let mut dims: Vec<(String, u64)> = Vec::new();
    for _ in 0..reader.list(TAG_DIMENSION)? {
        dims.push((reader.name()?, reader.count()?));
    }
    let attrs = reader.attributes()?;
    let mut declared = Vec::new();
    for _ in 0..reader.list(TAG_VARIABLE)? {
        declared.push(variable(&mut reader, dims.len())?);
    }
    let record = dims.iter().position(|(_, len)| *len == 0);
    let size = record_size(&declared, &dims, record)?;
    let first = declared.iter().filter(|v| is_record(v, record)).map(|v| v.begin).min();
    let records = match (streaming, first) {
        (false, _) => numrecs,
        (true, None) => 0,
        (true, Some(first)) => len.saturating_sub(first).checked_div(size).unwrap_or(0),
    };
    let lengths: Vec<u64> =
        dims.iter().enumerate().map(|(i, (_, len))| if Some(i) == record { records } else { *len }).collect();
    let mut named = IndexMap::new();
    for (i, (name, _)) in dims.iter().enumerate() {
        named.insert(name.clone(), Dim { len: lengths[i], unlimited: Some(i) == record });
    }
    let lower = |v| lower(v, &dims, &lengths, record.map(|record| (record, size)));
    let variables = declared.into_iter().map(lower).collect::<Parsed<Vec<_>>>()?;
    Ok(FileMeta { format: Format::NetCdf3, dims: named, attrs, variables, refused: Vec::new() })
}

fn variable(reader: &mut Reader<'_>, dims: usize) -> Parsed<Declared> {
    let name = reader.name()?;
    let rank = reader.count()?;
    if rank > MAX_DIMS as u64 {
        let what = format!("number of dimensions of `{name}`");
        return Err(Stop::Other(Error::Limit { what, value: rank, limit: MAX_DIMS as u64 }));
    }
    let mut ids = Vec::new();
    for _ in 0..rank {
        let id = reader.count()?;
        match usize::try_from(id).ok().filter(|id| *id < dims) {
            Some(id) => ids.push(id),
            None => return broken(format!("`{name}` has dimension {id} of {dims}")),
        }
    }
    let attrs = reader.attributes()?;
    let dtype = reader.dtype()?;
    // The stored size is redundant and saturates for large variables, so it is not used.
    reader.count_any()?;
    let begin = reader.begin()?;
    Ok(Declared { name, dims: ids, attrs, dtype, begin })
}

impl Reader<'_> {
    fn count_any(&mut self) -> Parsed<u64> {
        if self.version == 5 { self.u64() } else { Ok(u64::from(self.u32()?)) }
    }
}

fn is_record(variable: &Declared, record: Option<usize>) -> bool {
    record.is_some() && variable.dims.first().copied() == record
}

/// Bytes of one record of one variable.
fn row_bytes(variable: &Declared, dims: &[(String, u64)]) -> Parsed<u64> {
    let lengths: Vec<u64> = variable.dims.iter().skip(1).filter_map(|id| dims.get(*id)).map(|(_, len)| *len).collect();
    let row = product(&lengths, &variable.name)?.checked_mul(variable.dtype.size() as u64);
    row.map_or_else(|| broken(format!("`{}` is beyond 64 bits", variable.name)), Ok)
}

/// Bytes of one record of all variables: each padded to four bytes, unless there is only one.
fn record_size(declared: &[Declared], dims: &[(String, u64)], record: Option<usize>) -> Parsed<u64> {
    let of_record: Vec<&Declared> = declared.iter().filter(|v| is_record(v, record)).collect();
    if let [only] = of_record.as_slice() {
        return row_bytes(only, dims);
    }
    let mut size = 0u64;
    for variable in of_record {
        let padded = row_bytes(variable, dims)?.checked_next_multiple_of(4).and_then(|row| size.checked_add(row));
        size = padded.map_or_else(|| broken("a record is beyond 64 bits"), Ok)?;
    }
    Ok(size)
}

fn lower(
    variable: Declared,
    dims: &[(String, u64)],
    lengths: &[u64],
    record: Option<(usize, u64)>,
) -> Parsed<Variable> {
    let Declared { name, dims: ids, attrs, dtype, begin } = variable;
    let shape: Vec<u64> = ids.iter().map(|id| lengths[*id]).collect();
    let elements = product(&shape, &name)?;
    if elements.checked_mul(dtype.size() as u64).is_none() {
        return broken(format!("`{name}` is beyond 64 bits"));
    }
    if ids.iter().skip(1).any(|id| Some(*id) == record.map(|(id, _)| id)) {
        return broken(format!("`{name}` has the record dimension where it is not the first"));
    }
    let row = product(shape.get(1..).unwrap_or_default(), &name)?.saturating_mul(dtype.size() as u64);
    let stride = record.filter(|(id, _)| ids.first() == Some(id)).map_or(row, |(_, size)| size);
    Ok(Variable {
        dims: ids.iter().map(|id| dims[*id].0.clone()).collect(),
        dtype,
        byte_order: ByteOrder::Big,
        grid: if stride == row { virtual_grid(&shape, dtype) } else { virtual_rows(&shape, dtype) },
        codecs: Vec::new(),
        fill: fill(&attrs, dtype),
        attrs,
        layout: Layout::Rows { base: begin, stride },
        name,
    })
}

/// The fill value that the attribute `_FillValue` or netCDF's defaults give, in native order.
pub(super) fn fill(attrs: &Attrs, dtype: DType) -> Vec<u8> {
    let given = attrs.get("_FillValue").and_then(|value| value.element(dtype));
    given.unwrap_or_else(|| default_fill(dtype))
}

/// NetCDF's default fill value of a type, in native order.
pub(crate) fn default_fill(dtype: DType) -> Vec<u8> {
    const FLOAT: f64 = 9.969_209_968_386_869e36;
    let signed = |n: i64| AttrValue::Int(vec![n]);
    let value = match dtype {
        DType::Int8 => signed(-127),
        DType::UInt8 => signed(255),
        DType::Int16 => signed(-32767),
        DType::UInt16 => signed(65535),
        DType::Int32 => signed(-2_147_483_647),
        DType::UInt32 => signed(4_294_967_295),
        DType::Int64 => signed(-9_223_372_036_854_775_806),
        DType::UInt64 => AttrValue::UInt(vec![18_446_744_073_709_551_614]),
        _ => AttrValue::Float64(vec![FLOAT]),
    };
    value.element(dtype).unwrap_or_else(|| vec![0; dtype.size()])
}
