//! Where each vendor says what the axes of its arrays are.

use super::view::{Values, View};
use super::{Axis, Places, Section, Unit, febus};
use crate::array::{AttrValue, Attrs, Variable};
use crate::miniseed::Rate;
use crate::utc;

/// Most arrays of a file that are named; the others stay as they are.
pub(super) const MAX_SECTIONS: usize = 256;

/// The arrays of a file, by the first layout that it has.
pub(super) fn find(view: &View<'_>) -> Vec<Section> {
    let layouts = [prodml, gdr, terra15, optodas, neubrex, silixa, ap_sensing, febus::find, dasdae, plain];
    let mut found = layouts.iter().map(|layout| layout(view)).find(|found| !found.is_empty()).unwrap_or_default();
    found.truncate(MAX_SECTIONS);
    found
}

/// The attributes that users look for, under one name for all vendors.
#[derive(Default)]
pub(super) struct About(pub(super) Attrs);

impl About {
    pub(super) fn number(mut self, name: &str, value: Option<f64>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), AttrValue::Float64(vec![value]));
        }
        self
    }

    pub(super) fn text(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value.filter(|value| !value.is_empty() && *value != "NaN") {
            self.0.insert(name.to_owned(), AttrValue::Text(value.to_owned()));
        }
        self
    }
}

pub(super) fn axis(name: &'static str, at: Places) -> Axis {
    Axis { name, at }
}

pub(super) fn steps(first: f64, step: Option<f64>, units: &str) -> Places {
    step.map_or(Places::Unknown, |step| Places::Steps { first, step, units: units.to_owned() })
}

/// Times by equal steps, where both start and rate are known.
fn clock(start_ns: Option<i64>, rate_hz: Option<f64>) -> Places {
    match start_ns.zip(rate_hz.and_then(Rate::from_hz)) {
        Some((start_ns, rate)) => Places::Clock { start_ns, rate },
        None => steps(0.0, rate_hz.map(|hz| 1.0 / hz), "s"),
    }
}

/// `m` and `meters` are one unit.
fn metres(unit: Option<&str>) -> &str {
    match unit {
        None | Some("meters" | "metres" | "meter" | "metre") => "m",
        Some(unit) => unit,
    }
}

/// The axes `[time, distance]` in the order that the file gives by name; `None` if it does not name both.
fn named(names: Option<&AttrValue>, time: Axis, distance: Axis) -> Option<Vec<Axis>> {
    let words: Vec<String> = match names? {
        AttrValue::Texts(texts) => texts.clone(),
        AttrValue::Text(text) => text.split([',', ' ', ';']).filter(|w| !w.is_empty()).map(str::to_owned).collect(),
        _ => return None,
    };
    let kinds: Vec<&str> = words.iter().filter_map(|word| kind(word)).collect();
    match kinds.as_slice() {
        ["time", "distance"] => Some(vec![time, distance]),
        ["distance", "time"] => Some(vec![distance, time]),
        _ => None,
    }
}

fn kind(word: &str) -> Option<&'static str> {
    let word = word.trim().to_ascii_lowercase();
    if word.starts_with("time") {
        return Some("time");
    }
    ["locus", "loci", "distance", "channel", "channels"].contains(&word.as_str()).then_some("distance")
}

/// The axes in the order in which their known lengths fit the shape, if only one order fits.
fn by_length(variable: &Variable, time: (Option<u64>, Axis), distance: (Option<u64>, Axis)) -> Option<Vec<Axis>> {
    let [first, second] = variable.grid.shape.as_slice() else { return None };
    let fits = |len: Option<u64>, of: u64| len.is_none_or(|len| len == of);
    let known = time.0.is_some() || distance.0.is_some();
    let time_first = known && fits(time.0, *first) && fits(distance.0, *second);
    let time_last = known && fits(time.0, *second) && fits(distance.0, *first);
    match (time_first, time_last) {
        (true, false) => Some(vec![time.1, distance.1]),
        (false, true) => Some(vec![distance.1, time.1]),
        _ => None,
    }
}

/// An array whose order of axes the file does not tell.
fn undecided(section: &mut Section, why: &str) {
    section.axes = Vec::new();
    section.attrs.insert("das_axes_unknown".to_owned(), AttrValue::Text(why.to_owned()));
}

fn length(view: &View<'_>, path: &str) -> Option<u64> {
    match view.variable(path)?.grid.shape.as_slice() {
        [len] => Some(*len),
        _ => None,
    }
}

/// A whole number that is not negative.
fn count(number: Option<f64>) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    number.filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64)
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(group, _)| group)
}

/// ProdML (OptaSense, Silixa and others): `Acquisition/Raw[i]/RawData`, `Acquisition/Processed/Fbe[i]/FbeData[j]`.
fn prodml(view: &View<'_>) -> Vec<Section> {
    let is_data = |name: &str| {
        let (group, leaf) = name.rsplit_once('/').unwrap_or(("", name));
        let raw = group.starts_with("Acquisition/Raw") && leaf == "RawData";
        raw || (group.starts_with("Acquisition/Processed/") && leaf.contains("Data") && !leaf.ends_with("Time"))
    };
    let mut data: Vec<&Variable> = view.meta.variables.iter().filter(|v| is_data(&v.name)).collect();
    data.sort_by_key(|variable| !variable.name.starts_with("Acquisition/Raw"));
    data.into_iter().filter(|v| v.grid.shape.len() == 2).take(MAX_SECTIONS).map(|v| prodml_array(view, v)).collect()
}

fn prodml_array(view: &View<'_>, data: &Variable) -> Section {
    const TOP: &str = "Acquisition";
    let group = parent(&data.name);
    let spacing = view.number(TOP, "SpatialSamplingInterval");
    let units = ["SpatialSamplingIntervalUnit", "SpatialSamplingInterval.uom"];
    let units = metres(units.iter().find_map(|name| view.text(TOP, name)));
    let start = view.number(group, "StartLocusIndex").or_else(|| view.number(TOP, "StartLocusIndex")).unwrap_or(0.0);
    let loci = view.number(group, "NumberOfLoci").or_else(|| view.number(TOP, "NumberOfLoci"));
    let rate = view.number(group, "OutputDataRate");
    let times = ["RawDataTime", "FbeDataTime"].map(|name| format!("{group}/{name}"));
    let times = times.into_iter().find(|path| length(view, path).is_some());
    let start_ns = view.text(&data.name, "PartStartTime").and_then(utc::parse);
    let time = match &times {
        Some(path) => {
            view.values(path);
            let (default_unit, step_s) = (Some(Unit::Microseconds), rate.map(|hz| 1.0 / hz));
            Places::Times { path: path.clone(), default_unit, step_s }
        }
        None => clock(start_ns, rate),
    };
    let time_len = times.as_deref().and_then(|path| length(view, path));
    let (time, distance) =
        (axis("time", time), axis("distance", steps(start * spacing.unwrap_or(1.0), spacing, units)));
    let names = view.attr(&data.name, "Dimensions").or_else(|| view.attr(group, "Dimensions"));
    let about = About::default()
        .number("sampling_rate_hz", rate)
        .number("channel_spacing", spacing)
        .number("gauge_length", view.number(TOP, "GaugeLength"))
        .number("pulse_rate_hz", view.number(TOP, "PulseRate"))
        .text("units", view.text(group, "RawDataUnit").or_else(|| view.text(group, "FbeDataUnit")))
        .text("long_name", view.text(group, "RawDescription"));
    let axes = named(names, time.clone(), distance.clone())
        .or_else(|| by_length(data, (time_len, time), (count(loci), distance)));
    let mut section = Section::new("ProdML", &data.name, axes.unwrap_or_default(), about.0);
    if section.axes.is_empty() {
        undecided(&mut section, "there is no attribute `Dimensions`, and lengths of time and loci do not decide");
    }
    section
}

/// Geothermal Data Repository (PoroTomo): `DasRawData/RawData` and `DasTimeArray`.
fn gdr(view: &View<'_>) -> Vec<Section> {
    const TOP: &str = "DasMetadata/Interrogator/Acquisition";
    let (Some(data), Some(times)) = (view.variable("DasRawData/RawData"), length(view, "DasRawData/DasTimeArray"))
    else {
        return Vec::new();
    };
    view.values("DasRawData/DasTimeArray");
    let rate = view.number(TOP, "AcquisitionSampleRate");
    let path = "DasRawData/DasTimeArray".to_owned();
    let time = axis("time", Places::Times { path, default_unit: None, step_s: rate.map(|hz| 1.0 / hz) });
    let spacing = view.number(TOP, "SpatialSamplingInterval");
    let units = metres(view.text(TOP, "SpatialSamplingIntervalUnit"));
    let distance = axis("distance", steps(0.0, spacing, units));
    let names = view.attr(&data.name, "DasDimensions");
    let loci = count(view.number(TOP, "NumberOfChannels"));
    let about = About::default()
        .number("sampling_rate_hz", rate)
        .number("channel_spacing", spacing)
        .number("gauge_length", view.number(TOP, "GaugeLength"))
        .text("units", view.text(TOP, "UnitOfMeasure"));
    let axes =
        named(names, time.clone(), distance.clone()).or_else(|| by_length(data, (Some(times), time), (loci, distance)));
    vec![decided(Section::new("GDR", &data.name, axes.unwrap_or_default(), about.0))]
}

fn decided(mut section: Section) -> Section {
    if section.axes.is_empty() {
        undecided(
            &mut section,
            "the file does not name its dimensions, and the lengths of its coordinates do not decide",
        );
    }
    section
}

/// Terra15: `<product>/data` with `gps_time` and `posix_time`; time is the first axis.
fn terra15(view: &View<'_>) -> Vec<Section> {
    if !view.has("", &["file_version", "sensing_range_start", "dx"]) {
        return Vec::new();
    }
    let product = view.text("", "data_product").map(|name| format!("{name}/data"));
    let paths = ["data_product/data".to_owned(), product.unwrap_or_default()];
    let Some(data) = paths.iter().find_map(|path| view.variable(path)) else { return Vec::new() };
    let group = parent(&data.name);
    let times = ["gps_time", "posix_time"].map(|name| format!("{group}/{name}"));
    let time = times.into_iter().find(|path| length(view, path).is_some()).map_or(Places::Unknown, |path| {
        view.values(&path);
        let step_s = view.number(&data.name, "dT").or_else(|| view.number("", "dt_computer"));
        Places::Times { path, default_unit: Some(Unit::Seconds), step_s }
    });
    let spacing = view.number("", "dx");
    let first = view.number("", "sensing_range_start").unwrap_or(0.0);
    let about = About::default()
        .number("channel_spacing", spacing)
        .number("gauge_length", view.number("", "gauge_length"))
        .number("pulse_rate_hz", view.number("", "pulse_rate"))
        .text("units", view.text("", "data_product_units"))
        .text("long_name", view.text("", "data_product"));
    let axes = vec![axis("time", time), axis("distance", steps(first, spacing, "m"))];
    vec![Section::new("Terra15", &data.name, axes, about.0)]
}

/// ASN OptoDAS: `data`, with everything else in datasets of `header`.
fn optodas(view: &View<'_>) -> Vec<Section> {
    let Some(data) = view.variable("data").filter(|_| view.variable("header/dimensionNames").is_some()) else {
        return Vec::new();
    };
    let start_s = view.value("header/time");
    #[expect(clippy::cast_possible_truncation, reason = "a moment of our days fits")]
    let start_ns = start_s.filter(|s| s.abs() < 9e9).map(|s| (s * 1e9).round() as i64);
    let time = axis("time", clock(start_ns, view.value("header/dt").filter(|dt| *dt > 0.0).map(|dt| 1.0 / dt)));
    let spacing = view.value("header/dx");
    let channels = view.values("header/channels");
    let distance = axis("distance", channels.map_or(Places::Unknown, |channels| of_channels(channels, spacing)));
    let names = match view.values("header/dimensionNames") {
        Some(Values::Texts(names)) => Some(AttrValue::Texts(names.clone())),
        _ => None,
    };
    let about = About::default()
        .number("channel_spacing", spacing)
        .number("gauge_length", view.value("header/gaugeLength"))
        .number("data_scale", view.value("header/dataScale"))
        .text("units", view.text_value("header/unit"))
        .text("long_name", view.text_value("header/name"));
    let axes = named(names.as_ref(), time, distance).unwrap_or_default();
    vec![decided(Section::new("ASN OptoDAS", &data.name, axes, about.0))]
}

/// Channel numbers times their spacing, where they are equally spaced.
fn of_channels(channels: &Values, spacing: Option<f64>) -> Places {
    let numbers: Vec<f64> = (0..channels.len()).filter_map(|at| channels.number(at)).collect();
    let step = numbers.get(1).zip(numbers.first()).map_or(1.0, |(second, first)| second - first);
    let (Some(spacing), Some(first)) = (spacing, numbers.first()) else { return Places::Unknown };
    if numbers.windows(2).any(|pair| pair[1] - pair[0] != step) {
        return Places::Array { path: "header/channels".to_owned(), units: format!("{spacing} m") };
    }
    steps(first * spacing, Some(step * spacing), "m")
}

/// Neubrex: `Acoustic`, time first, with all attributes on the dataset.
fn neubrex(view: &View<'_>) -> Vec<Section> {
    const DATA: &str = "Acoustic";
    let name = "TimeSamplingInterval(seconds)";
    if view.variable(DATA).is_none() || !view.has(DATA, &[name, "StartPosition", "SpatialSamplingInterval"]) {
        return Vec::new();
    }
    let start = ["GPSTimeStamp(UTC)", "CPUTimeStamp(UTC)"].iter().find_map(|name| view.text(DATA, name));
    let time = clock(start.and_then(utc::parse), view.number(DATA, name).filter(|dt| *dt > 0.0).map(|dt| 1.0 / dt));
    let spacing = view.number(DATA, "SpatialSamplingInterval");
    let first = view.number(DATA, "StartPosition").unwrap_or(0.0);
    let distance = steps(first, spacing, metres(view.text(DATA, "StartStopPositionUnit")));
    let about = About::default()
        .number("channel_spacing", spacing)
        .number("gauge_length", view.number(DATA, "GaugeLength"))
        .text("units", view.text(DATA, "DataPhysicalUnit"));
    let axes = vec![axis("time", time), axis("distance", distance)];
    vec![Section::new("Neubrex", DATA, axes, about.0)]
}

/// Silixa iDAS: `Acoustic`, time first, with all attributes on the dataset.
fn silixa(view: &View<'_>) -> Vec<Section> {
    const DATA: &str = "Acoustic";
    if view.variable(DATA).is_none() || !view.has(DATA, &["SamplingFrequency[Hz]", "SpatialResolution[m]"]) {
        return Vec::new();
    }
    let start = ["ISO8601 Timestamp", "GPSTimeStamp", "CPUTimeStamp"].iter().find_map(|name| view.text(DATA, name));
    let rate = view.number(DATA, "SamplingFrequency[Hz]").filter(|hz| *hz > 0.0);
    let per_metre = view.number(DATA, "Fibre Length Multiplier").unwrap_or(1.0);
    let spacing = view.number(DATA, "SpatialResolution[m]").map(|resolution| resolution * per_metre);
    let first = view.number(DATA, "Start Distance (m)").unwrap_or(0.0);
    let about = About::default()
        .number("sampling_rate_hz", rate)
        .number("channel_spacing", spacing)
        .number("gauge_length", view.number(DATA, "GaugeLength"));
    let axes =
        vec![axis("time", clock(start.and_then(utc::parse), rate)), axis("distance", steps(first, spacing, "m"))];
    vec![Section::new("Silixa iDAS", DATA, axes, about.0)]
}

/// AP Sensing: `DAS`, time first.
fn ap_sensing(view: &View<'_>) -> Vec<Section> {
    let Some(data) = view.variable("DAS").filter(|_| view.variable("ProcessingServer/DataRate").is_some()) else {
        return Vec::new();
    };
    let rate = view.value("ProcessingServer/DataRate").filter(|hz| *hz > 0.0);
    let start_ns = view.text_value("Metadata/Timestamp").and_then(utc::parse);
    let (first, end) = (view.value("DAQ/PositionStart"), view.value("DAQ/PositionEnd"));
    let channels = data.grid.shape.get(1).copied().unwrap_or(0);
    // `SpatialSampling` does not fit the number of channels; the ends of the cable do.
    let spacing = first.zip(end).filter(|_| channels > 0).map(|(first, end)| (end - first) / channels as f64);
    let about = About::default()
        .number("sampling_rate_hz", rate)
        .number("channel_spacing", spacing)
        .number("gauge_length", view.value("ProcessingServer/GaugeLength"))
        .number("radians_to_nanostrain", view.value("ProcessingServer/RadiansToNanoStrain"));
    let axes = vec![axis("time", clock(start_ns, rate)), axis("distance", steps(first.unwrap_or(0.0), spacing, "m"))];
    vec![Section::new("AP Sensing", &data.name, axes, about.0)]
}

/// DASDAE: groups of `waveforms`, each with `data`, `_coord_<dim>` and the attribute `_dims`.
fn dasdae(view: &View<'_>) -> Vec<Section> {
    let is_data = |variable: &&Variable| {
        let parts: Vec<&str> = variable.name.split('/').collect();
        matches!(parts.as_slice(), ["waveforms", _, "data"]) && variable.grid.shape.len() == 2
    };
    let section = |data: &Variable| {
        let group = parent(&data.name);
        let (times, places) = (format!("{group}/_coord_time"), format!("{group}/_coord_distance"));
        view.values(&times);
        let time = Places::Times { path: times, default_unit: Some(Unit::Nanoseconds), step_s: None };
        let distance = Places::Array { path: places, units: "m".to_owned() };
        let names = view.attr(group, "_dims");
        let about = About::default()
            .number("pulse_rate_hz", view.number(group, "_attrs_pulse_rate"))
            .text("units", view.text(group, "_attrs_data_units"))
            .text("long_name", view.text(group, "_attrs_data_type"));
        let axes = named(names, axis("time", time), axis("distance", distance)).unwrap_or_default();
        decided(Section::new("DASDAE", &data.name, axes, about.0))
    };
    view.meta.variables.iter().filter(is_data).take(MAX_SECTIONS).map(section).collect()
}

/// `raw` or `data` beside `timestamp`, `timestamps` or `time`, at the root.
fn plain(view: &View<'_>) -> Vec<Section> {
    let first = |names: &[&str]| names.iter().find_map(|name| view.variable(name));
    let times = first(&["timestamp", "timestamps", "time"]).filter(|v| v.grid.shape.len() == 1);
    let data = first(&["raw", "data"]).filter(|v| v.grid.shape.len() == 2);
    let (Some(times), Some(data)) = (times, data) else { return Vec::new() };
    let places = first(&["distance", "channels"]).filter(|v| v.grid.shape.len() == 1);
    view.values(&times.name);
    let time = Places::Times { path: times.name.clone(), default_unit: None, step_s: None };
    let distance = places.map_or(Places::Unknown, |places| {
        let units = places.attrs.get("units").and_then(AttrValue::text).unwrap_or_default();
        Places::Array { path: places.name.clone(), units: units.to_owned() }
    });
    let (time, distance) = (axis("time", time), axis("distance", distance));
    let len = |variable: &Variable| variable.grid.shape.first().copied();
    let names = view.attr("", "dims").or_else(|| view.attr(&data.name, "Dimensions"));
    let axes = named(names, time.clone(), distance.clone())
        .or_else(|| by_length(data, (len(times), time), (places.and_then(len), distance)));
    let attrs = Attrs::new();
    vec![decided(Section::new("plain", &data.name, axes.unwrap_or_default(), attrs))]
}
