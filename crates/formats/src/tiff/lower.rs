//! From directories to variables: the image, its overviews, masks and coordinates.

use indexmap::IndexMap;
use outcrop_store::Sparse;

use super::directory::{Directory, Form};
use super::geo::Geo;
use super::image::{Image, Tags, tag};
use super::metadata;
use super::nodata;
use crate::array::{AttrValue, Attrs, ChunkGrid, DType, Dim, FileMeta, Format, Variable};
use crate::layout::{Layout, Linear};
use crate::raster::{axis_attrs, linear, scalar};
use crate::{Error, Result};

/// Lowers the directories of a file. What is wrong with the first is an error, what is wrong with another is told.
pub(super) fn lower(
    form: Form,
    directories: &[Directory],
    refused: Vec<(String, String)>,
    have: &Sparse,
) -> Result<FileMeta> {
    let mut file = File { refused, ..File::default() };
    for (at, directory) in directories.iter().enumerate() {
        let tags = Tags::new(form, directory, have);
        match Image::parse(&tags).and_then(|image| file.add(&image, &tags)) {
            Ok(()) => {}
            Err(error) if at == 0 => return Err(error),
            Err(error) => file.refused.push((format!("directory at byte {}", directory.offset), error.to_string())),
        }
    }
    if file.layout.is_cloud_optimised(directories) {
        file.attrs.insert("layout".into(), text("COG"));
    }
    let File { dims, attrs, variables, refused, .. } = file;
    Ok(FileMeta { format: Format::GeoTiff, dims, attrs, variables, refused })
}

/// What has been lowered.
#[derive(Debug, Default)]
struct File {
    dims: IndexMap<String, Dim>,
    attrs: Attrs,
    variables: Vec<Variable>,
    refused: Vec<(String, String)>,
    page: Page,
    layout: Placement,
}

/// The image that overviews and masks belong to.
#[derive(Debug, Default)]
struct Page {
    /// Counted from 1; 0 before the first.
    number: usize,
    /// What its names end with: nothing for the first.
    suffix: String,
    width: u64,
    height: u64,
    bands: u64,
    overviews: usize,
    geo: Geo,
    /// Attributes and fill value of its values, which overviews have too.
    attrs: Attrs,
    fill: Vec<u8>,
}

/// What tells a cloud-optimised file from others.
#[derive(Debug, Default)]
struct Placement {
    is_tiled: bool,
    is_small: bool,
    has_overviews: bool,
    first_data: Option<u64>,
}

impl Placement {
    /// Tiled, with overviews unless it is small, and all directories before the data.
    fn is_cloud_optimised(&self, directories: &[Directory]) -> bool {
        let offsets = || directories.iter().map(|directory| directory.offset);
        let in_order = offsets().is_sorted();
        let before_data = self.first_data.is_none_or(|data| offsets().all(|offset| offset < data));
        let near = offsets().next().is_some_and(|first| first < 4096);
        let divided = (self.is_tiled && self.has_overviews) || self.is_small;
        divided && in_order && before_data && near
    }
}

fn text(text: &str) -> AttrValue {
    AttrValue::Text(text.into())
}

impl File {
    fn add(&mut self, image: &Image, tags: &Tags<'_>) -> Result<()> {
        let kind = tags.first(tag::SUBFILE).unwrap_or(0);
        let is_mask = kind & 4 != 0 || image.photometric == 4;
        match (is_mask, kind & 1 != 0) {
            _ if self.page.number == 0 => self.add_page(image, tags),
            (true, _) => self.add_mask(image),
            (false, true) => self.add_overview(image),
            (false, false) => self.add_page(image, tags),
        }
    }

    fn add_page(&mut self, image: &Image, tags: &Tags<'_>) -> Result<()> {
        let number = self.page.number + 1;
        let suffix = if number == 1 { String::new() } else { format!("_page_{number}") };
        let geo = Geo::parse(tags);
        let items = tags.text(tag::GDAL_METADATA).map(|xml| metadata::items(&xml)).unwrap_or_default();
        if number == 1 {
            self.describe(image, tags, &geo, &items);
        }
        let mut attrs = Attrs::new();
        let bands = usize::try_from(image.bands).unwrap_or(usize::MAX);
        let fill = nodata::fill(tags.text(tag::GDAL_NODATA).as_deref(), image.dtype, &mut attrs);
        metadata::band_attrs(&items, bands, &mut attrs);
        colours(image, tags, &mut attrs);
        if let Some(what) = tags.first(tag::ORIENTATION).and_then(orientation) {
            attrs.insert("orientation".into(), text(what));
        }
        if geo.is_there() {
            attrs.insert("grid_mapping".into(), text(&format!("spatial_ref{suffix}")));
            self.variables.push(scalar(format!("spatial_ref{suffix}"), geo.spatial_ref()));
        }
        let (width, height, bands) = (image.width, image.height, image.bands);
        self.page = Page { number, suffix: suffix.clone(), width, height, bands, overviews: 0, geo, attrs, fill };
        let band = format!("band{suffix}");
        self.dims.insert(band.clone(), Dim { len: bands, unlimited: false });
        let last = Linear::Int { first: 1, step: (1, 1) };
        self.variables.push(linear(band, bands, DType::Int64, (last, Attrs::new())));
        self.add_plane(image, &suffix);
        self.add_variable(image, format!("band_data{suffix}"), &suffix)
    }

    /// Attributes of the file.
    fn describe(&mut self, image: &Image, tags: &Tags<'_>, geo: &Geo, items: &[metadata::Item]) {
        metadata::file_attrs(items, &mut self.attrs);
        if let Some(what) = geo.area_or_point() {
            self.attrs.insert("AREA_OR_POINT".into(), text(what));
        }
        for (tag, name) in [
            (tag::DESCRIPTION, "TIFFTAG_IMAGEDESCRIPTION"),
            (tag::SOFTWARE, "TIFFTAG_SOFTWARE"),
            (tag::DATETIME, "TIFFTAG_DATETIME"),
        ] {
            if let Some(value) = tags.text(tag) {
                self.attrs.insert(name.into(), AttrValue::Text(value));
            }
        }
        self.layout = Placement {
            is_tiled: image.is_tiled,
            is_small: image.width <= 512 && image.height <= 512,
            has_overviews: false,
            first_data: image.index.first().filter(|offset| *offset != 0),
        };
    }

    fn add_overview(&mut self, image: &Image) -> Result<()> {
        let page = &mut self.page;
        if image.bands != page.bands {
            let what = format!("an overview of {} bands where the image has {}", image.bands, page.bands);
            return Err(Error::unsupported("an overview", what));
        }
        page.overviews += 1;
        self.layout.has_overviews |= page.number == 1;
        let (number, page) = (page.overviews, page.suffix.clone());
        let plane = format!("_{number}{page}");
        self.add_plane(image, &plane);
        self.add_variable(image, format!("overview{plane}"), &plane)
    }

    /// A mask belongs to the image or overview of its size.
    fn add_mask(&mut self, image: &Image) -> Result<()> {
        let named = |number: usize| match number {
            0 => self.page.suffix.clone(),
            number => format!("_{number}{}", self.page.suffix),
        };
        let fits = |plane: &String| {
            let len = |name: &str| self.dims.get(&format!("{name}{plane}")).map(|dim| dim.len);
            len("y") == Some(image.height) && len("x") == Some(image.width)
        };
        let plane = (0..=self.page.overviews).map(named).find(fits);
        let what = format!("a mask of {} by {} cells that no image has", image.width, image.height);
        let plane = plane.ok_or_else(|| Error::unsupported("a mask", what))?;
        if image.bands != 1 {
            return Err(Error::unsupported("a mask", format!("a mask of {} bands", image.bands)));
        }
        let attrs = Attrs::from([("long_name".to_owned(), text("cells with data are not 0"))]);
        self.push(image, (format!("mask{plane}"), vec![format!("y{plane}"), format!("x{plane}")]), attrs);
        Ok(())
    }

    /// Dimensions and coordinates of rows and columns.
    fn add_plane(&mut self, image: &Image, plane: &str) {
        let (full_width, full_height) = (self.page.width, self.page.height);
        let sides = [("x", image.width, full_width), ("y", image.height, full_height)];
        for (_, (name, len, _)) in sides.iter().enumerate().rev() {
            self.dims.insert(format!("{name}{plane}"), Dim { len: *len, unlimited: false });
        }
        let Some(axes) = self.page.geo.axes() else { return };
        for ((name, len, full), (corner, step)) in sides.into_iter().zip(axes) {
            let step = step * full as f64 / len as f64;
            let centres = Linear::Float { first: corner + step * 0.5, step };
            let attrs = axis_attrs(name, self.page.geo.is_geographic());
            self.variables.push(linear(format!("{name}{plane}"), len, DType::Float64, (centres, attrs)));
        }
    }

    fn add_variable(&mut self, image: &Image, name: String, plane: &str) -> Result<()> {
        let dims = vec![format!("band{}", self.page.suffix), format!("y{plane}"), format!("x{plane}")];
        let attrs = self.page.attrs.clone();
        if image.bands.checked_mul(image.width).and_then(|n| n.checked_mul(image.height)).is_none() {
            return Err(Error::malformed(format!("`{name}`"), "its shape is beyond 64 bits"));
        }
        self.push(image, (name, dims), attrs);
        Ok(())
    }

    fn push(&mut self, image: &Image, (name, dims): (String, Vec<String>), attrs: Attrs) {
        let flat = dims.len() == 2;
        let shape = [image.bands, image.height, image.width];
        let (chunk, codecs, layout) = match image.chunks() {
            Ok(chunks) => (chunks.chunk, chunks.codecs, Layout::Tiff(chunks.index)),
            Err(why) => (shape, Vec::new(), Layout::Refused(why)),
        };
        let fill = if flat || self.page.fill.len() != image.dtype.size() {
            vec![0; image.dtype.size()]
        } else {
            self.page.fill.clone()
        };
        let grid = ChunkGrid { shape: shape[usize::from(flat)..].to_vec(), chunk: chunk[usize::from(flat)..].to_vec() };
        let (dtype, byte_order) = (image.dtype, image.order);
        self.variables.push(Variable { name, dims, dtype, byte_order, grid, codecs, fill, attrs, layout });
    }
}

/// What stored rows and columns are, where they are not from the top and from the left. Values stay as they are stored.
fn orientation(tag: u64) -> Option<&'static str> {
    Some(match tag {
        2 => "rows from the top, columns from the right",
        3 => "rows from the bottom, columns from the right",
        4 => "rows from the bottom, columns from the left",
        5 => "rows are columns from the left, columns are rows from the top",
        6 => "rows are columns from the right, columns are rows from the top",
        7 => "rows are columns from the right, columns are rows from the bottom",
        8 => "rows are columns from the left, columns are rows from the bottom",
        _ => return None,
    })
}

/// What the samples mean as colours, and the palette.
fn colours(image: &Image, tags: &Tags<'_>, attrs: &mut Attrs) {
    let (photometric, base): (_, &[&str]) = match image.photometric {
        0 => ("minimum is white", &["gray"]),
        2 | 6 => ("rgb", &["red", "green", "blue"]),
        3 => ("palette", &["palette"]),
        5 => ("cmyk", &["cyan", "magenta", "yellow", "black"]),
        8..=10 => ("lab", &["lightness", "a", "b"]),
        _ => ("", &["gray"]),
    };
    if !photometric.is_empty() {
        attrs.insert("photometric".into(), text(photometric));
    }
    let bands = usize::try_from(image.bands).unwrap_or(0);
    let extra = |band: usize| band.checked_sub(base.len()).and_then(|at| image.extra.get(at).copied());
    let named = |band: usize| match (base.get(band), extra(band)) {
        (Some(name), _) => (*name).to_owned(),
        (None, Some(1 | 2)) => "alpha".to_owned(),
        (None, _) => "undefined".to_owned(),
    };
    let has_alpha = image.extra.iter().any(|kind| matches!(kind, 1 | 2));
    if !attrs.contains_key("color_interpretation") && (has_alpha || base.len() > 1 || image.photometric == 3) {
        attrs.insert("color_interpretation".into(), AttrValue::Texts((0..bands).map(named).collect()));
    }
    if image.photometric == 3 {
        let map = tags.all(tag::COLOUR_MAP).into_iter().map(|n| i64::try_from(n).unwrap_or(0)).collect();
        attrs.insert("color_map".into(), AttrValue::Int(map));
    }
}
