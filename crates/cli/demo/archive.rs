//! The demo's archive: two regions, two years, four parameters, laid out like Daymet V4 R1 (ORNL DAAC dataset 2129).
//!
//! The weather is made up but behaves: colder to the north and with height, warmer in summer, fronts that pass within
//! days, day length by the sun's declination. The same cell and day has the same weather in every run.

use std::path::Path;

use outcrop_formats::netcdf4::{VariableSpec, Writer};
use outcrop_formats::{AttrValue, Attrs, DType};
use outcrop_grid::Crs;

use crate::failure::Failure;

/// Days of a Daymet year, also in leap years.
pub(crate) const DAYS: u32 = 365;
/// Years of the archive; the first is a leap year.
pub(crate) const YEARS: [i32; 2] = [1980, 1981];
/// Parameters with their units and names.
pub(crate) const PARAMETERS: [(&str, &str, &str); 4] = [
    ("tmin", "degrees C", "daily minimum temperature"),
    ("tmax", "degrees C", "daily maximum temperature"),
    ("dayl", "s", "daylength"),
    ("prcp", "mm/day", "daily total precipitation"),
];

const PROJECTION: &str =
    "+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +x_0=0 +y_0=0 +a=6378137 +rf=298.257223563";
const CELL_M: f64 = 5000.0;
const MISSING: f32 = -9999.0;

/// A region: name, centre in degrees, cells, water and mountains.
pub(crate) struct Region {
    pub(crate) name: &'static str,
    centre: [f64; 2],
    shape: (usize, usize),
    /// Lakes: longitude, latitude and half axes in degrees.
    water: &'static [[f64; 4]],
    /// Mountains: longitude, latitude, width in degrees and height in km.
    mountains: &'static [[f64; 4]],
}

pub(crate) const REGIONS: [Region; 2] = [
    Region {
        name: "lakes",
        centre: [-84.6, 43.6],
        shape: (100, 120),
        water: &[[-87.0, 43.9, 0.75, 2.1], [-82.3, 44.9, 1.1, 1.1], [-81.2, 42.2, 1.9, 0.4], [-84.6, 46.9, 2.4, 0.6]],
        mountains: &[[-84.7, 44.8, 0.9, 0.35]],
    },
    Region {
        name: "rockies",
        centre: [-106.5, 39.5],
        shape: (80, 100),
        water: &[],
        mountains: &[
            [-106.2, 39.2, 0.9, 2.4],
            [-107.6, 38.0, 0.7, 2.2],
            [-105.4, 40.6, 0.6, 1.6],
            [-109.0, 40.3, 1.1, 0.9],
        ],
    },
];

/// Where the cells of a region are.
struct Cells {
    x: Vec<f64>,
    y: Vec<f64>,
    lon: Vec<f64>,
    lat: Vec<f64>,
    height_km: Vec<f64>,
    land: Vec<bool>,
}

impl Cells {
    fn of(region: &Region) -> Result<Self, Failure> {
        let crs = Crs::from_proj(PROJECTION)?;
        let [cx, cy] = crs.from_lonlat(region.centre[0], region.centre[1])?;
        let (rows, columns) = region.shape;
        let snapped = |v: f64| (v / CELL_M).round() * CELL_M;
        let axis = |centre: f64, n: usize, step: f64| -> Vec<f64> {
            (0..n).map(|i| snapped(centre) + (i as f64 - (n as f64 - 1.0) / 2.0) * step).collect()
        };
        let (x, y) = (axis(cx, columns, CELL_M), axis(cy, rows, -CELL_M));
        let (mut lon, mut lat) = (Vec::new(), Vec::new());
        for y in &y {
            for x in &x {
                let [l, b] = crs.to_lonlat(*x, *y)?;
                lon.push(l);
                lat.push(b);
            }
        }
        let place = || lon.iter().zip(&lat);
        let height_km = place().map(|(lon, lat)| height(region, *lon, *lat)).collect();
        let land = place().map(|(lon, lat)| !is_water(region, *lon, *lat)).collect();
        Ok(Self { x, y, lon, lat, height_km, land })
    }
}

fn height(region: &Region, lon: f64, lat: f64) -> f64 {
    let hill = |[l, b, width, km]: &[f64; 4]| km * (-((lon - l).powi(2) + (lat - b).powi(2)) / (width * width)).exp();
    0.25 + region.mountains.iter().map(hill).sum::<f64>()
}

fn is_water(region: &Region, lon: f64, lat: f64) -> bool {
    region.water.iter().any(|[l, b, dx, dy]| ((lon - l) / dx).powi(2) + ((lat - b) / dy).powi(2) < 1.0)
}

/// Writes all files of the archive below `folder`, on all cores, and returns their number and size in bytes.
pub(crate) fn write(folder: &Path) -> Result<(usize, u64), Failure> {
    let mut jobs = Vec::new();
    for region in &REGIONS {
        for year in YEARS {
            for parameter in PARAMETERS {
                let name = format!("daymet_v4_daily_{}_{}_{year}.nc", region.name, parameter.0);
                jobs.push((region, year, parameter, folder.join(region.name).join(name)));
            }
        }
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let results: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let work = || -> Result<(), Failure> {
            while let Some((region, year, parameter, path)) =
                jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
            {
                write_file(path, region, *year, *parameter)?;
            }
            Ok(())
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = |h: std::thread::ScopedJoinHandle<'_, Result<(), Failure>>| {
            h.join().unwrap_or_else(|_| Err(outcrop_compute::Error::Worker.into()))
        };
        handles.into_iter().map(ended).collect()
    });
    results.into_iter().collect::<Result<(), Failure>>()?;
    let sizes: std::io::Result<Vec<u64>> = jobs.iter().map(|job| Ok(std::fs::metadata(&job.3)?.len())).collect();
    Ok((jobs.len(), sizes?.iter().sum()))
}

fn text(value: &str) -> AttrValue {
    AttrValue::Text(value.to_owned())
}

fn attrs<const N: usize>(pairs: [(&str, AttrValue); N]) -> Attrs {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn spec(name: &str, dims: &[&str], dtype: DType, attrs: Attrs) -> VariableSpec {
    let dims = dims.iter().map(|dim| (*dim).to_owned()).collect();
    VariableSpec { name: name.into(), dims, dtype, chunk: None, deflate: None, fill: None, attrs }
}

fn raw<T, const N: usize>(values: impl IntoIterator<Item = T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.into_iter().flat_map(bytes).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the file stores single precision")]
fn raw_f32<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<u8> {
    raw(values, |v| (*v as f32).to_ne_bytes())
}

fn write_file(
    path: &Path,
    region: &Region,
    year: i32,
    (name, units, long_name): (&str, &str, &str),
) -> Result<(), Failure> {
    let cells = Cells::of(region)?;
    let global = attrs([
        ("start_year", AttrValue::Int(vec![i64::from(year)])),
        ("source", text("outcrop demo: made-up weather in the layout of Daymet V4 R1")),
        ("Conventions", text("CF-1.6")),
    ]);
    let mut file = Writer::create(path, &global)?;
    let (rows, columns) = region.shape;
    file.add_dim("x", columns as u64)?;
    file.add_dim("y", rows as u64)?;
    file.add_unlimited_dim("time", u64::from(DAYS))?;
    file.add_dim("nv", 2)?;
    describe_cells(&mut file, &cells)?;
    describe_time(&mut file, year)?;
    let chunk = vec![1, rows as u64, columns as u64];
    let values = attrs([
        ("long_name", text(long_name)),
        ("units", text(units)),
        ("missing_value", AttrValue::Float32(vec![MISSING])),
        ("coordinates", text("lat lon")),
        ("grid_mapping", text("lambert_conformal_conic")),
        ("cell_methods", text(if name == "prcp" { "area: mean time: sum" } else { "area: mean time: mean" })),
    ]);
    file.add_variable(&VariableSpec {
        chunk: Some(chunk),
        deflate: Some(2),
        fill: Some(MISSING.to_ne_bytes().to_vec()),
        ..spec(name, &["time", "y", "x"], DType::Float32, values)
    })?;
    let weather = Weather::of(&cells, year);
    for day in 0..DAYS {
        let plane = raw(weather.plane(name, day), f32::to_ne_bytes);
        file.write_chunk(name, &[u64::from(day), 0, 0], &plane)?;
    }
    Ok(file.finish()?)
}

fn describe_cells(file: &mut Writer, cells: &Cells) -> Result<(), Failure> {
    for (name, values) in [("x", &cells.x), ("y", &cells.y)] {
        let standard = format!("projection_{name}_coordinate");
        let long = format!("{name} coordinate of projection");
        let attrs = attrs([("units", text("m")), ("long_name", text(&long)), ("standard_name", text(&standard))]);
        file.add_variable(&spec(name, &[name], DType::Float32, attrs))?;
        file.write(name, &raw_f32(values))?;
    }
    for (name, values, units, standard) in
        [("lat", &cells.lat, "degrees_north", "latitude"), ("lon", &cells.lon, "degrees_east", "longitude")]
    {
        let attrs = attrs([("units", text(units)), ("long_name", text(standard)), ("standard_name", text(standard))]);
        let chunk = Some(vec![cells.y.len() as u64, cells.x.len() as u64]);
        file.add_variable(&VariableSpec { chunk, deflate: Some(4), ..spec(name, &["y", "x"], DType::Float32, attrs) })?;
        file.write(name, &raw_f32(values))?;
    }
    let number = |value: f64| AttrValue::Float64(vec![value]);
    let mapping = attrs([
        ("grid_mapping_name", text("lambert_conformal_conic")),
        ("longitude_of_central_meridian", number(-100.0)),
        ("latitude_of_projection_origin", number(42.5)),
        ("false_easting", number(0.0)),
        ("false_northing", number(0.0)),
        ("standard_parallel", AttrValue::Float64(vec![25.0, 60.0])),
        ("semi_major_axis", number(6_378_137.0)),
        ("inverse_flattening", number(298.257_223_563)),
    ]);
    file.add_variable(&spec("lambert_conformal_conic", &[], DType::Int16, mapping))?;
    Ok(file.write("lambert_conformal_conic", &0i16.to_ne_bytes())?)
}

/// Noon of each day since 1950; leap years keep 29 February and lose 31 December.
fn describe_time(file: &mut Writer, year: i32) -> Result<(), Failure> {
    let first = f64::from((1950..year).map(|y| if y % 4 == 0 { 366 } else { 365 }).sum::<i32>());
    let chunked = |spec: VariableSpec, chunk: Vec<u64>| VariableSpec { chunk: Some(chunk), deflate: Some(4), ..spec };
    let days = || (0..DAYS).map(|day| first + f64::from(day));
    let time = attrs([
        ("units", text("days since 1950-01-01 00:00:00")),
        ("calendar", text("standard")),
        ("bounds", text("time_bnds")),
        ("standard_name", text("time")),
        ("long_name", text("24-hour day based on local time")),
    ]);
    let length = u64::from(DAYS);
    file.add_variable(&chunked(spec("time", &["time"], DType::Float32, time), vec![length]))?;
    file.write("time", &raw_f32(&days().map(|day| day + 0.5).collect::<Vec<_>>()))?;
    file.add_variable(&chunked(spec("time_bnds", &["time", "nv"], DType::Float32, Attrs::new()), vec![length, 2]))?;
    file.write("time_bnds", &raw_f32(&days().flat_map(|day| [day, day + 1.0]).collect::<Vec<_>>()))?;
    let yearday = attrs([("long_name", text("day of year (DOY) starting with day 1 on January 1st"))]);
    file.add_variable(&chunked(spec("yearday", &["time"], DType::Int16, yearday), vec![length]))?;
    Ok(file.write("yearday", &raw(1..=365i16, i16::to_ne_bytes))?)
}

/// Sine and cosine of an angle: a wave at some moment, or the lag of a cell behind it.
type Phase = (f64, f64);

fn phase(days: f64, period: f64) -> Phase {
    (std::f64::consts::TAU * days / period).sin_cos()
}

/// The wave at a cell that lags behind: sin(a - b).
fn lagged(wave: Phase, lag: Phase) -> f64 {
    wave.0 * lag.1 - wave.1 * lag.0
}

/// Fronts: period in days and strength in K.
const FRONTS: [(f64, f64); 3] = [(6.3, 1.0), (11.1, 0.8), (17.9, 0.7)];
const SPREAD_DAYS: f64 = 9.0;

/// The made-up weather of a region and year.
struct Weather<'a> {
    cells: &'a Cells,
    /// Phase of the year in days.
    year: f64,
    /// How far each cell lags behind each front, and behind the wave of the daily range.
    front_lags: Vec<[Phase; 3]>,
    spread_lags: Vec<Phase>,
}

/// A day of the weather.
struct Day {
    season: f64,
    declination: f64,
    fronts: [Phase; 3],
    spread: Phase,
}

impl<'a> Weather<'a> {
    fn of(cells: &'a Cells, year: i32) -> Self {
        let front_lags = |(lon, lat): (&f64, &f64)| {
            let along = lon * 0.35 + lat * 0.2;
            [phase(along, FRONTS[0].0), phase(1.7 * along, FRONTS[1].0), phase(-0.5 * along, FRONTS[2].0)]
        };
        Self {
            cells,
            year: 37.0 * f64::from(year % 97),
            front_lags: cells.lon.iter().zip(&cells.lat).map(front_lags).collect(),
            spread_lags: cells.lon.iter().map(|lon| phase(-lon, SPREAD_DAYS)).collect(),
        }
    }

    fn day(&self, day: u32) -> Day {
        let t = f64::from(day);
        Day {
            season: -(std::f64::consts::TAU * (t - 19.0) / 365.0).cos(),
            declination: -23.44f64.to_radians() * (std::f64::consts::TAU * (t + 10.0) / 365.0).cos(),
            fronts: FRONTS.map(|(period, _)| phase(t + self.year, period)),
            spread: phase(t, SPREAD_DAYS),
        }
    }

    /// A parameter on one day; water is missing.
    #[expect(clippy::cast_possible_truncation, reason = "the file stores single precision, to a hundredth")]
    fn plane(&self, name: &str, day: u32) -> Vec<f32> {
        let day = self.day(if name == "prcp" { day + 3 } else { day });
        let hundredth = |v: f64| ((v * 100.0).round() / 100.0) as f32;
        let cell = |i: usize| match name {
            _ if !self.cells.land[i] => MISSING,
            "dayl" => hundredth(daylength(self.cells.lat[i], day.declination)),
            "prcp" => hundredth((self.front(i, &day) - 1.5).max(0.0) * 6.0),
            "tmin" => hundredth(self.temperature(i, &day) - self.spread(i, &day) / 2.0),
            _ => hundredth(self.temperature(i, &day) + self.spread(i, &day) / 2.0),
        };
        (0..self.cells.land.len()).map(cell).collect()
    }

    /// Fronts that travel east: waves of a few days, other phases every year.
    fn front(&self, cell: usize, day: &Day) -> f64 {
        let waves = day.fronts.iter().zip(&self.front_lags[cell]).zip(FRONTS);
        waves.map(|((wave, lag), (_, strength))| strength * lagged(*wave, *lag)).sum()
    }

    /// Daily mean in °C: latitude, height (6.5 K per km), season (coldest on 20 January) and fronts.
    fn temperature(&self, cell: usize, day: &Day) -> f64 {
        let north = self.cells.lat[cell] - 25.0;
        let mean = 27.0 - 0.95 * north - 6.5 * self.cells.height_km[cell];
        mean + (4.0 + 0.5 * north) * day.season + 2.0 * self.front(cell, day)
    }

    /// Difference between the day's extremes in K.
    fn spread(&self, cell: usize, day: &Day) -> f64 {
        11.0 + 2.0 * lagged(day.spread, self.spread_lags[cell]) - self.front(cell, day)
    }
}

/// Day length in seconds at a latitude in degrees, for a declination of the sun in radians.
fn daylength(lat: f64, declination: f64) -> f64 {
    let x = (-lat.to_radians().tan() * declination.tan()).clamp(-1.0, 1.0);
    86_400.0 / std::f64::consts::PI * x.acos()
}
