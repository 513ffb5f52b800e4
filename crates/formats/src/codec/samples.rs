//! Samples of odd widths, complex integers, and samples of bands side by side.

/// Takes numbers of `bits` bits apart, most significant bit first; elements of `size` bytes in native order come out.
///
/// Bits from 1 to 64; `out` takes as many elements as it has room for.
pub(crate) fn unpack(row: &[u8], bits: u32, size: usize, out: &mut [u8]) {
    let (mut held, mut count) = (0u128, 0u32);
    let mut bytes = row.iter();
    for element in out.chunks_exact_mut(size.max(1)) {
        while count < bits {
            held = held << 8 | u128::from(bytes.next().copied().unwrap_or(0));
            count += 8;
        }
        count -= bits;
        let value = u64::try_from(held >> count & ((1u128 << bits) - 1)).unwrap_or(0);
        held &= (1u128 << count) - 1;
        if cfg!(target_endian = "little") {
            element.copy_from_slice(&value.to_le_bytes()[..size.min(8)]);
        } else {
            element.copy_from_slice(&value.to_be_bytes()[8 - size.min(8)..]);
        }
    }
}

/// Whole numbers of 16 or 32 bits in native order become floats of twice the size.
pub(crate) fn widen(row: &[u8], bits: u16, out: &mut [u8]) {
    if bits == 16 {
        for (part, float) in row.as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<4>().0) {
            *float = f32::from(i16::from_ne_bytes(*part)).to_ne_bytes();
        }
    } else {
        for (part, float) in row.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<8>().0) {
            *float = f64::from(i32::from_ne_bytes(*part)).to_ne_bytes();
        }
    }
}

/// Puts a row of cells of several bands into the planes of a chunk of (band, y, x).
///
/// `plane` is the size of a plane and `at` where the row begins in it, in bytes.
pub(crate) fn deinterleave(row: &[u8], bands: usize, size: usize, (plane, at): (usize, usize), out: &mut [u8]) {
    match size {
        1 => planes::<1>(row, bands, (plane, at), out),
        2 => planes::<2>(row, bands, (plane, at), out),
        4 => planes::<4>(row, bands, (plane, at), out),
        8 => planes::<8>(row, bands, (plane, at), out),
        16 => planes::<16>(row, bands, (plane, at), out),
        _ => {}
    }
}

fn planes<const N: usize>(row: &[u8], bands: usize, (plane, at): (usize, usize), out: &mut [u8]) {
    let samples = row.as_chunks::<N>().0;
    let len = samples.len() / bands.max(1) * N;
    for band in 0..bands {
        let from = band * plane + at;
        let cells = out[from..from + len].as_chunks_mut::<N>().0;
        for (cell, sample) in cells.iter_mut().zip(samples[band..].iter().step_by(bands)) {
            *cell = *sample;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_widths_come_apart() {
        let mut out = [0; 4];
        unpack(&[0b1011_0000], 1, 1, &mut out);
        assert_eq!(out, [1, 0, 1, 1]);
        let mut out = [0; 4];
        unpack(&[0xab, 0xcd, 0xef], 12, 2, &mut out);
        assert_eq!(out, [0xabcu16.to_ne_bytes(), 0xdefu16.to_ne_bytes()].concat()[..]);
        let mut out = [0; 16];
        unpack(&[0xff; 16], 63, 8, &mut out);
        assert_eq!(out[..8], (u64::MAX >> 1).to_ne_bytes());
    }

    #[test]
    fn bands_come_apart() {
        let mut out = [0; 12];
        deinterleave(&[1, 2, 3, 4, 5, 6], 3, 1, (4, 0), &mut out);
        deinterleave(&[7, 8, 9, 10, 11, 12], 3, 1, (4, 2), &mut out);
        assert_eq!(out, [1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12]);
    }
}
