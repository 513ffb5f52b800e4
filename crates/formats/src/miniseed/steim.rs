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

/// Packings of Steim1: differences in a word, bits of each, division, bits that come first in the word.
const ONE: [(usize, u32, u32, u32); 3] = [(4, 8, 1, 0), (2, 16, 2, 0), (1, 32, 3, 0)];
/// Packings of Steim2.
const TWO: [(usize, u32, u32, u32); 7] =
    [(7, 4, 3, 2), (6, 5, 3, 1), (5, 6, 3, 0), (4, 8, 1, 0), (3, 10, 2, 3), (2, 15, 2, 2), (1, 30, 2, 1)];

/// Encodes samples, at most `most_frames` frames of them, big-endian; `before` is the sample before the first.
///
/// Returns the frames and the number of samples in them; `Err` is the position of a sample whose difference from the one
/// before it needs more than 30 bits.
pub(super) fn encode(
    version: Version,
    samples: &[i32],
    before: Option<i32>,
    most_frames: usize,
) -> Result<(Vec<u8>, usize), usize> {
    let packings: &[_] = if version == Version::One { &ONE } else { &TWO };
    let difference = |at: usize| {
        let before = if at == 0 { before.or(samples.first().copied()) } else { samples.get(at - 1).copied() };
        samples.get(at).zip(before).map(|(now, before)| now.wrapping_sub(before))
    };
    let mut words: Vec<u32> = Vec::new();
    let mut at = 0;
    for frame in 0..most_frames {
        if at >= samples.len() {
            break;
        }
        let start = words.len();
        words.resize(start + 16, 0);
        for place in if frame == 0 { 3 } else { 1 }..16 {
            if at >= samples.len() {
                break;
            }
            let (n, word, division) = pack(packings, |i| difference(at + i)).ok_or(at)?;
            words[start] |= division << (30 - 2 * place);
            words[start + place] = word;
            at += n;
        }
    }
    if let (Some(first), Some(last), Some(heads)) = (samples.first(), at.checked_sub(1), words.get_mut(1..3)) {
        heads.copy_from_slice(&[first.cast_unsigned(), samples[last].cast_unsigned()]);
    }
    Ok((words.iter().flat_map(|word| word.to_be_bytes()).collect(), at))
}

/// The densest packing that the next differences fit: their number, the word, and its division.
fn pack(packings: &[(usize, u32, u32, u32)], next: impl Fn(usize) -> Option<i32>) -> Option<(usize, u32, u32)> {
    let fits = |value: i32, bits: u32| value << (32 - bits) >> (32 - bits) == value;
    packings.iter().find_map(|(n, bits, division, lead)| {
        let mask = u32::MAX >> (32 - bits);
        let mut word = 0u32;
        for i in 0..*n {
            let value = next(i).filter(|value| fits(*value, *bits))?;
            word = word.checked_shl(*bits).unwrap_or(0) | (value.cast_unsigned() & mask);
        }
        Some((*n, word | lead << 30, *division))
    })
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
