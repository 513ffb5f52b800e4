//! The compact protocol of Thrift, as far as Parquet needs it: values as a tree, both ways.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// Most values of a message.
const MAX_VALUES: usize = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 16;

/// A value; fields of a structure by their numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Thrift {
    Bool(bool),
    /// 8 to 32 bits.
    Int(i64),
    /// 64 bits; only writing tells it from [`Thrift::Int`].
    Long(i64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Struct(Vec<(i16, Self)>),
}

impl Thrift {
    pub(super) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub(super) fn field(&self, number: i16) -> Option<&Self> {
        match self {
            Self::Struct(fields) => fields.iter().find(|(found, _)| *found == number).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn int(&self, number: i16) -> Option<i64> {
        match self.field(number)? {
            Self::Int(value) | Self::Long(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn list(&self, number: i16) -> &[Self] {
        match self.field(number) {
            Some(Self::List(values)) => values,
            _ => &[],
        }
    }

    pub(super) fn bytes(&self, number: i16) -> Option<&[u8]> {
        match self.field(number)? {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A structure at the start of the bytes, and how many of them it has.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader { bytes, at: 0, left: MAX_VALUES };
        let value = reader.structure(0)?;
        Some((value, reader.at))
    }

    /// Appends a structure.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.push(if *value { 1 } else { 2 }),
            Self::Int(value) | Self::Long(value) => varint(zigzag(*value), out),
            Self::Bytes(bytes) => {
                varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
            Self::List(values) => {
                let kind = values.first().map_or(12, Self::kind);
                match u8::try_from(values.len()) {
                    Ok(len) if len < 15 => out.push(len << 4 | kind),
                    _ => {
                        out.push(0xf0 | kind);
                        varint(values.len() as u64, out);
                    }
                }
                for value in values {
                    value.write(out);
                }
            }
            Self::Struct(fields) => {
                let mut last = 0;
                for (number, value) in fields {
                    // fastparquet knows the short form of a field header only.
                    if let Ok(step @ 1..=15) = u8::try_from(number - last) {
                        out.push(step << 4 | value.kind());
                    } else {
                        out.push(value.kind());
                        varint(zigzag(i64::from(*number)), out);
                    }
                    last = *number;
                    if !matches!(value, Self::Bool(_)) {
                        value.write(out);
                    }
                }
                out.push(0);
            }
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Bool(true) => 1,
            Self::Bool(false) => 2,
            Self::Int(_) => 5,
            Self::Long(_) => 6,
            Self::Bytes(_) => 8,
            Self::List(_) => 9,
            Self::Struct(_) => 12,
        }
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Appends a number, 7 bits a byte, the least significant first.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// The number at the start of `bytes` from `at`, which is moved behind it.
pub(super) fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<i64> {
        let value = read_varint(self.bytes, &mut self.at)?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn structure(&mut self, depth: usize) -> Option<Thrift> {
        let (mut fields, mut number) = (Vec::new(), 0i16);
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(Thrift::Struct(fields));
            }
            number = match head >> 4 {
                0 => i16::try_from(self.number()?).ok()?,
                step => number.checked_add(i16::from(step))?,
            };
            let value = match head & 0x0f {
                1 => Thrift::Bool(true),
                2 => Thrift::Bool(false),
                kind => self.value(kind, depth + 1)?,
            };
            fields.push((number, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Thrift> {
        self.left = self.left.checked_sub(1).filter(|_| depth <= MAX_DEPTH)?;
        Some(match kind {
            1 | 2 => Thrift::Bool(self.byte()? == 1),
            3 => Thrift::Int(i64::from(self.byte()?.cast_signed())),
            4 | 5 => Thrift::Int(self.number()?),
            6 => Thrift::Long(self.number()?),
            7 => {
                self.at = self.at.checked_add(8).filter(|end| *end <= self.bytes.len())?;
                Thrift::Bytes(self.bytes.get(self.at - 8..self.at)?.to_vec())
            }
            8 => {
                let len = usize::try_from(read_varint(self.bytes, &mut self.at)?).ok()?;
                let end = self.at.checked_add(len)?;
                let bytes = self.bytes.get(self.at..end)?.to_vec();
                self.at = end;
                Thrift::Bytes(bytes)
            }
            9 | 10 => {
                let head = self.byte()?;
                let len = match head >> 4 {
                    15 => read_varint(self.bytes, &mut self.at)?,
                    len => u64::from(len),
                };
                if len > self.left as u64 {
                    return None;
                }
                Thrift::List((0..len).map(|_| self.value(head & 0x0f, depth + 1)).collect::<Option<_>>()?)
            }
            12 => self.structure(depth)?,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        let value = Thrift::Struct(vec![
            (1, Thrift::Int(-3)),
            (4, Thrift::List((0..20).map(Thrift::Long).collect())),
            (40, Thrift::Struct(vec![(1, Thrift::Bool(false)), (2, Thrift::text("größe"))])),
            (3, Thrift::Long(i64::MIN)),
        ]);
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        assert_eq!(Thrift::read(&bytes), Some((value, bytes.len())));
        for cut in 0..bytes.len() {
            assert_eq!(Thrift::read(&bytes[..cut]), None);
        }
        // A list of more values than there are bytes, and a structure without end.
        assert_eq!(Thrift::read(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x7f]), None);
        assert_eq!(Thrift::read(&[0x1c; 100]), None);
    }
}
