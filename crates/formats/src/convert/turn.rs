//! Parts that go past the end of an axis of longitudes and on at its beginning, and what says where a part lies.

use std::ops::Range;

use super::Part;
use crate::array::{AttrValue, Attrs, DType, FileMeta, Variable};
use crate::place::{is_axis_of_columns, is_axis_of_rows, text};
use crate::refs::ChunkRefs;
use crate::{Error, Opened, Result};

/// An axis of longitudes, in degrees, of which a part goes past the end and on at the beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The dimension.
    pub dim: String,
    /// The variable of the longitudes.
    pub coordinate: String,
    /// Cells of a full turn: what is at this position is at position 0 too. The window of the part begins before it, ends after
    /// it, and is no longer.
    pub period: u64,
    /// Degrees that are added to longitudes before the end.
    pub before: i16,
    /// Degrees that are added to longitudes from the beginning on.
    pub after: i16,
}

/// How the window of one variable goes round.
#[derive(Debug, Clone)]
pub(super) struct Round {
    axis: usize,
    period: u64,
    pub(super) before: i16,
    after: i16,
    /// Its values are longitudes.
    pub(super) is_moved: bool,
    /// The element of a missing one, where the file names it.
    missing: Option<Vec<u8>>,
}

/// What a file says of the longitudes of the whole, which is not so when they are moved.
pub(super) const OF_RANGE: [&str; 4] = ["valid_min", "valid_max", "valid_range", "actual_range"];

impl Round {
    /// How the part of a variable goes round, if it does.
    pub(super) fn of(meta: &FileMeta, variable: &Variable, part: &Part) -> Result<Option<Self>> {
        let turns = |dim: &String| part.turns.iter().find(|turn| turn.dim == *dim);
        let found = variable.dims.iter().enumerate().find_map(|(axis, dim)| Some((axis, turns(dim)?)));
        let Some((axis, turn)) = found else { return Ok(None) };
        let bounds = meta.variable(&turn.coordinate).map(|coordinate| text(coordinate, "bounds")).unwrap_or_default();
        let is_moved = variable.name == turn.coordinate || (!bounds.is_empty() && variable.name.ends_with(bounds));
        let is_packed =
            ["scale_factor", "add_offset", "_Unsigned"].iter().any(|name| variable.attrs.contains_key(*name));
        if variable.dtype.is_text() || (is_moved && is_packed) {
            let what = if is_packed { "moving packed longitudes" } else { "texts along an axis" };
            return Err(Error::unsupported(&variable.name, format!("{what} that goes round (two parts would do)")));
        }
        let missing = variable.attrs.contains_key("_FillValue").then(|| variable.fill.clone());
        let Turn { period, before, after, .. } = *turn;
        Ok(Some(Self { axis, period, before, after, is_moved, missing }))
    }

    /// For the plane of the last two dimensions.
    pub(super) fn of_plane(&self, rank: usize) -> Option<Self> {
        Some(Self { axis: self.axis.checked_sub(rank.saturating_sub(2))?, is_moved: false, ..self.clone() })
    }

    /// The window as it is in the file, in one or two pieces, each with what is added to longitudes.
    fn pieces(&self, window: &[Range<u64>]) -> Vec<(Vec<Range<u64>>, i16)> {
        let Range { start, end } = window[self.axis];
        let with = |range: Range<u64>| {
            let mut window = window.to_vec();
            window[self.axis] = range;
            window
        };
        let (until, from) =
            (start..end.min(self.period), start.max(self.period) - self.period..end.max(self.period) - self.period);
        let pieces = [(until, self.before), (from, self.after)];
        pieces.into_iter().filter(|(range, _)| range.start < range.end).map(|(range, by)| (with(range), by)).collect()
    }
}

/// Reads a window that may go round.
pub(super) async fn read(
    opened: &Opened,
    refs: &ChunkRefs,
    window: &[Range<u64>],
    round: Option<&Round>,
) -> Result<Vec<u8>> {
    let Some(round) = round else { return opened.read(refs, window).await };
    let mut parts = Vec::new();
    for (window, by) in round.pieces(window) {
        let mut values = opened.read(refs, &window).await?;
        if round.is_moved {
            values = moved(refs.dtype, &values, by, round.missing.as_deref())?;
        }
        parts.push((window, values));
    }
    if parts.len() == 1 {
        return Ok(parts.remove(0).1);
    }
    let size = |window: &[Range<u64>]| {
        window.iter().fold(1usize, |n, w| n.saturating_mul(usize::try_from(w.end - w.start).unwrap_or(usize::MAX)))
    };
    let rows = size(&window[..round.axis]);
    let mut all = Vec::with_capacity(parts.iter().map(|(_, values)| values.len()).sum());
    for row in 0..rows {
        for (window, values) in &parts {
            let run = size(&window[round.axis..]) * refs.dtype.size();
            all.extend_from_slice(&values[row * run..(row + 1) * run]);
        }
    }
    Ok(all)
}

/// Numbers with something added, in their type; missing ones stay.
fn moved(dtype: DType, values: &[u8], by: i16, missing: Option<&[u8]>) -> Result<Vec<u8>> {
    macro_rules! each {
        ($kind:ty, $add:expr) => {{
            let mut out = Vec::with_capacity(values.len());
            for element in values.as_chunks::<{ size_of::<$kind>() }>().0 {
                if missing == Some(element.as_slice()) {
                    out.extend_from_slice(element);
                    continue;
                }
                let add: fn($kind, i16) -> Option<$kind> = $add;
                let value = add(<$kind>::from_ne_bytes(*element), by);
                let kind = || Error::unsupported("a longitude", format!("{by} more in the type {}", dtype.name()));
                out.extend_from_slice(&value.ok_or_else(kind)?.to_ne_bytes());
            }
            Ok(out)
        }};
    }
    macro_rules! whole {
        ($kind:ty) => {
            each!($kind, |value, by| <$kind>::try_from(i64::try_from(value).ok()?.checked_add(by.into())?).ok())
        };
    }
    match dtype {
        DType::Float64 => each!(f64, |value, by| Some(value + f64::from(by))),
        DType::Float32 => each!(f32, |value, by| Some(value + f32::from(by))),
        DType::Int8 => whole!(i8),
        DType::UInt8 => whole!(u8),
        DType::Int16 => whole!(i16),
        DType::UInt16 => whole!(u16),
        DType::Int32 => whole!(i32),
        DType::UInt32 => whole!(u32),
        DType::Int64 => whole!(i64),
        DType::UInt64 => whole!(u64),
        _ => Err(Error::unsupported("longitudes", format!("a full turn of values of type {}", dtype.name()))),
    }
}

/// The attributes of a grid mapping whose grid is cut: its transform and control points move along.
pub(super) fn move_place(meta: &FileMeta, copied: &[&Variable], mapping: &Variable, part: &Part, attrs: &mut Attrs) {
    let last_of = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let names = |v: &&&Variable| {
        let name = text(v, "grid_mapping").split([':', ' ']).next().unwrap_or_default();
        !name.is_empty() && last_of(&mapping.name) == last_of(name) && v.dims.len() > 1
    };
    let Some(image) = copied.iter().find(names) else { return };
    let last = image.dims.len() - 1;
    let of =
        |test: fn(&Variable) -> bool| image.dims.iter().rposition(|dim| meta.coordinate(image, dim).is_some_and(test));
    // By convention columns are last and rows before them, unless the coordinates say otherwise.
    let columns = of(is_axis_of_columns).unwrap_or(last);
    let rows = of(is_axis_of_rows).unwrap_or(if columns == last { last - 1 } else { last });
    let start = |axis: usize| {
        let window = part.windows.iter().find(|(dim, _)| *dim == image.dims[axis]);
        window.map_or(0.0, |(_, range)| range.start as f64)
    };
    let (row, column) = (start(rows), start(columns));
    let by = part.turns.iter().find(|turn| turn.dim == image.dims[columns]).map_or(0.0, |turn| f64::from(turn.before));
    if (row, column, by) == (0.0, 0.0, 0.0) {
        return;
    }
    let numbers: Option<Vec<f64>> =
        text(mapping, "GeoTransform").split_whitespace().map(|number| number.parse().ok()).collect();
    if let Some(Ok([x, dx, rx, y, ry, dy])) = numbers.map(<[f64; 6]>::try_from) {
        let moved = [x + column * dx + row * rx + by, dx, rx, y + column * ry + row * dy, ry, dy];
        let text: Vec<String> = moved.iter().map(f64::to_string).collect();
        attrs.insert("GeoTransform".into(), AttrValue::Text(text.join(" ")));
    }
    if let Some(ties) = mapping.attrs.get("control_points").map(AttrValue::numbers) {
        let ties = ties.as_chunks::<4>().0.iter();
        let ties = ties.flat_map(|[at, down, x, y]| [at - column, down - row, x + by, *y]).collect();
        attrs.insert("control_points".into(), AttrValue::Float64(ties));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_go_round_are_two_pieces() {
        let round = Round { axis: 1, period: 360, before: -360, after: 0, is_moved: false, missing: None };
        let pieces = |range: Range<u64>| round.pieces(&[0..2, range]);
        assert_eq!(pieces(340..380), [(vec![0..2, 340..360], -360), (vec![0..2, 0..20], 0)]);
        assert_eq!(pieces(350..360), [(vec![0..2, 350..360], -360)]);
        assert_eq!(pieces(360..365), [(vec![0..2, 0..5], 0)]);
        assert_eq!(round.of_plane(3).map(|plane| plane.axis), Some(0));
    }

    #[test]
    fn longitudes_move_in_their_type() {
        let bytes: Vec<u8> = [340i16, 359].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let back: Vec<u8> = [-20i16, -1].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(moved(DType::Int16, &bytes, -360, None).unwrap(), back);
        let kept = moved(DType::Int16, &bytes, -360, Some(&359i16.to_ne_bytes())).unwrap();
        assert_eq!(kept[2..], 359i16.to_ne_bytes(), "a missing one");
        assert!(moved(DType::UInt16, &bytes, -360, None).is_err(), "it has no negative numbers");
        assert_eq!(moved(DType::Float32, &340.25f32.to_ne_bytes(), -360, None).unwrap(), (-19.75f32).to_ne_bytes());
    }
}
