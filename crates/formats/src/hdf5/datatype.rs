//! Datatypes, from the bytes of their message: what an element holds and where in it.
//!
//! Section IV.A.2.d of the HDF5 file format specification, version 3.0, versions 1 to 3 of the message (and 4, which
//! only changes references).

use hdf5_reader::io::Cursor;

use super::messages::Bits;
use crate::array::{ByteOrder, DType, Padding};

/// Deepest datatype within datatypes.
const MAX_DEPTH: usize = 16;
/// Most members of a compound or enumeration.
const MAX_MEMBERS: usize = 4096;

/// A datatype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Datatype {
    /// Bytes of an element.
    pub(super) size: usize,
    pub(super) class: Class,
}

/// What an element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// One number or text that has a type here.
    Plain(Plain),
    /// Text in a global heap.
    VlenText,
    /// An integer with names for its values.
    Enumeration {
        base: Plain,
        members: Vec<(String, Vec<u8>)>,
    },
    Compound(Vec<Member>),
    /// An array of these lengths.
    Array {
        dims: Vec<u64>,
        base: Box<Datatype>,
    },
    /// What has no values here, and why.
    Other(String),
}

/// An element with a type of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) dtype: DType,
    pub(super) order: ByteOrder,
    pub(super) bits: Bits,
    /// How a text ends.
    pub(super) padding: Option<Padding>,
}

/// A member of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// First byte within an element.
    pub(super) offset: usize,
    pub(super) datatype: Datatype,
}

/// Reads a datatype; the error says what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Datatype, String> {
    Parser { cursor: Cursor::new(bytes) }.datatype(0)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
}

fn cut(_: hdf5_reader::error::Error) -> String {
    "its datatype is cut".to_owned()
}

impl Parser<'_> {
    fn datatype(&mut self, depth: usize) -> Result<Datatype, String> {
        if depth > MAX_DEPTH {
            return Err(format!("a datatype of more than {MAX_DEPTH} levels"));
        }
        let word = self.cursor.read_u32_le().map_err(cut)?;
        let size = usize::try_from(self.cursor.read_u32_le().map_err(cut)?).unwrap_or(usize::MAX);
        if size == 0 {
            return Err("an element of no bytes".to_owned());
        }
        let (class, version, flags) = (word & 0xf, word >> 4 & 0xf, word >> 8);
        let class = match class {
            0 | 4 => self.integer(flags, (class, size))?,
            1 => self.float(flags, size)?,
            2 => self.skip(2, "a time of HDF5's class 2")?,
            3 => text(flags, size),
            5 => self.opaque(flags, size)?,
            6 => Class::Compound(self.members((version, flags), size, depth)?),
            7 => Class::Other("references to objects or regions".to_owned()),
            8 => self.enumeration((version, flags), size, depth)?,
            9 => self.variable_length(flags, depth)?,
            10 => self.array(version, size, depth)?,
            other => Class::Other(format!("elements of HDF5's class {other}")),
        };
        Ok(Datatype { size, class })
    }

    fn skip(&mut self, bytes: usize, what: &str) -> Result<Class, String> {
        self.cursor.skip(bytes).map_err(cut)?;
        Ok(Class::Other(what.to_owned()))
    }

    fn integer(&mut self, flags: u32, (class, size): (u32, usize)) -> Result<Class, String> {
        let (offset, precision) = (self.cursor.read_u16_le().map_err(cut)?, self.cursor.read_u16_le().map_err(cut)?);
        let signed = class == 0 && flags & 8 != 0;
        let dtype = match (signed, size) {
            (true, 1) => DType::Int8,
            (true, 2) => DType::Int16,
            (true, 4) => DType::Int32,
            (true, 8) => DType::Int64,
            (false, 1) => DType::UInt8,
            (false, 2) => DType::UInt16,
            (false, 4) => DType::UInt32,
            (false, 8) => DType::UInt64,
            _ => return Ok(Class::Other(format!("integers of {size} bytes"))),
        };
        // What lies beside the value is ignored by libhdf5 on reading; so it is here.
        let whole = offset == 0 && usize::from(precision) == 8 * size;
        let bits = if whole { Bits::All } else { Bits::Some { offset, precision } };
        Ok(Class::Plain(Plain { dtype, order: order(flags), bits, padding: None }))
    }

    fn float(&mut self, flags: u32, size: usize) -> Result<Class, String> {
        let (offset, precision) = (self.cursor.read_u16_le().map_err(cut)?, self.cursor.read_u16_le().map_err(cut)?);
        let form = self.cursor.read_bytes(8).map_err(cut)?;
        let (dtype, wanted) = match size {
            2 => (DType::Float16, [10, 5, 0, 10, 15, 0, 0, 0]),
            4 => (DType::Float32, [23, 8, 0, 23, 127, 0, 0, 0]),
            8 => (DType::Float64, [52, 11, 0, 52, 0xff, 3, 0, 0]),
            _ => return Ok(Class::Other(format!("floats of {size} bytes"))),
        };
        let (vax, implied, sign) =
            (flags & 0x40 != 0, flags >> 4 & 3 == 2, (flags >> 8 & 0xff) as usize + 1 == 8 * size);
        let whole = offset == 0 && usize::from(precision) == 8 * size;
        if vax || !implied || !sign || !whole || form != wanted {
            let what = "floats that are none of IEEE 754 half, single and double precision";
            return Ok(Class::Other(what.to_owned()));
        }
        Ok(Class::Plain(Plain { dtype, order: order(flags), bits: Bits::All, padding: None }))
    }

    fn opaque(&mut self, flags: u32, size: usize) -> Result<Class, String> {
        let tag = usize::try_from(flags & 0xff).unwrap_or(0);
        self.cursor.skip(tag.next_multiple_of(8)).map_err(cut)?;
        Ok(Class::Plain(Plain::of(DType::Opaque(size))))
    }

    /// The name of a member, padded to eight bytes before version 3.
    fn name(&mut self, version: u32) -> Result<String, String> {
        let start = self.cursor.position();
        let name = self.cursor.read_null_terminated_string().map_err(cut)?;
        if version < 3 {
            let used = usize::try_from(self.cursor.position() - start).unwrap_or(usize::MAX);
            self.cursor.skip(used.next_multiple_of(8) - used).map_err(cut)?;
        }
        Ok(name)
    }

    fn members(&mut self, (version, flags): (u32, u32), size: usize, depth: usize) -> Result<Vec<Member>, String> {
        let count = usize::try_from(flags & 0xffff).unwrap_or(usize::MAX);
        if count > MAX_MEMBERS {
            return Err(format!("a compound of {count} members, the limit is {MAX_MEMBERS}"));
        }
        let width = match size {
            _ if version < 3 => 4,
            0..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xff_ffff => 3,
            _ => 4,
        };
        let mut members = Vec::new();
        for _ in 0..count {
            let name = self.name(version)?;
            let offset = self.cursor.read_uvar(width).map_err(cut)?;
            let mut dims = Vec::new();
            if version == 1 {
                let rank = usize::from(self.cursor.read_u8().map_err(cut)?);
                self.cursor.skip(11).map_err(cut)?;
                for axis in 0..4 {
                    let len = self.cursor.read_u32_le().map_err(cut)?;
                    dims.extend((axis < rank).then_some(u64::from(len)));
                }
            }
            let mut datatype = self.datatype(depth + 1)?;
            if !dims.is_empty() {
                let size = bytes_of(&dims, datatype.size)?;
                datatype = Datatype { size, class: Class::Array { dims, base: Box::new(datatype) } };
            }
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            if offset.checked_add(datatype.size).is_none_or(|end| end > size) {
                return Err(format!("its member `{name}` lies outside of an element of {size} bytes"));
            }
            members.push(Member { name, offset, datatype });
        }
        Ok(members)
    }

    fn enumeration(&mut self, (version, flags): (u32, u32), size: usize, depth: usize) -> Result<Class, String> {
        let count = usize::try_from(flags & 0xffff).unwrap_or(usize::MAX);
        let base = self.datatype(depth + 1)?;
        let base = match base.class {
            Class::Plain(plain) if base.size == size && plain.dtype.is_real() => plain,
            _ => return Ok(Class::Other("an enumeration of what is no integer".to_owned())),
        };
        if count > MAX_MEMBERS {
            return Ok(Class::Enumeration { base, members: Vec::new() });
        }
        let names: Vec<String> = (0..count).map(|_| self.name(version)).collect::<Result<_, _>>()?;
        let mut members = Vec::new();
        for name in names {
            members.push((name, self.cursor.read_bytes(size).map_err(cut)?.to_vec()));
        }
        Ok(Class::Enumeration { base, members })
    }

    fn variable_length(&mut self, flags: u32, depth: usize) -> Result<Class, String> {
        let base = self.datatype(depth + 1)?;
        if flags & 0xf == 1 {
            return Ok(Class::VlenText);
        }
        let of = match base.class {
            Class::Plain(plain) => format!(" of {}", plain.dtype.name()),
            _ => String::new(),
        };
        Ok(Class::Other(format!("lists of variable length{of}")))
    }

    fn array(&mut self, version: u32, size: usize, depth: usize) -> Result<Class, String> {
        let rank = usize::from(self.cursor.read_u8().map_err(cut)?);
        if version < 3 {
            self.cursor.skip(3).map_err(cut)?;
        }
        let mut dims = Vec::new();
        for _ in 0..rank {
            dims.push(u64::from(self.cursor.read_u32_le().map_err(cut)?));
        }
        if version < 3 {
            self.cursor.skip(4 * rank).map_err(cut)?;
        }
        let base = self.datatype(depth + 1)?;
        if dims.contains(&0) || bytes_of(&dims, base.size)? != size {
            return Err(format!("an array {dims:?} of {} bytes each is no element of {size} bytes", base.size));
        }
        Ok(Class::Array { dims, base: Box::new(base) })
    }
}

impl Plain {
    /// In the order of this machine, all bits of it.
    pub(super) fn of(dtype: DType) -> Self {
        Self { dtype, order: ByteOrder::Little, bits: Bits::All, padding: None }
    }
}

fn bytes_of(dims: &[u64], size: usize) -> Result<usize, String> {
    let bytes = dims.iter().try_fold(size as u64, |n, len| n.checked_mul(*len));
    bytes.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| format!("an array {dims:?} is beyond 64 bits"))
}

fn order(flags: u32) -> ByteOrder {
    if flags & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big }
}

fn text(flags: u32, size: usize) -> Class {
    let padding = match flags & 0xf {
        0 => Padding::NullTerminated,
        1 => Padding::Null,
        2 => Padding::Space,
        other => return Class::Other(format!("texts with padding {other}")),
    };
    let dtype = if size == 1 { DType::Char } else { DType::Text(size) };
    Class::Plain(Plain { padding: Some(padding), ..Plain::of(dtype) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> Class {
        parse(bytes).unwrap().class
    }

    #[test]
    fn bits_that_carry_the_value() {
        let int = |offset: u8, precision: u8| vec![0x10, 8, 0, 0, 2, 0, 0, 0, offset, 0, precision, 0];
        let bits = |bytes: &[u8]| match plain(bytes) {
            Class::Plain(plain) => Some(plain.bits),
            _ => None,
        };
        assert_eq!(bits(&int(0, 16)), Some(Bits::All));
        assert_eq!(bits(&int(4, 12)), Some(Bits::Some { offset: 4, precision: 12 }));
        let single = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
        assert_eq!(bits(&single), Some(Bits::All));
        let mut vax = single;
        vax[1] |= 0x41;
        assert_eq!(bits(&vax), None);
        let brain = [0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 7, 8, 0, 7, 127, 0, 0, 0];
        assert_eq!(bits(&brain), None);
        assert!(parse(&[]).is_err() && parse(&single[..15]).is_err());
    }

    #[test]
    fn what_does_not_fit_its_element_is_an_error() {
        let byte = [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];
        let compound = |offset: u8| [&[0x36, 1, 0, 0, 4, 0, 0, 0, b'a', 0, offset][..], &byte].concat();
        assert!(matches!(plain(&compound(3)), Class::Compound(members) if members[0].offset == 3));
        assert!(parse(&compound(4)).unwrap_err().contains("outside"));
        let array = |size: u8| [&[0x3a, 0, 0, 0, size, 0, 0, 0, 1, 6, 0, 0, 0][..], &byte].concat();
        assert!(matches!(plain(&array(6)), Class::Array { dims, .. } if dims == [6]));
        assert!(parse(&array(7)).unwrap_err().contains("no element of 7 bytes"));
        let deep: Vec<u8> = (0..40).flat_map(|_| [0x39, 0, 0, 0, 16, 0, 0, 0]).collect();
        assert!(parse(&deep).unwrap_err().contains("levels"));
    }
}
