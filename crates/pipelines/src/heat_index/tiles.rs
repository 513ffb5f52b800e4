//! Rows of tiles that are filled by columns of cells, which lie in any way on the plane.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that one row of tiles may take before tiles become smaller.
const ROOM: u64 = 32 << 20;

/// Tiles of some layers on a plane.
#[derive(Debug)]
pub(super) struct Tiles {
    rows: usize,
    columns: usize,
    layers: usize,
    side: usize,
    /// Rows of tiles that are not full.
    open: BTreeMap<usize, TileRow>,
}

#[derive(Debug)]
struct TileRow {
    /// By layer, row and column of the plane.
    values: Vec<f64>,
    filled: usize,
}

/// A whole tile; what lies beyond the plane is NaN.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) layer: usize,
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) values: Vec<f64>,
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Side of the tiles for so many layers of a plane: a multiple of 16, at most `most`.
pub(super) fn side(plane: [u64; 2], layers: usize, most: u64) -> u64 {
    let mut side = plane[0].max(plane[1]).max(1).next_multiple_of(16).min(most);
    let bytes = |side: u64| side.saturating_mul(plane[1]).saturating_mul(8 * layers as u64);
    while side > 64 && bytes(side) > ROOM {
        side = (side / 2).next_multiple_of(16);
    }
    side
}

impl Tiles {
    pub(super) fn new(plane: [u64; 2], layers: usize, side: u64) -> Self {
        Self { rows: size(plane[0]), columns: size(plane[1]), layers, side: size(side), open: BTreeMap::new() }
    }

    /// Bytes that are kept while windows of so many rows come from top to bottom.
    pub(super) fn bytes(&self, window_rows: u64) -> u64 {
        let open = size(window_rows).div_ceil(self.side) + 1;
        let row = self.layers * self.side.min(self.rows) * self.columns;
        (open * row + self.side * self.side) as u64 * 8
    }

    /// Fills a window with the values of each layer, and hands on the tiles that are complete.
    pub(super) fn fill<E>(
        &mut self,
        window: &[Range<u64>],
        layers: &[Vec<f64>],
        mut take: impl FnMut(Tile) -> Result<(), E>,
    ) -> Result<(), E> {
        let [rows, columns] = window else { return Ok(()) };
        let (rows, columns) = (size(rows.start)..size(rows.end), size(columns.start)..size(columns.end));
        for row in rows.clone() {
            let at = row / self.side;
            let height = self.height(at);
            let length = self.layers * height * self.columns;
            let open = self.open.entry(at).or_insert_with(|| TileRow { values: vec![f64::NAN; length], filled: 0 });
            for (layer, values) in layers.iter().enumerate() {
                let from = (row - rows.start) * columns.len();
                let to = (layer * height + row % self.side) * self.columns + columns.start;
                open.values[to..to + columns.len()].copy_from_slice(&values[from..from + columns.len()]);
            }
            open.filled += columns.len();
            if open.filled == height * self.columns
                && let Some(full) = self.open.remove(&at)
            {
                self.hand_on(at, &full.values, &mut take)?;
            }
        }
        Ok(())
    }

    fn height(&self, at: usize) -> usize {
        self.side.min(self.rows - at * self.side)
    }

    fn hand_on<E>(&self, row: usize, values: &[f64], take: &mut impl FnMut(Tile) -> Result<(), E>) -> Result<(), E> {
        let height = self.height(row);
        for layer in 0..self.layers {
            for column in 0..self.columns.div_ceil(self.side) {
                let mut tile = vec![f64::NAN; self.side * self.side];
                let left = column * self.side;
                let width = self.side.min(self.columns - left);
                for line in 0..height {
                    let from = (layer * height + line) * self.columns + left;
                    tile[line * self.side..][..width].copy_from_slice(&values[from..from + width]);
                }
                take(Tile { layer, row, column, values: tile })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_any_shape_fill_all_tiles_once() {
        for (height, width) in [(7, 100), (16, 16), (40, 33), (1, 50), (100, 100)] {
            let plane = [50u64, 70u64];
            let mut tiles = Tiles::new(plane, 2, 16);
            let mut seen = vec![f64::NAN; 2 * 50 * 70];
            let mut most = 0;
            for top in (0..50).step_by(height) {
                for left in (0..70).step_by(width) {
                    let window = [top..(top + height as u64).min(50), left..(left + width as u64).min(70)];
                    let values = |layer: u64| -> Vec<f64> {
                        let cells = window[0].clone().flat_map(|y| window[1].clone().map(move |x| (y, x)));
                        cells.map(|(y, x)| (layer * 10_000 + y * 100 + x) as f64).collect()
                    };
                    let layers = [values(0), values(1)];
                    tiles
                        .fill::<()>(&window, &layers, |tile| {
                            for (i, value) in tile.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
                                let (y, x) = (tile.row * 16 + i / 16, tile.column * 16 + i % 16);
                                let place = &mut seen[(tile.layer * 50 + y) * 70 + x];
                                assert!(place.is_nan());
                                *place = *value;
                            }
                            Ok(())
                        })
                        .unwrap();
                    most = most.max(tiles.open.len());
                }
            }
            assert!(tiles.open.is_empty() && most <= height.div_ceil(16) + 1);
            let want = (0..2).flat_map(|l| (0..50).flat_map(move |y| (0..70).map(move |x| l * 10_000 + y * 100 + x)));
            assert!(seen.iter().zip(want).all(|(got, want)| *got == f64::from(want)));
        }
    }

    #[test]
    fn tiles_become_smaller_where_rows_are_long() {
        assert_eq!(side([26, 72], 13, 256), 80);
        assert_eq!(side([2600, 7200], 1, 256), 256);
        assert!(side([2600, 7200], 13, 256) <= 128 && side([2600, 7200], 13, 512).is_multiple_of(16));
    }
}
