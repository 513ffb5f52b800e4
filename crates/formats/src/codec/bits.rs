//! Integers that use only some bits of their bytes, as HDF5 datatypes of reduced precision.

use crate::array::DType;

/// Moves the value of every element to its lowest bits, with its sign where the type has one.
///
/// `data` is in native byte order; the value is `precision` bits from bit `offset` on.
pub(crate) fn extract(data: &mut [u8], dtype: DType, offset: u32, precision: u32) {
    match dtype {
        DType::Int8 => each(data, |b: [u8; 1]| signed(i8::from_ne_bytes(b).into(), 8, offset, precision)),
        DType::Int16 => each(data, |b: [u8; 2]| signed(i16::from_ne_bytes(b).into(), 16, offset, precision)),
        DType::Int32 => each(data, |b: [u8; 4]| signed(i32::from_ne_bytes(b).into(), 32, offset, precision)),
        DType::Int64 => each(data, |b: [u8; 8]| signed(i64::from_ne_bytes(b), 64, offset, precision)),
        DType::UInt8 => each(data, |b: [u8; 1]| unsigned(b[0].into(), offset, precision)),
        DType::UInt16 => each(data, |b: [u8; 2]| unsigned(u16::from_ne_bytes(b).into(), offset, precision)),
        DType::UInt32 => each(data, |b: [u8; 4]| unsigned(u32::from_ne_bytes(b).into(), offset, precision)),
        DType::UInt64 => each(data, |b: [u8; 8]| unsigned(u64::from_ne_bytes(b), offset, precision)),
        _ => {}
    }
}

fn each<const N: usize>(data: &mut [u8], value: impl Fn([u8; N]) -> u64) {
    for element in data.as_chunks_mut::<N>().0 {
        let bytes = value(*element);
        let wide = if cfg!(target_endian = "little") { bytes } else { bytes << (64 - 8 * N) };
        element.copy_from_slice(&wide.to_ne_bytes()[..N]);
    }
}

fn signed(value: i64, width: u32, offset: u32, precision: u32) -> u64 {
    // The value at the top of 64 bits, then shifted down with its sign.
    let above = 64u32.saturating_sub(precision.clamp(1, width)).min(63);
    let lifted = value.cast_unsigned().checked_shr(offset).unwrap_or(0) << above;
    (lifted.cast_signed() >> above).cast_unsigned()
}

fn unsigned(value: u64, offset: u32, precision: u32) -> u64 {
    let above = 64u32.saturating_sub(precision.max(1)).min(63);
    value.checked_shr(offset).unwrap_or(0) << above >> above
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_offsets() {
        let mut data: Vec<u8> = [0x0ff0_i16, 0x0010, -16].iter().flat_map(|v| v.to_ne_bytes()).collect();
        extract(&mut data, DType::Int16, 4, 8);
        let got: Vec<i16> = data.as_chunks::<2>().0.iter().map(|b| i16::from_ne_bytes(*b)).collect();
        assert_eq!(got, [-1, 1, -1]);
        let mut data = 0xabcd_u16.to_ne_bytes();
        extract(&mut data, DType::UInt16, 4, 8);
        assert_eq!(u16::from_ne_bytes(data), 0xbc);
        let mut data = 5u64.to_ne_bytes();
        extract(&mut data, DType::UInt64, 0, 64);
        extract(&mut data, DType::Int64, 0, 64);
        assert_eq!(u64::from_ne_bytes(data), 5);
        extract(&mut data, DType::Int64, 700, 900);
    }
}
