//! Names of dimensions: NetCDF-4 dimension scales, or `phony_dim_N` as netCDF-C counts them.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::attrs::Value;
use super::walk::{Found, Tree};
use crate::array::{AttrValue, Attrs, Dim, FileMeta, Format};

/// Text of the attribute `NAME` of a scale that is a dimension only.
const NO_VARIABLE: &str = "This is a netCDF dimension but not a netCDF variable";
/// Prefix of a variable that has the name of a dimension but is not its coordinate.
const NON_COORDINATE: &str = "_nc4_non_coord_";
const BOOKKEEPING: [&str; 8] = [
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "CLASS",
    "NAME",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "_NCProperties",
    "_nc3_strict",
];

/// Gives dimensions names and makes the header of the file.
pub(super) fn name(tree: Tree) -> FileMeta {
    let Tree { datasets, root, refused, groups: _ } = tree;
    let netcdf = root.iter().any(|(name, _)| name == "_NCProperties") || datasets.iter().any(is_scale);
    let mut naming = Naming::of(&datasets);
    let mut variables = Vec::new();
    let mut names: Vec<Vec<String>> = datasets.iter().map(|found| naming.scaled(found)).collect();
    for (found, names) in datasets.iter().zip(&mut names) {
        naming.phony(found, names);
    }
    for (mut found, dims) in datasets.into_iter().zip(names) {
        if is_dimension_only(&found) {
            continue;
        }
        found.variable.name = found.variable.name.replace(NON_COORDINATE, "");
        found.variable.dims = dims;
        let mut attrs = plain(found.attrs);
        if !attrs.contains_key("flag_values") && !attrs.contains_key("flag_meanings") {
            attrs.append(&mut found.variable.attrs);
        }
        found.variable.attrs = attrs;
        variables.push(found.variable);
    }
    let format = if netcdf { Format::NetCdf4 } else { Format::Hdf5 };
    FileMeta { format, dims: naming.dims, attrs: plain(root), variables, refused }
}

/// The attributes that users see; `damaged_attributes` names those whose values cannot be had.
pub(super) fn plain(attrs: Vec<(String, Value)>) -> Attrs {
    let (mut plain, mut damaged) = (Attrs::new(), Vec::new());
    for (name, value) in attrs {
        match value {
            Value::Damaged(why) => damaged.push(format!("{name}: {why}")),
            Value::Plain(value) if !BOOKKEEPING.contains(&name.as_str()) => drop(plain.insert(name, value)),
            Value::Plain(_) | Value::References(_) => {}
        }
    }
    if !damaged.is_empty() {
        plain.insert("damaged_attributes".to_owned(), AttrValue::Texts(damaged));
    }
    plain
}

fn plain_of<'a>(found: &'a Found, wanted: &str) -> Option<&'a AttrValue> {
    found.attrs.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| match value {
        Value::Plain(value) => Some(value),
        Value::References(_) | Value::Damaged(_) => None,
    })
}

fn is_scale(found: &Found) -> bool {
    plain_of(found, "CLASS").and_then(AttrValue::text) == Some("DIMENSION_SCALE")
}

fn is_dimension_only(found: &Found) -> bool {
    is_scale(found) && plain_of(found, "NAME").and_then(AttrValue::text).is_some_and(|n| n.starts_with(NO_VARIABLE))
}

fn dim_id(found: &Found) -> Option<u64> {
    plain_of(found, "_Netcdf4Dimid")?.integers().first().and_then(|id| u64::try_from(*id).ok())
}

struct Naming {
    dims: IndexMap<String, Dim>,
    by_address: HashMap<u64, String>,
    by_id: HashMap<u64, String>,
    groups: HashMap<String, Vec<String>>,
    next: usize,
}

impl Naming {
    /// Every dimension scale is a dimension, in the order of NetCDF's identifiers.
    fn of(datasets: &[Found]) -> Self {
        let mut scales: Vec<&Found> = datasets.iter().filter(|found| is_scale(found)).collect();
        scales.sort_by_key(|found| dim_id(found).unwrap_or(u64::MAX));
        let mut naming = Self {
            dims: IndexMap::new(),
            by_address: HashMap::new(),
            by_id: HashMap::new(),
            groups: HashMap::new(),
            next: 0,
        };
        for scale in scales {
            let name = scale.variable.name.replace(NON_COORDINATE, "");
            let len = scale.variable.grid.shape.first().copied().unwrap_or(1);
            let unlimited = scale.unlimited.first().copied().unwrap_or(false);
            naming.by_address.insert(scale.address, name.clone());
            if let Some(id) = dim_id(scale) {
                naming.by_id.insert(id, name.clone());
            }
            naming.dims.entry(name).or_insert(Dim { len, unlimited });
        }
        naming.next = naming.dims.len();
        naming
    }

    /// The names that scales give; an empty name where there is none.
    fn scaled(&self, found: &Found) -> Vec<String> {
        let rank = found.variable.grid.shape.len();
        let mut names = vec![String::new(); rank];
        if let Some(ids) = plain_of(found, "_Netcdf4Coordinates").map(AttrValue::integers)
            && ids.len() == found.unlimited.len()
        {
            let by_id = |id: i128| u64::try_from(id).ok().and_then(|id| self.by_id.get(&id)).cloned();
            for (name, id) in names.iter_mut().zip(ids) {
                *name = by_id(id).unwrap_or_default();
            }
            return names;
        }
        if is_scale(found)
            && let Some(first) = names.first_mut()
        {
            *first = self.by_address.get(&found.address).cloned().unwrap_or_default();
        }
        let list = found.attrs.iter().find(|(name, _)| name == "DIMENSION_LIST");
        if let Some((_, Value::References(lists))) = list {
            for (name, addresses) in names.iter_mut().zip(lists) {
                if let Some(found) = addresses.iter().find_map(|address| self.by_address.get(address)) {
                    name.clone_from(found);
                }
            }
        }
        names
    }

    /// Fills empty names: a dimension of the same length in the same group that the variable has not used, or a new one.
    fn phony(&mut self, found: &Found, names: &mut [String]) {
        let group = found.variable.name.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        for axis in 0..names.len() {
            if !names[axis].is_empty() {
                continue;
            }
            let len = found.variable.grid.shape[axis];
            let unlimited = found.unlimited.get(axis).copied().unwrap_or(false);
            let wanted = Dim { len, unlimited };
            let known = self.groups.entry(group.clone()).or_default();
            let free = known.iter().find(|name| self.dims.get(*name) == Some(&wanted) && !names.contains(name));
            names[axis] = if let Some(name) = free {
                name.clone()
            } else {
                let name = format!("phony_dim_{}", self.next);
                self.next += 1;
                known.push(name.clone());
                self.dims.insert(name.clone(), wanted);
                name
            };
        }
    }
}
