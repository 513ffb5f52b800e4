//! The header of a file that is being written, and where the data of each variable lies.

use super::header::{MAX_HEADER, TAG_ATTRIBUTE, TAG_DIMENSION, TAG_VARIABLE};
use super::write::{Dimension, VariableSpec, Version, failed};
use crate::array::{AttrValue, Attrs, DType};
use crate::layout::product;
use crate::{Error, Result};

/// Largest count and length of CDF-1 and CDF-2.
const MAX_COUNT: u64 = i32::MAX as u64;
/// Longest name, in bytes.
const MAX_NAME: usize = 256;

/// Where the values of a variable are.
#[derive(Debug)]
pub(super) struct Place {
    /// Its first byte.
    pub(super) begin: u64,
    /// Bytes from one position of the first axis to the next.
    pub(super) stride: u64,
    /// True if records of other variables lie between its own.
    pub(super) interleaved: bool,
    /// Bytes that lie side by side: of a record, or of all.
    pub(super) unit: u64,
    /// Bytes of fill value behind a unit.
    pub(super) padding: u64,
}

/// A header and what it says.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) header: Vec<u8>,
    /// In the order of the variables.
    pub(super) places: Vec<Place>,
    /// Size of the file.
    pub(super) end: u64,
}

/// What is written.
pub(super) struct Content<'a> {
    pub(super) attrs: &'a Attrs,
    pub(super) dims: &'a [Dimension],
    pub(super) variables: Vec<&'a VariableSpec>,
}

impl Version {
    fn number(self) -> u8 {
        match self {
            Self::Classic => 1,
            Self::Offset64 => 2,
            Self::Data64 => 5,
        }
    }
}

/// A name as netCDF allows it, for dimensions, variables and attributes.
pub(super) fn check_name(name: &str) -> Result<()> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    let fits = name.chars().next().is_some_and(first)
        && !name.contains('/')
        && !name.chars().any(char::is_control)
        && !name.ends_with(' ')
        && name.len() <= MAX_NAME;
    if fits {
        return Ok(());
    }
    let why = "a name is 1 to 256 bytes without slashes and control characters, starts with a letter, a digit or `_`, \
               and does not end with a space";
    Err(failed(name, why))
}

/// The type of the format, by its number.
fn code(dtype: DType) -> Option<u32> {
    Some(match dtype {
        DType::Int8 => 1,
        DType::Char => 2,
        DType::Int16 => 3,
        DType::Int32 => 4,
        DType::Float32 => 5,
        DType::Float64 => 6,
        DType::UInt8 => 7,
        DType::UInt16 => 8,
        DType::UInt32 => 9,
        DType::Int64 => 10,
        DType::UInt64 => 11,
        DType::Float16
        | DType::Complex64
        | DType::Complex128
        | DType::Opaque(_)
        | DType::Text(_)
        | DType::Unicode(_)
        | DType::VlenText(_)
        | DType::VlenUtf8 => return None,
    })
}

/// Refuses a type that no version has.
pub(super) fn check_type(name: &str, dtype: DType) -> Result<()> {
    match code(dtype) {
        Some(_) => Ok(()),
        None => Err(failed(name, format!("NetCDF-3 has no type {}; convert it, or write Zarr", dtype.name()))),
    }
}

/// Lays out a file; without a version, of the oldest that fits.
pub(super) fn plan(content: &Content<'_>, version: Option<Version>) -> Result<Plan> {
    match version {
        Some(version) => plan_of(content, version),
        None => plan_of(content, Version::Classic)
            .or_else(|_| plan_of(content, Version::Offset64))
            .or_else(|_| plan_of(content, Version::Data64)),
    }
}

fn plan_of(content: &Content<'_>, version: Version) -> Result<Plan> {
    let record = content.dims.iter().find(|dim| dim.unlimited);
    let records = record.map_or(0, |dim| dim.len);
    let grows = |spec: &VariableSpec| record.is_some_and(|dim| spec.dims.first() == Some(&dim.name));
    let record_variables = content.variables.iter().filter(|spec| grows(spec)).count();
    let mut places = Vec::new();
    for spec in &content.variables {
        let (all, row) = sizes(content.dims, spec)?;
        let unit = if grows(spec) { row } else { all };
        places.push(Place {
            begin: 0,
            stride: row,
            interleaved: grows(spec) && record_variables > 1,
            unit,
            padding: 0,
        });
    }
    let mut header = Header { bytes: Vec::new(), version };
    header.write(content, records, &places)?;
    let beyond = || failed("the file", "its size is beyond 64 bits");
    let mut at = (header.bytes.len() as u64).next_multiple_of(4);
    let mut record_bytes = 0u64;
    for grown in [false, true] {
        for (spec, place) in content.variables.iter().zip(&mut places).filter(|(spec, _)| grows(spec) == grown) {
            place.begin = at;
            // A single variable with records has them side by side.
            place.padding = if grown && record_variables == 1 { 0 } else { place.unit.wrapping_neg() & 3 };
            at = at.checked_add(place.unit).and_then(|at| at.checked_add(place.padding)).ok_or_else(beyond)?;
            record_bytes += if grown { at - place.begin } else { 0 };
            fits_version(spec, place, version)?;
        }
    }
    for place in places.iter_mut().filter(|place| place.interleaved) {
        place.stride = record_bytes;
    }
    let more = record_bytes.checked_mul(records).and_then(|all| at.checked_add(all)).ok_or_else(beyond)?;
    let end = more - record_bytes;
    i64::try_from(end).map_err(|_| beyond())?;
    header.write(content, records, &places)?;
    Ok(Plan { header: header.bytes, places, end })
}

/// Bytes of all values, and of one position of the first axis.
fn sizes(dims: &[Dimension], spec: &VariableSpec) -> Result<(u64, u64)> {
    let len = |name: &String| dims.iter().find(|dim| dim.name == *name).map_or(0, |dim| dim.len);
    let shape: Vec<u64> = spec.dims.iter().map(len).collect();
    let beyond = || failed(&spec.name, format!("its shape {shape:?} is beyond 64 bits"));
    let size = spec.dtype.size() as u64;
    let bytes = |lengths: &[u64]| product(lengths, &spec.name)?.checked_mul(size).ok_or_else(beyond);
    let row = bytes(shape.get(1..).unwrap_or_default())?;
    let all = bytes(&shape)?;
    Ok((all, row))
}

/// What a version cannot hold is refused.
fn fits_version(spec: &VariableSpec, place: &Place, version: Version) -> Result<()> {
    let (most_begin, most_size) = match version {
        Version::Classic => (MAX_COUNT, MAX_COUNT - 3),
        Version::Offset64 => (u64::MAX, u64::from(u32::MAX) - 3),
        Version::Data64 => return Ok(()),
    };
    let next = "choose CDF-5 or NetCDF-4";
    if place.unit > most_size {
        let why = format!("it has {} bytes, {version} holds {most_size}; {next}", place.unit);
        return Err(failed(&spec.name, why));
    }
    if place.begin > most_begin {
        let why = format!("it begins at byte {}, {version} counts to {most_begin}; choose CDF-2", place.begin);
        return Err(failed(&spec.name, why));
    }
    Ok(())
}

struct Header {
    bytes: Vec<u8>,
    version: Version,
}

impl Header {
    fn write(&mut self, content: &Content<'_>, records: u64, places: &[Place]) -> Result<()> {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[b'C', b'D', b'F', self.version.number()]);
        self.count("the file", records)?;
        self.list(TAG_DIMENSION, content.dims.len())?;
        for dim in content.dims {
            self.name(&dim.name)?;
            self.count(&dim.name, if dim.unlimited { 0 } else { dim.len })?;
        }
        self.attributes("the file", &global(content.attrs, self.version)?)?;
        self.list(TAG_VARIABLE, content.variables.len())?;
        for (spec, place) in content.variables.iter().zip(places) {
            self.variable(content, spec, place)?;
        }
        let value = self.bytes.len() as u64;
        if value > MAX_HEADER {
            return Err(Error::Limit { what: "size of the header in bytes".to_owned(), value, limit: MAX_HEADER });
        }
        Ok(())
    }

    fn variable(&mut self, content: &Content<'_>, spec: &VariableSpec, place: &Place) -> Result<()> {
        self.name(&spec.name)?;
        self.count(&spec.name, spec.dims.len() as u64)?;
        for name in &spec.dims {
            let id = content.dims.iter().position(|dim| dim.name == *name);
            self.count(&spec.name, id.unwrap_or_default() as u64)?;
        }
        self.attributes(&spec.name, &of_variable(spec, self.version)?)?;
        self.dtype(&spec.name, spec.dtype)?;
        let size = place.unit.checked_next_multiple_of(4).unwrap_or(u64::MAX);
        if self.version == Version::Data64 {
            self.u64(size);
        } else {
            // Larger ones are refused later, where the error can say so.
            self.u32(u32::try_from(size).unwrap_or(u32::MAX));
        }
        match self.version {
            Version::Classic => self.u32(u32::try_from(place.begin).unwrap_or(u32::MAX)),
            _ => self.u64(place.begin),
        }
        Ok(())
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn count(&mut self, name: &str, value: u64) -> Result<()> {
        if self.version == Version::Data64 {
            self.u64(value);
            return Ok(());
        }
        let short = u32::try_from(value).ok().filter(|_| value <= MAX_COUNT);
        let why = || format!("the length {value} is beyond what {} counts; choose CDF-5 or NetCDF-4", self.version);
        self.u32(short.ok_or_else(|| failed(name, why()))?);
        Ok(())
    }

    fn list(&mut self, tag: u32, members: usize) -> Result<()> {
        self.u32(if members == 0 { 0 } else { tag });
        self.count("the file", members as u64)
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn name(&mut self, name: &str) -> Result<()> {
        self.count(name, name.len() as u64)?;
        self.padded(name.as_bytes());
        Ok(())
    }

    fn dtype(&mut self, name: &str, dtype: DType) -> Result<()> {
        check_type(name, dtype)?;
        let code = code(dtype).unwrap_or_default();
        if code > 6 && self.version != Version::Data64 {
            let why = format!("{} has no type {}; choose CDF-5 or NetCDF-4, or convert it", self.version, dtype.name());
            return Err(failed(name, why));
        }
        self.u32(code);
        Ok(())
    }

    fn attributes(&mut self, of: &str, attrs: &[Attribute]) -> Result<()> {
        self.list(TAG_ATTRIBUTE, attrs.len())?;
        for attr in attrs {
            self.name(&attr.name)?;
            self.dtype(&format!("{of}:{}", attr.name), attr.dtype)?;
            self.count(of, (attr.bytes.len() / attr.dtype.size()) as u64)?;
            self.padded(&attr.bytes);
        }
        Ok(())
    }
}

/// An attribute as it is stored: big-endian.
struct Attribute {
    name: String,
    dtype: DType,
    bytes: Vec<u8>,
}

fn global(attrs: &Attrs, version: Version) -> Result<Vec<Attribute>> {
    attrs.iter().map(|(name, value)| own_type(("the file", name), value, version)).collect()
}

/// The attributes of a variable; those that must have its type have it, where it holds them (NUG, "Attribute
/// Conventions").
fn of_variable(spec: &VariableSpec, version: Version) -> Result<Vec<Attribute>> {
    let mut all = Vec::new();
    if let Some(fill) = fill_of(spec)? {
        let mut bytes = fill;
        if cfg!(target_endian = "little") {
            bytes.reverse();
        }
        all.push(Attribute { name: "_FillValue".to_owned(), dtype: spec.dtype, bytes });
    }
    for (name, value) in spec.attrs.iter().filter(|(name, _)| name.as_str() != "_FillValue") {
        let typed = matches!(name.as_str(), "missing_value" | "valid_min" | "valid_max" | "valid_range");
        let converted = if typed { value.big_endian(spec.dtype) } else { None };
        all.push(match converted {
            Some(bytes) => Attribute { name: name.clone(), dtype: spec.dtype, bytes },
            None => own_type((&spec.name, name), value, version)?,
        });
    }
    Ok(all)
}

/// The fill value that is declared, in native byte order; `None` for netCDF's default.
pub(super) fn fill_of(spec: &VariableSpec) -> Result<Option<Vec<u8>>> {
    let size = spec.dtype.size();
    let wrong = |why: String| failed(&format!("{}:_FillValue", spec.name), why);
    if let Some(fill) = &spec.fill {
        let fits = fill.len() == size;
        return if fits { Ok(Some(fill.clone())) } else { Err(wrong(format!("one element has {size} bytes"))) };
    }
    let Some(value) = spec.attrs.get("_FillValue") else { return Ok(None) };
    let converted = match value {
        AttrValue::Text(text) if spec.dtype == DType::Char => Some(text.as_bytes().to_vec()),
        other => other.big_endian(spec.dtype),
    };
    let mut bytes = converted
        .filter(|bytes| bytes.len() == size)
        .ok_or_else(|| wrong(format!("{value:?} is not one element of type {}", spec.dtype.name())))?;
    if cfg!(target_endian = "little") {
        bytes.reverse();
    }
    Ok(Some(bytes))
}

/// An attribute in the type that it has by itself.
fn own_type((of, name): (&str, &str), value: &AttrValue, version: Version) -> Result<Attribute> {
    check_name(name)?;
    let (dtype, bytes) = match value {
        AttrValue::Text(text) => (DType::Char, text.as_bytes().to_vec()),
        AttrValue::Texts(texts) if texts.len() == 1 => (DType::Char, texts.concat().into_bytes()),
        AttrValue::Texts(_) => {
            let why = "NetCDF-3 holds one text in an attribute, not a list; join them, or write NetCDF-4";
            return Err(failed(&format!("{of}:{name}"), why));
        }
        numbers => {
            let own = numbers.dtype().unwrap_or(DType::Float64);
            // What the older versions have no type for is theirs where it fits.
            let narrow = version != Version::Data64 && matches!(numbers, AttrValue::Typed(..)) && code(own) > Some(6);
            let narrow =
                if narrow { numbers.big_endian(DType::Int32).map(|bytes| (DType::Int32, bytes)) } else { None };
            narrow.unwrap_or_else(|| (own, numbers.big_endian(own).unwrap_or_default()))
        }
    };
    Ok(Attribute { name: name.to_owned(), dtype, bytes })
}
