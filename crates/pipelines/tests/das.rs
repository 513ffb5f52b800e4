//! Recordings from files to Zarr: golden chain and pictures, gaps, layouts, types, executors, memory.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::path::{Path, PathBuf};

use outcrop_compute::signal::Band;
use outcrop_compute::{Executor, Missing, RunOptions};
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, Number, ZarrCompression, ZarrFormat, open as open_zarr};
use outcrop_formats::{AttrValue, Attrs, DType};
use outcrop_pipelines::das::{Channels, Das, DasOptions, DasReport, DasResult, Gaps, PictureOptions, Section, open};
use outcrop_pipelines::draw::Limits;
use outcrop_pipelines::{Error, Result};
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{difference, npz, shared_data};
use tokio::runtime::Runtime;

struct Bench {
    _runtime: Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

/// 2022-10-25T18:37:56Z in microseconds.
const START: i64 = 1_666_723_076_000_000;
const STEP: i64 = 5000;
const CHANNELS: u64 = 37;
const SAMPLES: u32 = 700;

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { _runtime: runtime, store, folder: tempfile::tempdir().unwrap() }
    }

    fn section(&self, files: &[PathBuf], options: &DasOptions) -> Result<Section> {
        let href = |file: &PathBuf| {
            let href = Href::from_path(file);
            if file.is_dir() { href.as_folder() } else { href }
        };
        let hrefs: Vec<Href> = files.iter().map(href).collect();
        self.store.wait(open(&self.store, &hrefs, options))
    }

    /// Runs and reads back: values, times, and the report.
    fn run(&self, files: &[PathBuf], options: &DasOptions, run: &RunOptions) -> (Vec<f64>, Vec<f64>, DasReport) {
        let das = Das::new(self.section(files, options).unwrap(), options.clone()).unwrap();
        let root = self.folder.path().join("out.zarr");
        let report = das.run(run, &DasResult { root: root.clone(), compression: 1 }).unwrap();
        let zarr = open_zarr(&self.store, &Href::from_path(&root).as_folder()).unwrap();
        let (values, times) = (zarr.read_f64("strain_rate").unwrap(), zarr.read_f64("time").unwrap());
        std::fs::remove_dir_all(root).unwrap();
        (values, times, report)
    }

    /// One file after the other, of a made-up recording of whole numbers.
    fn recording<T: Number>(&self, name: &str, layout: &Layout, to: impl Fn(f64) -> T) -> Vec<PathBuf> {
        (0..3u32).map(|file| self.file(&format!("{name}-{file}"), (file, file), layout, &to)).collect()
    }

    /// The samples of file `file`, said to be those of minute `minute`.
    fn file<T: Number>(
        &self,
        name: &str,
        (file, minute): (u32, u32),
        layout: &Layout,
        to: &impl Fn(f64) -> T,
    ) -> PathBuf {
        let root = self.folder.path().join(format!("{name}.zarr"));
        let times: Vec<i64> = (0..SAMPLES).map(|at| START + i64::from(minute * SAMPLES + at) * layout.step).collect();
        let mut dims = vec![("distance", layout.channels), ("time", u64::from(SAMPLES))];
        let mut chunk = layout.chunk.to_vec();
        if layout.is_time_major {
            dims.reverse();
            chunk.reverse();
        }
        let mut group = GroupWriter::create(&root, "", ZarrFormat::V3, &Attrs::new()).unwrap();
        let spec = |name: &str, dims: &[(&str, u64)], chunk: Vec<u64>, dtype: DType, units: &str| ArraySpec {
            name: name.into(),
            dims: dims.iter().map(|(dim, _)| (*dim).to_owned()).collect(),
            shape: dims.iter().map(|(_, len)| *len).collect(),
            chunk,
            dtype: Element::Number(dtype),
            fill: None,
            shard: None,
            compression: ZarrCompression::Zstd { level: 1 },
            attrs: Attrs::from_iter([("units".to_owned(), AttrValue::Text(units.into()))]),
        };
        group.add_array(&spec("data", &dims, chunk.clone(), T::DTYPE, "counts")).unwrap();
        let counts: Vec<u64> = dims.iter().zip(&chunk).map(|((_, len), chunk)| len.div_ceil(*chunk)).collect();
        for row in 0..counts[0] {
            for column in 0..counts[1] {
                let range = |at: u64, d: usize| at * chunk[d]..((at + 1) * chunk[d]).min(dims[d].1);
                let cell = |a: u64, b: u64| if layout.is_time_major { sample(b, file, a) } else { sample(a, file, b) };
                let values: Vec<T> = range(row, 0)
                    .flat_map(|a| range(column, 1).map(move |b| (a, b)))
                    .map(|(a, b)| to(cell(a, b)))
                    .collect();
                group.write_chunk("data", &[row, column], &values).unwrap();
            }
        }
        let units = "microseconds since 1970-01-01";
        group
            .add_array(&spec("time", &dims_of("time", SAMPLES.into()), vec![SAMPLES.into()], DType::Int64, units))
            .unwrap();
        group.write_chunk("time", &[0], &times).unwrap();
        let count = layout.channels;
        group.add_array(&spec("distance", &dims_of("distance", count), vec![count], DType::Float64, "m")).unwrap();
        let places: Vec<f64> = (0..count).map(|at| 100.0 + 2.0 * at as f64).collect();
        group.write_chunk("distance", &[0], &places).unwrap();
        group.finish().unwrap();
        root
    }
}

fn dims_of(dim: &str, len: u64) -> [(&str, u64); 1] {
    [(dim, len)]
}

#[derive(Clone, Copy)]
struct Layout {
    channels: u64,
    chunk: [u64; 2],
    is_time_major: bool,
    step: i64,
}

const PLAIN: Layout = Layout { channels: CHANNELS, chunk: [5, 300], is_time_major: false, step: STEP };

/// A whole number that fits 16 bits.
fn sample(channel: u64, file: u32, at: u64) -> f64 {
    let at = at + u64::from(file * SAMPLES);
    let noise = ((channel * 7919 + at * 104_729 + channel * at * 31) % 2003) as f64;
    noise - 900.0 + 3.0 * channel as f64 + (at as f64 * 0.01).round()
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers of 16 bits")]
fn short(value: f64) -> i16 {
    value as i16
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers of 16 bits")]
fn long(value: f64) -> i32 {
    value as i32
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers of 16 bits")]
fn single(value: f64) -> f32 {
    value as f32
}

fn options() -> DasOptions {
    // Some samples of each channel are much for so short a recording; a higher edge settles sooner.
    DasOptions { band: Band::Pass(0.5, 10.0), ..DasOptions::default() }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn golden(folder: &Path) -> Vec<PathBuf> {
    // Files may be named in any order.
    [2, 0, 1].map(|at| folder.join(format!("chain_{at}.h5"))).into()
}

#[test]
fn the_golden_chain_is_met_from_the_files_to_zarr() {
    let Some(folder) = shared_data("golden/a_das") else { return };
    let bench = Bench::new();
    let (values, times, report) = bench.run(&golden(&folder), &DasOptions::default(), &RunOptions::default());
    let want = npz::<f64>(&folder.join("chain_want.npz"), "processed64");
    let rounded: Vec<f64> = want.iter().map(|value| f64::from(single(*value))).collect();
    assert_eq!(report.shape, [12, 1125]);
    assert_eq!(difference(&values, &rounded, 0.0, 0.000_861), None);
    let all = npz::<i64>(&folder.join("chain_want.npz"), "times");
    let kept: Vec<f64> = all.iter().step_by(4).map(|time| *time as f64).collect();
    assert_eq!(bits(&times), bits(&kept));
    assert_eq!(report.missing, 0);
}

#[test]
fn golden_pictures_have_the_levels_of_matplotlib() {
    let Some(folder) = shared_data("golden/a_das") else { return };
    let bench = Bench::new();
    let picture = PictureOptions { from: Some(2), to: Some(9), ..PictureOptions::default() };
    let options = DasOptions { picture, ..DasOptions::default() };
    let (values, _, report) = bench.run(&golden(&folder), &options, &RunOptions::default());
    let files: Vec<PathBuf> = (0..3).map(|at| folder.join(format!("chain_{at}.h5"))).collect();
    let raw = bench.section(&files, &options).unwrap().array.compute().unwrap().into_f64();
    let shown = |values: &[f64], width: usize, step: usize| -> Vec<f64> {
        (2..10)
            .flat_map(|row| values[row * width..(row + 1) * width].iter().step_by(step).copied().collect::<Vec<_>>())
            .collect()
    };
    let check = |values: Vec<f64>, limits: Limits, key: &str| {
        let got: Vec<i64> = values.iter().map(|v| limits.level(*v).map_or(-1, i64::from)).collect();
        let want: Vec<i64> = npz::<u8>(&folder.join("chain_images.npz"), key).iter().map(|v| i64::from(*v)).collect();
        assert_eq!(got.len(), want.len(), "{key}");
        let off = got.iter().zip(&want).filter(|(got, want)| got != want).count();
        assert!(off * 500 <= want.len(), "{key}: {off} of {} levels differ", want.len());
        assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= 1), "{key}");
    };
    check(shown(&values, 1125, 1), Limits::gray(0.01 * report.largest[1]), "processed");
    check(shown(&raw, 4500, 10), Limits::gray(report.largest[0]), "raw_every10");
    assert!(report.pictures.iter().all(|png| png.starts_with(b"\x89PNG")));
}

#[test]
fn layouts_types_executors_and_memory_give_the_same_bits() {
    let bench = Bench::new();
    let files = bench.recording("plain", &PLAIN, short);
    let (want, times, report) = bench.run(&files, &options(), &RunOptions::default());
    assert_eq!(report.shape, [CHANNELS, 525]);
    assert!(want.iter().all(|value| value.is_finite()) && want.iter().any(|value| *value != 0.0));
    assert_eq!((times[0], times[1]), (START as f64, (START + 4 * STEP) as f64));
    let same = |name: &str, files: &[PathBuf], run: &RunOptions| {
        let (got, _, report) = bench.run(files, &options(), run);
        assert!(bits(&got) == bits(&want), "{name}");
        report
    };
    let serial = RunOptions { executor: Executor::Serial, ..RunOptions::default() };
    same("serial", &files, &serial);
    let other = Layout { chunk: [37, 64], ..PLAIN };
    same("i32, chunks of all channels", &bench.recording("long", &other, long), &RunOptions::default());
    let whole = Layout { chunk: [16, 700], ..PLAIN };
    same("f32, whole channels", &bench.recording("single", &whole, single), &RunOptions::default());
    let turned = Layout { chunk: [37, 100], is_time_major: true, ..PLAIN };
    let turned = bench.recording("turned", &turned, short);
    same("time first", &turned, &RunOptions::default());
}

#[test]
fn what_does_not_fit_in_memory_goes_through_a_file() {
    let bench = Bench::new();
    let rows = Layout { channels: 3000, chunk: [50, 700], ..PLAIN };
    let files = bench.recording("rows", &rows, short);
    let turned = bench.recording("turned", &Layout { chunk: [3000, 100], is_time_major: true, ..rows }, short);
    let (want, _, _) = bench.run(&files, &options(), &RunOptions::default());
    for (files, stages) in [(&files, 2), (&turned, 3)] {
        let small = RunOptions { memory: 12_000_000, threads: 1, ..RunOptions::default() };
        let das = Das::new(bench.section(files, &options()).unwrap(), options()).unwrap();
        let plan = das.summary(&small).unwrap().plan;
        assert!(plan.scratch_bytes > 0 && plan.stages.len() == stages, "{plan:?}");
        assert!(plan.memory_bytes <= 12_000_000);
        let (got, _, _) = bench.run(files, &options(), &small);
        assert!(bits(&got) == bits(&want), "{stages} stages");
    }
}

#[test]
fn gaps_are_reported_or_refused() {
    let bench = Bench::new();
    let at = |name: &str, file: u32, minute: u32| bench.file(name, (file, minute), &PLAIN, &short);
    let whole = bench.section(&bench.recording("whole", &PLAIN, short), &options()).unwrap();
    assert!(whole.gaps.is_empty());
    assert_eq!(whole.step_s, 0.005);
    // The second of three is missing.
    let missing = [at("m0", 0, 0), at("m2", 2, 2)];
    let section = bench.section(&missing, &options()).unwrap();
    let [gap] = &section.gaps[..] else { panic!("{:?}", section.gaps) };
    assert_eq!((gap.at, gap.seconds), (u64::from(SAMPLES), Some(3.505)));
    assert_eq!((gap.from.as_str(), gap.to.as_str()), ("2022-10-25T18:37:59.495Z", "2022-10-25T18:38:03Z"));
    assert_eq!(gap.files.len(), 2);
    assert!(gap.to_string().contains("gap of 3.505000 s"), "{gap}");
    // Its result is that of the samples one behind the other.
    let next = bench.recording("next", &PLAIN, short);
    let (got, times, _) = bench.run(&missing, &options(), &RunOptions::default());
    let (want, _, _) = bench.run(&[next[0].clone(), at("n2", 2, 1)], &options(), &RunOptions::default());
    assert!(bits(&got) == bits(&want));
    assert_eq!(times[175], (START + 1400 * STEP) as f64);
    // The same minute twice, and refusal.
    let twice = [at("t0", 0, 0), at("t1", 1, 0)];
    let section = bench.section(&twice, &options()).unwrap();
    assert!(section.gaps[0].seconds.is_some_and(|seconds| seconds < 0.0), "{:?}", section.gaps);
    let strict = DasOptions { gaps: Gaps::Refuse, ..options() };
    assert!(matches!(bench.section(&twice, &strict), Err(Error::Gaps { count: 1, .. })));
    assert!(bench.section(&next, &strict).is_ok());
    // Selected time has only its own gaps.
    let time = Some("2022-10-25T18:37:57Z/2022-10-25T18:37:59.495Z".parse().unwrap());
    let section = bench.section(&missing, &DasOptions { time, ..strict }).unwrap();
    assert_eq!(section.array.shape(), [CHANNELS, 500]);
}

#[test]
fn channels_are_chosen_by_position_and_distance() {
    let bench = Bench::new();
    let files = bench.recording("all", &PLAIN, short);
    let with = |channels: Channels| DasOptions { channels, median: None, ..options() };
    let run = RunOptions::default();
    let (all, _, _) = bench.run(&files, &with(Channels::All), &run);
    let width = all.len() / 37;
    for channels in [Channels::Positions(3, 21), Channels::Distance(106.0, 140.0), Channels::Distance(141.0, 105.5)] {
        let (part, _, report) = bench.run(&files, &with(channels.clone()), &run);
        assert_eq!(report.shape[0], 18, "{channels:?}");
        assert!(bits(&part) == bits(&all[3 * width..21 * width]), "{channels:?}");
    }
    for channels in [Channels::Positions(3, 38), Channels::Positions(4, 4), Channels::Distance(0.0, 99.0)] {
        assert!(matches!(bench.section(&files, &with(channels)), Err(Error::Parameter { .. })));
    }
    // Pictures show channels that are taken.
    let picture = PictureOptions { from: Some(2), ..PictureOptions::default() };
    let outside = DasOptions { picture, ..with(Channels::Positions(3, 21)) };
    let section = bench.section(&files, &outside).unwrap();
    assert!(matches!(Das::new(section, outside), Err(Error::Parameter { .. })));
}

#[test]
fn what_would_be_wrong_is_refused_or_said() {
    let bench = Bench::new();
    let files = bench.recording("first", &PLAIN, short);
    let other = |name: &str, layout: Layout| [files[0].clone(), bench.file(name, (1, 1), &layout, &short)];
    let error = |files: &[PathBuf]| bench.section(files, &options()).unwrap_err().to_string();
    let fewer = error(&other("fewer", Layout { channels: 36, ..PLAIN }));
    assert!(fewer.contains("first-0") && fewer.contains("fewer") && fewer.contains("36"), "{fewer}");
    let slower = error(&other("slower", Layout { step: 2 * STEP, ..PLAIN }));
    assert!(slower.contains("slower") && slower.contains("0.01 s"), "{slower}");
    let das = |options: DasOptions| Das::new(bench.section(&files, &options).unwrap(), options);
    for wrong in [Band::Pass(1.0, 100.0), Band::Low(120.0), Band::Pass(5.0, 1.0), Band::High(0.0), Band::Low(f64::NAN)]
    {
        assert!(matches!(das(DasOptions { band: wrong, ..options() }), Err(Error::Parameter { .. })), "{wrong:?}");
    }
    // An order whose edges are longer than the recording.
    let time = Some("2022-10-25T18:37:56Z/2022-10-25T18:37:56.160Z".parse().unwrap());
    assert!(matches!(das(DasOptions { time, ..options() }), Err(Error::Parameter { .. })));
    assert!(das(options()).unwrap().notes().is_empty());
    let folded = das(DasOptions { every: 16, ..options() }).unwrap();
    assert_eq!(folded.notes().len(), 1, "10 Hz are more than half of 12.5");
}

#[test]
fn missing_samples_take_their_channel_and_the_median_of_all_unless_left_out() {
    let bench = Bench::new();
    let gone = sample(7, 0, 100);
    let files = [bench.file("holes", (0, 0), &PLAIN, &|value| if value == gone { f32::NAN } else { single(value) })];
    let (values, _, report) = bench.run(&files, &options(), &RunOptions::default());
    assert_eq!(report.missing, values.len() as u64, "one sample of the median is NaN in all channels");
    let skip = DasOptions { median: Some(Missing::Skip), ..options() };
    let (values, _, report) = bench.run(&files, &skip, &RunOptions::default());
    assert!(report.missing < values.len() as u64 && report.missing >= 175);
}
