//! What the header of an array file says about place, time and content. Chunks of data are never read, coordinates are.

mod attributes;
mod axes;
mod cube;

use std::ops::Range;

use indexmap::IndexMap;
use outcrop_formats::place::{self, Place, is_named, meant};
use outcrop_formats::{Codec, FileMeta, Format, Opened, Variable};
use outcrop_grid::{Footprint, footprint_of_lonlat, footprint_of_rectangle};
use outcrop_store::{Href, ObjectMeta, Store};
use serde_json::Value;

use crate::recipe::Field;
use crate::{Error, Result};
use axes::TimeSpan;
use cube::Labelled;

/// Longest coordinate that is read to say what its dimension spans.
const MOST_LABELS: u64 = 1_000_000;

/// The header of one file and the coordinates that its fields need.
#[derive(Debug)]
pub(crate) struct Header {
    href: Href,
    object: Option<ObjectMeta>,
    meta: FileMeta,
    place: Option<Place>,
    time: Option<TimeSpan>,
    footprint: Option<Footprint>,
    labelled: Vec<Labelled>,
    references: Option<Vec<u8>>,
    /// The properties that were wanted and that it has an attribute for.
    properties: Vec<(String, Value)>,
}

/// Where and when the cells of a file are, as its coordinates say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// The coordinate reference system: its code where the file has one, and its PROJ string.
    pub crs: Option<String>,
    /// Edges of the cells in that system: least x, least y, largest x, largest y.
    pub plane: Option<[f64; 4]>,
    /// Box around the cells in degrees: west, south, east, north; west > east crosses the antimeridian.
    pub bbox: Option<[f64; 4]>,
    /// First and last moment, RFC 3339.
    pub time: Option<(String, String)>,
}

/// Reads the coordinates of an opened file or store. What they do not tell is `None`.
///
/// # Errors
/// [`Error::Header`] if a coordinate or a grid mapping is there but cannot be understood, and the store's.
pub async fn survey(opened: Opened) -> Result<Survey> {
    let mut file = File { opened };
    let place = file.place().await?;
    let footprint = outline(&mut file, place.as_ref()).await?;
    let time = axes::time(&mut file, &[]).await?;
    let plane = place.as_ref().map(|place| {
        let ((west, east), (south, north)) = (place.x.bounds(), place.y.bounds());
        [west, south, east, north]
    });
    Ok(Survey {
        crs: place.map(|place| match place.epsg {
            Some(code) => format!("EPSG:{code} ({})", place.crs.proj_string()),
            None => place.crs.proj_string().to_owned(),
        }),
        plane,
        bbox: footprint.map(|footprint| footprint.bbox.to_array()),
        time: time.map(|time| (time.start, time.end)),
    })
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) fields: &'a [Field],
    /// Its chunk references, too.
    pub(crate) references: bool,
    /// Properties, and the attribute for each.
    pub(crate) properties: &'a IndexMap<String, String>,
}

/// The header of a file with all that it tells; what it does not tell is left out.
pub(crate) async fn read_all(store: &Store, href: &Href) -> Result<Header> {
    let fields = [Field::Proj, Field::Cube, Field::Bbox, Field::Datetime];
    read_some(store, href, Wanted { fields: &fields, references: false, properties: &IndexMap::new() }).await
}

/// Reads what some fields need, all of which must be there: the size from the listing where it is there, else one request; the rest from the file.
pub(crate) async fn read(store: &Store, href: &Href, wanted: Wanted<'_>) -> Result<Header> {
    let header = read_some(store, href, wanted).await?;
    header.check(wanted.fields)?;
    Ok(header)
}

async fn read_some(store: &Store, href: &Href, wanted: Wanted<'_>) -> Result<Header> {
    let fields = wanted.fields;
    let wants = |any: &[Field]| fields.iter().any(|field| any.contains(field));
    let mut file = File::open(store, href).await?;
    if file.opened.meta.format == Format::GeoTiff {
        keep_the_image(&mut file.opened.meta);
    }
    let (mut place, mut footprint, mut time) = (None, None, None);
    if wants(&[Field::Proj, Field::Cube, Field::Bbox]) {
        place = file.place().await?;
    }
    if wants(&[Field::Bbox]) {
        footprint = outline(&mut file, place.as_ref()).await?;
    }
    if wants(&[Field::Cube, Field::Datetime]) {
        time = axes::time(&mut file, fields).await?;
    }
    let mut labelled = Vec::new();
    if wants(&[Field::Cube]) {
        labelled = file.labelled(place.as_ref(), time.as_ref()).await?;
    }
    let mut properties = Vec::new();
    for (name, attribute) in wanted.properties {
        properties.extend(attributes::find(&file, attribute).await?.map(|value| (name.clone(), value)));
    }
    let references = if wanted.references && file.opened.origin.object().is_some() {
        Some(outcrop_formats::save(&file.opened).await.map_err(|e| file.failed(e))?.0)
    } else {
        None
    };
    let object = file.opened.origin.object().cloned();
    let (href, meta) = (href.clone(), file.opened.meta);
    Ok(Header { href, object, meta, place, time, footprint, labelled, references, properties })
}

/// Leaves out what is no data of its own: overviews, masks, and their dimensions and coordinates.
fn keep_the_image(meta: &mut FileMeta) {
    let helps = |name: &str| name.starts_with("overview_") || name == "mask" || name.starts_with("mask_");
    let image = |v: &&Variable| v.dims.len() > 1 && !helps(&v.name);
    let dims: Vec<String> = meta.variables.iter().filter(image).flat_map(|v| v.dims.iter().cloned()).collect();
    meta.variables.retain(|v| !helps(&v.name) && v.dims.iter().all(|dim| dims.contains(dim)));
    meta.dims.retain(|name, _| dims.contains(name));
}

impl Header {
    /// Every field that was asked for is there.
    fn check(&self, fields: &[Field]) -> Result<()> {
        let lacks = |field, why: &str| Err(Error::NoField { href: self.href.clone(), field, why: why.to_owned() });
        if fields.contains(&Field::Bbox) && self.footprint.is_none() {
            return lacks("bbox", "it has neither x and y with a grid mapping nor latitudes and longitudes");
        }
        if fields.contains(&Field::Datetime) && self.time.is_none() {
            return lacks("datetime", "no variable has units like `days since 1950-01-01`");
        }
        Ok(())
    }

    /// Bytes of the file; none of a store of many objects.
    pub(crate) fn size(&self) -> Option<u64> {
        self.object.as_ref().map(|object| object.size)
    }

    /// The file; `None` for a store of many objects.
    pub(crate) fn object(&self) -> Option<&ObjectMeta> {
        self.object.as_ref()
    }

    /// Its chunk references as bytes to be kept, where they were wanted.
    pub(crate) fn references(&self) -> Option<&[u8]> {
        self.references.as_deref()
    }

    pub(crate) fn media_type(&self) -> &'static str {
        match self.meta.format {
            Format::NetCdf3 | Format::NetCdf4 => "application/netcdf",
            Format::Raw => "application/octet-stream",
            Format::MiniSeed => "application/vnd.fdsn.mseed",
            Format::Zarr => "application/vnd+zarr",
            Format::GeoTiff if self.meta.is_cloud_optimised() => {
                "image/tiff; application=geotiff; profile=cloud-optimized"
            }
            Format::GeoTiff => "image/tiff; application=geotiff",
            Format::Gdal => media_type_of(&self.meta),
            _ => "application/x-hdf5",
        }
    }

    pub(crate) fn footprint(&self) -> Option<&Footprint> {
        self.footprint.as_ref()
    }

    /// First and last moment, RFC 3339.
    pub(crate) fn times(&self) -> Option<(String, String)> {
        self.time.as_ref().map(|time| time.cells.clone().unwrap_or_else(|| (time.start.clone(), time.end.clone())))
    }

    /// Its time, where its axis has one only.
    pub(crate) fn moment(&self) -> Option<&str> {
        self.time.as_ref().filter(|time| time.start == time.end).map(|time| time.start.as_str())
    }

    /// What its attributes say for a property.
    pub(crate) fn property(&self, name: &str) -> Option<&Value> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn proj(&self) -> Vec<(&'static str, Value)> {
        self.place.as_ref().map(axes::proj).unwrap_or_default()
    }

    pub(crate) fn cube(&self) -> Vec<(&'static str, Value)> {
        cube::fields(&self.meta, (self.place.as_ref(), self.time.as_ref()), &self.labelled)
    }

    pub(crate) fn bands(&self) -> Value {
        cube::bands(&self.meta)
    }
}

/// The media type of what a driver of GDAL reads.
fn media_type_of(meta: &FileMeta) -> &'static str {
    let driver = meta.variables.iter().flat_map(|v| &v.codecs).find_map(|codec| match codec {
        Codec::Gdal { driver } => Some(driver.as_str()),
        _ => None,
    });
    match driver.unwrap_or_default() {
        name if name.starts_with("JP2") || name == "JPEG2000" => "image/jp2",
        "PNG" => "image/png",
        "JPEG" => "image/jpeg",
        "GIF" | "BIGGIF" => "image/gif",
        "WEBP" => "image/webp",
        "GRIB" => "application/wmo-GRIB2",
        "HDF4" | "HDF4Image" => "application/x-hdf",
        "AAIGrid" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// The outline of the cells: of x and y, or of the edges of two-dimensional latitudes and longitudes.
async fn outline(file: &mut File, place: Option<&Place>) -> Result<Option<Footprint>> {
    if let Some(place) = place {
        return match footprint_of_rectangle(&place.crs, place.x.bounds(), place.y.bounds()) {
            Ok(footprint) => Ok(Some(footprint)),
            Err(source) => Err(file.failed(source)),
        };
    }
    let two = |name: &str| file.opened.meta.variables.iter().find(|v| is_named(v, name) && v.dims.len() == 2).cloned();
    let (Some(lat), Some(lon)) = (two("latitude"), two("longitude")) else { return Ok(None) };
    let (lats, lons) = (file.edges(&lat).await?, file.edges(&lon).await?);
    let points: Vec<[f64; 2]> = lons.into_iter().zip(lats).map(|(lon, lat)| [lon, lat]).collect();
    match footprint_of_lonlat(&points) {
        Ok(footprint) => Ok(Some(footprint)),
        Err(source) => Err(file.failed(source)),
    }
}

/// An open file or store.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) opened: Opened,
}

impl File {
    async fn open(store: &Store, href: &Href) -> Result<Self> {
        let failed = |source: outcrop_formats::Error| match source {
            outcrop_formats::Error::Store(e) => Error::Header { href: href.clone(), source: e.into() },
            other => Error::Header { href: href.clone(), source: other.into() },
        };
        Ok(Self { opened: Opened::open(store, href).await.map_err(failed)? })
    }

    pub(crate) fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Header { href: self.opened.origin.href().clone(), source: source.into() }
    }

    async fn place(&self) -> Result<Option<Place>> {
        place::place(&self.opened, None).await.map_err(|e| self.failed(e))
    }

    /// The values of a one-dimensional variable.
    pub(crate) async fn labels(&self, variable: &Variable) -> Result<Vec<f64>> {
        place::labels(&self.opened, variable).await.map_err(|e| self.failed(e))
    }

    /// The coordinates of dimensions that are neither place nor time.
    async fn labelled(&self, place: Option<&Place>, time: Option<&TimeSpan>) -> Result<Vec<Labelled>> {
        let is_known = |name: &str| {
            place.is_some_and(|place| place.x_name == name || place.y_name == name)
                || time.is_some_and(|time| time.name == name)
        };
        let is_wanted = |v: &&Variable| {
            let length = v.grid.shape.first().copied().unwrap_or(0);
            place::is_coordinate(v)
                && v.dims.len() == 1
                && v.dtype.is_real()
                && !is_known(&v.name)
                && length <= MOST_LABELS
        };
        let mut labelled = Vec::new();
        for variable in self.opened.meta.variables.iter().filter(is_wanted) {
            labelled.extend(Labelled::of(variable, &self.labels(variable).await?));
        }
        Ok(labelled)
    }

    /// The outer cells of a two-dimensional variable, once around.
    async fn edges(&mut self, variable: &Variable) -> Result<Vec<f64>> {
        let [ny, nx] = [variable.grid.shape[0], variable.grid.shape[1]];
        if ny == 0 || nx == 0 {
            return Ok(Vec::new());
        }
        let sides = [vec![0..1, 0..nx], vec![0..ny, nx - 1..nx], vec![ny - 1..ny, 0..nx], vec![0..ny, 0..1]];
        let mut parts = self.windows(variable, &sides).await?;
        parts[2].reverse();
        parts[3].reverse();
        Ok(parts.concat())
    }

    async fn windows(&mut self, variable: &Variable, windows: &[Vec<Range<u64>>]) -> Result<Vec<Vec<f64>>> {
        let refs = self.opened.locate(variable).await.map_err(|e| self.failed(e))?;
        let mut out = Vec::new();
        for window in windows {
            let bytes = self.opened.read(&refs, window).await.map_err(|e| self.failed(e))?;
            out.push(meant(variable, &bytes));
        }
        Ok(out)
    }
}
