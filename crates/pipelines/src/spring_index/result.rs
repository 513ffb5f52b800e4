//! The result: a Zarr group per year with the first leaf of each plant, as index and as day of the year.

use std::ops::Range;
use std::path::PathBuf;

use indexmap::IndexMap;
use outcrop_compute::DataArray;
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs, DType, Opened};

use outcrop_store::{Href, Store};

use super::{Leaf, SpringIndex};
use crate::Result;

/// Longest side of a chunk of the result, in cells, where the tasks do not set it.
const CHUNK: u64 = 500;

/// Where and how the result is written.
#[derive(Debug, Clone)]
pub struct ResultOptions {
    /// Root of the Zarr store, a local folder.
    pub root: PathBuf,
    /// Group in it, usually the year; an old group of this name is replaced when the new one is complete.
    pub group: String,
    /// Zarr 2 or 3.
    pub format: ZarrFormat,
    /// Id of the item that the result is made from.
    pub item: String,
}

impl ResultOptions {
    /// Where a long run keeps its states, beside the store.
    pub fn states(&self) -> PathBuf {
        let name = self.root.file_name().unwrap_or_default().to_string_lossy();
        self.root.with_file_name(format!(".{name}.{}.states", self.group.replace('/', ".")))
    }

    /// Checks that the group is free, or holds an older result of the same item.
    ///
    /// # Errors
    /// [`crate::Error::OtherResult`] if it holds another's.
    pub fn check_owner(&self, store: &Store) -> Result<()> {
        let folder = Href::from_path(&self.root.join(&self.group)).as_folder();
        if !self.root.join(&self.group).exists() {
            return Ok(());
        }
        let opened = store.wait(Opened::open(store, &folder))?;
        match opened.meta.attrs.get("item") {
            Some(AttrValue::Text(owner)) if *owner == self.item => Ok(()),
            owner => Err(crate::Error::OtherResult {
                root: self.root.display().to_string(),
                group: self.group.clone(),
                owner: if let Some(AttrValue::Text(owner)) = owner {
                    format!("`{owner}`")
                } else {
                    "something else".into()
                },
            }),
        }
    }
}

/// Writes finished columns; the group appears when it is complete.
#[derive(Debug)]
pub struct ResultWriter {
    group: GroupWriter,
    plants: usize,
    with_mean: bool,
    start_day: f64,
    chunk: [u64; 2],
}

const INDEX: &str = "first-leaf";
const DAY: &str = "first-leaf-doy";

impl ResultWriter {
    /// Starts a group for the result of a plan.
    ///
    /// # Errors
    /// [`crate::Error::Format`] if the folder cannot be written.
    pub fn create(index: &SpringIndex, options: &ResultOptions) -> Result<Self> {
        let plan = index.plan();
        let names: Vec<String> = index.options().plants.iter().map(|plant| plant.name.to_owned()).collect();
        let with_mean = names.len() > 1;
        let plane = [plan.plane()[0], plan.plane()[1]];
        let chunk = match plan.columns() {
            [_] => [plane[0].min(CHUNK), plane[1].min(CHUNK)],
            columns => {
                let first = &columns[0];
                [first[0].end - first[0].start, first[1].end - first[1].start]
            }
        };
        let mut group =
            GroupWriter::create(&options.root, &options.group, options.format, &group_attrs(index, options))?;
        let layers = names.len() as u64 + u64::from(with_mean);
        let like = index.like();
        let mut dims = vec!["plant".to_owned()];
        dims.extend(like.dims.iter().skip(1).cloned());
        for name in [INDEX, DAY] {
            group.add_array(&ArraySpec {
                name: name.into(),
                dims: dims.clone(),
                shape: vec![layers, plane[0], plane[1]],
                chunk: vec![1, chunk[0].max(1), chunk[1].max(1)],
                dtype: Element::Number(DType::Float64),
                fill: None,
                shard: None,
                compression: ZarrCompression::Default,
                attrs: leaf_attrs(index, name),
            })?;
        }
        let mut labels = names;
        labels.extend(with_mean.then(|| "mean".to_owned()));
        write_texts(&mut group, "plant", (&labels, Attrs::new()))?;
        for dim in like.dims.iter().skip(1) {
            write_coord(&mut group, like, dim)?;
        }
        write_grid_mapping(&mut group, like)?;
        Ok(Self {
            group,
            plants: index.options().plants.len(),
            with_mean,
            start_day: index.options().start_day as f64,
            chunk,
        })
    }

    /// Writes a finished column: whole chunks of its own.
    ///
    /// # Errors
    /// [`crate::Error::Format`], for example when the disk is full.
    pub fn write(&mut self, window: &[Range<u64>], leaf: Leaf) -> Result<()> {
        let mut layers = leaf;
        if self.with_mean {
            let all = layers.concat();
            layers.push(mean_layer(&all, self.plants));
        }
        for (layer, values) in (0u64..).zip(&layers) {
            self.write_layer(INDEX, layer, window, values)?;
            let days: Vec<f64> = values.iter().map(|index| index + self.start_day).collect();
            self.write_layer(DAY, layer, window, &days)?;
        }
        Ok(())
    }

    fn write_layer(&self, name: &str, layer: u64, window: &[Range<u64>], values: &[f64]) -> Result<()> {
        let [rows, columns] = self.chunk;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let width = size(window[1].end - window[1].start);
        for row in (window[0].start..window[0].end).step_by(size(rows)) {
            for column in (window[1].start..window[1].end).step_by(size(columns)) {
                let mut chunk = vec![f64::NAN; size(rows) * size(columns)];
                let (last_row, last_column) = ((row + rows).min(window[0].end), (column + columns).min(window[1].end));
                for r in row..last_row {
                    let from = size(r - window[0].start) * width + size(column - window[1].start);
                    let to = size(r - row) * size(columns);
                    let n = size(last_column - column);
                    chunk[to..to + n].copy_from_slice(&values[from..from + n]);
                }
                self.group.write_chunk(name, &[layer, row / rows, column / columns], &chunk)?;
            }
        }
        Ok(())
    }

    /// Publishes the group.
    ///
    /// # Errors
    /// [`crate::Error::Format`]; an old group then stays.
    pub fn finish(self) -> Result<()> {
        Ok(self.group.finish()?)
    }
}

/// Mean over the plants, rounded half to even; NaN where any is NaN.
pub(super) fn mean_layer(values: &[f64], plants: usize) -> Vec<f64> {
    let cells = values.len() / plants.max(1);
    let mean = |cell: usize| (0..plants).map(|p| values[p * cells + cell]).sum::<f64>() / plants as f64;
    (0..cells).map(|cell| mean(cell).round_ties_even()).collect()
}

fn text(value: impl Into<String>) -> AttrValue {
    AttrValue::Text(value.into())
}

fn group_attrs(index: &SpringIndex, result: &ResultOptions) -> Attrs {
    let options = index.options();
    let sources: Vec<String> = index.inputs().into_iter().map(|input| input.href).collect();
    let mut attrs = Attrs::from_iter([
        ("item".to_owned(), text(&result.item)),
        ("title".to_owned(), text("First leaf of the extended spring indices")),
        ("Conventions".to_owned(), text("CF-1.11")),
        ("references".to_owned(), text("Ault et al. 2015, doi:10.1016/j.cageo.2015.06.015")),
        ("source".to_owned(), AttrValue::Texts(sources)),
        ("history".to_owned(), text(concat!("outcrop ", env!("CARGO_PKG_VERSION"), " spring-index"))),
        ("coarsen".to_owned(), AttrValue::Int(vec![i64::try_from(options.coarsen).unwrap_or(i64::MAX)])),
        (
            "days".to_owned(),
            text(format!("{} to {} of the time axis, counted from 1", options.start_day, options.end_day)),
        ),
    ]);
    if !index.assumed().is_empty() {
        attrs.insert("assumed".to_owned(), AttrValue::Texts(index.assumed().to_vec()));
    }
    attrs
}

fn leaf_attrs(index: &SpringIndex, name: &str) -> Attrs {
    let start = index.options().start_day;
    let mut attrs = Attrs::from_iter(if name == INDEX {
        [
            ("long_name".to_owned(), text("first leaf, index on the time axis")),
            ("units".to_owned(), text("1")),
            ("comment".to_owned(), text(format!("0 is day {start} of the year; NaN where it is never reached"))),
        ]
    } else {
        [
            ("long_name".to_owned(), text("first leaf")),
            ("units".to_owned(), text("day of the year")),
            ("comment".to_owned(), text("1 is 1 January; NaN where it is never reached")),
        ]
    });
    if let Some((name, _)) = &index.like().grid_mapping {
        attrs.insert("grid_mapping".to_owned(), text(name));
    }
    attrs
}

/// The CRS as CF has it: a scalar that carries the attributes.
fn write_grid_mapping(group: &mut GroupWriter, like: &DataArray) -> Result<()> {
    let Some((name, attrs)) = &like.grid_mapping else { return Ok(()) };
    group.add_array(&ArraySpec {
        name: name.clone(),
        dims: Vec::new(),
        shape: Vec::new(),
        chunk: Vec::new(),
        dtype: Element::Number(DType::Int32),
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs: attrs.clone(),
    })?;
    Ok(group.write_chunk(name, &[], &[0i32])?)
}

/// A coordinate of texts.
fn write_texts(group: &mut GroupWriter, dim: &str, (labels, attrs): (&[String], Attrs)) -> Result<()> {
    let len = labels.len() as u64;
    let chars = labels.iter().map(|label| label.chars().count()).max().unwrap_or(1);
    group.add_array(&ArraySpec {
        name: dim.into(),
        dims: vec![dim.into()],
        shape: vec![len],
        chunk: vec![len.max(1)],
        dtype: Element::Text { chars },
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs,
    })?;
    Ok(group.write_text(dim, labels)?)
}

fn write_coord(group: &mut GroupWriter, like: &DataArray, dim: &str) -> Result<()> {
    let Some(coord) = like.coords.get(dim) else { return Ok(()) };
    let len = coord.values.len() as u64;
    let attrs: Attrs = coord.attrs.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<IndexMap<_, _>>();
    if !coord.texts.is_empty() {
        return write_texts(group, dim, (&coord.texts, attrs));
    }
    group.add_array(&ArraySpec {
        name: dim.into(),
        dims: vec![dim.into()],
        shape: vec![len],
        chunk: vec![len.max(1)],
        dtype: Element::Number(DType::Float64),
        fill: None,
        shard: None,
        compression: ZarrCompression::Default,
        attrs,
    })?;
    Ok(group.write_chunk(dim, &[0], &coord.values)?)
}
