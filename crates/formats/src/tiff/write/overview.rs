//! Overviews: each has half the rows and columns of the level before.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{GeoTiffWriter, Level, size};
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

/// Makes all tiles of a level out of those of the level before.
pub(super) fn build(
    writer: &GeoTiffWriter,
    (from, to): (&Level, &Level),
    resampling: Resampling,
    threads: usize,
) -> Result<()> {
    let total = size(writer.planes() * to.down * to.across);
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut maker = Maker::new(writer, from, resampling)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= total {
                return Ok(());
            }
            let done =
                maker.tile(to, at as u64).and_then(|made| if made { writer.store(to, at, &maker.out) } else { Ok(()) });
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
    from: &'a Level,
    resampling: Resampling,
    decoder: crate::Decoder,
    stored: Vec<u8>,
    tile: Vec<u8>,
    out: Vec<u8>,
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
    fn new(writer: &'a GeoTiffWriter, from: &'a Level, resampling: Resampling) -> Result<Self> {
        let bytes = writer.encoder.bytes();
        let (tile, out) = (vec![0; bytes], vec![0; bytes]);
        Ok(Self { writer, from, resampling, decoder: writer.decoder()?, stored: Vec::new(), tile, out })
    }

    /// Makes a tile in `out`; false if there is nothing that it could show.
    fn tile(&mut self, to: &Level, at: u64) -> Result<bool> {
        let (plane, row, column) = (at / to.across / to.down, at / to.across % to.down, at % to.across);
        let fill = self.writer.spec.nodata.clone().unwrap_or_else(|| vec![0; self.writer.spec.dtype.size()]);
        self.out.chunks_exact_mut(fill.len()).for_each(|cell| cell.copy_from_slice(&fill));
        let (tile, mut any) = (self.writer.options.tile, false);
        for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (row, column) = (2 * row + down, 2 * column + across);
            if row >= self.from.down || column >= self.from.across {
                continue;
            }
            let place = self.from.place(self.from.at(plane, row, column));
            if !self.writer.tile(place, &mut self.decoder, &mut self.stored, &mut self.tile)? {
                continue;
            }
            any = true;
            let quarter = Quarter {
                rows: size((self.from.height - row * tile).min(tile)),
                columns: size((self.from.width - column * tile).min(tile)),
                down: size(down * tile / 2),
                across: size(across * tile / 2),
            };
            self.halve(&quarter);
        }
        Ok(any)
    }

    fn halve(&mut self, quarter: &Quarter) {
        let (dtype, resampling) = (self.writer.spec.dtype, self.resampling);
        let nodata = self.writer.spec.nodata.as_deref();
        let side = self.writer.encoder.tile;
        macro_rules! halve {
            ($type:ty) => {{
                const N: usize = size_of::<$type>();
                let nodata =
                    nodata.and_then(|bytes| bytes.first_chunk::<N>()).map(|bytes| <$type>::from_ne_bytes(*bytes));
                let (from, _) = self.tile.as_chunks::<N>();
                let (to, _) = self.out.as_chunks_mut::<N>();
                for (from, to) in from.chunks_exact(side * side).zip(to.chunks_exact_mut(side * side)) {
                    halve(from, to, side, quarter, |cells: &[[u8; N]]| {
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
                    halve(from, to, side, quarter, |cells: &[[u8; $n]]| cells.first().copied());
                }
            }};
        }
        match dtype {
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
            DType::Opaque(_) | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) => {}
        }
    }
}

/// Goes through windows of two by two cells, fewer at the edge of the image.
fn halve<T: Copy>(from: &[T], to: &mut [T], side: usize, quarter: &Quarter, choose: impl Fn(&[T]) -> Option<T>) {
    for row in 0..quarter.rows.div_ceil(2) {
        let upper = &from[2 * row * side..];
        let lower = if 2 * row + 1 < quarter.rows { &from[(2 * row + 1) * side..] } else { &[] };
        let start = (quarter.down + row) * side + quarter.across;
        for column in 0..quarter.columns.div_ceil(2) {
            let last = (2 * column + 2).min(quarter.columns);
            let mut cells = [upper[2 * column]; 4];
            let mut count = 0;
            for cell in upper[2 * column..last].iter().chain(lower.get(2 * column..last).unwrap_or_default()) {
                cells[count] = *cell;
                count += 1;
            }
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
