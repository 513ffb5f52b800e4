//! Writes miniSEED 2 and 3.
//!
//! Version 2 is big-endian, with blockettes 1000 and 1001, and blockette 100 where the rate is no fraction of two small
//! numbers; its times are rounded to microseconds. Version 3 has a checksum and times in nanoseconds.

use std::path::Path;

use outcrop_store::publish::Staged;

use super::record::{self, Rate};
use super::{steim, version3};
use crate::{Error, Result, utc};

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// miniSEED 2.4, which all programs read.
    #[default]
    Two,
    /// miniSEED 3.
    Three,
}

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One byte of text each.
    Text,
    /// 16-bit integers.
    Int16,
    /// 32-bit integers.
    Int32,
    /// Single precision.
    Float32,
    /// Double precision.
    Float64,
    /// Differences of 8, 16 or 32 bits.
    Steim1,
    /// Differences of 4 to 30 bits.
    Steim2,
}

/// Samples of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Samples<'a> {
    /// Text.
    Text(&'a [u8]),
    /// 16-bit integers.
    Int16(&'a [i16]),
    /// 32-bit integers.
    Int32(&'a [i32]),
    /// Single precision.
    Float32(&'a [f32]),
    /// Double precision.
    Float64(&'a [f64]),
}

/// Equally spaced samples of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentSpec<'a> {
    /// `NET.STA.LOC.CHA` or `FDSN:NET_STA_LOC_B_S_S`.
    pub source: String,
    /// Time of the first sample in nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Samples per second, above 0; 0 for text.
    pub rate_hz: f64,
    /// The samples.
    pub samples: Samples<'a>,
}

/// What a writer may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Version of the format.
    pub version: Version,
    /// How samples are stored; by default Steim2 for integers of 32 bits, otherwise as they are.
    pub encoding: Option<Encoding>,
    /// Bytes of a record: version 2 a power of two from 128 to 1,048,576; version 3 the most that a record may have.
    pub record_length: u32,
    /// Publication version (version 3 only).
    pub publication_version: u8,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { version: Version::Two, encoding: None, record_length: 4096, publication_version: 1 }
    }
}

/// Writes segments, record by record, to a file that appears when it is finished.
///
/// ```
/// # fn main() -> Result<(), outcrop_formats::Error> {
/// use outcrop_formats::miniseed::{Samples, SegmentSpec, WriteOptions, Writer};
///
/// # let dir = std::env::temp_dir().join(format!("outcrop-mseed-{}", std::process::id()));
/// let mut writer = Writer::create(&dir.join("a.mseed"), WriteOptions::default())?;
/// let samples = Samples::Int32(&[1, 2, 3]);
/// writer.write(&SegmentSpec { source: "XX.ABC..BHZ".into(), start_ns: 0, rate_hz: 20.0, samples })?;
/// assert_eq!(writer.finish()?, 1);
/// # std::fs::remove_dir_all(dir).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Writer {
    staged: Staged,
    options: WriteOptions,
    records: u64,
}

impl Writer {
    /// Starts a file.
    ///
    /// # Errors
    /// [`Error::MiniSeed`] for a record length that the version does not have; those of the store.
    pub fn create(path: &Path, options: WriteOptions) -> Result<Self> {
        let length = options.record_length;
        let fits = match options.version {
            Version::Two => length.is_power_of_two() && (128..=1 << 20).contains(&length),
            Version::Three => (256..=16 << 20).contains(&length),
        };
        if !fits {
            let why = format!("records cannot have {length} bytes");
            return Err(Error::MiniSeed { segment: path.display().to_string(), why });
        }
        Ok(Self { staged: Staged::create(path)?, options, records: 0 })
    }

    /// Appends the records of a segment.
    ///
    /// # Errors
    /// [`Error::MiniSeed`] if the source, the rate, the times or the samples cannot be written so; those of the store.
    pub fn write(&mut self, segment: &SegmentSpec<'_>) -> Result<()> {
        let failed = |why: String| Error::MiniSeed { segment: segment.source.clone(), why };
        let codes = Codes::parse(&segment.source).map_err(failed)?;
        let rate = Rate::from_hz(segment.rate_hz).ok_or_else(|| failed(format!("its rate is {}", segment.rate_hz)))?;
        let encoding = self.options.encoding.unwrap_or_else(|| segment.samples.encoding());
        let head = Head { codes: &codes, rate, encoding, options: self.options };
        let mut pieces = Pieces { samples: segment.samples, at: 0, before: None };
        while pieces.at < segment.samples.len() {
            let first = pieces.at;
            let (data, samples) = pieces.next(&head).map_err(failed)?;
            let start = i128::from(segment.start_ns) + rate.elapsed_ns(first as u64);
            let start = i64::try_from(start).map_err(|_| failed("its times go beyond the year 2262".to_owned()))?;
            let record = head.record(self.records, start, samples, &data).map_err(failed)?;
            self.staged.write(&record)?;
            self.records += 1;
        }
        Ok(())
    }

    /// Ends the file and returns the number of its records.
    ///
    /// # Errors
    /// Those of the store; an old file of the name then stays.
    pub fn finish(self) -> Result<u64> {
        self.staged.finish()?;
        Ok(self.records)
    }
}

impl Samples<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(samples) => samples.len(),
            Self::Int16(samples) => samples.len(),
            Self::Int32(samples) => samples.len(),
            Self::Float32(samples) => samples.len(),
            Self::Float64(samples) => samples.len(),
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Text(_) => Encoding::Text,
            Self::Int16(_) => Encoding::Int16,
            Self::Int32(_) => Encoding::Steim2,
            Self::Float32(_) => Encoding::Float32,
            Self::Float64(_) => Encoding::Float64,
        }
    }

    /// Whole numbers of 32 bits, as Steim wants them.
    fn int32(&self, from: usize, most: usize) -> Option<Vec<i32>> {
        match self {
            Self::Int16(samples) => Some(samples.iter().skip(from).take(most).map(|n| i32::from(*n)).collect()),
            Self::Int32(samples) => Some(samples.iter().skip(from).take(most).copied().collect()),
            _ => None,
        }
    }
}

impl Encoding {
    fn number(self) -> record::Encoding {
        match self {
            Self::Text => record::Encoding::TEXT,
            Self::Int16 => record::Encoding::INT16,
            Self::Int32 => record::Encoding::INT32,
            Self::Float32 => record::Encoding::FLOAT32,
            Self::Float64 => record::Encoding::FLOAT64,
            Self::Steim1 => record::Encoding::STEIM1,
            Self::Steim2 => record::Encoding::STEIM2,
        }
    }
}

/// Cuts samples into records.
struct Pieces<'a> {
    samples: Samples<'a>,
    at: usize,
    before: Option<i32>,
}

impl Pieces<'_> {
    /// The data of the next record and the number of its samples.
    fn next(&mut self, head: &Head<'_>) -> Result<(Vec<u8>, usize), String> {
        let most = if head.options.version == Version::Two { usize::from(u16::MAX) } else { u32::MAX as usize };
        let room = head.room();
        let (data, n) = match head.encoding {
            Encoding::Steim1 => self.steim(steim::Version::One, room, most)?,
            Encoding::Steim2 => self.steim(steim::Version::Two, room, most)?,
            _ => self.plain(head, room, most)?,
        };
        if n == 0 {
            return Err("a record has no room for a sample".to_owned());
        }
        self.at += n;
        Ok((data, n))
    }

    fn steim(&mut self, version: steim::Version, room: usize, most: usize) -> Result<(Vec<u8>, usize), String> {
        let frames = room / 64;
        let samples = self.samples.int32(self.at, most.min(frames * 105));
        let samples = samples.ok_or("Steim stores whole numbers only")?;
        let (data, n) = steim::encode(version, &samples, self.before, frames).map_err(|at| {
            let at = self.at + at;
            format!("sample {at} differs from the one before by more than 30 bits; use Steim1 or int32")
        })?;
        self.before = n.checked_sub(1).and_then(|last| samples.get(last)).copied();
        Ok((data, n))
    }

    fn plain(&self, head: &Head<'_>, room: usize, most: usize) -> Result<(Vec<u8>, usize), String> {
        fn bytes<T: Copy, const N: usize>(samples: &[T], at: (usize, usize), order: impl Fn(T) -> [u8; N]) -> Vec<u8> {
            samples.iter().skip(at.0).take(at.1).flat_map(|sample| order(*sample)).collect()
        }
        let size = head.encoding.number().sample_bytes().and_then(|size| usize::try_from(size).ok()).unwrap_or(1);
        let n = (room / size).min(most).min(self.samples.len() - self.at);
        let at = (self.at, n);
        let big = head.options.version == Version::Two;
        let data = match (self.samples, head.encoding) {
            (Samples::Text(text), Encoding::Text) => bytes(text, at, |n| [n]),
            (Samples::Int16(s), Encoding::Int16) => {
                bytes(s, at, |n| if big { n.to_be_bytes() } else { n.to_le_bytes() })
            }
            (Samples::Float32(s), Encoding::Float32) => {
                bytes(s, at, |n| if big { n.to_be_bytes() } else { n.to_le_bytes() })
            }
            (Samples::Float64(s), Encoding::Float64) => {
                bytes(s, at, |n| if big { n.to_be_bytes() } else { n.to_le_bytes() })
            }
            (samples @ (Samples::Int16(_) | Samples::Int32(_)), Encoding::Int32) => {
                let samples = samples.int32(self.at, n).unwrap_or_default();
                bytes(&samples, (0, n), |n| if big { n.to_be_bytes() } else { n.to_le_bytes() })
            }
            (_, encoding) => return Err(format!("its samples cannot be stored as {}", encoding.number().name())),
        };
        Ok((data, n))
    }
}

/// The parts of a source.
struct Codes {
    parts: [String; 4],
    id: String,
}

impl Codes {
    fn parse(source: &str) -> Result<Self, String> {
        let wrong = || "its source is neither NET.STA.LOC.CHA nor FDSN:NET_STA_LOC_B_S_S".to_owned();
        let parts: Vec<String> = match source.strip_prefix("FDSN:") {
            Some(id) => match id.split('_').collect::<Vec<_>>().as_slice() {
                [network, station, location, band @ ..] if band.len() == 3 => {
                    vec![(*network).to_owned(), (*station).to_owned(), (*location).to_owned(), band.concat()]
                }
                _ => return Err(wrong()),
            },
            None => source.split('.').map(str::to_owned).collect(),
        };
        let parts: [String; 4] = parts.try_into().map_err(|_| wrong())?;
        if !parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
            return Err("its codes have other characters than letters, digits and `-`".to_owned());
        }
        let id = if source.starts_with("FDSN:") { source.to_owned() } else { record::source_id(&parts) };
        Ok(Self { parts, id })
    }
}

/// What all records of a segment have.
struct Head<'a> {
    codes: &'a Codes,
    rate: Rate,
    encoding: Encoding,
    options: WriteOptions,
}

impl Head<'_> {
    /// Factor and multiplier of version 2, exact if possible.
    fn nominal(&self) -> Option<(i16, i16)> {
        let Rate { up, down } = self.rate;
        if down == 1
            && let Some(by) = (2..100u64).find(|by| up > 32_767 && up % by == 0 && up / by <= 32_767)
        {
            return i16::try_from(up / by).ok().zip(i16::try_from(by).ok());
        }
        let (up, down) = (i16::try_from(up).ok()?, i16::try_from(down).ok()?);
        Some(match (up, down) {
            (up, 1) => (up, 1),
            (1, down) => (-down, 1),
            (up, down) => (up, -down),
        })
    }

    /// Where data begins.
    fn begin(&self) -> usize {
        match self.options.version {
            Version::Two if self.nominal().is_some() => 64,
            Version::Two => 128,
            Version::Three => 40 + self.codes.id.len(),
        }
    }

    /// Bytes for data in a record.
    fn room(&self) -> usize {
        (self.options.record_length as usize).saturating_sub(self.begin())
    }

    fn record(&self, number: u64, start_ns: i64, samples: usize, data: &[u8]) -> Result<Vec<u8>, String> {
        match self.options.version {
            Version::Two => self.version2(number, start_ns, samples, data),
            Version::Three => self.version3(start_ns, samples, data),
        }
    }

    fn version2(&self, number: u64, start_ns: i64, samples: usize, data: &[u8]) -> Result<Vec<u8>, String> {
        let [network, station, location, channel] = &self.codes.parts;
        for (part, most) in [(network, 2), (station, 5), (location, 2), (channel, 3)] {
            if part.len() > most {
                return Err(format!("its code `{part}` has more than {most} characters, which version 2 has not"));
            }
        }
        let tenths = start_ns.saturating_add(500).div_euclid(1000);
        let (tenths, micro) = (tenths.div_euclid(100), tenths.rem_euclid(100));
        let (year, day, rest) = utc::split(tenths.checked_mul(100_000).ok_or("its start is before the year 1678")?);
        let small = |n: i64, what: &str| u16::try_from(n).map_err(|_| format!("its {what} does not fit"));
        let mut out = format!("{:06}D {station:<5}{location:<2}{channel:<3}{network:<2}", (number + 1) % 1_000_000);
        let mut out = std::mem::take(&mut out).into_bytes();
        out.extend(small(year, "year")?.to_be_bytes());
        out.extend(small(day, "day")?.to_be_bytes());
        let seconds = rest / 1_000_000_000;
        for part in [seconds / 3600, seconds / 60 % 60, seconds % 60, 0] {
            out.push(u8::try_from(part).unwrap_or(0));
        }
        out.extend(small(rest % 1_000_000_000 / 100_000, "fraction")?.to_be_bytes());
        out.extend(small(i64::try_from(samples).unwrap_or(i64::MAX), "number of samples")?.to_be_bytes());
        let exact = self.nominal();
        let (factor, multiplier) = exact
            .or_else(|| near(self.rate))
            .ok_or("its rate does not fit the factors of version 2; write version 3")?;
        out.extend(factor.to_be_bytes());
        out.extend(multiplier.to_be_bytes());
        out.extend([0, 0, 0, if exact.is_some() { 2 } else { 3 }]);
        out.extend([0; 4]);
        out.extend(small(i64::try_from(self.begin()).unwrap_or(i64::MAX), "header")?.to_be_bytes());
        out.extend(48u16.to_be_bytes());
        let power = u8::try_from(self.options.record_length.trailing_zeros()).unwrap_or(0);
        out.extend(
            [&1000u16.to_be_bytes()[..], &56u16.to_be_bytes(), &[self.encoding.number().0, 1, power, 0]].concat(),
        );
        let frames = u8::try_from(data.len() / 64).unwrap_or(0);
        let next = if exact.is_some() { 0u16 } else { 64 };
        let micro = u8::try_from(micro).unwrap_or(0);
        out.extend([&1001u16.to_be_bytes()[..], &next.to_be_bytes(), &[100, micro, 0, frames]].concat());
        if exact.is_none() {
            #[expect(clippy::cast_possible_truncation, reason = "blockette 100 has single precision")]
            let hz = self.rate.hz() as f32;
            out.extend([&100u16.to_be_bytes()[..], &[0; 2], &hz.to_be_bytes(), &[0; 4]].concat());
        }
        out.resize(self.begin(), 0);
        out.extend_from_slice(data);
        out.resize(self.options.record_length as usize, 0);
        Ok(out)
    }

    fn version3(&self, start_ns: i64, samples: usize, data: &[u8]) -> Result<Vec<u8>, String> {
        let (year, day, rest) = utc::split(start_ns);
        let narrow = |n: i64| u16::try_from(n).map_err(|_| "its start does not fit".to_owned());
        let mut out = b"MS\x03\0".to_vec();
        out.extend(u32::try_from(rest % 1_000_000_000).unwrap_or(0).to_le_bytes());
        out.extend(narrow(year)?.to_le_bytes());
        out.extend(narrow(day)?.to_le_bytes());
        let seconds = rest / 1_000_000_000;
        for part in [seconds / 3600, seconds / 60 % 60, seconds % 60] {
            out.push(u8::try_from(part).unwrap_or(0));
        }
        out.push(self.encoding.number().0);
        // Below one sample per second the period is stored, with a minus, as it is more often a whole number.
        let hz = self.rate.hz();
        let field = if hz > 0.0 && hz < 1.0 { -(self.rate.down as f64 / self.rate.up as f64) } else { hz };
        out.extend(field.to_le_bytes());
        out.extend(u32::try_from(samples).map_err(|_| "a record has too many samples".to_owned())?.to_le_bytes());
        out.extend([0; 4]);
        out.push(self.options.publication_version);
        out.push(u8::try_from(self.codes.id.len()).map_err(|_| "its source is too long".to_owned())?);
        out.extend([0; 2]);
        out.extend(u32::try_from(data.len()).map_err(|_| "a record is too long".to_owned())?.to_le_bytes());
        out.extend_from_slice(self.codes.id.as_bytes());
        out.extend_from_slice(data);
        let sum = version3::sum(&out);
        if let Some(place) = out.get_mut(28..32) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        Ok(out)
    }
}

/// A factor and multiplier near a rate that no two small numbers give.
fn near(rate: Rate) -> Option<(i16, i16)> {
    #[expect(clippy::cast_possible_truncation, reason = "both are below 32,767")]
    let whole = |n: f64| (1.0..32_767.0).contains(&n.round()).then(|| n.round() as i16);
    let hz = rate.hz();
    if hz < 1.0 {
        return whole(1.0 / hz).map(|period| (-period, 1));
    }
    let by = (hz / 32_000.0).ceil();
    whole(hz / by).zip(whole(by))
}
