//! From datasets of GDAL to variables.

use std::sync::Arc;

use gdal::raster::RasterBand;
use gdal::{Dataset, Metadata};
use indexmap::IndexMap;
use outcrop_grid::{Crs, wkt_to_epsg};

use super::OpaqueArray;
use super::element::Element;
use super::facts;
use super::library::reason;
use super::source::{Access, Array};
use crate::array::{AttrValue, Attrs, ChunkGrid, Codec, DType, Dim, FileMeta, Format, Variable};
use crate::layout::{Layout, Linear, product};
use crate::raster::{axis_attrs, describe_crs, linear, native, scalar};
use crate::tiff::{Item, band_attrs, nodata_value};
use crate::{Error, Result};

/// Most datasets of a file.
const MAX_DATASETS: usize = 1024;
/// Bytes that a chunk should have at least, so that a call of GDAL is worth its while.
const SMALL: u64 = 1 << 20;
/// Most bytes of a chunk. A larger block is read in parts, which GDAL decodes once if they fit into its cache.
const LARGE: u64 = 16 << 20;

/// A file, and where its arrays are.
pub(super) struct Lowered {
    pub(super) meta: FileMeta,
    pub(super) arrays: Vec<Array>,
}

/// Opens a file and lowers what is in it: one image, or the datasets of a container as groups.
pub(super) fn lower(access: &Access) -> Result<Lowered> {
    let dataset = access.open(&access.name)?;
    let mut file = File::default();
    for (key, value) in entries(&dataset, "") {
        file.attrs.insert(key, text(&value));
    }
    let further = subdatasets(&dataset, &access.name);
    if dataset.raster_count() > 0 {
        file.add(access, &dataset, (&access.name, ""))?;
        // The first is the image itself where a file of one image lists it at all.
        let why = "a further image of the file, which is not read";
        file.refused.extend(further.into_iter().skip(1).map(|(_, group)| (group, why.to_owned())));
    } else if further.is_empty() {
        return Err(access.failed("read", "it has no raster bands"));
    } else {
        for (at, (name, group)) in further.into_iter().enumerate() {
            if at >= MAX_DATASETS {
                file.refused.push((group, format!("a file of more than {MAX_DATASETS} datasets")));
                continue;
            }
            let added = access.open(&name).and_then(|dataset| file.add(access, &dataset, (&name, &group)));
            if let Err(error) = added {
                file.refused.push((group, error.to_string()));
            }
        }
    }
    let File { dims, attrs, variables, refused, arrays } = file;
    Ok(Lowered { meta: FileMeta { format: Format::Gdal, dims, attrs, variables, refused }, arrays })
}

/// What has been lowered.
#[derive(Default)]
struct File {
    dims: IndexMap<String, Dim>,
    attrs: Attrs,
    variables: Vec<Variable>,
    refused: Vec<(String, String)>,
    arrays: Vec<Array>,
}

fn text(text: &str) -> AttrValue {
    AttrValue::Text(text.to_owned())
}

/// Names and values of a domain of metadata.
fn entries(object: &impl Metadata, domain: &str) -> Vec<(String, String)> {
    let all = object.metadata_domain(domain).unwrap_or_default();
    all.iter().filter_map(|entry| entry.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The datasets of a container: GDAL's name, and the name of a group.
fn subdatasets(dataset: &Dataset, file: &str) -> Vec<(String, String)> {
    let entries = entries(dataset, "SUBDATASETS");
    let mut found: Vec<(String, String)> = Vec::new();
    for (key, name) in entries.iter().filter(|(key, _)| key.ends_with("_NAME")) {
        let described = key.replace("_NAME", "_DESC");
        let description = entries.iter().find(|(key, _)| *key == described).map_or("", |(_, text)| text.as_str());
        let own = group(name, file, description).unwrap_or_else(|| format!("dataset_{}", found.len() + 1));
        let is_new = |group: &String| found.iter().all(|(_, other)| other != group);
        let numbered = (2..found.len() + 3).map(|n| format!("{own}_{n}"));
        let Some(group) = std::iter::once(own.clone()).chain(numbered).find(is_new) else { continue };
        found.push((name.clone(), group));
    }
    found
}

/// A name for a dataset: what its own has behind the file, or where that is a number, what its description calls it:
/// `[20x10] Name (16-bit integer)`.
fn group(name: &str, file: &str, description: &str) -> Option<String> {
    let (_, behind) = name.rsplit_once(file)?;
    let mut path: String = behind.trim_matches(['"', ':', '/', ' ']).replace([':', '\\'], "/").replace('"', "");
    if path.chars().all(|letter| letter.is_ascii_digit()) {
        let named = description.split_once(']').map_or(description, |(_, rest)| rest);
        named.rsplit_once('(').map_or(named, |(name, _)| name).trim().clone_into(&mut path);
    }
    let parts: Vec<String> = path
        .split('/')
        .map(|part| part.trim().replace(|c: char| c.is_whitespace() || c.is_control(), "_"))
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// One dataset on its way.
struct Image<'a> {
    dataset: &'a Dataset,
    element: Element,
    driver: String,
    bands: u64,
    rows: u64,
    columns: u64,
}

impl File {
    fn add(&mut self, access: &Access, dataset: &Dataset, (name, group): (&str, &str)) -> Result<()> {
        let failed = |error: gdal::errors::GdalError| access.failed("read", &reason(&error));
        let in_group = |name: &str| if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") };
        let facts = facts::bands(dataset).map_err(failed)?;
        let image = Image::of(dataset, &facts).map_err(|what| Error::unsupported(in_group("band_data"), what))?;
        let shape = [image.bands, image.rows, image.columns];
        let cells = product(&shape, &in_group("band_data"))?;
        image.check_size(access.size, cells)?;
        let all: Vec<RasterBand<'_>> = dataset.rasterbands().collect::<gdal::errors::Result<_>>().map_err(failed)?;
        let mut attrs = Attrs::new();
        let fill = nodata(&all, image.element, &mut attrs);
        let bands = usize::try_from(image.bands).unwrap_or(usize::MAX);
        band_attrs(&items(&all, &facts), bands, &mut attrs);
        if !group.is_empty() {
            for (key, value) in entries(dataset, "").into_iter().filter(|(key, _)| !self.attrs.contains_key(key)) {
                attrs.entry(key).or_insert(AttrValue::Text(value));
            }
        }
        if let Some(first) = all.first()
            && first.mask_flags().is_ok_and(|flags| flags.is_per_dataset() && !flags.is_alpha())
        {
            self.refused.push((in_group("mask"), "a mask beside the bands, which is not read".to_owned()));
        }
        let dims = ["band", "y", "x"].map(in_group);
        for (dim, len) in dims.iter().zip(shape) {
            self.dims.insert(dim.clone(), Dim { len, unlimited: false });
        }
        let count = Linear::Int { first: 1, step: (1, 1) };
        self.variables.push(linear(dims[0].clone(), image.bands, DType::Int64, (count, Attrs::new())));
        if let Some(mapping) = self.add_place(&image, &dims) {
            let name = in_group("spatial_ref");
            attrs.insert("grid_mapping".into(), text(&name));
            self.variables.push(scalar(name, mapping));
        }
        let driver: Arc<str> = image.driver.as_str().into();
        self.variables.push(Variable {
            name: in_group("band_data"),
            dims: dims.to_vec(),
            dtype: image.element.dtype(),
            byte_order: native(),
            grid: ChunkGrid { shape: shape.to_vec(), chunk: image.chunk(&all).to_vec() },
            codecs: vec![Codec::Gdal { driver: image.driver }],
            fill,
            attrs,
            layout: Layout::Opaque(OpaqueArray { driver, array: self.arrays.len() }),
        });
        self.arrays.push(Array { name: name.to_owned(), element: image.element });
        Ok(())
    }

    /// Coordinates of rows and columns where they follow x and y; the attributes of the grid mapping.
    fn add_place(&mut self, image: &Image<'_>, dims: &[String; 3]) -> Option<Attrs> {
        let dataset = image.dataset;
        let transform = dataset.geo_transform().ok().filter(|transform| transform.iter().all(|n| n.is_finite()));
        let points: Vec<f64> = dataset.gcps().iter().flat_map(|p| [p.pixel(), p.line(), p.x(), p.y()]).collect();
        let wkt = Some(dataset.projection()).filter(|wkt| !wkt.is_empty());
        let wkt = wkt.or_else(|| dataset.gcp_projection().filter(|wkt| !wkt.is_empty()));
        let crs = wkt.as_deref().map(Crs::from_wkt);
        let geographic = crs.as_ref().and_then(|crs| crs.as_ref().ok()).map(Crs::is_lonlat);
        if let Some([x, dx, 0.0, y, 0.0, dy]) = transform.filter(|t| t[1] != 0.0 && t[5] != 0.0) {
            for (name, dim, len, (corner, step)) in
                [("y", &dims[1], image.rows, (y, dy)), ("x", &dims[2], image.columns, (x, dx))]
            {
                let centres = Linear::Float { first: corner + step * 0.5, step };
                let attrs = axis_attrs(name, geographic);
                self.variables.push(linear(dim.clone(), len, DType::Float64, (centres, attrs)));
            }
        }
        let mut attrs = Attrs::new();
        if let (Some(crs), Some(wkt)) = (&crs, wkt.as_deref()) {
            describe_crs(crs, (wkt_to_epsg(wkt), None, Some(wkt)), &mut attrs);
        }
        if let Some(transform) = transform {
            let numbers: Vec<String> = transform.iter().map(|n| (n + 0.0).to_string()).collect();
            attrs.insert("GeoTransform".into(), AttrValue::Text(numbers.join(" ")));
        }
        if !points.is_empty() {
            attrs.insert("control_points".into(), AttrValue::Float64(points));
        }
        (!attrs.is_empty()).then_some(attrs)
    }
}

impl<'a> Image<'a> {
    /// The error is what is not supported.
    fn of(dataset: &'a Dataset, facts: &[facts::Band]) -> std::result::Result<Self, String> {
        let count = dataset.raster_count();
        let first = facts.first().filter(|_| facts.len() == count).ok_or("a dataset whose bands are not told")?;
        if let Some(other) = facts.iter().find(|band| band.kind != first.kind) {
            return Err(format!("an image of bands of different types, {} and {},", first.kind, other.kind));
        }
        let of_first = dataset.rasterband(1).ok();
        // Before GDAL 3.7.
        let pixel = of_first.and_then(|band| band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE"));
        let is_signed = first.kind == "Byte" && pixel.as_deref() == Some("SIGNEDBYTE");
        let kind = if is_signed { "SignedByte" } else { first.kind.as_str() };
        let element = Element::of(kind).ok_or_else(|| format!("the type {kind}"))?;
        let (columns, rows) = dataset.raster_size();
        let (bands, driver) = (count as u64, dataset.driver().short_name());
        Ok(Self { dataset, element, driver, bands, rows: rows as u64, columns: columns as u64 })
    }

    /// Of a raw image that is cut, GDAL reads what is missing as 0.
    fn check_size(&self, have: Option<u64>, cells: u64) -> Result<()> {
        let dataset = self.dataset;
        let packed = dataset.rasterband(1).is_ok_and(|band| band.metadata_item("NBITS", "IMAGE_STRUCTURE").is_some());
        let compressed = dataset.metadata_item("file_compression", "ENVI").is_some_and(|how| how.trim() != "0");
        if !matches!(self.driver.as_str(), "ENVI" | "EHdr") || packed || compressed {
            return Ok(());
        }
        let offset = dataset.metadata_item("header_offset", "ENVI").and_then(|n| n.trim().parse::<u64>().ok());
        let bytes = cells.saturating_mul(self.element.dtype().size() as u64);
        let need = bytes.saturating_add(offset.unwrap_or(0));
        match have.filter(|have| *have < need) {
            Some(have) => Err(Error::Truncated { what: "the image".into(), need, have }),
            None => Ok(()),
        }
    }

    fn chunk(&self, bands: &[RasterBand<'_>]) -> [u64; 3] {
        let (width, height) = bands.first().map_or((1, 1), RasterBand::block_size);
        let together = self.dataset.metadata_item("INTERLEAVE", "IMAGE_STRUCTURE").as_deref() == Some("PIXEL");
        let shape = [self.bands, self.rows, self.columns];
        chunk(shape, [height as u64, width as u64], (self.element.dtype().size() as u64, together))
    }
}

/// Whole blocks: several where they are small, parts where they are large; all bands where they lie side by side.
fn chunk([bands, rows, columns]: [u64; 3], [height, width]: [u64; 2], (size, together): (u64, bool)) -> [u64; 3] {
    let (mut height, mut width) = (height.clamp(1, rows.max(1)), width.clamp(1, columns.max(1)));
    let bytes = |height: u64, width: u64| height.saturating_mul(width).saturating_mul(size);
    while bytes(height, width) < SMALL && (height < rows || width < columns) {
        if width < columns && (width <= height || height >= rows) {
            width = if width.saturating_mul(2) < columns { width * 2 } else { columns };
        } else {
            height = if height.saturating_mul(2) < rows { height * 2 } else { rows };
        }
    }
    while bytes(height, width) > LARGE {
        if height > 1 { height = height.div_ceil(2) } else { width = width.div_ceil(2) }
    }
    let all = together && bands.saturating_mul(bytes(height, width)) <= LARGE;
    [if all { bands.max(1) } else { 1 }, height, width]
}

/// Sets `_FillValue` where all bands agree, else the list `nodata`; the fill value.
fn nodata(bands: &[RasterBand<'_>], element: Element, attrs: &mut Attrs) -> Vec<u8> {
    let of_band = |band: &RasterBand<'_>| match element {
        Element::Plain(DType::Int64) => band.no_data_value_i64().map(|value| value.to_string()),
        Element::Plain(DType::UInt64) => band.no_data_value_u64().map(|value| value.to_string()),
        _ => band.no_data_value().map(|value| value.to_string()),
    };
    let all: Vec<Option<String>> = bands.iter().map(of_band).collect();
    match all.first() {
        Some(first) if all.iter().all(|value| value == first) => nodata_value(first.as_deref(), element.dtype(), attrs),
        _ => {
            let texts = all.into_iter().map(Option::unwrap_or_default).collect();
            attrs.insert("nodata".into(), AttrValue::Texts(texts));
            vec![0; element.dtype().size()]
        }
    }
}

/// What GDAL says of bands, as GDAL says it in a TIFF.
fn items(bands: &[RasterBand<'_>], facts: &[facts::Band]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut put = |band: usize, (name, role): (&str, &str), value: String| {
        items.push(Item {
            name: name.to_owned(),
            band: Some(band),
            role: role.to_owned(),
            domain: String::new(),
            value,
        });
    };
    let coloured = facts.iter().any(|band| !matches!(band.colour.as_str(), "" | "Gray" | "Undefined"));
    for (at, band) in bands.iter().enumerate() {
        for (key, value) in entries(band, "") {
            put(at, (&key, ""), value);
        }
        let told = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(value) = band.description().ok().and_then(told) {
            put(at, ("DESCRIPTION", "description"), value);
        }
        if let Some(value) = told(band.unit()) {
            put(at, ("UNITTYPE", "unittype"), value);
        }
        if let Some(fact) = facts.get(at).filter(|_| coloured) {
            put(at, ("COLORINTERP", "colorinterp"), fact.colour.clone());
        }
        if let Some(scale) = band.scale() {
            put(at, ("SCALE", "scale"), scale.to_string());
        }
        if let Some(offset) = band.offset() {
            put(at, ("OFFSET", "offset"), offset.to_string());
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_blocks_of_a_worthwhile_size() {
        assert_eq!(chunk([3, 4000, 8000], [1, 8000], (2, false)), [1, 128, 8000]);
        assert_eq!(chunk([3, 10_980, 10_980], [1024, 1024], (2, true)), [3, 1024, 1024]);
        assert_eq!(chunk([300, 721, 1440], [1, 1440], (8, false)), [1, 128, 1440]);
        assert_eq!(chunk([1, 50, 60], [1, 60], (1, false)), [1, 50, 60]);
        assert_eq!(chunk([1, 40_000, 40_000], [40_000, 40_000], (1, false)), [1, 313, 40_000]);
        assert_eq!(chunk([1, 10_000, 10_000], [64, 64], (1, false)), [1, 1024, 1024]);
        assert_eq!(chunk([0, 0, 0], [0, 0], (8, true)), [1, 1, 1]);
    }

    #[test]
    fn datasets_are_named_by_what_their_files_call_them() {
        let file = "/d/a b.hdf";
        let named = |name: &str, description: &str| group(name, file, description).unwrap();
        assert_eq!(named("HDF4_SDS:UNKNOWN:\"/d/a b.hdf\":0", "[20x10] Surface temp (16-bit integer)"), "Surface_temp");
        assert_eq!(named("HDF4_EOS:EOS_GRID:\"/d/a b.hdf\":Grid 1km:sur_refl", ""), "Grid_1km/sur_refl");
        assert_eq!(group("NITF_IM:1:/d/a b.hdf", file, "").as_deref(), None);
    }
}
