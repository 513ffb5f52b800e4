//! Records of miniSEED 2: a fixed header of 48 bytes and a chain of blockettes. SEED manual 2.4, chapter 8.

use super::record::{
    Edition, Encoding, Found, Parsed, Rate, Record, Source, Sources, Stop, Whole, broken, check_counts, code, moment,
    source_id,
};
use crate::array::ByteOrder;
use crate::utc;

/// Bytes of the fixed header.
pub(super) const FIXED: u64 = 48;
/// Smallest record.
const SMALLEST: u64 = 128;
/// Largest record: 2^20 bytes.
const LARGEST_POWER: u8 = 20;
/// Activity flag: the time correction is in the start already.
const CORRECTED: u8 = 0x02;

/// True for the start of a data record.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(head) = head.first_chunk::<28>() else { return false };
    is_sequence(head)
        && b"DRQM".contains(&head[6])
        && matches!(head[7], b' ' | 0)
        && head[24] <= 23
        && head[25] <= 59
        && head[26] <= 60
        && order(head).is_some()
}

/// True for the start of a control header of a SEED volume: volume, abbreviation, station, time span.
pub(super) fn is_control(head: &[u8]) -> bool {
    head.first_chunk::<11>().is_some_and(|head| {
        head[..6].iter().all(u8::is_ascii_digit)
            && b"VAST".contains(&head[6])
            && matches!(head[7], b' ' | b'*')
            && head[8..11].iter().all(u8::is_ascii_digit)
    })
}

/// True for a record of spaces.
fn is_noise(head: &[u8]) -> bool {
    head.first_chunk::<48>().is_some_and(|head| is_sequence(head) && head[6..].iter().all(|b| *b == b' '))
}

fn is_sequence(head: &[u8]) -> bool {
    head.iter().take(6).all(|b| b.is_ascii_digit() || matches!(b, b' ' | 0))
}

/// The order in which year and day are plausible.
fn order(head: &[u8; 28]) -> Option<ByteOrder> {
    let plausible = |order| {
        let (year, day) = (u16_at(head, 20, order), u16_at(head, 22, order));
        (1900..=2200).contains(&year) && (1..=366).contains(&day)
    };
    [ByteOrder::Big, ByteOrder::Little].into_iter().find(|order| plausible(*order))
}

/// A number of the header; 0 outside of it, which the callers exclude.
fn u16_at(bytes: &[u8], at: usize, order: ByteOrder) -> u16 {
    let pair = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied().unwrap_or_default();
    if order == ByteOrder::Big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
}

fn u32_at(bytes: &[u8], at: usize, order: ByteOrder) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    if order == ByteOrder::Big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

/// What the blockettes say.
#[derive(Default)]
struct Blockettes {
    encoding: Option<Encoding>,
    big: Option<bool>,
    power: Option<u8>,
    rate_hz: Option<f32>,
    microseconds: i8,
    timing_quality: Option<u8>,
    /// Where the last of them ends, as far as it is read.
    end: u64,
}

pub(super) fn read(bytes: &[u8], whole: Whole, sources: &mut Sources) -> Parsed<Found> {
    let Some(head) = bytes.first_chunk::<48>() else { return Err(Stop::Short { need: FIXED, what: None }) };
    if is_noise(head) {
        return Ok(Found::Skip(SMALLEST.min(bytes.len() as u64)));
    }
    if is_control(head) {
        return control(bytes, whole).map(Found::Skip).ok_or(Stop::Short { need: 1 << LARGEST_POWER, what: None });
    }
    let order = head.first_chunk::<28>().and_then(order);
    let Some(order) = order.filter(|_| is_header(head)) else { return broken(what_it_is(head)) };
    let source = sources.position(&head[6..20], || source(head));
    let samples = u16_at(head, 30, order);
    let short = |need| Stop::Short { need, what: Some((source, u32::from(samples))) };
    let found = match blockettes(bytes, order)? {
        Chain::Whole(found) => found,
        Chain::Short(need) => return Err(short(need)),
    };
    let length = match found.power {
        Some(power @ 7..=LARGEST_POWER) => 1u64 << power,
        Some(power) => return broken(format!("its length is 2^{power} bytes; 2^7 to 2^{LARGEST_POWER} are possible")),
        None => next_header(bytes, whole).ok_or_else(|| short(1 << LARGEST_POWER))?,
    };
    if (bytes.len() as u64) < length {
        return Err(short(length));
    }
    if found.end > length {
        return broken(format!("a blockette ends at byte {} of its {length}", found.end));
    }
    let record = lower(head, order, &found, source, length)?;
    check_counts(&record)?;
    Ok(Found::Record(record))
}

/// Bytes from a control header to the next header, of whatever kind, or to the end of the file.
fn control(bytes: &[u8], whole: Whole) -> Option<u64> {
    let mut places = (128..bytes.len()).step_by(128).take(1 << (LARGEST_POWER - 7));
    let next = places.find(|at| bytes.get(*at..).is_some_and(|rest| is_header(rest) || is_control(rest)));
    next.or((whole == Whole::Yes).then_some(bytes.len())).map(|length| length as u64)
}

fn what_it_is(head: &[u8]) -> String {
    if head.iter().all(|b| *b == 0) {
        return "zero bytes stand where a record should begin (an unfinished download?)".to_owned();
    }
    format!("no record begins here: it starts with `{}`", head[..8].escape_ascii())
}

fn source(head: &[u8; 48]) -> Source {
    let codes = [18..20, 8..13, 13..15, 15..18].map(|at| code(&head[at]));
    let id = source_id(&codes);
    let [network, station, location, channel] = codes;
    Source { network, station, location, channel, id, edition: Edition::Quality(char::from(head[6])) }
}

enum Chain {
    Whole(Blockettes),
    /// It goes on beyond the bytes at hand.
    Short(u64),
}

/// Follows the chain of blockettes: each is behind the one before, so it ends.
fn blockettes(bytes: &[u8], order: ByteOrder) -> Parsed<Chain> {
    let mut found = Blockettes::default();
    let mut at = usize::from(u16_at(bytes, 46, order));
    let mut behind = 48;
    while at != 0 {
        if at < behind {
            return broken(format!("its chain of blockettes goes back to byte {at}"));
        }
        let Some(body) = bytes.get(at..at + 8) else { return Ok(Chain::Short(at as u64 + 8)) };
        let (kind, next) = (u16_at(body, 0, order), u16_at(body, 2, order));
        match kind {
            100 => found.rate_hz = Some(f32::from_bits(u32_at(body, 4, order))),
            1000 => {
                found.encoding = Some(Encoding(body[4]));
                found.big = Some(body[5] != 0);
                found.power = Some(body[6]);
            }
            1001 => {
                found.timing_quality = Some(body[4]);
                found.microseconds = body[5].cast_signed();
            }
            _ => {}
        }
        behind = at + 4;
        found.end = at as u64 + 8;
        at = usize::from(next);
    }
    Ok(Chain::Whole(found))
}

/// The length of a record that does not say it: where the next header is, or the file ends.
fn next_header(bytes: &[u8], whole: Whole) -> Option<u64> {
    (7..=LARGEST_POWER).map(|power| 1usize << power).find_map(|length| {
        let rest = bytes.get(length..)?;
        let ends = rest.is_empty() && whole == Whole::Yes;
        (ends || is_header(rest) || is_control(rest) || is_noise(rest)).then_some(length as u64)
    })
}

fn lower(head: &[u8; 48], order: ByteOrder, found: &Blockettes, source: usize, length: u64) -> Parsed<Record> {
    let samples = u32::from(u16_at(head, 30, order));
    let begin = u64::from(u16_at(head, 44, order));
    if samples > 0 && (begin < FIXED || begin >= length) {
        return broken(format!("its {samples} samples begin at byte {begin} of its {length}"));
    }
    let rate = match found.rate_hz {
        Some(hz) => Rate::from_hz(f64::from(hz)),
        None => Some(nominal(u16_at(head, 32, order).cast_signed(), u16_at(head, 34, order).cast_signed())),
    };
    let Some(rate) = rate else { return broken("its sample rate is not a positive number") };
    let big = found.big.unwrap_or(order == ByteOrder::Big);
    Ok(Record {
        source,
        start_ns: start(head, order, found.microseconds)?,
        rate,
        samples,
        // Without blockette 1000 data is Steim1, as all readers assume.
        encoding: found.encoding.unwrap_or(Encoding::STEIM1),
        order: if big { ByteOrder::Big } else { ByteOrder::Little },
        length,
        data: begin.min(length)..length,
        timing_quality: found.timing_quality,
        extra: None,
    })
}

/// Rate by factor and multiplier: positive ones multiply, negative ones divide.
fn nominal(factor: i16, multiplier: i16) -> Rate {
    let (size, by) = (u64::from(factor.unsigned_abs()), u64::from(multiplier.unsigned_abs()));
    match (factor, multiplier) {
        (0, _) | (_, 0) => Rate { up: 0, down: 1 },
        (1.., 1..) => Rate { up: size * by, down: 1 },
        (1.., _) => Rate { up: size, down: by },
        (_, 1..) => Rate { up: by, down: size },
        _ => Rate { up: 1, down: size * by },
    }
}

/// The start with the microseconds of blockette 1001 and the time correction, unless that is applied already.
fn start(head: &[u8; 48], order: ByteOrder, microseconds: i8) -> Parsed<i64> {
    let midnight = utc::from_yearday(i64::from(u16_at(head, 20, order)), i64::from(u16_at(head, 22, order)));
    let seconds = i128::from(head[24]) * 3600 + i128::from(head[25]) * 60 + i128::from(head[26]);
    let correction = if head[36] & CORRECTED == 0 { u32_at(head, 40, order).cast_signed() } else { 0 };
    let tenths_ms = i128::from(u16_at(head, 28, order)) + i128::from(correction);
    moment(midnight + seconds * 1_000_000_000 + tenths_ms * 100_000 + i128::from(microseconds) * 1000)
}
