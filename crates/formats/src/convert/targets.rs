//! The writers that a copy may go to.

use std::path::Path;

use outcrop_grid::time::{CfTime, rfc3339};
use outcrop_grid::{Axis, GeoKeys, RasterType};

use super::plan::{Copy, Plan, attr, names};
use super::{NewFile, NewVariable, Writer};
use crate::array::{AttrValue, Attrs, DType, Variable};
use crate::place::{self, Place};
use crate::tiff::{self, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter};
use crate::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use crate::{Error, Opened, Result};
use crate::{netcdf3, netcdf4};

/// NetCDF-4.
#[derive(Debug)]
pub(super) struct NetCdf4 {
    writer: netcdf4::Writer,
    variables: Vec<NewVariable>,
}

impl NetCdf4 {
    pub(super) fn create(to: &Path, file: &NewFile, deflate: Option<u8>) -> Result<Self> {
        let mut writer = netcdf4::Writer::create(to, &file.attrs)?;
        for (name, dim) in &file.dims {
            if dim.unlimited { writer.add_unlimited_dim(name, dim.len)? } else { writer.add_dim(name, dim.len)? }
        }
        for variable in &file.variables {
            let chunk = (!variable.shape.is_empty()).then(|| variable.chunk.clone());
            writer.add_variable(&netcdf4::VariableSpec {
                name: variable.name.clone(),
                dims: variable.dims.clone(),
                dtype: variable.dtype,
                deflate: deflate.filter(|_| chunk.is_some()),
                chunk,
                // `_FillValue` is among the attributes where the source has it.
                fill: None,
                attrs: variable.attrs.clone(),
            })?;
        }
        Ok(Self { writer, variables: file.variables.clone() })
    }
}

impl Writer for NetCdf4 {
    fn unit(&self, variable: usize) -> Vec<u64> {
        self.variables[variable].chunk.clone()
    }

    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()> {
        self.writer.write_chunk(&self.variables[variable].name, index, raw)
    }

    fn finish(self: Box<Self>, _: usize) -> Result<()> {
        self.writer.finish()
    }
}

/// NetCDF-3.
#[derive(Debug)]
pub(super) struct NetCdf3 {
    writer: netcdf3::Writer,
    variables: Vec<NewVariable>,
}

impl NetCdf3 {
    pub(super) fn create(to: &Path, file: &NewFile, version: Option<netcdf3::Version>) -> Result<Self> {
        let mut writer = netcdf3::Writer::create(to, &file.attrs, version)?;
        // One dimension may grow, and must be the first of the variables that have it; others are written as they are now.
        let leads = |name: &str| file.variables.iter().all(|v| v.dims.iter().skip(1).all(|dim| dim != name));
        let unlimited = file.dims.iter().find(|(name, dim)| dim.unlimited && leads(name)).map(|(name, _)| name);
        for (name, dim) in &file.dims {
            if unlimited == Some(name) {
                writer.add_unlimited_dim(name, dim.len)?;
            } else {
                writer.add_dim(name, dim.len)?;
            }
        }
        for variable in &file.variables {
            writer.add_variable(&netcdf3::VariableSpec {
                name: variable.name.clone(),
                dims: variable.dims.clone(),
                dtype: variable.dtype,
                chunk: variable.chunk.clone(),
                fill: variable
                    .attrs
                    .get("_FillValue")
                    .map(|_| no_data(variable).unwrap_or_else(|| variable.fill.clone())),
                attrs: variable.attrs.clone(),
            })?;
        }
        Ok(Self { writer, variables: file.variables.clone() })
    }
}

impl Writer for NetCdf3 {
    fn unit(&self, variable: usize) -> Vec<u64> {
        self.variables[variable].chunk.clone()
    }

    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()> {
        self.writer.write_chunk(&self.variables[variable].name, index, raw)
    }

    fn finish(self: Box<Self>, _: usize) -> Result<()> {
        self.writer.finish()
    }
}

/// Zarr 2 and 3.
#[derive(Debug)]
pub(super) struct Zarr {
    writer: GroupWriter,
    names: Vec<String>,
}

impl Zarr {
    pub(super) fn create(
        to: &Path,
        file: &NewFile,
        (format, compression): (ZarrFormat, ZarrCompression),
        shards: &[(String, u64)],
    ) -> Result<Self> {
        let mut writer = GroupWriter::create(to, "", format, &file.attrs)?;
        for variable in &file.variables {
            let mut attrs = variable.attrs.clone();
            let fill = match format {
                ZarrFormat::V3 => Some(variable.fill.clone()),
                // In version 2 the fill value is what marks missing values.
                ZarrFormat::V2 => {
                    let fill = variable.attrs.get("_FillValue").and_then(|value| exactly(value, variable.dtype));
                    attrs.shift_remove("_FillValue").and(fill)
                }
            };
            let asked = |dim: &String| shards.iter().find(|(name, _)| name == dim).map(|(_, len)| *len);
            // Whole chunks, not more than the dimension has.
            let shard = |((dim, chunk), len): ((&String, &u64), &u64)| {
                let all = (*len).max(1).next_multiple_of(*chunk);
                asked(dim).unwrap_or(*chunk).next_multiple_of(*chunk).min(all)
            };
            let lengths = variable.dims.iter().zip(&variable.chunk).zip(&variable.shape).map(shard).collect();
            let sharded = variable.dims.iter().any(|dim| asked(dim).is_some());
            writer.add_array(&ArraySpec {
                name: variable.name.clone(),
                dims: variable.dims.clone(),
                shape: variable.shape.clone(),
                chunk: variable.chunk.clone(),
                shard: sharded.then_some(lengths),
                dtype: match variable.dtype {
                    DType::Unicode(chars) => Element::Text { chars },
                    DType::VlenUtf8 => Element::VlenText,
                    dtype => Element::Number(dtype),
                },
                compression,
                fill: fill.filter(|_| !variable.dtype.is_text()),
                attrs,
            })?;
        }
        Ok(Self { writer, names: file.variables.iter().map(|v| v.name.clone()).collect() })
    }
}

impl Writer for Zarr {
    fn unit(&self, variable: usize) -> Vec<u64> {
        self.writer.unit(&self.names[variable]).map(<[u64]>::to_vec).unwrap_or_default()
    }

    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()> {
        self.writer.write_chunk_bytes(&self.names[variable], index, raw)
    }

    fn write_texts(&self, variable: usize, texts: &[String]) -> Result<()> {
        self.writer.write_text(&self.names[variable], texts)
    }

    fn finish(self: Box<Self>, _: usize) -> Result<()> {
        self.writer.finish()
    }
}

/// GeoTIFF: the last two dimensions are rows and columns, all others are bands, and so are several variables.
#[derive(Debug)]
pub(super) struct GeoTiff {
    writer: GeoTiffWriter,
    /// First band of each image, and its dimensions before rows and columns; behind the images there may be a mask.
    planes: Vec<Planes>,
    /// Bands, rows and columns of a chunk of the writer.
    chunk: [u64; 3],
}

#[derive(Debug)]
struct Planes {
    first: u64,
    /// Lengths of the dimensions before rows and columns.
    outer: Vec<u64>,
}

fn refused(what: impl Into<String>) -> Error {
    Error::GeoTiff { why: what.into() }
}

impl GeoTiff {
    pub(super) fn create(opened: &Opened, to: &Path, plan: &mut Plan, options: GeoTiffOptions) -> Result<Self> {
        keep_images(plan)?;
        let first = plan.file.variables[0].clone();
        let rank = first.shape.len();
        let (height, width) = (first.shape[rank - 2], first.shape[rank - 1]);
        let mut planes = Vec::new();
        let mut bands = 0u64;
        for variable in &plan.file.variables {
            let outer = variable.shape[..rank - 2].to_vec();
            let count = outer.iter().fold(1u64, |n, len| n.saturating_mul(*len));
            planes.push(Planes { first: bands, outer });
            bands = bands.saturating_add(count);
        }
        let several = plan.file.variables.len() > 1;
        if several && options.pixel_interleave == Some(true) {
            return Err(refused("the cells of several variables side by side; leave the interleave out"));
        }
        let pixel_interleave = if several { Some(false) } else { options.pixel_interleave };
        // A tile need not be larger than the image.
        let tile = options.tile.min(height.max(width).next_multiple_of(16));
        let options = GeoTiffOptions { tile, pixel_interleave, ..options };
        let Georeference { transform, control_points, keys } = georeference(opened, &plan.copies[0])?;
        let spec = GeoTiffSpec {
            width,
            height,
            bands,
            dtype: first.dtype,
            nodata: no_data(&first),
            transform,
            control_points,
            keys,
            attrs: attributes(opened, plan)?,
            file_attrs: plan.file.attrs.clone(),
        };
        let mut writer = GeoTiffWriter::create(to, &spec, options)?;
        if let Some((mask, copy)) = plan.mask.take() {
            writer = writer.with_mask()?;
            plan.file.variables.push(mask);
            plan.copies.push(copy);
        }
        let chunk = writer.chunk();
        Ok(Self { writer, planes, chunk })
    }
}

impl Writer for GeoTiff {
    fn unit(&self, variable: usize) -> Vec<u64> {
        let [bands, rows, columns] = self.chunk;
        let Some(Planes { outer, .. }) = self.planes.get(variable) else { return vec![rows, columns] };
        let bands = outer.iter().map(|len| if bands == 1 { 1 } else { *len });
        bands.chain([rows, columns]).collect()
    }

    fn write(&self, variable: usize, index: &[u64], raw: &[u8]) -> Result<()> {
        let Some(Planes { first, outer }) = self.planes.get(variable) else {
            return self.writer.write_mask([index[0], index[1]], raw);
        };
        let (before, plane) = index.split_at(outer.len());
        let band = before.iter().zip(outer).fold(0, |at, (i, len)| at * len + i);
        self.writer.write_chunk([(first + band) / self.chunk[0].max(1), plane[0], plane[1]], raw)
    }

    fn finish(self: Box<Self>, threads: usize) -> Result<()> {
        self.writer.finish(threads)
    }
}

/// Leaves the variables that are images, which must be alike: coordinates and grid mappings become tags.
fn keep_images(plan: &mut Plan) -> Result<()> {
    let named: Vec<String> = plan
        .file
        .variables
        .iter()
        .flat_map(|v| ["coordinates", "bounds"].iter().flat_map(|name| attr(v, name).split(' ').map(str::to_owned)))
        .collect();
    let is_place = |copy: &Copy| ["latitude", "longitude"].iter().any(|what| place::is_named(&copy.from, what));
    let is_image = |(v, copy): (&NewVariable, &Copy)| {
        v.shape.len() >= 2 && !named.contains(&v.name) && v.dtype != DType::Char && !is_place(copy)
    };
    let keep: Vec<bool> = plan.file.variables.iter().zip(&plan.copies).map(is_image).collect();
    let mut at = keep.iter();
    plan.file.variables.retain(|_| at.next().copied().unwrap_or(false));
    let mut at = keep.iter();
    plan.copies.retain(|_| at.next().copied().unwrap_or(false));
    let Some(first) = plan.file.variables.first() else {
        return Err(refused("there is no variable with two dimensions or more"));
    };
    let alike = |v: &NewVariable| v.dims == first.dims && v.shape == first.shape && v.dtype == first.dtype;
    if !plan.file.variables.iter().all(alike) {
        let all = names(&plan.file.variables);
        return Err(refused(format!("variables differ in dimensions or type ({all}); choose with `--var`")));
    }
    let same_nodata = |v: &NewVariable| no_data(v) == no_data(first);
    if !plan.file.variables.iter().all(same_nodata) {
        return Err(refused("variables differ in the value of cells without data; choose one with `--var`"));
    }
    Ok(())
}

/// The value of cells without data, as the attributes say; the fill value of the storage may be another.
fn no_data(variable: &NewVariable) -> Option<Vec<u8>> {
    let of = |name: &str| exactly(variable.attrs.get(name)?, variable.dtype);
    of("_FillValue").or_else(|| of("missing_value"))
}

/// The first number of an attribute as an element of a type, in native byte order.
fn exactly(value: &AttrValue, dtype: DType) -> Option<Vec<u8>> {
    let text = match value {
        AttrValue::Text(_) | AttrValue::Texts(_) => None,
        AttrValue::Int(values) | AttrValue::Typed(_, values) => values.first().map(i64::to_string),
        AttrValue::UInt(values) => values.first().map(u64::to_string),
        AttrValue::Float32(values) => values.first().map(|value| f64::from(*value).to_string()),
        AttrValue::Float64(values) => values.first().map(f64::to_string),
    };
    tiff::element(&text?, dtype)
}

struct Georeference {
    transform: Option<[f64; 6]>,
    control_points: Vec<[f64; 4]>,
    keys: Option<GeoKeys>,
}

/// Transform and CRS of the part of a variable that is copied.
fn georeference(opened: &Opened, copy: &Copy) -> Result<Georeference> {
    let (variable, window) = (&copy.from, &copy.window);
    // Columns that go round begin a turn away.
    let by = copy.round.as_ref().map_or(0.0, |round| f64::from(round.before));
    let runtime = opened.origin.store().runtime().clone();
    let found = runtime.block_on(place::place(opened, Some(variable)))?;
    let mapping = place::mapping(&opened.meta, Some(variable));
    let point = opened.meta.attrs.get("AREA_OR_POINT").and_then(AttrValue::text) == Some("Point");
    let raster = if point { RasterType::Point } else { RasterType::Area };
    let (transform, crs, epsg) = match (found, mapping) {
        (Some(place), mapping) => {
            check_order(variable, &place)?;
            // Of a single cell, coordinates do not tell the size; a written transform does.
            let single = place.x.step == 0.0 || place.y.step == 0.0;
            let own = mapping.and_then(written).filter(|_| single || opened.meta.format.is_image());
            if own.is_none() && place.x.step == 0.0 && place.y.step == 0.0 {
                return Err(refused("one cell, whose size nothing tells (`GeoTransform` in its grid mapping would)"));
            }
            (own.or_else(|| Some(place.transform())), Some(place.crs.clone()), place.epsg)
        }
        // A rotated image has no coordinates of its own.
        (None, Some(mapping)) => {
            let says = ["proj4", "crs_error", "grid_mapping_name"].iter().any(|name| mapping.attrs.contains_key(*name));
            let crs = says.then(|| place::crs_of(mapping)).transpose()?;
            (written(mapping), crs, place::epsg(mapping))
        }
        (None, None) => (even(opened, variable)?, None, None),
    };
    let keys = crs.map(|crs| GeoKeys::of_crs(&crs, epsg, raster)).transpose().map_err(|e| refused(e.to_string()))?;
    let name = mapping.map(|mapping| place::text(mapping, "crs_name")).filter(|name| !name.is_empty());
    let keys = keys.map(|keys| name.map_or(keys.clone(), |name| keys.with_citation(name)));
    let rank = window.len();
    let (row, column) = (window[rank - 2].start as f64, window[rank - 1].start as f64);
    let moved = |[x, dx, rx, y, ry, dy]: [f64; 6]| {
        [x + column * dx + row * rx + by, dx, rx, y + column * ry + row * dy, ry, dy]
    };
    let ties =
        mapping.and_then(|mapping| mapping.attrs.get("control_points")).map(AttrValue::numbers).unwrap_or_default();
    let ties = ties.as_chunks::<4>().0.iter().map(|[at, down, x, y]| [at - column, down - row, x + by, *y]);
    Ok(Georeference { transform: transform.map(moved), control_points: ties.collect(), keys })
}

/// The transform of evenly spaced rows and columns whose CRS nothing tells.
fn even(opened: &Opened, variable: &Variable) -> Result<Option<[f64; 6]>> {
    let runtime = opened.origin.store().runtime();
    let axis = |back: usize, is_axis: fn(&Variable) -> bool| -> Result<Option<Axis>> {
        let dim = &variable.dims[variable.dims.len() - back];
        let Some(coordinate) = opened.meta.coordinate(variable, dim).filter(|c| is_axis(c)) else { return Ok(None) };
        let axis = Axis::from_centres(&runtime.block_on(place::labels(opened, coordinate))?);
        Ok(axis.filter(|axis| axis.step != 0.0))
    };
    let (y, x) = (axis(2, place::is_axis_of_rows)?, axis(1, place::is_axis_of_columns)?);
    Ok(y.zip(x).map(|(y, x)| [x.first - x.step / 2.0, x.step, 0.0, y.first - y.step / 2.0, 0.0, y.step]))
}

/// Rows must be y and columns x.
fn check_order(variable: &Variable, place: &Place) -> Result<()> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let rank = variable.dims.len();
    if last(&variable.dims[rank - 1]) == last(&place.x_name) && last(&variable.dims[rank - 2]) == last(&place.y_name) {
        return Ok(());
    }
    let (y, x) = (&place.y_name, &place.x_name);
    Err(refused(format!("dimensions {:?} of `{}` do not end with {y}, {x}", variable.dims, variable.name)))
}

/// The transform that a grid mapping has as a text.
fn written(mapping: &Variable) -> Option<[f64; 6]> {
    let numbers: Option<Vec<f64>> =
        place::text(mapping, "GeoTransform").split_whitespace().map(|n| n.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Attributes of the image: those that all variables have alike, and a name for each band.
fn attributes(opened: &Opened, plan: &Plan) -> Result<Attrs> {
    let first = &plan.file.variables[0];
    let same = |name: &str, value: &AttrValue| plan.file.variables.iter().all(|v| v.attrs.get(name) == Some(value));
    let mut attrs: Attrs =
        first.attrs.iter().filter(|(name, value)| same(name, value)).map(|(n, v)| (n.clone(), v.clone())).collect();
    // What an image says of its bands is all that there is to say.
    if plan.copies.len() == 1 && opened.meta.format.is_image() {
        select_bands(&mut attrs, &plan.copies[0]);
        return Ok(attrs);
    }
    let mut bands = Vec::new();
    for (variable, copy) in plan.file.variables.iter().zip(&plan.copies) {
        let labels = labels(opened, copy)?;
        let several = plan.copies.len() > 1;
        for label in labels {
            bands.push(match (several, label.is_empty()) {
                (true, true) => variable.name.clone(),
                (true, false) => format!("{} {label}", variable.name),
                (false, true) => String::new(),
                (false, false) => label,
            });
        }
    }
    let long = attrs.get("long_name").and_then(AttrValue::text).unwrap_or_default();
    match bands.as_slice() {
        // One band is what the variable is called.
        [_] if long.is_empty() => drop(attrs.insert("long_name".into(), AttrValue::Text(first.name.clone()))),
        [_] => {}
        _ => drop(attrs.insert("long_name".into(), AttrValue::Texts(bands))),
    }
    Ok(attrs)
}

/// Lists by band of a source with bands become those of the bands that are copied.
fn select_bands(attrs: &mut Attrs, copy: &Copy) {
    let (Some(window), [all, _, _]) = (copy.window.first(), copy.from.grid.shape.as_slice()) else { return };
    let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (from, to, all) = (place(window.start), place(window.end), place(*all));
    for value in attrs.values_mut().filter(|_| all > 1) {
        match value {
            AttrValue::Texts(list) if list.len() == all => *list = list[from..to].to_vec(),
            AttrValue::Int(list) | AttrValue::Typed(_, list) if list.len() == all => *list = list[from..to].to_vec(),
            AttrValue::UInt(list) if list.len() == all => *list = list[from..to].to_vec(),
            AttrValue::Float32(list) if list.len() == all => *list = list[from..to].to_vec(),
            AttrValue::Float64(list) if list.len() == all => *list = list[from..to].to_vec(),
            _ => {}
        }
    }
}

/// What the positions along the dimensions before rows and columns are: times, numbers, or positions.
fn labels(opened: &Opened, copy: &Copy) -> Result<Vec<String>> {
    let rank = copy.window.len();
    let mut labels = vec![String::new()];
    for (dim, window) in copy.from.dims[..rank - 2].iter().zip(&copy.window) {
        let own = along(opened, &copy.from, dim, window)?;
        if labels.len().saturating_mul(own.len()) > usize::from(u16::MAX) {
            return Err(refused(format!("{} bands and more; 65535 are the most", u16::MAX)));
        }
        let join = |a: &String, b: &String| if a.is_empty() { b.clone() } else { format!("{a} {b}") };
        labels = labels.iter().flat_map(|a| own.iter().map(move |b| join(a, b))).collect();
    }
    Ok(labels)
}

fn along(opened: &Opened, variable: &Variable, dim: &str, window: &std::ops::Range<u64>) -> Result<Vec<String>> {
    let name = dim.rsplit('/').next().unwrap_or(dim);
    // The bands of an image are counted by the file itself.
    if name == "band" || name.starts_with("band_") {
        return Ok(vec![String::new(); usize::try_from(window.end - window.start).unwrap_or(usize::MAX)]);
    }
    let positions = || window.clone().map(|at| format!("{name}={at}")).collect();
    let coordinate = opened.meta.coordinate(variable, dim).filter(|c| c.dtype.is_real() || c.dtype.is_text());
    let Some(coordinate) = coordinate else { return Ok(positions()) };
    let runtime = opened.origin.store().runtime().clone();
    if coordinate.dtype.is_text() && coordinate.dims.len() == 1 {
        return runtime.block_on(opened.read_texts(coordinate, std::slice::from_ref(window)));
    }
    let values = runtime.block_on(place::labels(opened, coordinate))?;
    let units = place::text(coordinate, "units");
    let time = CfTime::parse(units, place::text(coordinate, "calendar")).ok().filter(|_| units.contains(" since "));
    let said = |at: u64| {
        let value = values.get(usize::try_from(at).ok()?)?;
        let moment = time.as_ref().and_then(|time| time.decode(*value)).and_then(|stamp| stamp.to_utc());
        Some(moment.map_or_else(|| format!("{name}={value}"), |moment| rfc3339(&moment)))
    };
    Ok(window.clone().map(|at| said(at).unwrap_or_else(|| format!("{name}={at}"))).collect())
}
