//! What of an element becomes a variable: all of it, or each member of a compound.

use super::datatype::{Class, Datatype, Member, Plain};
use super::messages::Bits;
use crate::array::{AttrValue, Attrs, ByteOrder, Codec, DType, HeapPlace, Padding};
use crate::codec;
use crate::{Error, Result};

/// A part of an element that has a type here.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Path of the variable: `table`, of a member `table.time`.
    pub(super) name: String,
    pub(super) plain: Plain,
    /// Lengths of an array in each element: dimensions behind those of the dataset.
    pub(super) dims: Vec<u64>,
    /// Names of the values of an enumeration, as CF has them.
    pub(super) attrs: Attrs,
    offset: usize,
    /// Bytes of it, with all of its array.
    length: usize,
}

/// The leaves of a datatype, and what of it cannot be read.
pub(super) fn leaves(datatype: &Datatype, name: &str, place: HeapPlace) -> (Vec<Leaf>, Vec<(String, String)>) {
    let mut found = Found { place, leaves: Vec::new(), refused: Vec::new() };
    found.add(datatype, name, 0);
    (found.leaves, found.refused)
}

struct Found {
    place: HeapPlace,
    leaves: Vec<Leaf>,
    refused: Vec<(String, String)>,
}

impl Found {
    fn add(&mut self, datatype: &Datatype, name: &str, offset: usize) {
        let (mut dims, mut element) = (Vec::new(), datatype);
        while let Class::Array { dims: more, base } = &element.class {
            dims.extend(more);
            element = base;
        }
        let (plain, attrs) = match &element.class {
            Class::Plain(plain) => (*plain, Attrs::new()),
            Class::VlenText => (Plain::of(DType::VlenText(self.place)), Attrs::new()),
            Class::Enumeration { base, members } => enumeration(*base, members),
            Class::Compound(members) => match complex(members) {
                Some(plain) => (plain, Attrs::new()),
                None if dims.is_empty() => {
                    for member in members {
                        let name = format!("{name}.{}", member.name);
                        self.add(&member.datatype, &name, offset.saturating_add(member.offset));
                    }
                    return;
                }
                None => return self.refuse(name, "arrays of compounds"),
            },
            Class::Other(why) => return self.refuse(name, why),
            Class::Array { .. } => return,
        };
        if plain.dtype.size() != element.size {
            return self.refuse(name, &format!("{} in elements of {} bytes", plain.dtype.name(), element.size));
        }
        let leaf = Leaf { name: name.to_owned(), plain, dims, attrs, offset, length: datatype.size };
        self.leaves.push(leaf);
    }

    fn refuse(&mut self, name: &str, why: &str) {
        self.refused.push((name.to_owned(), why.to_owned()));
    }
}

impl Leaf {
    /// The codecs that make it of an element of `size` bytes.
    pub(super) fn forms(&self, size: usize) -> Vec<Codec> {
        let mut forms = Vec::new();
        if let Bits::Some { offset, precision } = self.plain.bits {
            forms.push(Codec::Bits { offset: offset.into(), precision: precision.into() });
        }
        match self.plain.padding {
            // A text of one byte has nothing behind its end.
            Some(Padding::NullTerminated) if self.plain.dtype.size() == 1 => {}
            None | Some(Padding::Null) => {}
            Some(padding) => forms.push(Codec::Padded(padding)),
        }
        if self.length != size {
            forms.push(Codec::Member { element: size, offset: self.offset, length: self.length });
        }
        forms
    }

    /// Its part of the fill value of an element of `size` bytes.
    pub(super) fn fill(&self, value: Option<&[u8]>, size: usize) -> Result<Vec<u8>> {
        let Plain { dtype, order, bits, padding } = self.plain;
        let whole = value.filter(|value| value.len() == size);
        let part = whole.and_then(|value| value.get(self.offset..self.offset.saturating_add(self.length)));
        let mut fill = match part {
            Some(part) => {
                let first = part.get(..dtype.size()).unwrap_or_default();
                if part.chunks(dtype.size().max(1)).any(|other| other != first) {
                    return Err(Error::unsupported(&self.name, "a fill value that differs within an array"));
                }
                first.to_vec()
            }
            // An element may be large: its zeros are made when they are needed.
            None => vec![0; dtype.size().min(1 << 16)],
        };
        if !order.is_native() {
            codec::order::swap(&mut fill, dtype.word());
        }
        if let Bits::Some { offset, precision } = bits {
            codec::bits::extract(&mut fill, dtype, offset.into(), precision.into());
        }
        if let Some(padding) = padding {
            codec::padding::to_zeros(&mut fill, dtype.size(), padding);
        }
        Ok(fill)
    }
}

/// Complex numbers as h5py and netCDF write them: real and imaginary part side by side.
fn complex(members: &[Member]) -> Option<Plain> {
    let [real, imaginary] = members else { return None };
    let names = [("r", "i"), ("re", "im"), ("real", "imag"), ("real", "imaginary")];
    let lower = (real.name.to_ascii_lowercase(), imaginary.name.to_ascii_lowercase());
    if !names.contains(&(lower.0.as_str(), lower.1.as_str())) || real.datatype != imaginary.datatype {
        return None;
    }
    let Class::Plain(part) = real.datatype.class else { return None };
    let dtype = match (part.dtype, real.offset, imaginary.offset) {
        (DType::Float32, 0, 4) => DType::Complex64,
        (DType::Float64, 0, 8) => DType::Complex128,
        _ => return None,
    };
    Some(Plain { dtype, ..part })
}

/// Its integers, with `flag_values` and `flag_meanings` as CF has them (section 3.5); h5py's booleans are `uint8`.
fn enumeration(base: Plain, members: &[(String, Vec<u8>)]) -> (Plain, Attrs) {
    let Some(values) = values(base, members).filter(|_| !members.is_empty()) else { return (base, Attrs::new()) };
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    let mut plain = base;
    if plain.dtype == DType::Int8 && names == ["FALSE", "TRUE"] && values.integers() == [0, 1] {
        plain.dtype = DType::UInt8;
    }
    let allowed = |c: char| c.is_alphanumeric() || "_-.+@".contains(c);
    let word = |name: &&str| name.chars().map(|c| if allowed(c) { c } else { '_' }).collect::<String>();
    let meanings = names.iter().map(word).collect::<Vec<_>>().join(" ");
    let attrs = [("flag_values", values), ("flag_meanings", AttrValue::Text(meanings))];
    (plain, attrs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The values of the members; `None` where they are no plain integers.
fn values(base: Plain, members: &[(String, Vec<u8>)]) -> Option<AttrValue> {
    let bits = |bytes: &[u8]| match base.order {
        ByteOrder::Little => bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
        ByteOrder::Big => bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte)),
    };
    if base.bits != Bits::All || matches!(base.dtype, DType::Float32 | DType::Float64) {
        return None;
    }
    AttrValue::of_bits(base.dtype, members.iter().map(|(_, bytes)| bits(bytes)))
}
