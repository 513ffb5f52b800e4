//! Stored values of a day as temperatures, and their sums.

use multiversion::multiversion;
use outcrop_compute::Block;
use outcrop_formats::{AttrValue, Attrs, DType};

/// Values that are worked on together: few enough that sums of them are exact, see [`DaySum`].
const PIECE: usize = 512;
/// Lanes of sums within a piece.
const LANES: usize = 8;
/// Daily values are rounded to multiples of `1 / GRID`, 2^-32, for their sum.
const GRID: f64 = 4_294_967_296.0;
/// Values below this, so many at once, have an exact sum in 53 bits.
const LIMIT: f64 = 4096.0;
/// A sum with it has no digits below the grid: 1.5 * 2^52 / GRID.
const ROUND: f64 = 1_572_864.0;

/// Units of the temperatures in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Degrees Celsius.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
    /// Kelvin.
    Kelvin,
}

impl Units {
    /// The units that a text means, if it is one of the three.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_lowercase().as_str() {
            "degrees c" | "degree c" | "deg c" | "degc" | "c" | "°c" | "celsius" | "degrees_celsius"
            | "degree_celsius" | "degrees celsius" | "degree celsius" => Self::Celsius,
            "k" | "kelvin" | "degrees k" | "degk" | "degree_kelvin" | "degrees_kelvin" => Self::Kelvin,
            "f" | "degf" | "°f" | "degrees f" | "deg f" | "fahrenheit" | "degrees fahrenheit"
            | "degrees_fahrenheit" | "degree_fahrenheit" => Self::Fahrenheit,
            _ => return None,
        })
    }

    /// Its sign, for axes and titles.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Celsius => "°C",
            Self::Fahrenheit => "°F",
            Self::Kelvin => "K",
        }
    }

    /// What is subtracted, multiplied by and added, in this order, for degrees Fahrenheit.
    fn to_fahrenheit(self) -> [f64; 3] {
        match self {
            Self::Celsius => [0.0, 1.8, 32.0],
            Self::Kelvin => [273.15, 1.8, 32.0],
            Self::Fahrenheit => [0.0, 1.0, 0.0],
        }
    }
}

/// What becomes of NaN that is not the value of cells without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NanRule {
    /// The mean of its day is NaN, as in NumPy.
    #[default]
    Poison,
    /// It is a cell without data.
    Missing,
}

/// What becomes of cells without data in means over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masking {
    /// They are left out.
    #[default]
    Nodata,
    /// Their number takes part, as in an array that xarray opened without a mask.
    None,
}

/// How the stored values of a file become temperatures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The stored value of cells without data; NaN if it is NaN.
    nodata: Option<f64>,
    scale: Option<f64>,
    offset: Option<f64>,
    /// Type of the temperatures: true for single precision.
    single: bool,
}

impl Rule {
    /// The rule that the attributes of a band give to values stored as `dtype`; with another nodata value if one is named.
    pub fn of(dtype: DType, attrs: &Attrs, nodata: Option<f64>) -> Self {
        let fill = attrs.get("_FillValue").and_then(AttrValue::number);
        let of = |name: &str| attrs.get(name).and_then(AttrValue::number);
        Self {
            nodata: nodata.or(fill).map(|value| if dtype == DType::Float32 { f64::from(narrow(value)) } else { value }),
            scale: of("scale_factor"),
            offset: of("add_offset"),
            // As in rioxarray: what 24 bits hold is of single precision.
            single: dtype.size() <= 2 || dtype == DType::Float32,
        }
    }

    /// True if the temperatures are of single precision.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The value of cells without data as a temperature would be: scaled, if others are.
    pub fn nodata(&self) -> Option<f64> {
        self.nodata.map(|value| self.scaled(value))
    }

    /// The stored value of cells without data.
    pub fn stored_nodata(&self) -> Option<f64> {
        self.nodata
    }

    fn scaled(&self, stored: f64) -> f64 {
        let round = |value: f64| if self.single { f64::from(narrow(value)) } else { value };
        let scaled = self.scale.map_or(stored, |scale| round(stored * scale));
        round(self.offset.map_or(scaled, |offset| round(scaled + offset)))
    }

    /// The temperature of a stored value; `None` of one that stands for no data.
    #[expect(clippy::float_cmp, reason = "a fill value is meant to the bit")]
    pub fn apply(&self, stored: f64) -> Option<f64> {
        let absent = self.nodata.is_some_and(|nodata| nodata == stored || (nodata.is_nan() && stored.is_nan()));
        (!absent).then(|| self.scaled(stored))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is what was asked for")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}

/// The sum of the values of a day in degrees Fahrenheit.
///
/// Values are rounded to multiples of 2^-32 and added without further rounding, so the order, and with it the chunks of
/// the files, have no influence. Of single precision only values nearer to 0 than 0.002 are rounded at all. Beyond
/// ±4096, where no temperature is, sums are of double precision, row by row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DaySum {
    exact: i128,
    rest: f64,
    /// Cells that take part.
    pub count: u64,
}

impl DaySum {
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.exact.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.rest.to_le_bytes());
        bytes[24..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        let of = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let exact = i128::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        Self { exact, rest: f64::from_bits(of(16)), count: of(24) }
    }

    /// The mean; NaN of no cell.
    pub fn mean(&self) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        (self.exact as f64 / GRID + self.rest) / self.count as f64
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.exact += other.exact;
        self.rest += other.rest;
        self.count += other.count;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a whole number of less than 53 bits")]
    fn add_piece(&mut self, sum: f64, largest: f64, count: u32) {
        if largest < LIMIT && !sum.is_nan() {
            self.exact += i128::from((sum * GRID) as i64);
        } else {
            self.rest += sum;
        }
        self.count += u64::from(count);
    }
}

/// How a slab is summed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    pub(super) units: Units,
    pub(super) nan: NanRule,
    pub(super) masking: Masking,
}

/// Sums and numbers of values by cell.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) sums: Vec<f64>,
    pub(super) counts: Vec<u32>,
}

impl Sums {
    pub(super) fn of(cells: usize) -> Self {
        Self { sums: vec![0.0; cells], counts: vec![0; cells] }
    }
}

/// Values of a piece as temperatures; 1 where there is no data.
struct Piece {
    values: [f64; PIECE],
    absent: [u32; PIECE],
}

/// Adds a day, which begins at value `from` of a block, to the sums of its cells and gives the sum of the day.
pub(super) fn add_day(block: &Block, from: usize, rule: &Rule, ways: Ways, sums: &mut Sums) -> DaySum {
    let mut piece = Piece { values: [0.0; PIECE], absent: [0; PIECE] };
    let mut day = DaySum::default();
    let cells = sums.sums.len();
    for start in (0..cells).step_by(PIECE) {
        let len = PIECE.min(cells - start);
        let range = from + start..from + start + len;
        if ways.masking == Masking::Nodata && is_absent(block, range.clone(), rule) {
            continue;
        }
        load(block, range, rule, &mut piece);
        let way = Way {
            fahrenheit: ways.units.to_fahrenheit(),
            single: rule.single,
            nan_is_absent: u32::from(ways.nan == NanRule::Missing),
            mask: u32::from(ways.masking == Masking::Nodata),
        };
        let (sums, counts) = (&mut sums.sums[start..start + len], &mut sums.counts[start..start + len]);
        let (sum, largest, count) = add_piece(&mut piece, way, sums, counts);
        day.add_piece(sum, largest, count);
    }
    day
}

/// [`Ways`] as numbers.
#[derive(Clone, Copy)]
struct Way {
    fahrenheit: [f64; 3],
    single: bool,
    nan_is_absent: u32,
    /// 1 if cells without data are left out of the sums over time.
    mask: u32,
}

/// True if no value of a piece is data: of images of land, that is most of the sea. Only 0 would be added for it.
#[expect(clippy::float_cmp, reason = "a fill value is meant to the bit")]
fn is_absent(block: &Block, range: std::ops::Range<usize>, rule: &Rule) -> bool {
    /// Values that are compared without a look at the result.
    const TOGETHER: usize = 64;
    let (Block::Float32(values), Some(nodata)) = (block, rule.nodata) else { return false };
    let own = narrow(nodata);
    let all = |values: &[f32]| values.iter().map(|value| u32::from(*value != own)).sum::<u32>() == 0;
    f64::from(own) == nodata && values[range].chunks(TOGETHER).all(all)
}

fn load(block: &Block, range: std::ops::Range<usize>, rule: &Rule, piece: &mut Piece) {
    fn each<T: Copy>(values: &[T], rule: &Rule, piece: &mut Piece, number: impl Fn(T) -> f64) {
        for (to, from) in piece.values.iter_mut().zip(values) {
            *to = number(*from);
        }
        classify(rule, &mut piece.values[..values.len()], &mut piece.absent);
    }
    match block {
        Block::Float32(v) => {
            widen(&v[range.clone()], &mut piece.values);
            classify(rule, &mut piece.values[..range.len()], &mut piece.absent);
        }
        Block::Float64(v) => each(&v[range], rule, piece, |n| n),
        Block::Int8(v) => each(&v[range], rule, piece, f64::from),
        Block::Int16(v) => each(&v[range], rule, piece, f64::from),
        Block::Int32(v) => each(&v[range], rule, piece, f64::from),
        Block::UInt8(v) => each(&v[range], rule, piece, f64::from),
        Block::UInt16(v) => each(&v[range], rule, piece, f64::from),
        Block::UInt32(v) => each(&v[range], rule, piece, f64::from),
        Block::Int64(v) => each(&v[range], rule, piece, |n| n as f64),
        Block::UInt64(v) => each(&v[range], rule, piece, |n| n as f64),
        other => {
            let values = other.slice(range).into_f64();
            each(&values, rule, piece, |n| n);
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn widen(from: &[f32], to: &mut [f64; PIECE]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f64::from(*from);
    }
}

/// Finds the cells without data and scales the others.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
#[expect(clippy::float_cmp, reason = "a fill value is meant to the bit")]
fn classify(rule: &Rule, values: &mut [f64], absent: &mut [u32; PIECE]) {
    // A comparison with NaN is never true, so that no value is absent where there is no nodata.
    let nodata = rule.nodata.unwrap_or(f64::NAN);
    let nan = u32::from(rule.nodata.is_some_and(f64::is_nan));
    for (value, absent) in values.iter().zip(absent.iter_mut()) {
        *absent = u32::from(*value == nodata) | (u32::from(value.is_nan()) & nan);
    }
    if rule.scale.is_some() || rule.offset.is_some() {
        for value in values {
            *value = rule.scaled(*value);
        }
    }
}

/// Adds a piece to the sums of its cells; gives the sum of its daily values, the largest of them and their number.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "aarch64+neon"))]
fn add_piece(piece: &mut Piece, way: Way, sums: &mut [f64], counts: &mut [u32]) -> (f64, f64, u32) {
    let len = sums.len();
    let (values, absent) = (&mut piece.values[..len], &mut piece.absent[..len]);
    for (((value, absent), sum), count) in values.iter().zip(absent.iter()).zip(sums).zip(counts) {
        let nan = u32::from(value.is_nan());
        let left_out = nan | (absent & way.mask);
        *sum += if left_out == 0 { *value } else { 0.0 };
        *count += 1 - left_out;
    }
    let [minus, times, plus] = way.fahrenheit;
    if way.single {
        let [minus, times, plus] = [narrow(minus), narrow(times), narrow(plus)];
        for value in values.iter_mut() {
            *value = f64::from((narrow(*value) - minus) * times + plus);
        }
    } else {
        for value in values.iter_mut() {
            *value = (*value - minus) * times + plus;
        }
    }
    let mut present = 0;
    for (value, absent) in values.iter_mut().zip(absent.iter()) {
        let left_out = absent | (u32::from(value.is_nan()) & way.nan_is_absent);
        *value = if left_out == 0 { *value } else { 0.0 };
        present += 1 - left_out;
    }
    let (sum, largest) = sum_of(values);
    (sum, largest, present)
}

/// The sum of values rounded to the grid, and the largest in size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled with the instructions of its caller")]
fn sum_of(values: &[f64]) -> (f64, f64) {
    let (mut sums, mut largest) = ([0.0f64; LANES], [0.0f64; LANES]);
    let mut add = |lane: usize, value: f64| {
        sums[lane] += (value + ROUND) - ROUND;
        let size = value.abs();
        largest[lane] = if size > largest[lane] { size } else { largest[lane] };
    };
    let (whole, rest) = values.as_chunks::<LANES>();
    for row in whole {
        for (lane, value) in row.iter().enumerate() {
            add(lane, *value);
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        add(lane, *value);
    }
    (sums.iter().sum(), largest.iter().fold(0.0, |a, b| f64::max(a, *b)))
}
