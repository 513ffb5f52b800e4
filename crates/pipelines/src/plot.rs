//! A map of one variable of a file or Zarr group: selects down to a plane and draws it.

use crate::draw::{Map, draw};
use outcrop_compute::{DataArray, OpenOptions, open_dataset};
use outcrop_formats::{AttrValue, Attrs};
use outcrop_store::{Href, Store};

use crate::{Error, Result};

/// What to draw.
#[derive(Debug, Clone, Default)]
pub struct PlotOptions {
    /// The variable; without it the only one of two dimensions or more.
    pub variable: Option<String>,
    /// Positions along dimensions.
    pub isel: Vec<(String, String)>,
    /// Labels along dimensions: the nearest number, or the same text (`-` and `_` are as good as a blank).
    pub sel: Vec<(String, String)>,
    /// Title; without it the name and what was selected.
    pub title: Option<String>,
}

/// A drawn map.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The picture.
    pub png: Vec<u8>,
    /// Its title.
    pub title: String,
}

/// Labels of a dimension.
enum Labels {
    None,
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// An array with its labels, and how to read a plane of it.
struct Plane {
    name: String,
    dims: Vec<String>,
    shape: Vec<u64>,
    attrs: Attrs,
    labels: Vec<Labels>,
    units: Vec<Option<String>>,
}

/// Draws a map of a variable. It blocks; call it from outside the runtime.
///
/// # Errors
/// [`Error::Parameter`] if no plane is selected or a label is not there; those of opening, reading and drawing.
pub fn plot(store: &Store, href: &Href, options: &PlotOptions) -> Result<Drawn> {
    let name = href.as_str();
    let href = if name.ends_with('/') || name.contains(".zarr") { href.as_folder() } else { href.clone() };
    let wanted = OpenOptions { variables: options.variable.clone().into_iter().collect(), ..OpenOptions::default() };
    let dataset = store.wait(open_dataset(store, std::slice::from_ref(&href), &wanted))?;
    // Blocks that overlap, and their times, are not what the array that is cut out of them shows.
    let dims = |attr: &'static str| {
        dataset.arrays.values().filter(move |a| a.attrs.contains_key(attr)).flat_map(|a| a.dims.iter())
    };
    let of_blocks = |dim: &String| dims("blocks_of").any(|d| d == dim) && !dims("blocks").any(|d| d == dim);
    let is_plane = |array: &DataArray| array.dims.len() >= 2 && !array.dims.iter().any(of_blocks);
    let names: Vec<&String> = dataset.arrays.iter().filter(|(_, a)| is_plane(a)).map(|(name, _)| name).collect();
    let array = dataset.array(&chosen(options, &names)?)?;
    let plane = array_plane(array);
    let at = plane.positions(options)?;
    let mut selected = array.clone();
    for (dim, position) in plane.dims.iter().zip(&at) {
        if let Some(position) = position {
            selected = selected.isel(dim, *position..*position + 1)?;
        }
    }
    plane.draw(&selected.compute()?.into_f64(), &at, options)
}

fn refuse(name: &'static str, value: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Parameter { name, value: format!("`{}`", value.into()), why: why.into() }
}

fn chosen(options: &PlotOptions, names: &[&String]) -> Result<String> {
    let list = || names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
    match (&options.variable, names) {
        (Some(name), _) => Ok(name.clone()),
        (None, [only]) => Ok((*only).clone()),
        (None, []) => Err(Error::Choose { what: "a variable", why: "none has two dimensions or more".into() }),
        (None, _) => Err(Error::Choose { what: "a variable with --var", why: format!("there are {}", list()) }),
    }
}

fn text_of(attrs: &Attrs, name: &str) -> Option<String> {
    match attrs.get(name) {
        Some(AttrValue::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn array_plane(array: &DataArray) -> Plane {
    let labels = array.dims.iter().map(|dim| match array.coords.get(dim) {
        None => Labels::None,
        Some(coord) if coord.texts.is_empty() => Labels::Numbers(coord.values.clone()),
        Some(coord) => Labels::Texts(coord.texts.clone()),
    });
    let units = array.dims.iter().map(|dim| array.coords.get(dim).and_then(|c| text_of(&c.attrs, "units")));
    Plane {
        name: array.name.clone(),
        dims: array.dims.clone(),
        shape: array.shape(),
        attrs: array.attrs.clone(),
        labels: labels.collect(),
        units: units.collect(),
    }
}

impl Plane {
    /// The selected position of each dimension but the last two.
    fn positions(&self, options: &PlotOptions) -> Result<Vec<Option<u64>>> {
        let rank = self.dims.len();
        if rank < 2 {
            return Err(refuse("var", &self.name, "it has fewer than two dimensions"));
        }
        for (dim, _) in options.isel.iter().chain(&options.sel) {
            match self.dims.iter().position(|d| d == dim) {
                Some(at) if at + 2 < rank => {}
                Some(_) => return Err(refuse("isel", dim, "the last two dimensions are the map")),
                None => return Err(refuse("isel", dim, format!("the dimensions are {}", self.dims.join(", ")))),
            }
        }
        let position = |(at, dim): (usize, &String)| {
            if at + 2 >= rank {
                return Ok(None);
            }
            let by_position = options.isel.iter().find(|(d, _)| d == dim);
            let by_label = options.sel.iter().find(|(d, _)| d == dim);
            match (by_position, by_label) {
                (Some((_, text)), _) => self.by_position(at, text).map(Some),
                (None, Some((_, text))) => self.by_label(at, text).map(Some),
                (None, None) if self.shape[at] == 1 => Ok(Some(0)),
                (None, None) => {
                    let why = format!("`{dim}` has {} positions: --isel {dim}=N or --sel {dim}=LABEL", self.shape[at]);
                    Err(Error::Choose { what: "a plane", why })
                }
            }
        };
        self.dims.iter().enumerate().map(position).collect()
    }

    fn by_position(&self, at: usize, text: &str) -> Result<u64> {
        let inside = text.parse::<u64>().ok().filter(|n| *n < self.shape[at]);
        inside.ok_or_else(|| {
            refuse("isel", text, format!("`{}` has positions 0 to {}", self.dims[at], self.shape[at].saturating_sub(1)))
        })
    }

    fn by_label(&self, at: usize, text: &str) -> Result<u64> {
        let dim = &self.dims[at];
        let position = match &self.labels[at] {
            Labels::None => return Err(refuse("sel", text, format!("`{dim}` has no labels, use --isel"))),
            Labels::Texts(texts) => {
                let plain = |label: &str| label.trim().to_lowercase().replace(['-', '_'], " ");
                let found = texts.iter().position(|label| plain(label) == plain(text));
                found.ok_or_else(|| refuse("sel", text, format!("the labels of `{dim}` are {}", texts.join(", "))))?
            }
            Labels::Numbers(numbers) => {
                let wanted: f64 =
                    text.parse().map_err(|_| refuse("sel", text, format!("the labels of `{dim}` are numbers")))?;
                let near = |(_, a): &(usize, &f64), (_, b): &(usize, &f64)| {
                    (*a - wanted).abs().total_cmp(&(*b - wanted).abs())
                };
                numbers.iter().enumerate().min_by(near).map_or(0, |(i, _)| i)
            }
        };
        Ok(position as u64)
    }

    fn draw(&self, values: &[f64], at: &[Option<u64>], options: &PlotOptions) -> Result<Drawn> {
        let rank = self.dims.len();
        let size = |d: usize| usize::try_from(self.shape[d]).unwrap_or(usize::MAX);
        let ends = |d: usize| match &self.labels[d] {
            Labels::Numbers(n) if !n.is_empty() => (n[0], n[n.len() - 1]),
            // Rows without labels are counted from the top.
            _ if d + 2 == rank => (size(d).saturating_sub(1) as f64, 0.0),
            _ => (0.0, size(d).saturating_sub(1) as f64),
        };
        let axis = |d: usize| match &self.units[d] {
            Some(units) => format!("{} ({units})", self.dims[d]),
            None => self.dims[d].clone(),
        };
        let name = text_of(&self.attrs, "long_name").unwrap_or_else(|| self.name.clone());
        let title = options.title.clone().unwrap_or_else(|| self.title(&name, at));
        let label = text_of(&self.attrs, "units").unwrap_or_default();
        let png = draw(&Map {
            values,
            shape: (size(rank - 2), size(rank - 1)),
            y: ends(rank - 2),
            x: ends(rank - 1),
            title: &title,
            label: &label,
            axes: (&axis(rank - 1), &axis(rank - 2)),
        })?;
        Ok(Drawn { png, title })
    }

    fn title(&self, name: &str, at: &[Option<u64>]) -> String {
        let chosen = at.iter().enumerate().filter_map(|(d, position)| {
            let position = usize::try_from((*position)?).ok()?;
            Some(match &self.labels[d] {
                Labels::Texts(texts) => texts.get(position)?.clone(),
                Labels::Numbers(numbers) => format!("{} {}", self.dims[d], numbers.get(position)?),
                Labels::None => format!("{} {position}", self.dims[d]),
            })
        });
        std::iter::once(name.to_owned()).chain(chosen).collect::<Vec<_>>().join(", ")
    }
}
