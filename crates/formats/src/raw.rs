//! Raw binary: an array whose shape and type stand nowhere in the file and are given by the caller.

use std::str::FromStr;

use indexmap::IndexMap;

use crate::array::{Attrs, ByteOrder, DType, Dim, FileMeta, Format, Variable};
use crate::layout::{Layout, MAX_DIMS, product, virtual_grid};
use crate::{Error, Result};

/// What a raw file holds.
///
/// As text it is `dtype=<i2,shape=1000x200` with `offset=512`, `tail=0`, `dims=time:distance` and `name=data` where they
/// are not the defaults. Types are those of NumPy: `<` (little-endian, the default) or `>` before `i1` to `i8`, `u1` to
/// `u8`, `f2`, `f4`, `f8`, `c8`, `c16` or `S1`.
///
/// ```
/// use outcrop_formats::RawSpec;
///
/// let spec: RawSpec = "dtype=>f4,shape=10x20,offset=64,dims=time:distance".parse()?;
/// let meta = spec.meta(64 + 800)?;
/// assert_eq!(meta.variables[0].dims, ["time", "distance"]);
/// assert!(spec.meta(64 + 799).is_err());
/// # Ok::<(), outcrop_formats::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSpec {
    /// Name of the variable.
    pub name: String,
    /// Type of an element.
    pub dtype: DType,
    /// Order of the bytes of an element.
    pub byte_order: ByteOrder,
    /// Length of each dimension, outermost first.
    pub shape: Vec<u64>,
    /// Names of the dimensions; `dim_0`, `dim_1`, … where none are given.
    pub dims: Vec<String>,
    /// Bytes before the array.
    pub offset: u64,
    /// Bytes behind the array.
    pub tail: u64,
}

impl RawSpec {
    /// An array at the start of a file, in C order.
    pub fn new(dtype: DType, byte_order: ByteOrder, shape: Vec<u64>) -> Self {
        let dims = (0..shape.len()).map(|axis| format!("dim_{axis}")).collect();
        Self { name: "data".to_owned(), dtype, byte_order, shape, dims, offset: 0, tail: 0 }
    }

    /// The header of a file of `len` bytes that holds the array.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file is shorter or longer, or if names and lengths of dimensions do not fit each other;
    /// [`Error::Limit`] for more than 32 dimensions.
    pub fn meta(&self, len: u64) -> Result<FileMeta> {
        let (rank, limit) = (self.shape.len() as u64, MAX_DIMS as u64);
        if rank > limit {
            return Err(Error::Limit { what: "number of dimensions".into(), value: rank, limit });
        }
        let mut names: Vec<&String> = self.dims.iter().collect();
        names.sort();
        names.dedup();
        if names.len() != self.shape.len() || self.dims.len() != self.shape.len() {
            let why = format!("{} names of dimensions, {} lengths", names.len(), self.shape.len());
            return Err(Error::malformed("the declaration of a raw file", why));
        }
        let size = product(&self.shape, &self.name)?.checked_mul(self.dtype.size() as u64);
        let end = size.and_then(|size| size.checked_add(self.offset)?.checked_add(self.tail));
        let Some(end) = end else {
            return Err(Error::malformed("the declaration of a raw file", "it is beyond 64 bits"));
        };
        let what = || format!("the declared array of {:?} {}", self.shape, self.dtype.name());
        if end != len {
            let hint = if end < len { "; give offset or tail for the other bytes" } else { "" };
            let why = format!("{len} bytes are there, {} ends at byte {end}{hint}", what());
            return Err(Error::malformed("the raw file", why));
        }
        Ok(self.lower())
    }

    fn lower(&self) -> FileMeta {
        let dim = |(name, len): (&String, &u64)| (name.clone(), Dim { len: *len, unlimited: false });
        let row = self.shape.iter().skip(1).fold(self.dtype.size() as u64, |n, len| n.saturating_mul(*len));
        let variable = Variable {
            name: self.name.clone(),
            dims: self.dims.clone(),
            dtype: self.dtype,
            byte_order: self.byte_order,
            grid: virtual_grid(&self.shape, self.dtype),
            codecs: Vec::new(),
            fill: vec![0; self.dtype.size()],
            attrs: Attrs::new(),
            layout: Layout::Rows { base: self.offset, stride: row },
        };
        let dims: IndexMap<String, Dim> = self.dims.iter().zip(&self.shape).map(dim).collect();
        FileMeta { format: Format::Raw, dims, attrs: Attrs::new(), variables: vec![variable], refused: Vec::new() }
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::malformed("the declaration of a raw file", why)
}

impl FromStr for RawSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (mut dtype, mut shape) = (None, None);
        let (mut name, mut dims, mut offset, mut tail) = (None, None, 0, 0);
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(format!("`{part}` is not KEY=VALUE")))?;
            let value = value.trim();
            match key.trim() {
                "dtype" => dtype = Some(parse_dtype(value)?),
                "shape" => shape = Some(value.split('x').map(whole).collect::<Result<Vec<u64>>>()?),
                "dims" => dims = Some(value.split(':').map(|name| name.trim().to_owned()).collect::<Vec<_>>()),
                "name" => name = Some(value.to_owned()),
                "offset" => offset = whole(value)?,
                "tail" => tail = whole(value)?,
                other => return Err(wrong(format!("there is no key `{other}`"))),
            }
        }
        let (dtype, byte_order) = dtype.ok_or_else(|| wrong("it has no dtype, as in `dtype=<i2`"))?;
        let shape = shape.ok_or_else(|| wrong("it has no shape, as in `shape=1000x200`"))?;
        let spec = Self::new(dtype, byte_order, shape);
        if dims.iter().flatten().any(String::is_empty) {
            return Err(wrong("a dimension has no name"));
        }
        Ok(Self { name: name.unwrap_or(spec.name), dims: dims.unwrap_or(spec.dims), offset, tail, ..spec })
    }
}

fn whole(text: &str) -> Result<u64> {
    text.trim().parse().map_err(|_| wrong(format!("`{text}` is not a whole number")))
}

fn parse_dtype(text: &str) -> Result<(DType, ByteOrder)> {
    let (order, name) = match text.as_bytes().first() {
        Some(b'>') => (ByteOrder::Big, &text[1..]),
        Some(b'<' | b'|') => (ByteOrder::Little, &text[1..]),
        _ => (ByteOrder::Little, text),
    };
    let unknown = || wrong(format!("there is no dtype `{name}`; one is `<i2`, `>f4`, `u1`, `<c8`"));
    Ok((DType::from_numpy(name).ok_or_else(unknown)?, order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, Locate};
    use bytes::Bytes;
    use outcrop_store::{Demand, Sparse, Step};

    fn values(spec: &str, bytes: &[u8]) -> Vec<u8> {
        let spec: RawSpec = spec.parse().unwrap();
        let meta = spec.meta(bytes.len() as u64).unwrap();
        let have = Sparse::whole(&Bytes::copy_from_slice(bytes));
        let Ok(Step::Done(refs)) = Locate::new(&meta.variables[0]).step(&have) else { panic!("all is there") };
        let mut decoder = Decoder::new(&refs).unwrap();
        let mut out = vec![0; decoder.chunk_bytes()];
        let chunk = refs.get(&vec![0; spec.shape.len()]);
        let crate::ChunkRef::Range { offset, length, .. } = chunk else { panic!("a range") };
        decoder.decode(&chunk, &have.get(&(offset..offset + length)).unwrap(), &mut out).unwrap();
        out
    }

    #[test]
    fn bytes_are_turned_around_where_they_must_be() {
        let little = [1u8, 0, 2, 0, 3, 0, 4, 0];
        let want: Vec<u8> = [1u16, 2, 3, 4].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(values("dtype=<u2,shape=2x2", &little), want);
        assert_eq!(values("dtype=>u2,shape=4,offset=1,tail=1", &[9, 0, 1, 0, 2, 0, 3, 0, 4, 9]), want);
        let part = 1.5f32.to_be_bytes();
        let want: Vec<u8> = [1.5f32, 1.5].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(
            values("dtype=>c8,shape=1", &[part, part].concat()),
            want,
            "parts of a complex number turn by themselves"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, len, want) in [
            (
                "dtype=<i2,shape=10x20",
                399,
                "399 bytes are there, the declared array of [10, 20] int16 ends at byte 400",
            ),
            ("dtype=<i2,shape=10x20", 401, "ends at byte 400; give offset or tail"),
            ("dtype=<i2,shape=10x20,offset=5,tail=7", 411, "411 bytes are there"),
            ("dtype=<i2,shape=10x20,dims=time", 400, "1 names of dimensions, 2 lengths"),
            ("dtype=<i2,shape=10x20,dims=x:x", 400, "1 names of dimensions, 2 lengths"),
            ("dtype=<i2,shape=10x20,dims=x:", 400, "a dimension has no name"),
            ("dtype=<i8,shape=4294967296x4294967296", 0, "beyond 64 bits"),
            ("dtype=<i8,shape=18446744073709551615", 0, "beyond 64 bits"),
            ("dtype=<i2", 0, "it has no shape"),
            ("shape=3", 0, "it has no dtype"),
            ("dtype=<q9,shape=3", 0, "there is no dtype `q9`"),
            ("dtype=<i2,shape=-3", 0, "`-3` is not a whole number"),
            ("dtype=<i2,shape=3,colour=red", 0, "there is no key `colour`"),
            ("dtype", 0, "`dtype` is not KEY=VALUE"),
        ] {
            let error = text.parse::<RawSpec>().and_then(|spec| spec.meta(len)).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
        let many = RawSpec::new(DType::Int8, ByteOrder::Little, vec![1; 33]);
        assert!(many.meta(1).unwrap_err().to_string().contains("number of dimensions is 33"));
    }
}
