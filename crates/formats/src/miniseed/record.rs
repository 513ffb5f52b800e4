//! One record as its header says, whatever the version of the format.

use std::collections::HashMap;

use indexmap::IndexSet;

use crate::array::{ByteOrder, DType};

use super::{version2, version3};

/// How samples are stored, by the numbers of the SEED manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Encoding(pub(crate) u8);

impl Encoding {
    pub(crate) const TEXT: Self = Self(0);
    pub(crate) const INT16: Self = Self(1);
    pub(crate) const INT24: Self = Self(2);
    pub(crate) const INT32: Self = Self(3);
    pub(crate) const FLOAT32: Self = Self(4);
    pub(crate) const FLOAT64: Self = Self(5);
    pub(crate) const STEIM1: Self = Self(10);
    pub(crate) const STEIM2: Self = Self(11);
    pub(crate) const GEOSCOPE24: Self = Self(12);
    pub(crate) const GEOSCOPE16_3: Self = Self(13);
    pub(crate) const GEOSCOPE16_4: Self = Self(14);
    pub(crate) const CDSN: Self = Self(16);
    pub(crate) const SRO: Self = Self(30);
    pub(crate) const DWWSSN: Self = Self(32);

    /// The name of the SEED manual.
    pub(crate) fn name(self) -> String {
        let name = match self.0 {
            0 => "text",
            1 => "int16",
            2 => "int24",
            3 => "int32",
            4 => "float32",
            5 => "float64",
            10 => "Steim1",
            11 => "Steim2",
            12 => "GEOSCOPE 24 bit",
            13 => "GEOSCOPE 16 bit, 3 bit exponent",
            14 => "GEOSCOPE 16 bit, 4 bit exponent",
            15 => "US National Network",
            16 => "CDSN",
            17 => "Graefenberg",
            18 => "IPG",
            19 => "Steim3",
            30 => "SRO",
            31 => "HGLP",
            32 => "DWWSSN",
            33 => "RSTN",
            other => return format!("encoding {other}"),
        };
        name.to_owned()
    }

    /// Type of the values; `None` for an encoding that is not decoded here. All whole numbers become `int32`, so that
    /// records of different encodings can follow each other.
    pub(crate) fn dtype(self) -> Option<DType> {
        match self {
            Self::TEXT => Some(DType::Char),
            Self::FLOAT32 | Self::GEOSCOPE24 | Self::GEOSCOPE16_3 | Self::GEOSCOPE16_4 => Some(DType::Float32),
            Self::FLOAT64 => Some(DType::Float64),
            other => other.is_whole().then_some(DType::Int32),
        }
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::INT16 | Self::INT24 | Self::INT32 | Self::STEIM1 | Self::STEIM2)
            || matches!(self, Self::CDSN | Self::SRO | Self::DWWSSN)
    }

    /// Bytes of a sample where all have the same.
    pub(crate) fn sample_bytes(self) -> Option<u64> {
        match self {
            Self::TEXT => Some(1),
            Self::INT16 | Self::GEOSCOPE16_3 | Self::GEOSCOPE16_4 | Self::CDSN | Self::SRO | Self::DWWSSN => Some(2),
            Self::INT24 | Self::GEOSCOPE24 => Some(3),
            Self::INT32 | Self::FLOAT32 => Some(4),
            Self::FLOAT64 => Some(8),
            _ => None,
        }
    }

    /// The most samples that so many bytes can hold; `None` for an encoding that is not known here.
    pub(crate) fn most_samples(self, bytes: u64) -> Option<u64> {
        // A frame of 64 bytes has 15 words of differences, the first frame 13.
        let words = (bytes / 64 * 15).saturating_sub(2);
        match self {
            Self::STEIM1 => Some(words * 4),
            Self::STEIM2 => Some(words * 7),
            other => other.sample_bytes().map(|size| bytes / size),
        }
    }
}

/// Who a record is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) network: String,
    pub(crate) station: String,
    pub(crate) location: String,
    pub(crate) channel: String,
    /// `FDSN:NET_STA_LOC_B_S_S`.
    pub(crate) id: String,
    /// Quality `D`, `R`, `Q` or `M` of version 2; the publication version of version 3.
    pub(crate) edition: Edition,
}

/// Which edition of the same samples this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Edition {
    Quality(char),
    Publication(u8),
}

/// Samples per second as a fraction of whole numbers; 0 for what is not a time series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// The header of a record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Position in [`Sources`].
    pub(crate) source: usize,
    /// Nanoseconds since 1970, with all corrections.
    pub(crate) start_ns: i64,
    pub(crate) rate: Rate,
    pub(crate) samples: u32,
    pub(crate) encoding: Encoding,
    /// Of samples; Steim in version 3 is always big-endian.
    pub(crate) order: ByteOrder,
    /// Bytes of the record.
    pub(crate) length: u64,
    /// Samples within the record, in bytes from its start.
    pub(crate) data: std::ops::Range<u64>,
    /// Percent.
    pub(crate) timing_quality: Option<u8>,
    /// JSON of version 3.
    pub(crate) extra: Option<String>,
}

/// The sources of a file, each once, in the order of their first records.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    known: IndexSet<Source>,
    by_raw: HashMap<Vec<u8>, usize>,
}

impl Sources {
    /// The position of a source by the bytes of its header; these are read the first time only.
    pub(crate) fn position(&mut self, raw: &[u8], read: impl FnOnce() -> Source) -> usize {
        if let Some(at) = self.by_raw.get(raw) {
            return *at;
        }
        let (at, _) = self.known.insert_full(read());
        self.by_raw.insert(raw.to_owned(), at);
        at
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Source> {
        self.known.get_index(at)
    }
}

impl Source {
    /// `NET.STA.LOC.CHA`, or the identifier where it is not one of FDSN.
    pub(crate) fn name(&self) -> String {
        if !self.id.starts_with("FDSN:") {
            return self.id.clone();
        }
        format!("{}.{}.{}.{}", self.network, self.station, self.location, self.channel)
    }
}

impl Rate {
    /// Nanoseconds from sample to sample, as a fraction in lowest terms; 0 where there is no rate.
    pub(crate) fn step_ns(self) -> (i64, i64) {
        if self.up == 0 || self.down == 0 {
            return (0, 1);
        }
        let up = u128::from(self.down) * 1_000_000_000;
        let common = gcd(up, u128::from(self.up));
        let fit = |n: u128| i64::try_from(n / common.max(1)).ok();
        fit(up).zip(fit(u128::from(self.up))).unwrap_or((0, 1))
    }

    /// Nanoseconds of `n` steps, rounded to the nearest.
    pub(crate) fn elapsed_ns(self, n: u64) -> i128 {
        let (up, down) = self.step_ns();
        let (up, down) = (i128::from(n) * i128::from(up), i128::from(down.max(1)));
        (2 * up + down).div_euclid(2 * down)
    }

    pub(crate) fn hz(self) -> f64 {
        if self.down == 0 { 0.0 } else { self.up as f64 / self.down as f64 }
    }

    /// The simplest fraction that is the same double, or the nearest one of terms below 2^31.
    ///
    /// Continued fraction: each convergent is the best for its size.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "terms are checked before")]
    pub(crate) fn from_hz(hz: f64) -> Option<Self> {
        const MOST: f64 = 2_147_483_648.0;
        if hz == 0.0 {
            return Some(Self { up: 0, down: 1 });
        }
        if !hz.is_finite() || !(1.0 / MOST..MOST).contains(&hz) {
            return None;
        }
        let (mut before, mut now) = ((0.0, 1.0), (1.0, 0.0));
        let mut rest = hz;
        for _ in 0..64 {
            let whole = rest.floor();
            let next = (whole * now.0 + before.0, whole * now.1 + before.1);
            if next.0 > MOST || next.1 > MOST {
                break;
            }
            (before, now) = (now, next);
            if now.0 / now.1 == hz || rest == whole {
                break;
            }
            rest = 1.0 / (rest - whole);
        }
        (now.1 > 0.0 && now.0 > 0.0).then_some(Self { up: now.0 as u64, down: now.1 as u64 })
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// What stands at a place of a file.
pub(crate) enum Found {
    Record(Record),
    /// So many bytes that hold no samples: noise records, control headers of a SEED volume.
    Skip(u64),
}

/// Why there is no record.
pub(crate) enum Stop {
    /// It needs so many bytes from its start.
    Short {
        need: u64,
        /// Whose it is and how many samples it declares, where that much is there.
        what: Option<(usize, u32)>,
    },
    Broken(String),
}

pub(crate) type Parsed<T> = Result<T, Stop>;

pub(crate) fn broken<T>(why: impl Into<String>) -> Parsed<T> {
    Err(Stop::Broken(why.into()))
}

/// Reads the header at the start of `bytes`; `whole` says whether the file ends with them.
pub(crate) fn read(bytes: &[u8], whole: Whole, sources: &mut Sources) -> Parsed<Found> {
    if bytes.starts_with(b"MS\x03") {
        return version3::read(bytes, sources).map(Found::Record);
    }
    version2::read(bytes, whole, sources)
}

/// Whether bytes go to the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    Yes,
    No,
}

/// True if a file that starts so is miniSEED.
pub(crate) fn is_record(head: &[u8]) -> bool {
    version3::is_header(head) || version2::is_header(head) || version2::is_control(head)
}

/// Samples that do not fit their bytes.
pub(crate) fn check_counts(record: &Record) -> Parsed<()> {
    let Some(most) = record.encoding.most_samples(record.data.end.saturating_sub(record.data.start)) else {
        return Ok(());
    };
    if u64::from(record.samples) > most {
        let (samples, name) = (record.samples, record.encoding.name());
        let bytes = record.data.end.saturating_sub(record.data.start);
        return broken(format!("it declares {samples} samples; its {bytes} bytes of {name} hold {most} at most"));
    }
    Ok(())
}

/// A code of the header: letters and digits, without what pads it.
pub(crate) fn code(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    let text = text.trim_matches([' ', '\0']);
    text.chars().map(|c| if c.is_ascii_graphic() && c != '/' { c } else { '?' }).collect()
}

/// The identifier of network, station, location and channel.
pub(crate) fn source_id([network, station, location, channel]: &[String; 4]) -> String {
    let band: Vec<String> = channel.chars().map(String::from).collect();
    let band = if band.len() == 3 { band.join("_") } else { channel.clone() };
    format!("FDSN:{network}_{station}_{location}_{band}")
}

/// Checked moments: 1677 to 2262.
pub(crate) fn moment(ns: i128) -> Parsed<i64> {
    i64::try_from(ns).or_else(|_| broken("its start is not between the years 1678 and 2262"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_fractions() {
        for (hz, want, step) in [
            (40.0, (40, 1), (25_000_000, 1)),
            (0.1, (1, 10), (10_000_000_000, 1)),
            (1.0 / 3.0, (1, 3), (3_000_000_000, 1)),
            (12.5, (25, 2), (80_000_000, 1)),
            (3.0, (3, 1), (1_000_000_000, 3)),
            (4_244.770_442_814_452_5, (0, 0), (0, 0)),
        ] {
            let rate = Rate::from_hz(hz).unwrap();
            assert!((rate.hz() / hz - 1.0).abs() < 1e-15, "{hz}");
            if want.0 > 0 {
                assert_eq!(((rate.up, rate.down), rate.step_ns()), (want, step), "{hz}");
            }
        }
        assert_eq!(Rate::from_hz(0.0).unwrap().step_ns(), (0, 1));
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300, 1e-300] {
            assert_eq!(Rate::from_hz(bad), None, "{bad}");
        }
    }
}
