//! Byte order of elements.

/// Reverses the bytes of every element of `size` bytes in place.
pub(crate) fn swap(data: &mut [u8], size: usize) {
    match size {
        0 | 1 => {}
        2 => data.as_chunks_mut::<2>().0.iter_mut().for_each(|e| *e = u16::from_le_bytes(*e).to_be_bytes()),
        4 => data.as_chunks_mut::<4>().0.iter_mut().for_each(|e| *e = u32::from_le_bytes(*e).to_be_bytes()),
        8 => data.as_chunks_mut::<8>().0.iter_mut().for_each(|e| *e = u64::from_le_bytes(*e).to_be_bytes()),
        size => data.chunks_exact_mut(size).for_each(<[u8]>::reverse),
    }
}
