//! What is copied: variables with what belongs to them, windows, and the new file that they make.

use std::ops::Range;

use indexmap::IndexMap;

use super::turn::{self, Round};
use super::{ConvertOptions, NewFile, NewVariable, Part, Target, texts, waveform};
use crate::array::{AttrValue, DType, Dim, FileMeta, Format, Variable};
use crate::cf::Decoding;
use crate::layout::{Layout, virtual_grid};
use crate::place::text;
use crate::{Error, Opened, Result};

/// Attributes that name other variables (CF conventions 1.11).
const NAMES: [&str; 6] =
    ["coordinates", "grid_mapping", "bounds", "climatology", "ancillary_variables", "cell_measures"];
/// Largest chunk of the new file, in bytes, where the source has larger ones and none were asked for.
const LARGE: u64 = 64 << 20;

/// What is copied where.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) file: NewFile,
    /// One for each variable of the new file.
    pub(super) copies: Vec<Copy>,
    /// Which cells of an image have data, where the new file has a place for it beside its variables.
    pub(super) mask: Option<(NewVariable, Copy)>,
}

/// A variable of the source and the part of it that is copied.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) from: Variable,
    /// Along an axis that goes round it may end after its period.
    pub(super) window: Vec<Range<u64>>,
    pub(super) round: Option<Round>,
    pub(super) values: Values,
}

/// How values come to the writer.
#[derive(Debug, Clone)]
pub(super) enum Values {
    /// As they are stored.
    Stored,
    /// Decoded on the way.
    Decoded(Decoding),
    /// Decoded, and missing where a mask is 0.
    Masked(Decoding, Box<Variable>),
    /// At hand, in C order and native byte order: texts, in the form that the writer takes.
    Given(Vec<u8>),
    /// At hand, in C order: texts of any length.
    Texts(Vec<String>),
}

type LeftOut = Vec<(String, String)>;

pub(super) fn plan(opened: &Opened, part: &Part, options: &ConvertOptions) -> Result<(Plan, LeftOut)> {
    let meta = &opened.meta;
    let (chosen, mut left_out) = choose(meta, part, &options.target)?;
    check_windows(meta, part)?;
    // Segments of one source are told apart by a number, and are no groups.
    let flat = meta.format == Format::MiniSeed || matches!(options.target, Target::MiniSeed(_));
    let chosen = if part.variables.is_empty() && !flat { one_group(&chosen, &mut left_out) } else { chosen };
    let group = if flat { String::new() } else { common_group(&chosen)? };
    // Without a network a source begins with a dot, which a name in a store cannot.
    let plain = |name: &str| name.strip_prefix('.').map_or_else(|| name.to_owned(), |rest| format!("_.{rest}"));
    let within = |name: &str| if flat { plain(&name.replace('/', "_")) } else { within(&group, name) };
    let (mut dims, mut variables, mut copies, mut mask) = (IndexMap::new(), Vec::new(), Vec::new(), None);
    for variable in &chosen {
        let image = chosen.iter().find(|image| mask_of(meta, image).is_some_and(|mask| mask.name == variable.name));
        // A mask that makes holes in its image has nothing more to say.
        if let Some(image) = image
            && Decoding::with_holes(options.policy, image)?.is_some()
        {
            continue;
        }
        if let Some(why) = unfit(variable, &options.target) {
            // Labels of bands are read by the writer itself.
            let is_label = match options.target {
                Target::GeoTiff(_) => variable.dims.len() < 2,
                Target::MiniSeed(_) => variable.dims.is_empty() || variable.dims.contains(&variable.name),
                _ => false,
            };
            left_out.extend((!is_label).then(|| (variable.name.clone(), why)));
            continue;
        }
        let window = window(variable, part)?;
        let names: Vec<String> = variable.dims.iter().map(|dim| within(dim)).collect();
        let (new, values, round) = match new_variable(opened, variable, (&names, &window), part, options) {
            Ok(found) => found,
            Err(why) if variable.dtype.is_text() && part.variables.is_empty() => {
                left_out.push((variable.name.clone(), why.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        for (at, (name, len)) in new.dims.iter().zip(&new.shape).enumerate() {
            let old = variable.dims.get(at).and_then(|old| meta.dims.get(old));
            let unlimited = old.is_some_and(|dim| dim.unlimited);
            let dim = dims.entry(name.clone()).or_insert(Dim { len: *len, unlimited });
            if dim.len != *len {
                let why = format!("two dimensions `{name}` of lengths {} and {len}, in different groups,", dim.len);
                return Err(Error::unsupported(&variable.name, why));
            }
        }
        let mut new = NewVariable { name: within(&variable.name), ..new };
        turn::move_place(meta, &chosen, variable, part, &mut new.attrs);
        let copy = Copy { from: (*variable).clone(), window, round, values };
        if image.is_some() && matches!(options.target, Target::GeoTiff(_)) {
            mask = Some((new, copy));
            continue;
        }
        variables.push(new);
        copies.push(copy);
    }
    Ok((Plan { file: NewFile { attrs: meta.attrs.clone(), dims, variables }, copies, mask }, left_out))
}

/// The variable as it will be, and where its values come from.
fn new_variable(
    opened: &Opened,
    from: &Variable,
    (names, window): (&[String], &[Range<u64>]),
    part: &Part,
    options: &ConvertOptions,
) -> Result<(NewVariable, Values, Option<Round>)> {
    let round = Round::of(&opened.meta, from, part)?;
    let shape: Vec<u64> = window.iter().map(|w| w.end - w.start).collect();
    let is_whole = window.iter().zip(&from.grid.shape).all(|(window, len)| *window == (0..*len));
    let mut attrs = from.attrs.clone();
    // What was counted over the whole is not so of a part.
    attrs.retain(|name, _| is_whole || !name.starts_with("STATISTICS_"));
    if round.as_ref().is_some_and(|round| round.is_moved) {
        attrs.retain(|name, _| !turn::OF_RANGE.contains(&name.as_str()));
    }
    let mut new = NewVariable {
        name: from.name.clone(),
        chunk: chunk(from, names, &shape, options),
        dims: names.to_vec(),
        shape,
        dtype: from.dtype,
        fill: from.fill.clone(),
        attrs,
    };
    let joined = from.dtype == DType::Char && matches!(options.target, Target::Zarr { .. });
    if joined || (from.dtype.is_text() && from.dtype != DType::Char) {
        let values = texts::give(opened, (from, window), &mut new, &options.target)?;
        return Ok((new, values, round));
    }
    let mask = mask_of(&opened.meta, from);
    let rules = if mask.is_some() { Decoding::with_holes } else { Decoding::under };
    let Some(decoding) = rules(options.policy, from)? else {
        return Ok((new, Values::Stored, round));
    };
    new.attrs = match mask {
        Some(_) => decoding.masked_attrs(&new.attrs),
        None => decoding.decoded_attrs(&new.attrs),
    };
    new.dtype = decoding.result_dtype();
    new.fill = if new.dtype == DType::Float32 { f32::NAN.to_ne_bytes().into() } else { f64::NAN.to_ne_bytes().into() };
    let values = match mask {
        Some(mask) => Values::Masked(decoding, Box::new(mask.clone())),
        None => Values::Decoded(decoding),
    };
    Ok((new, values, round))
}

/// The mask of an image of a GeoTIFF, in which cells without data are 0.
fn mask_of<'a>(meta: &'a FileMeta, image: &Variable) -> Option<&'a Variable> {
    let plane = ["band_data", "overview"].iter().find_map(|kind| image.name.strip_prefix(kind))?;
    let mask = meta.variable(&format!("mask{plane}")).filter(|_| meta.format == Format::GeoTiff)?;
    let fits = mask.dtype == DType::UInt8 && image.dims.ends_with(&mask.dims);
    (fits && !matches!(mask.layout, Layout::Refused(_))).then_some(mask)
}

/// Why a variable cannot be copied.
fn unfit(variable: &Variable, target: &Target) -> Option<String> {
    match (&variable.layout, variable.dtype) {
        (Layout::Refused(why), _) => Some(format!("{why} cannot be read")),
        _ if matches!(target, Target::MiniSeed(_)) && !waveform::is_segment(variable) => Some(
            "a segment of miniSEED is a variable along time alone, with samples, of integers or floats of at most 64 bits".into(),
        ),
        (_, dtype) if !target.holds(dtype) => Some(format!("{} has no values of type {}", target.name(), dtype.name())),
        _ => None,
    }
}

/// The variables and what they name, in the order of the file; what the file has but cannot be read.
fn choose<'a>(meta: &'a FileMeta, part: &Part, target: &Target) -> Result<(Vec<&'a Variable>, LeftOut)> {
    if part.variables.is_empty() {
        // Overviews can be made again, and have dimensions of their own.
        let is_page = |v: &Variable| v.name.contains("_page_") || v.dims.iter().any(|dim| dim.contains("_page_"));
        let of_blocks = dims_of_blocks(meta);
        let keeps = |v: &&Variable| {
            let whole = v.dims.iter().all(|dim| !of_blocks.contains(&dim));
            whole && (meta.format != Format::GeoTiff || (is_of_image(v) && !is_page(v)))
        };
        let copied = |v: &Variable| {
            meta.variable("band_data").and_then(|image| mask_of(meta, image)).is_some_and(|m| m.name == v.name)
        };
        let is_lost = |v: &&Variable| meta.format == Format::GeoTiff && v.name == "mask" && !copied(v);
        let is_further = |v: &&Variable| meta.format == Format::GeoTiff && v.name.starts_with("band_data_page_");
        let further = meta.variables.iter().filter(is_further);
        let further = further.map(|v| (v.name.clone(), "one image in one file; choose it with `--var`".to_owned()));
        let masks = meta.variables.iter().filter(is_lost);
        let masks = masks.map(|v| (v.name.clone(), format!("a mask of {} that is not read", v.dtype.name())));
        return Ok((
            meta.variables.iter().filter(keeps).filter(|v| !is_lost(v)).collect(),
            meta.refused.iter().cloned().chain(masks).chain(further).collect(),
        ));
    }
    let mut names: Vec<String> = Vec::new();
    for name in &part.variables {
        let variable = meta.find(name)?;
        if let Some(why) = unfit(variable, target) {
            return Err(Error::unsupported(name, why));
        }
        names.push(variable.name.clone());
    }
    // What a coordinate names (its bounds) belongs to it.
    let mut at = 0;
    while let Some(variable) = names.get(at).and_then(|name| meta.variable(name)) {
        at += 1;
        let mask = mask_of(meta, variable).map(|mask| mask.name.clone());
        let found = related(meta, variable).chain(mask).filter(|name| !names.contains(name));
        names.extend(found.collect::<Vec<_>>());
    }
    Ok((meta.variables.iter().filter(|v| names.contains(&v.name)).collect(), Vec::new()))
}

/// Dimensions of blocks only: what they hold is in the array that is cut out of them.
fn dims_of_blocks(meta: &FileMeta) -> Vec<&String> {
    let of =
        |attr: &'static str| meta.variables.iter().filter(move |v| v.attrs.contains_key(attr)).flat_map(|v| &v.dims);
    of("blocks_of").filter(|dim| !of("blocks").any(|other| other == *dim)).collect()
}

fn is_of_image(variable: &Variable) -> bool {
    let level =
        |name: &str| name.split_once('_').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    let own = |dim: &String| !level(dim);
    !variable.name.starts_with("overview_") && !variable.name.starts_with("mask_") && variable.dims.iter().all(own)
}

/// Coordinates of the dimensions of a variable, and the variables that its attributes name.
fn related<'a>(meta: &'a FileMeta, variable: &'a Variable) -> impl Iterator<Item = String> + 'a {
    let coordinates = variable.dims.iter().filter_map(|dim| meta.coordinate(variable, dim));
    let words = NAMES.iter().flat_map(|name| text(variable, name).split([' ', ':']));
    let group = variable.name.rsplit_once('/').map(|(group, _)| group);
    let named = words.filter(|word| !word.is_empty()).filter_map(move |word| {
        let own = group.and_then(|group| meta.variable(&format!("{group}/{word}")));
        own.or_else(|| meta.variable(word.trim_start_matches('/')))
    });
    coordinates.chain(named).map(|v| v.name.clone())
}

fn check_windows(meta: &FileMeta, part: &Part) -> Result<()> {
    for (name, range) in &part.windows {
        let all = || meta.dims.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let Some(dim) = meta.dims.get(name) else {
            let shape = format!("the dimensions {}", all());
            return Err(Error::Window { window: format!("{name}={}:{}", range.start, range.end), shape });
        };
        let turn = part.turns.iter().find(|turn| turn.dim == *name).map(|turn| turn.period);
        let goes_round = |period: u64| range.start < period && period <= dim.len && range.end - range.start <= period;
        let fits = turn.map_or(range.end <= dim.len, |period| range.end > range.start && goes_round(period));
        if range.start >= range.end || !fits {
            return Err(Error::Window {
                window: format!("{name}={}:{}", range.start, range.end),
                shape: dim.len.to_string(),
            });
        }
    }
    Ok(())
}

fn window(variable: &Variable, part: &Part) -> Result<Vec<Range<u64>>> {
    let of = |(dim, len): (&String, &u64)| {
        let found = part.windows.iter().find(|(name, _)| name == dim).map_or(0..*len, |(_, range)| range.clone());
        let turn = part.turns.iter().find(|turn| turn.dim == *dim);
        let fits = turn.map_or(found.end <= *len, |turn| turn.period <= *len);
        fits.then_some(found.clone()).ok_or_else(|| Error::Window {
            window: format!("{dim}={}:{}", found.start, found.end),
            shape: format!("{:?} of `{}`", variable.grid.shape, variable.name),
        })
    };
    variable.dims.iter().zip(&variable.grid.shape).map(of).collect()
}

fn group(variable: &Variable) -> &str {
    variable.name.rsplit_once('/').map_or("", |(group, _)| group)
}

/// The variables of the root where it has arrays, else of the first group; the others are left out.
fn one_group<'a>(chosen: &[&'a Variable], left_out: &mut LeftOut) -> Vec<&'a Variable> {
    let of = |v: &&Variable| group(v).to_owned();
    let in_root = chosen.iter().any(|v| group(v).is_empty() && v.dims.len() > 1);
    let first = || chosen.iter().map(|v| group(v)).find(|group| !group.is_empty()).unwrap_or_default();
    let kept = if in_root { String::new() } else { first().to_owned() };
    // Coordinates of a group may be those of the root.
    let (own, others): (Vec<_>, Vec<_>) =
        chosen.iter().copied().partition(|v| of(v) == kept || (group(v).is_empty() && v.dims.len() < 2));
    let why = || "it is in another group; choose it with `--var`".to_owned();
    left_out.extend(others.into_iter().map(|v: &Variable| (v.name.clone(), why())));
    own
}

/// The group that all variables of more than one value are in; names are given without it.
fn common_group(chosen: &[&Variable]) -> Result<String> {
    let mut groups: Vec<String> =
        chosen.iter().map(|v| group(v).to_owned()).filter(|group| !group.is_empty()).collect();
    groups.sort_unstable();
    groups.dedup();
    let in_root = chosen.iter().filter(|v| group(v).is_empty() && v.dims.len() > 1).count();
    match groups.as_slice() {
        [] => Ok(String::new()),
        [one] if in_root == 0 => Ok(one.clone()),
        many => {
            let first: Vec<&str> = many.iter().take(8).map(String::as_str).collect();
            let why = format!("copying variables of several groups ({}) into one file", first.join(", "));
            Err(Error::unsupported("the file", why))
        }
    }
}

fn within(group: &str, name: &str) -> String {
    let own = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('/')).filter(|_| !group.is_empty());
    own.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name)).to_owned()
}

/// The chunk that was asked for; else the source's, cut where it is too large.
fn chunk(variable: &Variable, names: &[String], shape: &[u64], options: &ConvertOptions) -> Vec<u64> {
    let bytes = |chunk: &[u64]| chunk.iter().fold(variable.dtype.size() as u64, |n, len| n.saturating_mul(*len));
    let fit: Vec<u64> = variable.grid.chunk.iter().zip(shape).map(|(c, n)| (*c).min(*n).max(1)).collect();
    let base = if bytes(&fit) > LARGE { virtual_grid(shape, variable.dtype).chunk } else { fit };
    let asked = |name: &String| options.chunks.iter().find(|(dim, _)| dim == name).map(|(_, len)| *len);
    let lengths = names.iter().zip(base).zip(shape);
    lengths.map(|((name, own), len)| asked(name).unwrap_or(own).clamp(1, (*len).max(1))).collect()
}

/// Names of dimensions and variables as a text, for errors.
pub(super) fn names(variables: &[NewVariable]) -> String {
    variables.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The text of an attribute of a new variable.
pub(super) fn attr<'a>(variable: &'a NewVariable, name: &str) -> &'a str {
    variable.attrs.get(name).and_then(AttrValue::text).unwrap_or_default()
}
