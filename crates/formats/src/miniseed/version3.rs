//! Records of miniSEED 3: little-endian, with a checksum. <https://docs.fdsn.org/projects/miniseed3>.

use super::record::{
    Edition, Encoding, Parsed, Rate, Record, Source, Sources, Stop, broken, check_counts, code, moment,
};
use crate::array::ByteOrder;
use crate::utc;

/// Bytes of the header before the source identifier.
const FIXED: usize = 40;
/// Largest record, in bytes.
const LARGEST: u64 = 16 << 20;

/// True for the start of a record.
pub(super) fn is_header(head: &[u8]) -> bool {
    head.first_chunk::<15>()
        .is_some_and(|head| head.starts_with(b"MS\x03") && head[12] <= 23 && head[13] <= 59 && head[14] <= 60)
}

fn number<const N: usize>(head: &[u8; FIXED], at: usize) -> [u8; N] {
    head.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

pub(super) fn read(bytes: &[u8], sources: &mut Sources) -> Parsed<Record> {
    let short = |need: usize, what| Stop::Short { need: need as u64, what };
    let Some(head) = bytes.first_chunk::<FIXED>() else { return Err(short(FIXED, None)) };
    if !is_header(head) {
        return broken("its hour, minute or second is out of range");
    }
    let (id_len, extra_len) = (usize::from(head[33]), usize::from(u16::from_le_bytes(number(head, 34))));
    let data_len = u64::from(u32::from_le_bytes(number(head, 36)));
    let samples = u32::from_le_bytes(number(head, 24));
    let begin = FIXED + id_len + extra_len;
    let length = begin as u64 + data_len;
    if length > LARGEST {
        return broken(format!("it has {length} bytes; the limit is {LARGEST}"));
    }
    let whole = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
    let Some(id) = bytes.get(FIXED..FIXED + id_len) else { return Err(short(begin, None)) };
    let source = sources.position(&[id, &[head[32]]].concat(), || source(id, head[32]));
    let Some(whole) = whole else { return Err(Stop::Short { need: length, what: Some((source, samples)) }) };
    check_sum(whole, u32::from_le_bytes(number(head, 28)))?;
    let extra = whole.get(FIXED + id_len..begin).filter(|extra| !extra.is_empty());
    let extra = extra.map(|extra| String::from_utf8_lossy(extra).into_owned());
    let encoding = Encoding(head[15]);
    let steim = matches!(encoding, Encoding::STEIM1 | Encoding::STEIM2);
    let record = Record {
        source,
        start_ns: start(head)?,
        rate: rate(f64::from_le_bytes(number(head, 16)))?,
        samples,
        encoding,
        order: if steim { ByteOrder::Big } else { ByteOrder::Little },
        length,
        data: begin as u64..length,
        timing_quality: extra.as_deref().and_then(timing_quality),
        extra,
    };
    check_counts(&record)?;
    Ok(record)
}

/// CRC-32C over the record with its own field taken as zero.
fn check_sum(record: &[u8], stored: u32) -> Parsed<()> {
    let actual = sum(record);
    if actual == stored {
        return Ok(());
    }
    broken(format!("its CRC-32C is {actual:#010x}, {stored:#010x} is stored"))
}

/// The checksum that a record of this version has.
pub(super) fn stored_sum(record: &[u8]) -> Option<u32> {
    let head = record.first_chunk::<FIXED>().filter(|head| head.starts_with(b"MS\x03"))?;
    Some(u32::from_le_bytes(number(head, 28)))
}

/// The checksum that a record should have.
pub(super) fn sum(record: &[u8]) -> u32 {
    let (head, rest) = record.split_at(record.len().min(28));
    let tail = rest.get(4..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(head), &[0; 4]), tail)
}

/// Positive: samples per second; negative: seconds per sample.
fn rate(field: f64) -> Parsed<Rate> {
    let of_period = |rate: Rate| Rate { up: rate.down, down: rate.up };
    let rate = if field < 0.0 { Rate::from_hz(-field).map(of_period) } else { Rate::from_hz(field) };
    rate.map_or_else(|| broken(format!("its sample rate or period is {field}")), Ok)
}

fn start(head: &[u8; FIXED]) -> Parsed<i64> {
    let nanosecond = u32::from_le_bytes(number(head, 4));
    let (year, day) = (u16::from_le_bytes(number(head, 8)), u16::from_le_bytes(number(head, 10)));
    if !(1..=366).contains(&day) || nanosecond > 999_999_999 {
        return broken(format!("its start is day {day} of {year}, nanosecond {nanosecond}"));
    }
    let seconds = i128::from(head[12]) * 3600 + i128::from(head[13]) * 60 + i128::from(head[14]);
    moment(utc::from_yearday(year.into(), day.into()) + seconds * 1_000_000_000 + i128::from(nanosecond))
}

/// The codes within `FDSN:NET_STA_LOC_BAND_SOURCE_SUBSOURCE`.
fn source(id: &[u8], version: u8) -> Source {
    let id = code(id);
    let edition = Edition::Publication(version);
    let parts: Vec<&str> = id.strip_prefix("FDSN:").unwrap_or_default().split('_').collect();
    let [network, station, location, channel @ ..] = parts.as_slice() else {
        let empty = String::new;
        return Source { network: empty(), station: empty(), location: empty(), channel: empty(), id, edition };
    };
    let separator = if channel.iter().all(|part| part.len() == 1) { "" } else { "_" };
    Source {
        network: (*network).to_owned(),
        station: (*station).to_owned(),
        location: (*location).to_owned(),
        channel: channel.join(separator),
        id,
        edition,
    }
}

/// `FDSN.Time.Quality` of the extra headers, in percent.
fn timing_quality(extra: &str) -> Option<u8> {
    let extra: serde_json::Value = serde_json::from_str(extra).ok()?;
    let quality = extra.pointer("/FDSN/Time/Quality")?.as_f64()?;
    (0.0..=100.0).contains(&quality).then(|| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let percent = quality.round() as u8;
        percent
    })
}
