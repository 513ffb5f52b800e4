//! Gives the dimensions of found arrays their names and coordinates.

use std::collections::HashMap;

use super::view::Values;
use super::{Axis, Places, Section, Unit};
use crate::array::{AttrValue, Attrs, ByteOrder, DType, Dim, FileMeta, Variable};
use crate::layout::{Layout, Linear, linear_grid};
use crate::miniseed::Rate;
use crate::utc;

/// Names dimensions: `time` and `distance` for the first array, below the path of their group for others.
pub(super) fn apply(meta: &mut FileMeta, sections: &[Section], values: &HashMap<String, Values>) {
    if sections.is_empty() {
        return;
    }
    for section in sections {
        if let Some(cut) = section.cut {
            cut.apply(meta, &section.data);
        }
    }
    let mut naming = Naming { values, names: HashMap::new() };
    for (number, section) in sections.iter().enumerate() {
        let group = section.data.rsplit_once('/').map_or("", |(group, _)| group);
        let prefix = if number == 0 { String::new() } else { format!("{group}/") };
        naming.section(meta, section, &prefix);
    }
    let used = |name: &String| meta.variables.iter().any(|variable| variable.dims.contains(name));
    let unused: Vec<String> = meta.dims.keys().filter(|name| !used(name)).cloned().collect();
    meta.dims.retain(|name, _| !unused.contains(name));
}

struct Naming<'a> {
    values: &'a HashMap<String, Values>,
    /// Dimensions by what they are, so that arrays of one group share them.
    names: HashMap<String, String>,
}

impl Naming<'_> {
    fn section(&mut self, meta: &mut FileMeta, section: &Section, prefix: &str) {
        let Some(data) = meta.variables.iter().position(|variable| variable.name == section.data) else { return };
        let shape = meta.variables[data].grid.shape.clone();
        let mut attrs = section.attrs.clone();
        attrs.insert("das_layout".to_owned(), AttrValue::Text(section.layout.to_owned()));
        if section.axes.len() == shape.len() {
            for (position, (axis, len)) in section.axes.iter().zip(&shape).enumerate() {
                let name = self.axis(meta, axis, *len, prefix);
                let unlimited = meta.dims.get(&meta.variables[data].dims[position]).is_some_and(|dim| dim.unlimited);
                meta.dims.insert(name.clone(), Dim { len: *len, unlimited });
                meta.variables[data].dims[position] = name;
                if matches!(axis.at, Places::Times { .. } | Places::Clock { .. } | Places::Blocks { .. }) {
                    self.span(axis, *len, &mut attrs);
                }
            }
        }
        let own = &mut meta.variables[data].attrs;
        for (name, value) in attrs {
            own.entry(name).or_insert(value);
        }
    }

    /// The dimension of an axis, with its coordinate.
    fn axis(&mut self, meta: &mut FileMeta, axis: &Axis, len: u64, prefix: &str) -> String {
        let what = match &axis.at {
            Places::Blocks { rows, .. } => format!("{} {len} in blocks of {rows} of {prefix}", axis.name),
            at => format!("{} {len} {at:?}", axis.name),
        };
        if let Some(name) = self.names.get(&what) {
            return name.clone();
        }
        let own = matches!(&axis.at, Places::Times { path, .. } | Places::Array { path, .. } if path == axis.name);
        let taken = |name: &str| meta.dims.contains_key(name) || (meta.variable(name).is_some() && !own);
        let mut name = format!("{prefix}{}", axis.name);
        let base = name.clone();
        for number in 1.. {
            if !taken(&name) {
                break;
            }
            name = format!("{base}_{number}");
        }
        self.names.insert(what, name.clone());
        if let Some(coordinate) = self.coordinate(meta, axis, &name, len) {
            meta.variables.push(coordinate);
        }
        name
    }

    /// A variable that has the name of its dimension; `None` where there is none or the file has it already.
    fn coordinate(&self, meta: &mut FileMeta, axis: &Axis, name: &str, len: u64) -> Option<Variable> {
        match &axis.at {
            Places::Unknown => None,
            Places::Clock { start_ns, rate } => {
                let linear = Linear::Int { first: *start_ns, step: rate.step_ns() };
                Some(computed(name, len, linear, time_attrs(Unit::Nanoseconds)))
            }
            Places::Blocks { starts_ns, rows, rate } => {
                let mut attrs = time_attrs(Unit::Nanoseconds);
                irregular_blocks(starts_ns, (*rows, *rate), &mut attrs);
                let linear = Linear::Pieces { starts: starts_ns.clone(), rows: *rows, step: rate.step_ns() };
                Some(computed(name, len, linear, attrs))
            }
            Places::Steps { first, step, units } => {
                let attrs = Attrs::from_iter([("units".to_owned(), AttrValue::Text(units.clone()))]);
                Some(computed(name, len, Linear::Float { first: *first, step: *step }, attrs))
            }
            Places::Times { path, step_s, .. } => {
                let mut attrs = self.unit(&axis.at).map(time_attrs).unwrap_or_default();
                let step = step_s.zip(self.unit(&axis.at)).map(|(step, unit)| step * 1e9 / unit.ns());
                irregular(self.values.get(path), step, &mut attrs);
                stored(meta, path, name, len, &attrs)
            }
            Places::Array { path, units } => {
                let units = (!units.is_empty()).then(|| ("units".to_owned(), AttrValue::Text(units.clone())));
                stored(meta, path, name, len, &units.into_iter().collect())
            }
        }
    }

    /// The unit of an array of times: by the size of the last of them, else what the layout defines.
    fn unit(&self, at: &Places) -> Option<Unit> {
        let Places::Times { path, default_unit, .. } = at else { return None };
        let values = self.values.get(path)?;
        let last = values.len().checked_sub(1).and_then(|last| values.number(last));
        last.and_then(Unit::of).or(*default_unit)
    }

    /// `starttime` and `endtime` of an array of samples.
    fn span(&self, axis: &Axis, len: u64, attrs: &mut Attrs) {
        let ends = match &axis.at {
            Places::Clock { start_ns, rate } => {
                let (up, down) = rate.step_ns();
                let moved = i128::from(len.saturating_sub(1)) * i128::from(up) / i128::from(down.max(1));
                i64::try_from(i128::from(*start_ns) + moved).ok().map(|end| (*start_ns, end))
            }
            Places::Blocks { starts_ns, rows, rate } => {
                starts_ns.first().zip(starts_ns.last()).and_then(|(start, last)| {
                    let end = i128::from(*last) + rate.elapsed_ns(rows.saturating_sub(1));
                    Some((*start, i64::try_from(end).ok()?))
                })
            }
            Places::Times { path, .. } => self.values.get(path).zip(self.unit(&axis.at)).and_then(|(values, unit)| {
                let last = values.len().checked_sub(1)?;
                Some((moment(values, 0, unit)?, moment(values, last, unit)?))
            }),
            _ => None,
        };
        if let Some((start, end)) = ends {
            attrs.insert("starttime".to_owned(), AttrValue::Text(utc::text(start)));
            attrs.insert("endtime".to_owned(), AttrValue::Text(utc::text(end)));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a moment beyond 64 bits is none of ours and saturates")]
fn moment(values: &Values, at: usize, unit: Unit) -> Option<i64> {
    match values {
        Values::Ints(ints) => ints.get(at)?.checked_mul(unit.ns() as i64),
        other => other.number(at).map(|value| (value * unit.ns()).round() as i64),
    }
}

fn time_attrs(unit: Unit) -> Attrs {
    let units = format!("{} since 1970-01-01", unit.name());
    let pairs =
        [("units", units.as_str()), ("calendar", "proleptic_gregorian"), ("standard_name", "time"), ("axis", "T")];
    pairs.into_iter().map(|(name, text)| (name.to_owned(), AttrValue::Text(text.to_owned()))).collect()
}

/// Counts steps that go back or stand still or are longer than one and a half samples of the declared step, or of the
/// usual one.
fn irregular(values: Option<&Values>, step: Option<f64>, attrs: &mut Attrs) {
    let Some(values) = values else { return };
    let numbers: Vec<f64> = (0..values.len()).filter_map(|at| values.number(at)).collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return };
    let mut steps: Vec<f64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps.is_empty() || !(last - first).is_finite() {
        return;
    }
    let odd = |step: f64, usual: f64| step <= 0.0 || step > 1.5 * usual;
    let mut sorted = steps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = step.unwrap_or(sorted[sorted.len() / 2]);
    let at = steps.iter().position(|step| odd(*step, usual));
    steps.retain(|step| odd(*step, usual));
    if let Some(at) = at {
        tell_irregular(steps.len() as u64, at as u64, attrs);
    }
}

/// The same for the steps from block to block: within blocks, all are equal.
fn irregular_blocks(starts_ns: &[i64], (rows, rate): (u64, Rate), attrs: &mut Attrs) {
    let (step, inner) = (rate.elapsed_ns(1), rate.elapsed_ns(rows.saturating_sub(1)));
    let odd = |pair: &[i64]| {
        let between = i128::from(pair[1]) - i128::from(pair[0]) - inner;
        between <= 0 || 2 * between > 3 * step
    };
    let odd: Vec<u64> = (1..).zip(starts_ns.windows(2)).filter(|(_, pair)| odd(pair)).map(|(block, _)| block).collect();
    if let Some(first) = odd.first() {
        tell_irregular(odd.len() as u64, (first * rows).saturating_sub(1), attrs);
    }
}

fn tell_irregular(steps: u64, after: u64, attrs: &mut Attrs) {
    let int = |n: u64| AttrValue::Int(vec![i64::try_from(n).unwrap_or(i64::MAX)]);
    attrs.insert("irregular_steps".to_owned(), int(steps));
    attrs.insert("first_irregular_step_after_position".to_owned(), int(after));
}

fn computed(name: &str, len: u64, linear: Linear, attrs: Attrs) -> Variable {
    Variable {
        name: name.to_owned(),
        dims: vec![name.to_owned()],
        dtype: if matches!(linear, Linear::Float { .. }) { DType::Float64 } else { DType::Int64 },
        byte_order: if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big },
        grid: linear_grid(len),
        codecs: Vec::new(),
        fill: vec![0; 8],
        attrs,
        layout: Layout::Linear(linear),
    }
}

/// An array of the file as coordinate: under its own name along the dimension, and again under the dimension's name if it
/// has no axis of one before.
fn stored(meta: &mut FileMeta, path: &str, name: &str, len: u64, attrs: &Attrs) -> Option<Variable> {
    let variable = meta.variables.iter_mut().find(|variable| variable.name == path)?;
    let is_row = variable.grid.shape == [1, len];
    if variable.grid.shape != [len] && !is_row {
        return None;
    }
    if let Some(dim) = variable.dims.last_mut() {
        name.clone_into(dim);
    }
    for (name, value) in attrs {
        variable.attrs.entry(name.clone()).or_insert_with(|| value.clone());
    }
    (path != name && !is_row).then(|| Variable { name: name.to_owned(), ..variable.clone() })
}
