//! Daily images as one array (time, y, x) of stored values, checked to lie on one grid.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use futures::{StreamExt, TryStreamExt};
use outcrop_compute::{Coord, DataArray, OpenOptions, grid_difference, open_dataset};
use outcrop_formats::cf::Policy;
use outcrop_formats::{AttrValue, Attrs, Variable};
use outcrop_store::{Href, Store};

use super::values::{Rule, Units};
use crate::{Error, Result};

/// The variable of an image.
const IMAGE: &str = "band_data";

/// A file and its day.
#[derive(Debug, Clone)]
pub struct DayFile {
    /// The file.
    pub href: Href,
    /// Its day.
    pub day: NaiveDate,
    /// The STAC item it belongs to.
    pub item: Option<Href>,
}

/// How files are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesOptions {
    /// Band of each file, from 1; without it they must have one.
    pub band: Option<u64>,
    /// Stored value of cells without data, where the files say none or another.
    pub nodata: Option<f64>,
    /// Units of the values, where the files say none or others.
    pub units: Option<Units>,
}

/// Daily images in the order of time.
#[derive(Debug, Clone)]
pub struct Series {
    /// Stored values (time, y, x), with coordinates; time is in days since 1970-01-01.
    pub array: DataArray,
    /// How the values of each day become temperatures.
    pub rules: Vec<Rule>,
    /// The files, one a day.
    pub files: Vec<DayFile>,
    /// Units of the temperatures.
    pub units: Units,
    /// The image of the first file.
    pub image: Variable,
    /// Its place: attributes of the grid mapping.
    pub place: Attrs,
    /// True if cells are points (`AREA_OR_POINT`).
    pub is_point: bool,
    /// What the files do not say and was taken for granted.
    pub assumed: Vec<String>,
    /// Row and column of the first cell in the files.
    pub origin: [u64; 2],
}

/// A file as it was opened.
struct Image {
    array: DataArray,
    attrs: Attrs,
}

impl Series {
    /// Opens the files: headers only. They may come in any order.
    ///
    /// # Errors
    /// [`Error::Day`] for two files of one day; [`Error::Axis`] for a file on another grid, in another CRS, with a mask or
    /// other bands; [`Error::Units`]; those of opening. All name the file.
    pub async fn open(store: &Store, mut files: Vec<DayFile>, options: SeriesOptions) -> Result<Self> {
        files.sort_by(|a, b| (a.day, a.href.as_str()).cmp(&(b.day, b.href.as_str())));
        if let Some(pair) = files.windows(2).find(|pair| pair[0].day == pair[1].day) {
            let why = format!("its day {} is also that of `{}`; name one of them", pair[1].day, pair[0].href);
            return Err(Error::Day { file: pair[1].href.to_string(), why });
        }
        let hrefs: Vec<Href> = files.iter().map(|file| file.href.clone()).collect();
        let images: Vec<Image> = futures::stream::iter(hrefs)
            .map(|href| async move { open(store, &href, options.band).await })
            .buffered(store.options().concurrency.max(1))
            .try_collect()
            .await?;
        let Some(first) = images.first() else {
            return Err(Error::Choose { what: "files", why: "there is none".into() });
        };
        for (image, file) in images.iter().zip(&files).skip(1) {
            let why = grid_difference(&first.array, &image.array);
            if let Some(why) = why {
                return Err(odd(&file.href, format!("it does not lie on the cells of `{}`: {why}", files[0].href)));
            }
        }
        let (units, assumed) = units(&images, &files, options)?;
        let mut rules = Vec::with_capacity(images.len());
        for (image, file) in images.iter().zip(&files) {
            rules.push(rule(image, &file.href, options)?);
        }
        let image = first.array.sources().first().map(|source| source.variable().clone());
        let Some(image) = image else { return Err(outcrop_compute::Error::Worker.into()) };
        let is_point = first.attrs.get("AREA_OR_POINT").and_then(AttrValue::text) == Some("Point");
        let place = first.array.grid_mapping.as_ref().map(|(_, attrs)| attrs.clone()).unwrap_or_default();
        let array = joined(&images, &files)?;
        Ok(Self { array, rules, files, units, image, place, is_point, assumed, origin: [0, 0] })
    }

    /// The months of the days, each once, rising.
    pub fn months(&self) -> Vec<u32> {
        let months: BTreeSet<u32> = self.files.iter().map(|file| file.day.month()).collect();
        months.into_iter().collect()
    }

    /// The first and the last day.
    pub fn span(&self) -> Option<(NaiveDate, NaiveDate)> {
        Some((self.files.first()?.day, self.files.last()?.day))
    }
}

fn odd(href: &Href, why: impl Into<String>) -> Error {
    Error::Axis { variable: href.to_string(), why: why.into() }
}

async fn open(store: &Store, href: &Href, band: Option<u64>) -> Result<Image> {
    let options = OpenOptions { policy: Policy::Raw, ..OpenOptions::of(&[IMAGE]) };
    let opened = open_dataset(store, std::slice::from_ref(href), &options).await;
    let dataset = match opened {
        Err(outcrop_compute::Error::NoVariable { .. }) => return Err(odd(href, "it is no image, such as a GeoTIFF")),
        other => other?,
    };
    if dataset.others.iter().any(|name| name == "mask") {
        return Err(odd(href, "it has a mask, which is not applied; write it with a nodata value"));
    }
    let array = dataset.array(IMAGE)?;
    let [bands, rows, columns] = array.shape()[..] else { return Err(odd(href, "it has other dimensions")) };
    let at = match (band, bands) {
        (None, 1) => 0,
        (None, _) => return Err(odd(href, format!("it has {bands} bands; choose one with --band"))),
        (Some(band), _) if band >= 1 && band <= bands => band - 1,
        (Some(band), _) => return Err(odd(href, format!("it has no band {band}; there are {bands}"))),
    };
    if rows == 0 || columns == 0 {
        return Err(odd(href, "it has no cells"));
    }
    Ok(Image { array: array.band(at)?, attrs: dataset.attrs })
}

fn said_units(image: &Image) -> Option<&str> {
    image.array.attrs.get("units").and_then(AttrValue::text).map(str::trim).filter(|text| !text.is_empty())
}

/// The units of all files, and what was assumed.
fn units(images: &[Image], files: &[DayFile], options: SeriesOptions) -> Result<(Units, Vec<String>)> {
    let first = images.first().and_then(said_units);
    let odd_one = images.iter().zip(files).find(|(image, _)| said_units(image) != first);
    if let Some((image, file)) = odd_one.filter(|_| options.units.is_none()) {
        let text = |units: Option<&str>| units.map_or("none".to_owned(), |units| format!("`{units}`"));
        let why = format!("its units are {}, those of `{}` {}", text(said_units(image)), files[0].href, text(first));
        return Err(odd(&file.href, why));
    }
    match (options.units, first) {
        (Some(units), _) => Ok((units, Vec::new())),
        (None, None) => {
            Ok((Units::Celsius, vec!["the files have no units: degrees Celsius (--units says others)".into()]))
        }
        (None, Some(text)) => match Units::parse(text) {
            Some(units) => Ok((units, Vec::new())),
            None => Err(odd(
                &files[0].href,
                format!(
                    "its units are `{text}`, not degrees Celsius, Fahrenheit or kelvin; say what is meant with --units"
                ),
            )),
        },
    }
}

fn rule(image: &Image, href: &Href, options: SeriesOptions) -> Result<Rule> {
    let sources = image.array.sources();
    let dtype = sources.first().map(|source| source.variable().dtype);
    match dtype.filter(|dtype| dtype.is_real()) {
        Some(dtype) => Ok(Rule::of(dtype, &image.array.attrs, options.nodata)),
        None => Err(odd(href, "its values are no real numbers")),
    }
}

/// The images one behind the other, on the coordinates of the first.
fn joined(images: &[Image], files: &[DayFile]) -> Result<DataArray> {
    let first = &images[0].array;
    let alike = |image: &Image| {
        let mut array = image.array.clone();
        array.coords.clone_from(&first.coords);
        array.name.clone_from(&first.name);
        array
    };
    let alike: Vec<DataArray> = images.iter().map(alike).collect();
    let days = Coord::days(files.iter().map(|file| file.day));
    Ok(DataArray::stack(&alike, "time")?.with_coord("time", days)?)
}
