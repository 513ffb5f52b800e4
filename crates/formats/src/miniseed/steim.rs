//! Steim1 and Steim2: differences of samples in frames of 64 bytes. SEED manual 2.4, appendix B.
//!
//! The first word of a frame has two bits for each of its 16 words, which say how the word is divided. The second and
//! third word of the first frame are the first and the last sample.

use crate::array::ByteOrder;

/// Why frames cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They hold fewer samples than declared.
    Few(usize),
    /// The last sample is not what the first frame says.
    Last { found: i32, declared: i32 },
    /// A word whose division is not defined.
    Word { frame: usize, word: usize },
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Decodes as many samples as `out` has room for, in native byte order.
pub(super) fn decode(version: Version, order: ByteOrder, data: &[u8], out: &mut [[u8; 4]]) -> Result<(), Fault> {
    match (version, order) {
        (Version::One, ByteOrder::Big) => frames::<false, true>(data, out),
        (Version::One, ByteOrder::Little) => frames::<false, false>(data, out),
        (Version::Two, ByteOrder::Big) => frames::<true, true>(data, out),
        (Version::Two, ByteOrder::Little) => frames::<true, false>(data, out),
    }
}

fn word<const BIG: bool>(frame: &[u8; 64], at: usize) -> u32 {
    let bytes = frame.as_chunks::<4>().0[at];
    if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

fn frames<const TWO: bool, const BIG: bool>(data: &[u8], out: &mut [[u8; 4]]) -> Result<(), Fault> {
    let frames = data.as_chunks::<64>().0;
    let Some(first) = frames.first().filter(|_| !out.is_empty()) else {
        return if out.is_empty() { Ok(()) } else { Err(Fault::Few(0)) };
    };
    let declared = word::<BIG>(first, 2).cast_signed();
    let mut sum = Sum { at: 0, last: 0 };
    for (index, frame) in frames.iter().enumerate() {
        let control = word::<BIG>(frame, 0);
        for at in if index == 0 { 3 } else { 1 }..16 {
            let division = control >> (30 - 2 * at) & 3;
            if division == 0 {
                continue;
            }
            let before = sum.at;
            let packed = match (BIG, TWO, division) {
                // Bytes and half words stand in the order of time: each is turned around by itself.
                (false, _, 1) => word::<true>(frame, at),
                (false, false, 2) => word::<false>(frame, at).rotate_left(16),
                _ => word::<BIG>(frame, at),
            };
            if !sum.word::<TWO>(division, packed, out) {
                return Err(Fault::Word { frame: index, word: at });
            }
            if before == 0 {
                sum.begin(word::<BIG>(first, 1).cast_signed(), out);
            }
            if sum.at >= out.len() {
                let found = out.last().map_or(0, |last| i32::from_ne_bytes(*last));
                return if found == declared { Ok(()) } else { Err(Fault::Last { found, declared }) };
            }
        }
    }
    Err(Fault::Few(sum.at))
}

/// The running sum of differences.
struct Sum {
    /// Samples so far.
    at: usize,
    last: i32,
}

impl Sum {
    /// Adds the differences of one word; false if its division is not defined.
    #[inline]
    fn word<const TWO: bool>(&mut self, division: u32, word: u32, out: &mut [[u8; 4]]) -> bool {
        match (TWO, division, word >> 30) {
            (_, 1, _) => self.add::<4, 8>(word, out),
            (false, 2, _) => self.add::<2, 16>(word, out),
            (false, _, _) => self.add::<1, 32>(word, out),
            (true, 2, 1) => self.add::<1, 30>(word, out),
            (true, 2, 2) => self.add::<2, 15>(word, out),
            (true, 2, 3) => self.add::<3, 10>(word, out),
            (true, 3, 0) => self.add::<5, 6>(word, out),
            (true, 3, 1) => self.add::<6, 5>(word, out),
            (true, 3, 2) => self.add::<7, 4>(word, out),
            _ => return false,
        }
        true
    }

    /// Adds `N` differences of `BITS` bits, the first one in the highest; those without room are left.
    #[inline]
    fn add<const N: usize, const BITS: usize>(&mut self, word: u32, out: &mut [[u8; 4]]) {
        let room = out.get_mut(self.at..).unwrap_or_default();
        let mut sums = [[0u8; 4]; N];
        for (i, sum) in sums.iter_mut().enumerate() {
            let difference = (word << (32 - BITS * (N - i))).cast_signed() >> (32 - BITS);
            self.last = self.last.wrapping_add(difference);
            *sum = self.last.to_ne_bytes();
        }
        if let Some(all) = room.first_chunk_mut::<N>() {
            *all = sums;
            self.at += N;
        } else {
            let n = room.len();
            room.copy_from_slice(&sums[..n]);
            self.at += n;
        }
    }

    /// The first difference leads from the record before to the first sample; that sample is known, so what was summed
    /// from 0 is moved.
    fn begin(&mut self, first: i32, out: &mut [[u8; 4]]) {
        let summed = out.first().map_or(0, |sum| i32::from_ne_bytes(*sum));
        let shift = first.wrapping_sub(summed);
        self.last = self.last.wrapping_add(shift);
        for sum in out.iter_mut().take(self.at) {
            *sum = i32::from_ne_bytes(*sum).wrapping_add(shift).to_ne_bytes();
        }
    }
}
