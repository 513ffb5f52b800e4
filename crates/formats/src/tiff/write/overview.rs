//! Overviews: each has half the rows and columns of the level before.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::encode::Encoder;
use super::{GeoTiffWriter, Level, size};
use crate::Decoder;
use crate::Result;
use crate::array::{AttrValue, Attrs, DType};

/// How four cells become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// The upper left one.
    Nearest,
    /// Their mean, without those that have no data or are not a number; integers are rounded, halves away from zero.
    Average,
    /// The value that most of them have, without those that have no data; of equals the first.
    Mode,
}

impl Resampling {
    /// The average of floats. Whole numbers may be classes, so that only a choice among them is never wrong.
    pub(super) fn of(dtype: DType, attrs: &Attrs) -> Self {
        let classes = attrs.contains_key("flag_values") || attrs.contains_key("flag_masks");
        let palette = attrs.get("photometric").and_then(AttrValue::text) == Some("palette");
        match dtype {
            DType::Float32 | DType::Float64 if !classes && !palette => Self::Average,
            _ => Self::Nearest,
        }
    }
}

/// What a level is made of, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halving<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) from: &'a Level,
    /// Cells that have no data take no part in averages.
    pub(super) mask: Option<(&'a Encoder, &'a Level)>,
    pub(super) resampling: Resampling,
}

/// Makes all tiles of a level out of those of the level before.
pub(super) fn build(writer: &GeoTiffWriter, halving: Halving<'_>, to: &Level, threads: usize) -> Result<()> {
    let total = to.places().len();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut maker = Maker::new(writer, halving)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= total {
                return Ok(());
            }
            let store = |maker: &Maker<'_>| writer.store((halving.encoder, to), at, &maker.out);
            let done = maker.tile(to, at as u64).and_then(|made| if made { store(&maker) } else { Ok(()) });
            if done.is_err() {
                next.store(total, Ordering::Relaxed);
                return done;
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.min(total)).map(|_| scope.spawn(work)).collect();
        let own = work();
        let all =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        all.fold(own, Result::and)
    })
}

/// Makes tiles; it owns the memory for it.
struct Maker<'a> {
    writer: &'a GeoTiffWriter,
    halving: Halving<'a>,
    decoder: Decoder,
    stored: Vec<u8>,
    tile: Vec<u8>,
    out: Vec<u8>,
    mask: Option<(Decoder, Vec<u8>)>,
}

/// One of the four tiles that an overview's is made of, and its part of it.
struct Quarter {
    /// Cells of the tile that lie within the image.
    rows: usize,
    columns: usize,
    /// Where its cells begin in the new tile.
    down: usize,
    across: usize,
}

impl<'a> Maker<'a> {
    fn new(writer: &'a GeoTiffWriter, halving: Halving<'a>) -> Result<Self> {
        let bytes = halving.encoder.bytes();
        let (tile, out) = (vec![0; bytes], vec![0; bytes]);
        let mask = match halving.mask {
            Some((encoder, _)) => Some((GeoTiffWriter::decoder(encoder)?, vec![0; encoder.bytes()])),
            None => None,
        };
        let decoder = GeoTiffWriter::decoder(halving.encoder)?;
        Ok(Self { writer, halving, decoder, stored: Vec::new(), tile, out, mask })
    }

    /// Makes a tile in `out`; false if there is nothing that it could show.
    fn tile(&mut self, to: &Level, at: u64) -> Result<bool> {
        let (plane, row, column) = (at / to.across / to.down, at / to.across % to.down, at % to.across);
        let zero = vec![0; self.halving.encoder.dtype.size()];
        let fill = self.nodata().map_or(zero, <[u8]>::to_vec);
        self.out.chunks_exact_mut(fill.len()).for_each(|cell| cell.copy_from_slice(&fill));
        let (from, tile, mut any) = (self.halving.from, self.writer.options.tile, false);
        for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (row, column) = (2 * row + down, 2 * column + across);
            if row >= from.down || column >= from.across {
                continue;
            }
            let place = from.place(from.at(plane, row, column));
            if !self.writer.tile(place, &mut self.decoder, &mut self.stored, &mut self.tile)? {
                continue;
            }
            self.read_mask(row, column)?;
            any = true;
            let quarter = Quarter {
                rows: size((from.height - row * tile).min(tile)),
                columns: size((from.width - column * tile).min(tile)),
                down: size(down * tile / 2),
                across: size(across * tile / 2),
            };
            self.halve(&quarter);
        }
        Ok(any)
    }

    /// The value of cells without data; a mask has none.
    fn nodata(&self) -> Option<&'a [u8]> {
        let (writer, encoder) = (self.writer, self.halving.encoder);
        writer.spec.nodata.as_deref().filter(|_| !encoder.is_mask)
    }

    /// The tile of the mask beside a tile of the image.
    fn read_mask(&mut self, row: u64, column: u64) -> Result<()> {
        let (Some((_, level)), Some((decoder, cells))) = (self.halving.mask, &mut self.mask) else { return Ok(()) };
        let place = level.place(level.at(0, row, column));
        if !self.writer.tile(place, decoder, &mut self.stored, cells)? {
            cells.fill(0);
        }
        Ok(())
    }

    fn halve(&mut self, quarter: &Quarter) {
        let (dtype, resampling) = (self.halving.encoder.dtype, self.halving.resampling);
        let (nodata, side) = (self.nodata(), self.halving.encoder.tile);
        let mask = self.mask.as_ref().map(|(_, cells)| cells.as_slice()).filter(|_| resampling != Resampling::Nearest);
        macro_rules! halve {
            ($type:ty) => {{
                const N: usize = size_of::<$type>();
                let nodata =
                    nodata.and_then(|bytes| bytes.first_chunk::<N>()).map(|bytes| <$type>::from_ne_bytes(*bytes));
                let (from, _) = self.tile.as_chunks::<N>();
                let (to, _) = self.out.as_chunks_mut::<N>();
                for (from, to) in from.chunks_exact(side * side).zip(to.chunks_exact_mut(side * side)) {
                    halve((from, mask), to, (side, quarter), |cells: &[[u8; N]]| {
                        choose(cells, nodata, resampling, <$type>::from_ne_bytes).map(<$type>::to_ne_bytes)
                    });
                }
            }};
        }
        macro_rules! nearest {
            ($n:literal) => {{
                let (from, _) = self.tile.as_chunks::<$n>();
                let (to, _) = self.out.as_chunks_mut::<$n>();
                for (from, to) in from.chunks_exact(side * side).zip(to.chunks_exact_mut(side * side)) {
                    halve((from, mask), to, (side, quarter), |cells: &[[u8; $n]]| cells.first().copied());
                }
            }};
        }
        match dtype {
            // A cell has data where one of its four has.
            _ if self.halving.encoder.is_mask => {
                let any = |cells: &[u8]| match resampling {
                    Resampling::Nearest => cells.first().copied(),
                    Resampling::Average | Resampling::Mode => cells.iter().max().copied(),
                };
                halve((&self.tile, None), &mut self.out, (side, quarter), any);
            }
            DType::Int8 => halve!(i8),
            DType::Int16 => halve!(i16),
            DType::Int32 => halve!(i32),
            DType::Int64 => halve!(i64),
            DType::UInt8 | DType::Char => halve!(u8),
            DType::UInt16 => halve!(u16),
            DType::UInt32 => halve!(u32),
            DType::UInt64 => halve!(u64),
            DType::Float32 => halve!(f32),
            DType::Float64 => halve!(f64),
            DType::Float16 => nearest!(2),
            DType::Complex64 => nearest!(8),
            DType::Complex128 => nearest!(16),
            DType::Opaque(_) | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::VlenUtf8 => {}
        }
    }
}

/// Goes through windows of two by two cells, fewer at the edge of the image and where the mask says that there is no data;
/// all of them where it says so of all.
fn halve<T: Copy>(
    (from, mask): (&[T], Option<&[u8]>),
    to: &mut [T],
    (side, quarter): (usize, &Quarter),
    choose: impl Fn(&[T]) -> Option<T>,
) {
    for row in 0..quarter.rows.div_ceil(2) {
        let below = (2 * row + 1 < quarter.rows).then_some(2 * row + 1);
        let start = (quarter.down + row) * side + quarter.across;
        for column in 0..quarter.columns.div_ceil(2) {
            let last = (2 * column + 2).min(quarter.columns);
            let places =
                std::iter::once(2 * row).chain(below).flat_map(|row| (2 * column..last).map(move |c| row * side + c));
            let mut cells = [from[2 * row * side + 2 * column]; 4];
            let mut take = |only: Option<&[u8]>| {
                let mut count = 0;
                for place in places.clone().filter(|place| only.is_none_or(|mask| mask[*place] != 0)) {
                    cells[count] = from[place];
                    count += 1;
                }
                count
            };
            let count = match take(mask) {
                0 => take(None),
                count => count,
            };
            if let Some(cell) = choose(&cells[..count]) {
                to[start + column] = cell;
            }
        }
    }
}

/// A number of which there is a mean.
trait Sample: Copy + PartialEq {
    /// The mean of at least one.
    fn mean(values: &[Self]) -> Self;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn mean(values: &[Self]) -> Self {
                let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
                let count = values.len() as i128;
                // The mean lies between the values.
                Self::try_from((2 * sum + sum.signum() * count) / (2 * count)).unwrap_or_default()
            }
        }
    )*};
}

whole!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Sample for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "single precision is what is stored")]
    fn mean(values: &[Self]) -> Self {
        (values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64) as Self
    }
}

impl Sample for f64 {
    fn mean(values: &[Self]) -> Self {
        values.iter().sum::<Self>() / values.len() as Self
    }
}

/// The value of a window; `None` where it has no data.
fn choose<T: Sample, const N: usize>(
    cells: &[[u8; N]],
    nodata: Option<T>,
    resampling: Resampling,
    read: impl Fn([u8; N]) -> T,
) -> Option<T> {
    let first = read(*cells.first()?);
    if resampling == Resampling::Nearest {
        return Some(first);
    }
    // Only what is not a number differs from itself.
    #[expect(clippy::eq_op, reason = "true for what is not a number")]
    let is_nan = |value: T| value != value;
    let (mut values, mut count) = ([first; 4], 0);
    for cell in cells.iter().take(4) {
        let value = read(*cell);
        if is_nan(value) || nodata == Some(value) {
            continue;
        }
        values[count] = value;
        count += 1;
    }
    let values = &values[..count];
    if values.is_empty() {
        return Some(first);
    }
    if resampling == Resampling::Average {
        return Some(T::mean(values));
    }
    let votes = |value: &T| values.iter().filter(|other| *other == value).count();
    values.iter().rev().max_by_key(|value| votes(value)).copied()
}
