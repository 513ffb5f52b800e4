//! From the records of a chunk to its samples.

use std::ops::Range;

use super::record::Encoding;
use super::segment::{Entry, Segment};
use super::steim::{self, Fault, Version};
use super::version3;
use crate::array::ByteOrder;
use crate::{Error, Result};

impl Segment {
    /// Decodes the chunk whose bytes begin at `offset` of the file; what is beyond the last sample becomes 0.
    pub(crate) fn decode(&self, offset: u64, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        let lost = || Error::malformed(format!("variable `{}`", self.name), "no chunk begins at this byte");
        let (chunk, entries) = self.chunk_at(offset).ok_or_else(lost)?;
        let size = self.dtype.size();
        let from = chunk.saturating_mul(self.chunk);
        let to = from.saturating_add(self.chunk).min(self.samples);
        let mut scratch = Vec::new();
        for entry in entries {
            let record = part(bytes, entry.offset.saturating_sub(offset), u64::from(entry.length)).ok_or_else(lost)?;
            let end = entry.first.saturating_add(u64::from(entry.samples));
            let (low, high) = (entry.first.max(from), end.min(to));
            let place = span(low.saturating_sub(from), high.saturating_sub(from), size);
            let target = out.get_mut(place).ok_or_else(lost)?;
            if (low, high) == (entry.first, end) {
                self.record(entry, record, target)?;
                continue;
            }
            // A part of a record: all of it is decoded, so that its checks hold.
            scratch.resize(span(0, u64::from(entry.samples), size).end, 0);
            self.record(entry, record, &mut scratch)?;
            let wanted = span(low.saturating_sub(entry.first), high.saturating_sub(entry.first), size);
            target.copy_from_slice(scratch.get(wanted).ok_or_else(lost)?);
        }
        let rest = span(to.saturating_sub(from), self.chunk, size);
        out.get_mut(rest).unwrap_or_default().fill(0);
        Ok(())
    }

    fn record(&self, entry: &Entry, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        let name = || format!("record at byte {} of `{}`", entry.offset, self.name);
        if let Some(stored) = version3::stored_sum(bytes)
            && stored != version3::sum(bytes)
        {
            return Err(Error::malformed(name(), "its CRC-32C does not match"));
        }
        let data = bytes.get(entry.data as usize..).unwrap_or_default();
        samples(entry.encoding, entry.order, data, out).map_err(|why| Error::malformed(name(), why))
    }
}

/// Bytes of samples in a decoded array. Both ends were counted in records that were read.
fn span(from: u64, to: u64, size: usize) -> Range<usize> {
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(size);
    bytes(from)..bytes(to).max(bytes(from))
}

fn part(bytes: &[u8], from: u64, len: u64) -> Option<&[u8]> {
    let from = usize::try_from(from).ok()?;
    bytes.get(from..)?.get(..usize::try_from(len).ok()?)
}

/// Decodes the samples of one record in native byte order; `out` has room for those that are declared.
fn samples(encoding: Encoding, order: ByteOrder, data: &[u8], out: &mut [u8]) -> Result<(), String> {
    match encoding {
        Encoding::STEIM1 => steim(Version::One, order, data, out),
        Encoding::STEIM2 => steim(Version::Two, order, data, out),
        Encoding::TEXT => each::<1, 1>(data, out, |b| b),
        Encoding::INT16 | Encoding::DWWSSN => each(data, out, |b| i32::from(int16(b, order)).to_ne_bytes()),
        Encoding::INT24 => each(data, out, |b| int24(b, order).to_ne_bytes()),
        Encoding::INT32 | Encoding::FLOAT32 => each::<4, 4>(data, out, |b| native(b, order)),
        Encoding::FLOAT64 => each::<8, 8>(data, out, |b| native(b, order)),
        Encoding::CDSN => each(data, out, |b| cdsn(int16(b, order).cast_unsigned()).to_ne_bytes()),
        Encoding::SRO => sro(data, order, out),
        Encoding::GEOSCOPE24 => each(data, out, |b| (int24(b, order) as f32).to_ne_bytes()),
        Encoding::GEOSCOPE16_3 => each(data, out, |b| geoscope(int16(b, order), 7).to_ne_bytes()),
        Encoding::GEOSCOPE16_4 => each(data, out, |b| geoscope(int16(b, order), 15).to_ne_bytes()),
        other => Err(format!("its encoding {} is not supported", other.name())),
    }
}

/// Samples of `N` bytes each become values of `M` bytes each.
fn each<const N: usize, const M: usize>(
    data: &[u8],
    out: &mut [u8],
    value: impl Fn([u8; N]) -> [u8; M],
) -> Result<(), String> {
    let (stored, values) = (data.as_chunks::<N>().0, out.as_chunks_mut::<M>().0);
    if stored.len() < values.len() {
        return Err(format!("it declares {} samples and holds {}", values.len(), stored.len()));
    }
    values.iter_mut().zip(stored).for_each(|(to, from)| *to = value(*from));
    Ok(())
}

fn steim(version: Version, order: ByteOrder, data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let out = out.as_chunks_mut::<4>().0;
    let wanted = out.len();
    steim::decode(version, order, data, out).map_err(|fault| match fault {
        Fault::Few(found) => format!("it declares {wanted} samples, its frames hold {found}"),
        Fault::Last { found, declared } => {
            format!("its last sample is {found}, its first frame says {declared} (integrity of Steim)")
        }
        Fault::Word { frame, word } => format!("word {word} of frame {frame} is not divided as Steim defines"),
    })
}

fn native<const N: usize>(mut bytes: [u8; N], order: ByteOrder) -> [u8; N] {
    if !order.is_native() {
        bytes.reverse();
    }
    bytes
}

fn int16(bytes: [u8; 2], order: ByteOrder) -> i16 {
    if order == ByteOrder::Big { i16::from_be_bytes(bytes) } else { i16::from_le_bytes(bytes) }
}

fn int24(bytes: [u8; 3], order: ByteOrder) -> i32 {
    let [a, b, c] = bytes;
    let four = if order == ByteOrder::Big { [a, b, c, 0] } else { [c, b, a, 0] };
    i32::from_be_bytes(four) >> 8
}

/// China Digital Seismic Network: 14 bits about 8191, gain of 1, 4, 16 or 128 in the two highest.
fn cdsn(word: u16) -> i32 {
    let shift = [0, 2, 4, 7][usize::from(word >> 14)];
    (i32::from(word & 0x3fff) - 0x1fff) << shift
}

/// GEOSCOPE: 12 bits about 2048, divided by a power of two in the highest bits.
fn geoscope(word: i16, most: u16) -> f32 {
    let word = word.cast_unsigned();
    let exponent = word >> 12 & most;
    let mantissa = f32::from(word & 0xfff) - 2048.0;
    mantissa / f32::from(1u16 << exponent)
}

/// Seismic Research Observatories: 12 bits with sign, times two to the power of ten less the four highest bits.
fn sro(data: &[u8], order: ByteOrder, out: &mut [u8]) -> Result<(), String> {
    let n = out.len() / 4;
    let wide = |word: u16| word >> 12 > 10;
    if data.as_chunks::<2>().0.iter().take(n).any(|b| wide(int16(*b, order).cast_unsigned())) {
        return Err("a gain of SRO is beyond 10".to_owned());
    }
    each(data, out, |b| {
        let word = int16(b, order);
        let mantissa = i32::from(word << 4) >> 4;
        (mantissa << (10 - (word.cast_unsigned() >> 12).min(10))).to_ne_bytes()
    })
}
