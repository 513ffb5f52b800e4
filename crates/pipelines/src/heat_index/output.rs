//! The products as files of a folder.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::draw::{ColourMap, Limits};
use outcrop_formats::zarr::{GroupWriter, ZarrFormat};
use outcrop_formats::{
    AttrValue, Attrs, Codec, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter, TiffCodec, TiffCompression,
};
use outcrop_grid::{Crs, GeoKeys, RasterType};
use outcrop_store::{Href, Store};

use super::picture::Picture;
use super::run::{HeatIndex, HeatReport};
use super::tiles::{Tile, Tiles, side};
use super::values::{Masking, narrow};
use super::{picture, zarr};
use crate::Result;

/// Largest side of a tile.
const TILE: u64 = 256;

/// Where the products go, and which.
#[derive(Debug, Clone)]
pub struct HeatOutput {
    /// The folder, which is made if it is not there.
    pub folder: PathBuf,
    /// Also a Zarr store `heat-index.zarr` of this version.
    pub zarr: Option<ZarrFormat>,
    /// Value of the first colour of the map; by xarray's rule if neither end is named.
    pub vmin: Option<f64>,
    /// Value of the last colour.
    pub vmax: Option<f64>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct HeatFiles {
    /// The files, by what they are.
    pub files: Vec<(&'static str, Href)>,
    /// Cells whose mean is the value of cells without data, so that readers take them for such.
    pub collisions: u64,
    /// Cells with a mean over time.
    pub cells: u64,
    /// Smallest and largest mean over time.
    pub range: Option<(f64, f64)>,
}

/// Writes the products; they appear when they are complete.
#[derive(Debug)]
pub struct HeatWriter {
    output: HeatOutput,
    tiles: Tiles,
    mean: GeoTiffWriter,
    monthly: GeoTiffWriter,
    zarr: Option<GroupWriter>,
    dtype: DType,
    nodata: Option<f64>,
    masking: Masking,
    picture: Picture,
    collisions: u64,
}

impl HeatWriter {
    /// Starts the files.
    ///
    /// # Errors
    /// [`crate::Error::Format`] if something cannot be written, or the selection is empty; [`crate::Error::Parameter`]
    /// for limits of the map that are no range.
    pub fn create(index: &HeatIndex, output: HeatOutput) -> Result<Self> {
        check_limits(&output)?;
        let plane = [index.plan().plane()[0], index.plan().plane()[1]];
        let layers = index.months().len() + 1;
        let options = stored_like(index, plane, layers);
        let mean = GeoTiffWriter::create(&output.folder.join("mean.tif"), &spec(index, 1, "mean")?, options)?;
        let spec = GeoTiffSpec { bands: index.months().len() as u64, ..spec(index, 1, "")? };
        let names = index.months().iter().map(|month| month_name(*month).to_owned()).collect();
        let mut attrs = spec.attrs.clone();
        attrs.insert("long_name".into(), AttrValue::Texts(names));
        let spec = GeoTiffSpec { attrs, ..spec };
        let apart = GeoTiffOptions { pixel_interleave: Some(false), ..options };
        let monthly = GeoTiffWriter::create(&output.folder.join("monthly.tif"), &spec, apart)?;
        let zarr = output.zarr.map(|format| zarr::create(index, (&output.folder, format), options.tile)).transpose()?;
        Ok(Self {
            tiles: Tiles::new(plane, layers, options.tile),
            mean,
            monthly,
            zarr,
            dtype: index.dtype(),
            nodata: nodata(index),
            masking: index.options().masking,
            picture: Picture::new(plane),
            collisions: 0,
            output,
        })
    }

    /// Bytes that the writer of an index keeps while it is computed.
    pub fn kept(index: &HeatIndex) -> u64 {
        let (plane, layers) = ([index.plan().plane()[0], index.plan().plane()[1]], index.months().len() + 1);
        let rows = index.plan().columns().iter().map(|column| column[0].end - column[0].start).max().unwrap_or(0);
        let tiles = Tiles::new(plane, layers, stored_like(index, plane, layers).tile);
        tiles.bytes(rows) + Picture::new(plane).bytes()
    }

    /// Takes the means of a window, see [`HeatIndex::run`].
    ///
    /// # Errors
    /// [`crate::Error::Format`], for example when the disk is full.
    pub fn write(&mut self, window: &[Range<u64>], means: &[Vec<f64>]) -> Result<()> {
        let single = self.dtype == DType::Float32;
        if let Some(mean) = means.first() {
            let round = |value: &f64| if single { f64::from(narrow(*value)) } else { *value };
            let rounded: Vec<f64> = mean.iter().map(round).collect();
            self.picture.fill(window, &rounded);
            if self.masking == Masking::Nodata {
                self.collisions += rounded.iter().filter(|value| self.nodata == Some(**value)).count() as u64;
            }
        }
        let Self { tiles, mean, monthly, zarr, dtype, nodata, .. } = self;
        tiles.fill(window, means, |tile| {
            let raw = encoded(&tile, *dtype, *nodata);
            let (row, column) = (tile.row as u64, tile.column as u64);
            match tile.layer {
                0 => mean.write_chunk([0, row, column], &raw)?,
                month => monthly.write_chunk([month as u64 - 1, row, column], &raw)?,
            }
            zarr.as_ref().map_or(Ok(()), |group| zarr::write(group, &tile, *dtype))
        })
    }

    /// Completes the files and writes those of the days.
    ///
    /// # Errors
    /// [`crate::Error::Format`], [`crate::Error::Store`]. Files that were complete before stay.
    pub fn finish(self, store: &Store, index: &HeatIndex, report: &HeatReport) -> Result<HeatFiles> {
        let folder = self.output.folder.clone();
        let at = |name: &str| Href::from_path(&folder.join(name)).absolute();
        let mut files = Vec::new();
        self.mean.finish(1)?;
        files.push(("mean", at("mean.tif")));
        self.monthly.finish(1)?;
        files.push(("monthly", at("monthly.tif")));
        if let Some(group) = self.zarr {
            zarr::finish(group, report)?;
            files.push(("zarr", at(zarr::NAME).as_folder()));
        }
        store.wait(store.put(&at("daily.csv"), daily_csv(report).into()))?;
        files.push(("daily", at("daily.csv")));
        if let Some(png) = picture::daily(report)? {
            store.wait(store.put(&at("daily.png"), png.into()))?;
            files.push(("daily-plot", at("daily.png")));
        }
        let limits = self.picture.range().and_then(|range| limits(range, &self.output));
        if let Some(limits) = limits {
            store.wait(store.put(&at("mean.png"), self.picture.draw(index, &limits)?.into()))?;
            files.push(("map", at("mean.png")));
        }
        let (collisions, cells, range) = (self.collisions, self.picture.cells(), self.picture.range());
        Ok(HeatFiles { files, collisions, cells, range })
    }
}

/// The limits of the map: by xarray's rule, or viridis between those that are named and the data.
pub fn limits((low, high): (f64, f64), output: &HeatOutput) -> Option<Limits> {
    match (output.vmin, output.vmax) {
        (None, None) => Limits::of(&[low, high]),
        (vmin, vmax) => Some(Limits { low: vmin.unwrap_or(low), high: vmax.unwrap_or(high), map: ColourMap::Viridis }),
    }
}

fn check_limits(output: &HeatOutput) -> Result<()> {
    for (name, value) in [("vmin", output.vmin), ("vmax", output.vmax)] {
        if let Some(value) = value.filter(|value| !value.is_finite()) {
            return Err(crate::Error::Parameter { name, value: value.to_string(), why: "a number is wanted".into() });
        }
    }
    match (output.vmin, output.vmax) {
        (Some(low), Some(high)) if low >= high => Err(crate::Error::Parameter {
            name: "vmin",
            value: low.to_string(),
            why: format!("it must be less than --vmax {high}"),
        }),
        _ => Ok(()),
    }
}

/// English names, by month of the year from 1.
pub(super) fn month_name(month: u32) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let at = usize::try_from(month).unwrap_or(0).wrapping_sub(1);
    NAMES.get(at).copied().unwrap_or("?")
}

/// The means of days: date, mean in degrees Fahrenheit (NaN of a day without a cell), cells.
fn daily_csv(report: &HeatReport) -> String {
    let lines = report.days.iter().map(|day| format!("{},{},{}\n", day.day, day.mean_f, day.count));
    std::iter::once("date,mean_f,count\n".to_owned()).chain(lines).collect()
}

/// The value of cells without data in the results: the number that it is in the first file.
pub(super) fn nodata(index: &HeatIndex) -> Option<f64> {
    let stored = index.series().rules.first().and_then(super::Rule::stored_nodata);
    stored.map(|value| if index.dtype() == DType::Float32 { f64::from(narrow(value)) } else { value })
}

fn element(value: f64, dtype: DType) -> Vec<u8> {
    if dtype == DType::Float32 { narrow(value).to_ne_bytes().to_vec() } else { value.to_ne_bytes().to_vec() }
}

fn encoded(tile: &Tile, dtype: DType, nodata: Option<f64>) -> Vec<u8> {
    let nodata = nodata.unwrap_or(f64::NAN);
    let of = |value: &f64| if value.is_nan() { nodata } else { *value };
    if dtype == DType::Float32 {
        tile.values.iter().flat_map(|value| narrow(of(value)).to_ne_bytes()).collect()
    } else {
        tile.values.iter().flat_map(|value| of(value).to_ne_bytes()).collect()
    }
}

/// Compressed as the first file, in tiles.
fn stored_like(index: &HeatIndex, plane: [u64; 2], layers: usize) -> GeoTiffOptions {
    let image = &index.series().image;
    let like = GeoTiffOptions::like(image);
    let differences = [TiffCodec::HorizontalDifference, TiffCodec::FloatDifference];
    let predictor = image.codecs.iter().any(|codec| matches!(codec, Codec::Tiff(own) if differences.contains(own)));
    let compression = match like.compression {
        TiffCompression::Deflate { .. } => TiffCompression::Deflate { level: 4 },
        other => other,
    };
    let tile = side(plane, layers, like.tile.clamp(64, TILE));
    GeoTiffOptions { tile, compression, predictor, overviews: 0, pixel_interleave: None, ..like }
}

/// Size, place and type of an image of so many bands.
fn spec(index: &HeatIndex, bands: u64, name: &str) -> Result<GeoTiffSpec> {
    let series = index.series();
    let plane = index.plan().plane();
    let mut attrs = Attrs::new();
    if !name.is_empty() {
        attrs.insert("long_name".into(), AttrValue::Text(name.into()));
    }
    if let Some(units) = series.image.attrs.get("units") {
        attrs.insert("units".into(), units.clone());
    }
    Ok(GeoTiffSpec {
        width: plane[1],
        height: plane[0],
        bands,
        dtype: index.dtype(),
        nodata: nodata(index).map(|value| element(value, index.dtype())),
        transform: transform(index),
        control_points: Vec::new(),
        keys: keys(index)?,
        attrs,
        file_attrs: Attrs::new(),
    })
}

/// The transform of the files, moved to the first selected cell.
fn transform(index: &HeatIndex) -> Option<[f64; 6]> {
    let series = index.series();
    let text = series.place.get("GeoTransform")?.text()?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [x, dx, rx, y, ry, dy] = numbers[..] else { return None };
    let [row, column] = series.origin.map(|at| at as f64);
    Some([x + column * dx + row * rx, dx, rx, y + column * ry + row * dy, ry, dy])
}

/// The CRS of the files, if they say one.
pub(super) fn crs(index: &HeatIndex) -> Option<outcrop_grid::Result<Crs>> {
    let place = &index.series().place;
    let text = |name: &str| place.get(name).and_then(AttrValue::text);
    text("proj4").map(Crs::from_proj).or_else(|| text("crs_wkt").map(Crs::from_wkt))
}

fn keys(index: &HeatIndex) -> Result<Option<GeoKeys>> {
    let refused = |why: String| outcrop_formats::Error::GeoTiff { why };
    let place = &index.series().place;
    if let Some(why) = place.get("crs_error").and_then(AttrValue::text) {
        return Err(refused(format!("the CRS of the files is not understood: {why}")).into());
    }
    let Some(crs) = crs(index) else { return Ok(None) };
    let crs = crs.map_err(|e| refused(e.to_string()))?;
    let code = place.get("epsg").and_then(AttrValue::number);
    let code = code.and_then(|code| (1..=u16::MAX).find(|own| f64::from(*own).total_cmp(&code).is_eq()));
    let raster = if index.series().is_point { RasterType::Point } else { RasterType::Area };
    let keys = GeoKeys::of_crs(&crs, code, raster).map_err(|e| refused(e.to_string()))?;
    let name = place.get("crs_name").and_then(AttrValue::text).filter(|name| !name.is_empty());
    Ok(Some(name.map_or(keys.clone(), |name| keys.with_citation(name))))
}

/// The temperatures of a cell by day, as CSV.
pub fn nearest_csv(index: &HeatIndex, values: &[f64]) -> String {
    let single = index.series().rules.iter().all(super::Rule::is_single);
    let number = |value: f64| if single { narrow(value).to_string() } else { value.to_string() };
    let lines =
        index.series().files.iter().zip(values).map(|(file, value)| format!("{},{}\n", file.day, number(*value)));
    std::iter::once("date,value\n".to_owned()).chain(lines).collect()
}

/// The Zarr store in a folder.
pub(super) fn store_root(folder: &Path) -> PathBuf {
    folder.join(zarr::NAME)
}
