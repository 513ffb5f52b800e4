//! LZW as TIFF 6.0 has it (section 13): codes of 9 to 12 bits, most significant bit first, wider one code early. Streams
//! of old writers have the least significant bit first and widen in time.
//!
//! A string of the table is a place in the output: the string before it and the byte that followed, which stand there.

use crate::{Error, Result};

const CLEAR: usize = 256;
const END: usize = 257;
const FIRST: usize = 258;
const SIZE: usize = 4096;

/// A string: where it is in the output, and its first bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    head: u64,
    start: u32,
    len: u32,
}

/// The strings of a stream; kept from chunk to chunk to save its allocation.
#[derive(Debug)]
pub(crate) struct Table(Vec<Text>);

impl Default for Table {
    fn default() -> Self {
        let mut table = vec![Text::default(); SIZE];
        for (byte, text) in (0u64..256).zip(table.iter_mut()) {
            *text = Text { head: byte, start: 0, len: 1 };
        }
        Self(table)
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

/// Bits not yet taken: the lowest `count` of `held`.
struct Bits<'a, const OLD: bool> {
    rest: &'a [u8],
    held: u64,
    count: u32,
}

impl<const OLD: bool> Bits<'_, OLD> {
    #[inline]
    fn fill(&mut self) {
        if let Some((word, rest)) = self.rest.split_first_chunk::<4>() {
            self.rest = rest;
            if OLD {
                self.held |= u64::from(u32::from_le_bytes(*word)) << self.count;
            } else {
                self.held = self.held << 32 | u64::from(u32::from_be_bytes(*word));
            }
            self.count += 32;
            return;
        }
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            if OLD {
                self.held |= u64::from(*byte) << self.count;
            } else {
                self.held = self.held << 8 | u64::from(*byte);
            }
            self.count += 8;
        }
    }

    #[inline]
    fn take(&mut self, width: u32) -> Option<usize> {
        if self.count < width {
            self.fill();
            if self.count < width {
                return None;
            }
        }
        self.count -= width;
        let mask = (1u64 << width) - 1;
        let code = if OLD { self.held & mask } else { self.held >> self.count & mask };
        if OLD {
            self.held >>= width;
        }
        usize::try_from(code).ok()
    }
}

fn run<const OLD: bool>(table: &mut Table, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    let early = usize::from(!OLD);
    let Some(texts) = table.0.first_chunk_mut::<SIZE>() else { return Err(fail("its table is too small")) };
    let mut bits = Bits::<OLD> { rest: bytes, held: 0, count: 0 };
    let (mut width, mut next, mut at) = (9u32, FIRST, 0usize);
    let mut before = Text::default();
    while at < out.len() {
        let Some(code) = bits.take(width) else { break };
        if code == CLEAR {
            (width, next, before) = (9, FIRST, Text::default());
            continue;
        }
        if code == END {
            break;
        }
        if before.len > 0 && next < SIZE {
            let source = if code == next { before } else { texts[code & (SIZE - 1)] };
            texts[next] = longer(before, source.head & 0xff);
            next += 1;
            if next + early == 1 << width && width < 12 {
                width += 1;
            }
        }
        if code >= next {
            return Err(fail(format!("code {code} comes before it is defined, after {at} bytes")));
        }
        let text = texts[code & (SIZE - 1)];
        let end = at + text.len as usize;
        if end > out.len() {
            return Err(fail(format!("more than {} bytes come out", out.len())));
        }
        copy(out, text, at);
        #[expect(clippy::cast_possible_truncation, reason = "the output was checked to be less than 4 GiB")]
        let start = at as u32;
        before = Text { start, ..text };
        at = end;
    }
    Ok(at)
}

/// The string with one more byte, which stands behind it in the output.
#[inline]
fn longer(text: Text, byte: u64) -> Text {
    let head = if text.len < 8 { text.head | byte << (8 * text.len) } else { text.head };
    Text { head, start: text.start, len: text.len + 1 }
}

#[inline]
fn copy(out: &mut [u8], text: Text, at: usize) {
    let (len, start) = (text.len as usize, text.start as usize);
    if len <= 8 {
        let head = text.head.to_le_bytes();
        match out[at..].first_chunk_mut::<8>() {
            // What is written too far is overwritten by what follows.
            Some(room) => *room = head,
            None => out[at..at + len].copy_from_slice(&head[..len]),
        }
        return;
    }
    // The last byte may be the first of this very copy.
    if len <= 24 && at + 24 <= out.len() {
        for step in [0, 8, 16] {
            let mut word = [0; 8];
            word.copy_from_slice(&out[start + step..start + step + 8]);
            out[at + step..at + step + 8].copy_from_slice(&word);
        }
        return;
    }
    out.copy_within(start..start + len - 1, at);
    out[at + len - 1] = out[start + len - 1];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain encoder, for strings of any kind.
    pub(crate) fn encode(data: &[u8]) -> Vec<u8> {
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
