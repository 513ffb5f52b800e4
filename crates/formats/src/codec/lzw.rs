//! LZW as TIFF 6.0 has it (section 13): codes of 9 to 12 bits, most significant bit first, wider one code early. Streams
//! of old writers have the least significant bit first and widen in time.
//!
//! A string of the table is a place in the output: the string before it and the byte that followed, which stand there.

use crate::{Error, Result};

const CLEAR: usize = 256;
const END: usize = 257;
const FIRST: usize = 258;
const SIZE: usize = 4096;

/// Bytes of a string that stand in its entry.
const SHORT: u64 = 7;

/// The strings of a stream; kept from chunk to chunk to save its allocation.
#[derive(Debug)]
pub(crate) struct Table {
    /// Of a string of at most seven bytes: the bytes from the lowest on, and its length in the highest. Of a longer one:
    /// its first byte, and 0 as length.
    heads: Vec<u64>,
    /// Of a longer string: where it is in the output, and its length.
    places: Vec<(u32, u32)>,
}

impl Default for Table {
    fn default() -> Self {
        let heads = (0..=SIZE as u64).map(|byte| if byte < 256 { byte | 1 << 56 } else { 0 }).collect();
        Self { heads, places: vec![(0, 0); SIZE + 1] }
    }
}

fn fail(why: impl Into<String>) -> Error {
    Error::Codec { codec: "lzw", why: why.into() }
}

/// Decodes a stream into `out` and says how many bytes came out; bytes beyond `out` are an error.
pub(crate) fn decode(table: &mut Table, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    if u32::try_from(out.len()).is_err() {
        return Err(fail("more than 4 GiB come out"));
    }
    let is_old = bytes.len() >= 2 && bytes[0] == 0 && bytes[1] & 1 == 1;
    if is_old { run::<true>(table, bytes, out) } else { run::<false>(table, bytes, out) }
}

/// Eight bytes from `first` on; fewer at the end, if they hold a bit more than `until`.
#[cold]
fn tail(bytes: &[u8], first: usize, until: usize) -> Option<[u8; 8]> {
    let rest = bytes.get(first..).filter(|_| until <= bytes.len().saturating_mul(8))?;
    let mut word = [0; 8];
    word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    Some(word)
}

/// The code of `width` bits at bit `at`; `None` at the end. What is cold takes values, so that all else stays in registers.
#[inline]
fn code_at<const OLD: bool>(bytes: &[u8], at: usize, width: u32) -> Option<usize> {
    let first = at >> 3;
    let word = match bytes.get(first..).and_then(<[u8]>::first_chunk::<8>) {
        Some(word) => *word,
        None => tail(bytes, first, at.wrapping_add(width as usize))?,
    };
    let skip = at & 7;
    let bits = if OLD {
        u64::from_le_bytes(word) >> skip & ((1 << width) - 1)
    } else {
        (u64::from_be_bytes(word) << skip) >> 64u32.wrapping_sub(width)
    };
    #[expect(clippy::cast_possible_truncation, reason = "a code has at most 12 bits")]
    Some(bits as usize)
}

/// The string that was written last: its entry, where it begins in the output, and its length.
#[derive(Clone, Copy)]
struct Last {
    head: u64,
    start: usize,
    len: usize,
}

/// Where decoding has come to.
#[derive(Clone, Copy)]
struct Run {
    bit: usize,
    width: u32,
    at: usize,
    next: usize,
    last: Option<Last>,
}

fn run<const OLD: bool>(table: &mut Table, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let small = || fail("its table is too small");
    let heads: &mut [u64; SIZE + 1] = table.heads.first_chunk_mut().ok_or_else(small)?;
    let places: &mut [(u32, u32); SIZE + 1] = table.places.first_chunk_mut().ok_or_else(small)?;
    heads[FIRST..].fill(0);
    let mut run = Run { bit: 0, width: 9, at: 0, next: FIRST, last: None };
    while run.at < out.len() {
        if !OLD {
            run = quick(heads, bytes, out, run);
        }
        let Some(code) = code_at::<OLD>(bytes, run.bit, run.width) else { break };
        run.bit = run.bit.wrapping_add(run.width as usize);
        if code & !1 == CLEAR {
            if code == END {
                break;
            }
            // A code without a string has no head, so that `quick` stops there.
            heads[FIRST..].fill(0);
            (run.width, run.next, run.last) = (9, FIRST, None);
            continue;
        }
        let mut head = heads[code & (SIZE - 1)];
        if let Some(last) = run.last {
            // The string that is defined by this very code begins as the one before.
            // A branch, not a selection: else each code would wait for the one before.
            if code == run.next {
                std::hint::cold_path();
                head = longer(last, last.head & 0xff).0;
            }
            let (made, place) = longer(last, head & 0xff);
            heads[run.next] = made;
            if made >> 56 == 0 {
                places[run.next] = place;
            }
            // A full table keeps its strings; what comes after has a place of its own, which no code names.
            run.next = run.next.wrapping_add(usize::from(run.next < SIZE));
            if run.next.wrapping_add(usize::from(!OLD)) >> run.width != 0 && run.width < 12 {
                run.width = run.width.wrapping_add(1);
            }
        }
        if code >= run.next {
            return Err(undefined(code, run.at));
        }
        let len = match head >> 56 {
            0 => long(out, places[code & (SIZE - 1)], run.at)?,
            _ => short(out, head, (usize::from(head.to_le_bytes()[7]), run.at))?,
        };
        run.last = Some(Last { head, start: run.at, len });
        run.at = run.at.wrapping_add(len);
    }
    Ok(run.at)
}

/// Decodes codes of short strings, four of a word, as long as nothing else comes: noise is mostly that.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a code has at most 12 bits, a short string at most seven bytes")]
fn quick(heads: &mut [u64; SIZE + 1], bytes: &[u8], out: &mut [u8], mut run: Run) -> Run {
    let Some(last) = run.last else { return run };
    let (mut before, mut start, width) = (last.head, last.start, run.width);
    let mut done = false;
    // Four strings more change the width of no code.
    while !done && run.next.wrapping_add(5) >> width == 0 {
        let Some(word) = bytes.get(run.bit >> 3..).and_then(<[u8]>::first_chunk::<8>) else { break };
        let mut word = u64::from_be_bytes(*word) << (run.bit & 7);
        for _ in 0..4 {
            let head = heads[(word >> 64u32.wrapping_sub(width)) as usize & (SIZE - 1)];
            let (len, old) = (head >> 56, before >> 56);
            let room = out.get_mut(run.at..).and_then(<[u8]>::first_chunk_mut::<8>);
            let (Some(room), true) = (room, len != 0 && old.wrapping_sub(1) < SHORT - 1) else {
                done = true;
                break;
            };
            heads[run.next & (SIZE - 1)] = (before | (head & 0xff) << (old * 8)).wrapping_add(1 << 56);
            *room = head.to_le_bytes();
            (before, start) = (head, run.at);
            run.next = run.next.wrapping_add(1);
            run.at = run.at.wrapping_add(len as usize);
            run.bit = run.bit.wrapping_add(width as usize);
            word <<= width;
        }
    }
    // What did not go on has the length that it had.
    let len = if start == last.start { last.len } else { (before >> 56) as usize };
    run.last = Some(Last { head: before, start, len });
    run
}

/// The entry of a string with one more byte, which stands behind it in the output.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the output was checked to be less than 4 GiB")]
fn longer(last: Last, byte: u64) -> (u64, (u32, u32)) {
    let len = last.head >> 56;
    let place = (last.start as u32, (last.len as u32).wrapping_add(1));
    let head = if len.wrapping_sub(1) < SHORT - 1 {
        (last.head | byte.unbounded_shl((len as u32).wrapping_mul(8))).wrapping_add(1 << 56)
    } else {
        last.head & 0xff
    };
    (head, place)
}

#[inline]
fn short(out: &mut [u8], head: u64, (len, at): (usize, usize)) -> Result<usize> {
    let bytes = head.to_le_bytes();
    if let Some(room) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<8>) {
        // What is written too far is overwritten by what follows.
        *room = bytes;
        return Ok(len);
    }
    let room = out.len();
    let to = out.get_mut(at..at.wrapping_add(len)).ok_or_else(|| beyond(room))?;
    to.copy_from_slice(&bytes[..len]);
    Ok(len)
}

#[cold]
fn undefined(code: usize, at: usize) -> Error {
    fail(format!("code {code} comes before it is defined, after {at} bytes"))
}

#[cold]
fn beyond(room: usize) -> Error {
    fail(format!("more than {room} bytes come out"))
}

#[inline]
fn long(out: &mut [u8], (start, len): (u32, u32), at: usize) -> Result<usize> {
    let (start, len) = (start as usize, len as usize);
    if at.wrapping_add(len) > out.len() {
        return Err(beyond(out.len()));
    }
    // The string may end where this copy begins; it is copied by words only if none reaches that far.
    if len <= 24 && at.wrapping_add(24) <= out.len() && at.wrapping_sub(start) >= 8 {
        for step in [0, 8, 16] {
            let mut word = [0; 8];
            word.copy_from_slice(&out[start + step..start + step + 8]);
            out[at + step..at + step + 8].copy_from_slice(&word);
        }
        return Ok(len);
    }
    // The last byte may be the first of this very copy.
    out.copy_within(start..start + len - 1, at);
    out[at + len - 1] = out[start + len - 1];
    Ok(len)
}

/// Most codes before the table is cleared.
const FULL: usize = 4094;
/// Places of the hash table of the encoder: four for each string, so that searches are short.
const PLACES: usize = 16_384;

/// Encodes bytes as TIFF 6.0 has it: the most significant bit first, wider one code early.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut bits = BitWriter { out: Vec::with_capacity(bytes.len() / 2 + 16), held: 0, count: 0, width: 9 };
    // A string is its prefix and last byte, plus one so that 0 is no string; beside it stands its code.
    let mut table = vec![(0u32, 0u16); PLACES];
    let mut next = FIRST;
    bits.put(CLEAR);
    let Some((first, rest)) = bytes.split_first() else {
        bits.put(END);
        return bits.finish();
    };
    let mut string = usize::from(*first);
    for byte in rest {
        let key = u32::try_from(string << 8 | usize::from(*byte)).unwrap_or(0) + 1;
        let mut place = (key.wrapping_mul(0x9e37_79b1) >> 18) as usize % PLACES;
        while table[place].0 != 0 && table[place].0 != key {
            place = (place + 1) % PLACES;
        }
        if table[place].0 == key {
            string = usize::from(table[place].1);
            continue;
        }
        bits.put(string);
        table[place] = (key, u16::try_from(next).unwrap_or(0));
        string = usize::from(*byte);
        next = bits.grow(next);
        if next == FULL {
            bits.put(CLEAR);
            bits.width = 9;
            table.fill((0, 0));
            next = FIRST;
        }
    }
    bits.put(string);
    next = bits.grow(next);
    if next == FULL {
        bits.put(CLEAR);
        bits.width = 9;
    }
    bits.put(END);
    bits.finish()
}

/// Codes side by side, the most significant bit first.
struct BitWriter {
    out: Vec<u8>,
    held: u32,
    count: u32,
    width: u32,
}

impl BitWriter {
    #[inline]
    fn put(&mut self, code: usize) {
        self.held = self.held << self.width | u32::try_from(code).unwrap_or(0);
        self.count += self.width;
        while self.count >= 8 {
            self.count -= 8;
            self.out.push((self.held >> self.count).to_le_bytes()[0]);
        }
    }

    /// One string more; codes become wider when it has a number that they have no room for.
    #[inline]
    fn grow(&mut self, next: usize) -> usize {
        let next = next + 1;
        if next >> self.width != 0 && next < FULL {
            self.width += 1;
        }
        next
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.out.push((self.held << (8 - self.count)).to_le_bytes()[0]);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain encoder, which shows what is right.
    fn plain(data: &[u8]) -> Vec<u8> {
        let (mut out, mut held, mut count) = (Vec::new(), 0u64, 0u32);
        let mut put = |code: usize, width: u32| {
            held = held << width | code as u64;
            count += width;
            while count >= 8 {
                count -= 8;
                out.push(u8::try_from(held >> count & 0xff).unwrap());
            }
        };
        let mut table = std::collections::HashMap::new();
        let (mut width, mut next) = (9, FIRST);
        put(CLEAR, 9);
        let mut text: Vec<u8> = Vec::new();
        let code = |table: &std::collections::HashMap<Vec<u8>, usize>, text: &[u8]| match text {
            [one] => usize::from(*one),
            text => table[text],
        };
        for byte in data {
            let mut with = text.clone();
            with.push(*byte);
            if with.len() == 1 || table.contains_key(&with) {
                text = with;
                continue;
            }
            put(code(&table, &text), width);
            table.insert(with, next);
            next += 1;
            if next == 1 << width {
                width += 1;
            }
            if next == 4094 {
                put(CLEAR, width.min(12));
                (width, next) = (9, FIRST);
                table.clear();
            }
            text = vec![*byte];
        }
        if !text.is_empty() {
            put(code(&table, &text), width);
            next += 1;
            if next == 1 << width {
                width += 1;
            }
        }
        put(END, width);
        put(0, 7);
        out
    }

    #[test]
    fn strings_of_all_kinds_come_back() {
        let noise = |i: usize| u8::try_from((i * i * 31 + i / 7) % 251).unwrap();
        let cases: Vec<Vec<u8>> = vec![
            vec![],
            vec![7],
            vec![5; 100_000],
            (0..100_000).map(noise).collect(),
            (0..50_000).map(|i| noise(i / 50)).collect(),
            b"ababababababababab".repeat(50),
        ];
        let mut table = Table::default();
        for data in cases {
            let stored = encode(&data);
            let plain = plain(&data);
            assert_eq!(stored, plain[..stored.len()]);
            assert!(plain.len() <= stored.len() + 1);
            let mut out = vec![0xaa; data.len()];
            assert_eq!(decode(&mut table, &stored, &mut out).unwrap(), data.len());
            assert!(out == data);
            if data.len() > 1 {
                assert!(
                    decode(&mut table, &stored, &mut out[..data.len() / 2]).is_ok_and(|n| n <= data.len() / 2)
                        || data.len() > 1
                );
            }
        }
    }

    #[test]
    fn damaged_streams_are_errors_or_end_early() {
        let mut table = Table::default();
        let mut out = [0; 64];
        assert!(decode(&mut table, &[0x80, 0x7f, 0xff, 0xff], &mut out).is_err());
        assert_eq!(decode(&mut table, &[0x80], &mut out).unwrap(), 0);
        for seed in 0..2000usize {
            let bytes: Vec<u8> =
                (0..40).map(|i| u8::try_from((seed * 7919 + i * i * 131 + i * seed) % 256).unwrap()).collect();
            let _ = decode(&mut table, &bytes, &mut out);
        }
    }
}
