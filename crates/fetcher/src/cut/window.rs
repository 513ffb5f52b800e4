//! From a box and an interval to positions along the dimensions of a file.

use std::ops::Range;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use outcrop_formats::convert::{Part, Turn};
use outcrop_formats::place::{self, Place, is_coordinate, is_named, meant, text};
use outcrop_formats::{AttrValue, Format, Opened, Variable};
use outcrop_grid::time::{CfTime, Stamp};
use outcrop_grid::{BBox, Crs, Interval};

use super::{Cut, bands};

/// Longest coordinate over two dimensions, in elements: two of them are held.
const MOST: u64 = 64 << 20;
/// Points between the corners of a side of a box, as GDAL and rasterio take them.
const BETWEEN: u32 = 21;

/// Why a file cannot be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Said in words.
    #[error("{0}")]
    Said(String),
    /// It cannot be read.
    #[error(transparent)]
    Formats(#[from] outcrop_formats::Error),
}

type Result<T> = std::result::Result<T, Refusal>;
type Windows = Vec<(String, Range<u64>)>;
/// Windows, and the axis of them that goes round.
type Found = (Windows, Option<Turn>);

fn said<T>(text: impl Into<String>) -> Result<T> {
    Err(Refusal::Said(text.into()))
}

/// The part of a file that a cut leaves. `names` are those of bands that the item tells.
pub(super) async fn part(opened: &Opened, cut: &Cut, names: Vec<Vec<String>>) -> Result<Part> {
    let meta = &opened.meta;
    let is_image = meta.format.is_image();
    let mut part = Part::default();
    if !is_image {
        for name in &cut.variables {
            part.variables.push(meta.find(name)?.name.clone());
        }
    }
    let kept: Vec<&Variable> = meta.variables.iter().filter(|v| is_kept(&part, meta.format, v)).collect();
    if let Some(bbox) = &cut.bbox {
        places(opened, &kept, bbox, &mut part).await?;
    }
    if let Some(interval) = &cut.interval {
        part.windows.extend(times(opened, &kept, interval).await?);
    }
    if let Some(image) = kept.first().filter(|image| is_image && image.dims.len() == 3)
        && !cut.bands.is_empty()
    {
        let own = match image.attrs.get("long_name") {
            Some(AttrValue::Texts(texts)) => texts.clone(),
            Some(AttrValue::Text(text)) => vec![text.clone()],
            _ => Vec::new(),
        };
        let names: Vec<Vec<String>> = names.into_iter().chain([own]).collect();
        let run = bands::chosen(&cut.bands, image.grid.shape[0], &names).map_err(Refusal::Said)?;
        part.windows.push((image.dims[0].clone(), run));
    }
    Ok(part)
}

/// True for a variable whose cells are to be found: one that was chosen, else any that may have a place or a time.
fn is_kept(part: &Part, format: Format, variable: &Variable) -> bool {
    if format.is_image() {
        return variable.name == "band_data";
    }
    if part.variables.is_empty() { !variable.dims.is_empty() } else { part.variables.contains(&variable.name) }
}

/// Windows of rows and columns, of each grid.
async fn places(opened: &Opened, kept: &[&Variable], bbox: &BBox, part: &mut Part) -> Result<()> {
    let mut seen: Vec<&[String]> = Vec::new();
    for variable in kept.iter().filter(|v| v.dims.len() > 1) {
        if seen.contains(&variable.dims.as_slice()) {
            continue;
        }
        seen.push(&variable.dims);
        let (windows, turn) = grid(opened, variable, bbox).await?;
        for (dim, run) in windows {
            if !part.windows.iter().any(|(known, _)| *known == dim) {
                part.turns.extend(turn.clone().filter(|turn| turn.dim == dim));
                part.windows.push((dim, run));
            }
        }
    }
    if part.windows.is_empty() {
        return said(
            "it has neither x and y with a grid mapping nor latitudes and longitudes that a box could cut; leave --bbox out, or choose items by --ids",
        );
    }
    Ok(())
}

/// Windows of the grid of one variable; none if it has no place.
async fn grid(opened: &Opened, variable: &Variable, bbox: &BBox) -> Result<Found> {
    if let Some(place) = place::place(opened, Some(variable)).await? {
        return plane(opened, &place, bbox).await;
    }
    let own = |v: &&Variable| v.dims.iter().all(|dim| variable.dims.contains(dim));
    let find = |what: &str, rank: usize| {
        opened.meta.variables.iter().filter(own).find(|v| v.dims.len() == rank && is_named(v, what))
    };
    if let (Some(lon), Some(lat)) = (find("longitude", 1), find("latitude", 1))
        && lon.dims != lat.dims
    {
        let (lons, lats) = (place::labels(opened, lon).await?, place::labels(opened, lat).await?);
        let (columns, turn) = columns(&lons, bbox, &Axis::of(lon))?;
        let rows = rows(&lats, bbox, &lat.name)?;
        return Ok((vec![(lon.dims[0].clone(), columns), (lat.dims[0].clone(), rows)], turn));
    }
    match (find("longitude", 2), find("latitude", 2)) {
        (Some(lon), Some(lat)) if lon.dims == lat.dims => Ok((curvilinear(opened, (lon, lat), bbox).await?, None)),
        _ => Ok((Vec::new(), None)),
    }
}

/// Windows of evenly spaced x and y.
async fn plane(opened: &Opened, place: &Place, bbox: &BBox) -> Result<Found> {
    let (x, y) = (centres(opened, &place.x_name, place.x).await?, centres(opened, &place.y_name, place.y).await?);
    let dim = |name: &str| opened.meta.variable(name).map_or_else(|| name.to_owned(), |v| v.dims[0].clone());
    let (columns, turn, rows) = if let (true, Some(lon)) = (place.crs.is_lonlat(), opened.meta.variable(&place.x_name))
    {
        let (run, turn) = columns(&x, bbox, &Axis::of(lon))?;
        (run, turn, rows(&y, bbox, &place.y_name)?)
    } else {
        let Some([west, south, east, north]) = rectangle(&place.crs, bbox) else { return nothing(bbox) };
        let within = |labels: &[f64], low: f64, high: f64| run(labels, |label| (low..=high).contains(&label));
        let only = |found: Run| match found {
            Run::One(range) => Ok(range),
            _ => nothing(bbox),
        };
        (only(within(&x, west, east))?, None, only(within(&y, south, north))?)
    };
    Ok((vec![(dim(&place.x_name), columns), (dim(&place.y_name), rows)], turn))
}

/// The labels of an axis as the file has them, where they are in the unit of the CRS, else as they were converted.
async fn centres(opened: &Opened, name: &str, axis: outcrop_grid::Axis) -> Result<Vec<f64>> {
    if let Some(variable) = opened.meta.variable(name) {
        let labels = place::labels(opened, variable).await?;
        if outcrop_grid::Axis::from_centres(&labels) == Some(axis) {
            return Ok(labels);
        }
    }
    Ok((0..axis.len).map(|at| axis.first + axis.step * at as f64).collect())
}

fn nothing<T>(bbox: &BBox) -> Result<T> {
    let BBox { west, south, east, north } = bbox;
    said(format!("no cell of it lies in the box {west},{south},{east},{north}"))
}

/// Positions that hold all that was found.
#[derive(Debug, PartialEq)]
enum Run {
    None,
    One(Range<u64>),
    /// With others between.
    Two(Range<u64>, Range<u64>),
    Many,
}

fn run(labels: &[f64], is_wanted: impl Fn(f64) -> bool) -> Run {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for at in (0u64..).zip(labels).filter(|(_, label)| is_wanted(**label)).map(|(at, _)| at) {
        match runs.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    match runs.as_slice() {
        [] => Run::None,
        [one] => Run::One(one.clone()),
        [first, last] => Run::Two(first.clone(), last.clone()),
        _ => Run::Many,
    }
}

/// True for a longitude that one of these turns brings into a box.
fn has_longitude(bbox: &BBox, lon: f64, shifts: &[f64]) -> bool {
    let east = if bbox.crosses_antimeridian() { bbox.east + 360.0 } else { bbox.east };
    shifts.iter().any(|shift| (bbox.west..=east).contains(&(lon + shift)))
}

/// Full turns that bring a longitude elsewhere.
const TURNS: [f64; 2] = [-360.0, 360.0];

/// An axis of longitudes.
struct Axis<'a> {
    name: &'a str,
    dim: &'a str,
    units: &'a str,
}

impl<'a> Axis<'a> {
    fn of(variable: &'a Variable) -> Self {
        Self { name: &variable.name, dim: &variable.dims[0], units: text(variable, "units") }
    }
}

/// Columns within a box, whatever turn of longitudes the axis has. Those of a box that lies at both ends of an axis all round
/// are one window that goes on at the beginning.
fn columns(lons: &[f64], bbox: &BBox, axis: &Axis<'_>) -> Result<(Range<u64>, Option<Turn>)> {
    let east = if bbox.crosses_antimeridian() { bbox.east + 360.0 } else { bbox.east };
    let plain = run(lons, |lon| has_longitude(bbox, lon, &[0.0]));
    // What lies only at an edge of the box by a turn may be there a second time, and makes no part go round.
    let inside = |lon: f64| TURNS.iter().any(|turn| bbox.west < lon + turn && lon + turn < east);
    let is_plain = |lon: f64| has_longitude(bbox, lon, &[0.0]);
    let found = if plain == Run::None || lons.iter().any(|lon| !is_plain(*lon) && inside(*lon)) {
        run(lons, |lon| is_plain(lon) || has_longitude(bbox, lon, &TURNS))
    } else {
        plain
    };
    match found {
        Run::One(range) => return Ok((range, None)),
        Run::None => return nothing(bbox),
        Run::Two(first, last) => {
            if let Some(found) = round(lons, bbox, axis, (first, last)) {
                return Ok(found);
            }
        }
        Run::Many => {}
    }
    let (first, last) = (lons.first().copied().unwrap_or(0.0), lons.last().copied().unwrap_or(0.0));
    let (west, east, name) = (bbox.west, bbox.east, axis.name);
    said(format!(
        "the box from {west} to {east} lies at several places of `{name}`, which goes from {first} to {last} and not evenly all round; cut it with several boxes, into a folder each"
    ))
}

/// The last columns and then the first ones, of an axis that goes evenly all round.
fn round(
    lons: &[f64],
    bbox: &BBox,
    axis: &Axis<'_>,
    (first, last): (Range<u64>, Range<u64>),
) -> Option<(Range<u64>, Option<Turn>)> {
    let len = lons.len() as u64;
    let step = (lons.last()? - lons.first()?) / (len - 1) as f64;
    let is_degrees = !axis.units.to_ascii_lowercase().starts_with("rad");
    // Some axes name the first meridian again at the end.
    let twice = (len - 1) as f64 * step.abs();
    let period = if (twice - 360.0).abs() < step.abs() / 100.0 { len - 1 } else { len };
    let is_all_round = (period as f64 * step.abs() - 360.0).abs() < step.abs() / 100.0;
    let is_even = |(at, lon): (usize, &f64)| (lons[0] + at as f64 * step - lon).abs() <= step.abs() / 100.0;
    if !is_degrees || !is_all_round || first.start != 0 || last.end < period || !lons.iter().enumerate().all(is_even) {
        return None;
    }
    // All of the last run is there at the beginning too.
    if last.start >= period {
        return Some((first, None));
    }
    let turn_of = |at: u64| {
        let lon = *lons.get(usize::try_from(at).ok()?)?;
        [0i16, -360, 360].into_iter().find(|turn| has_longitude(bbox, lon, &[f64::from(*turn)]))
    };
    // The edge of a box that is met at both ends is met once.
    let until = first.end.min(last.start);
    let (before, after) = (turn_of(last.start)?, turn_of(until.checked_sub(1)?)?);
    let turn = Turn { dim: axis.dim.to_owned(), coordinate: axis.name.to_owned(), period, before, after };
    Some((last.start..period + until, Some(turn)))
}

fn rows(lats: &[f64], bbox: &BBox, name: &str) -> Result<Range<u64>> {
    match run(lats, |lat| (bbox.south..=bbox.north).contains(&lat)) {
        Run::One(range) => Ok(range),
        Run::None => nothing(bbox),
        Run::Two(..) | Run::Many => said(format!("`{name}` neither rises nor falls, so no box can cut it")),
    }
}

/// The smallest rectangle of positions that holds all cells with their centre in the box.
async fn curvilinear(opened: &Opened, (lon, lat): (&Variable, &Variable), bbox: &BBox) -> Result<Windows> {
    let [height, width] = [lon.grid.shape[0], lon.grid.shape[1]];
    if lon.elements().is_none_or(|all| all > MOST) {
        return said(format!("`{}` has more than {MOST} values, too many to look for a box in them", lon.name));
    }
    let mut both = Vec::new();
    for variable in [lon, lat] {
        let refs = opened.locate(variable).await?;
        both.push(meant(variable, &opened.read(&refs, &[0..height, 0..width]).await?));
    }
    let mut found: Option<[u64; 4]> = None;
    for (at, (lon, lat)) in (0u64..).zip(both[0].iter().zip(&both[1])) {
        if has_longitude(bbox, *lon, &[0.0, -360.0, 360.0]) && (bbox.south..=bbox.north).contains(lat) {
            let (row, column) = (at / width, at % width);
            let [top, bottom, left, right] = found.unwrap_or([row, row, column, column]);
            found = Some([top.min(row), bottom.max(row), left.min(column), right.max(column)]);
        }
    }
    let Some([top, bottom, left, right]) = found else { return nothing(bbox) };
    Ok(vec![(lon.dims[0].clone(), top..bottom + 1), (lon.dims[1].clone(), left..right + 1)])
}

/// The rectangle around a box in a plane: least x, least y, largest x, largest y. Points that the projection does not
/// have are passed over.
fn rectangle(crs: &Crs, bbox: &BBox) -> Option<[f64; 4]> {
    let BBox { west, south, north, .. } = *bbox;
    let east = if bbox.crosses_antimeridian() { bbox.east + 360.0 } else { bbox.east };
    let mut around: Option<[f64; 4]> = None;
    for step in 0..=BETWEEN + 1 {
        let share = f64::from(step) / f64::from(BETWEEN + 1);
        let (lon, lat) = (west + (east - west) * share, south + (north - south) * share);
        for [lon, lat] in [[lon, south], [lon, north], [west, lat], [east, lat]] {
            let Ok([x, y]) = crs.from_lonlat(lon, lat) else { continue };
            if x.is_finite() && y.is_finite() {
                let [a, b, c, d] = around.unwrap_or([x, y, x, y]);
                around = Some([a.min(x), b.min(y), c.max(x), d.max(y)]);
            }
        }
    }
    around
}

/// Windows along the time axes of what is kept; none where it has no times.
async fn times(opened: &Opened, kept: &[&Variable], interval: &Interval) -> Result<Windows> {
    let is_time = |v: &&Variable| text(v, "units").contains(" since ") && is_coordinate(v);
    let used = |v: &&Variable| kept.iter().any(|kept| kept.dims.contains(&v.dims[0]));
    let mut windows = Vec::new();
    for axis in opened.meta.variables.iter().filter(is_time).filter(used) {
        let wrong = |e: outcrop_grid::Error| Refusal::Said(format!("times of `{}`: {e}", axis.name));
        let cf = CfTime::parse(text(axis, "units"), text(axis, "calendar")).map_err(wrong)?;
        let found =
            run(&place::labels(opened, axis).await?, |label| cf.decode(label).is_some_and(|s| has(interval, &s)));
        match found {
            Run::One(range) => windows.push((axis.dims[0].clone(), range)),
            Run::None => return said(format!("no time of `{}` lies in the interval", axis.name)),
            Run::Two(..) | Run::Many => {
                return said(format!("`{}` neither rises nor falls, so no interval can cut it", axis.name));
            }
        }
    }
    Ok(windows)
}

/// Dates are compared by their parts, so that any calendar can be.
fn has(interval: &Interval, stamp: &Stamp) -> bool {
    let own = (stamp.year, stamp.month, stamp.day, stamp.second);
    let of = |time: DateTime<Utc>| {
        let seconds = f64::from(time.num_seconds_from_midnight()) + f64::from(time.nanosecond()) / 1e9;
        (i64::from(time.year()), time.month(), time.day(), seconds)
    };
    // The end of a month is so in any calendar, whatever days it has.
    let until = |end: DateTime<Utc>| {
        let is_last =
            end.checked_add_signed(TimeDelta::nanoseconds(1)).is_some_and(|next| next.day() == 1 && end.day() != 1);
        let (year, month, day, seconds) = of(end);
        (year, month, if is_last { u32::MAX } else { day }, seconds)
    };
    interval.start.is_none_or(|start| of(start) <= own) && interval.end.is_none_or(|end| own <= until(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bbox(text: &str) -> BBox {
        text.parse().unwrap()
    }

    fn axis(first: f64, step: f64, len: u32) -> Vec<f64> {
        (0..len).map(|at| first + step * f64::from(at)).collect()
    }

    fn of(lons: &[f64], text: &str) -> Result<(Range<u64>, Option<Turn>)> {
        columns(lons, &bbox(text), &Axis { name: "lon", dim: "x", units: "degrees_east" })
    }

    #[test]
    fn columns_are_inclusive_and_found_by_a_turn() {
        let west = axis(-180.0, 10.0, 36);
        let round = axis(0.0, 10.0, 36);
        let plain = |lons: &[f64], text: &str| match of(lons, text).unwrap() {
            (range, None) => range,
            (_, Some(turn)) => panic!("{turn:?}"),
        };
        assert_eq!(plain(&west, "-20,0,10,1"), 16..20);
        assert_eq!(plain(&round, "-20,0,-5,1"), 34..36);
        assert_eq!(plain(&round, "170,0,-170,1"), 17..20);
        assert_eq!(plain(&axis(-180.0, 10.0, 37), "160,0,180,1"), 34..37);
        assert_eq!(plain(&round, "-180,0,180,1"), 0..36);
        assert!(of(&west, "1,0,2,1").unwrap_err().to_string().starts_with("no cell"));
    }

    #[test]
    fn columns_at_both_ends_of_an_axis_all_round_are_one_window() {
        let turn = |lons: &[f64], text: &str| {
            let (range, turn) = of(lons, text).unwrap();
            turn.map(|turn| (range, turn.period, turn.before, turn.after))
        };
        assert_eq!(turn(&axis(0.0, 10.0, 36), "-20,0,20,1"), Some((34..39, 36, -360, 0)));
        assert_eq!(turn(&axis(-180.0, 10.0, 36), "170,0,-170,1"), Some((35..38, 36, 0, 360)));
        assert_eq!(turn(&axis(0.0, 10.0, 37), "-20,0,20,1"), Some((34..39, 36, -360, 0)), "360 is 0 again");
        assert_eq!(turn(&axis(180.0, -10.0, 36), "160,0,-160,1"), Some((34..39, 36, 360, 0)), "it falls");
        assert_eq!(
            of(&axis(0.0, 1.0, 361), "-0.5,0,3,1").unwrap(),
            (0..4, None),
            "only the meridian named twice is at the end"
        );
        assert_eq!(of(&axis(-180.0, 10.0, 37), "175,0,-165,1").unwrap(), (0..2, None));
        assert_eq!(of(&axis(-180.0, 10.0, 37), "175,0,-175,1").unwrap(), (0..1, None));
        let uneven: Vec<f64> = axis(0.0, 10.0, 36).iter().map(|lon| lon + f64::from(*lon == 100.0)).collect();
        assert!(of(&uneven, "-20,0,20,1").unwrap_err().to_string().contains("several boxes"));
        assert!(of(&axis(0.0, 10.0, 35), "-25,0,20,1").unwrap_err().to_string().contains("several boxes"));
    }

    #[test]
    fn rows_may_fall() {
        assert_eq!(rows(&axis(50.0, -1.0, 20), &bbox("0,40,1,42.5"), "lat").unwrap(), 8..11);
    }

    #[test]
    fn times_of_any_calendar_lie_in_an_interval() {
        let cf = CfTime::parse("days since 2000-02-28", "360_day").unwrap();
        let in_month = |text: &str, value: f64| has(&text.parse().unwrap(), &cf.decode(value).unwrap());
        assert!(in_month("2000-02", 2.0) && !in_month("2000-02", 3.0), "30 February");
        assert!(in_month("2000-03-01/..", 3.0) && !in_month("../2000-02-28", 1.5));
        assert!(in_month("2000-02-28T00:00:00Z", 0.0), "inclusive");
    }

    #[test]
    fn a_box_in_a_plane_is_dense() {
        let crs = Crs::from_proj("+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +a=6378137 +rf=298.257223563")
            .unwrap();
        let [west, south, east, north] = rectangle(&crs, &bbox("-110,40,-90,50")).unwrap();
        let middle = crs.from_lonlat(-100.0, 40.0).unwrap();
        assert!(south <= middle[1] + 1.0 && (west + east).abs() < 1.0 && north > south);
    }
}
