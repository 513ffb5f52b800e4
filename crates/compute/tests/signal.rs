//! Trends, filters and medians beside SciPy and NumPy (`golden/a_das`): each case of the manifest, within its tolerance.

use std::path::Path;

use outcrop_compute::signal::{
    Band, Removed, SignalError, Sos, Workspace, butter, detrend, remove_mean, remove_median,
};
use outcrop_formats::Opened;
use outcrop_formats::place::numbers;
use outcrop_store::{Href, Store, StoreOptions};
use outcrop_testkit::{difference, npz, shared_data};
use serde_json::Value;

/// An array of numbers of any type, in double precision, and the length of its last axis.
fn array(folder: &Path, of: &Value, key: &str) -> (Vec<f64>, usize) {
    let path = folder.join(of["file"].as_str().unwrap());
    let name = of[key].as_str().unwrap();
    macro_rules! try_as {
        ($($kind:ty),*) => {$(
            if let Ok(found) = std::panic::catch_unwind(|| npz::<$kind>(&path, name)) {
                let length = found.shape().last().copied().unwrap_or(1);
                return (found.iter().map(|value| f64::from(*value)).collect(), length);
            }
        )*};
    }
    try_as!(f64, f32, i32, i16);
    panic!("{name} of {}", path.display())
}

fn agree(id: &str, got: &[f64], want: &[f64], tol: &Value) {
    let (rtol, atol) = (tol["rtol"].as_f64().unwrap(), tol["atol"].as_f64().unwrap());
    if let Some(why) = difference(got, want, rtol, atol) {
        panic!("{id}: {why}");
    }
}

fn each(op: &str, check: impl Fn(&Path, &Value)) {
    let Some(folder) = shared_data("golden/a_das") else { return };
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let cases: Vec<&Value> = manifest["cases"].as_array().unwrap().iter().filter(|case| case["op"] == op).collect();
    assert!(!cases.is_empty(), "{op}");
    for case in cases {
        check(&folder, case);
    }
}

fn filter(params: &Value) -> Result<Sos, SignalError> {
    let edges: Vec<f64> = params["wn"].as_array().unwrap().iter().map(|edge| edge.as_f64().unwrap()).collect();
    let band = match (params["btype"].as_str().unwrap(), edges.as_slice()) {
        ("lowpass", [edge]) => Band::Low(*edge),
        ("highpass", [edge]) => Band::High(*edge),
        ("bandpass", [low, high]) => Band::Pass(*low, *high),
        ("bandstop", [low, high]) => Band::Stop(*low, *high),
        other => panic!("{other:?}"),
    };
    let order = usize::try_from(params["order"].as_u64().unwrap()).unwrap();
    butter(order, band, params["fs"].as_f64().unwrap())
}

#[test]
fn trends_are_those_of_scipy() {
    each("detrend", |folder, case| {
        let id = case["id"].as_str().unwrap();
        let (mut traces, length) = array(folder, &case["input"], "key");
        let breaks: Vec<usize> = serde_json::from_value(case["params"]["bp"].clone()).unwrap_or_default();
        for trace in traces.chunks_exact_mut(length) {
            for step in case["params"]["steps"].as_array().unwrap() {
                if step == "constant" {
                    remove_mean(trace);
                } else {
                    detrend(trace, &breaks).unwrap();
                }
            }
        }
        // What SciPy gives in double precision; its own single precision is coarser.
        let (want, _) = array(folder, &case["expect"], "key_f64");
        let most = want.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert_eq!(difference(&traces, &want, 0.0, 1e-9 * most.max(1.0)), None, "{id}");
        agree(id, &traces, &want, &case["tol"]);
    });
}

#[test]
fn designs_are_those_of_scipy() {
    each("butter_design", |folder, case| {
        let (id, expect) = (case["id"].as_str().unwrap(), &case["expect"]);
        let sos = filter(&case["params"]).unwrap();
        agree(id, &sos.sections().concat(), &array(folder, expect, "sos").0, &case["tol"]);
        agree(id, &sos.initial().concat(), &array(folder, expect, "zi").0, &case["tol"]);
        assert_eq!(sos.pad_length() as u64, expect["padlen"].as_u64().unwrap(), "{id}");
    });
}

#[test]
fn filtering_forward_and_backward_is_that_of_scipy() {
    each("sosfiltfilt", |folder, case| {
        let id = case["id"].as_str().unwrap();
        let sos = filter(&case["params"]).unwrap();
        if case["expect"].get("error").is_some() {
            assert!(matches!(sos.filtfilt(&[0.0; 33], 33, 1), Err(SignalError::Short { .. })), "{id}");
            return;
        }
        let (traces, length) = array(folder, &case["input"], "key");
        let is_single = id.ends_with("f32");
        let got = if is_single {
            #[expect(clippy::cast_possible_truncation, reason = "they came in single precision")]
            let single: Vec<f32> = traces.iter().map(|value| *value as f32).collect();
            sos.filtfilt(&single, length, 1).unwrap()
        } else {
            sos.filtfilt(&traces, length, 1).unwrap()
        };
        agree(id, &got, &array(folder, &case["expect"], "key").0, &case["tol"]);
    });
}

#[test]
fn medians_across_traces_are_those_of_numpy() {
    each("remove_median_xchannel", |folder, case| {
        let id = case["id"].as_str().unwrap();
        let file = folder.join(case["input"]["file"].as_str().unwrap());
        let found = npz::<f32>(&file, "x");
        let length = found.shape()[1];
        let mut traces: Vec<f32> = found.into_iter().collect();
        remove_median(&mut traces, length);
        let got: Vec<f64> = traces.iter().map(|value| f64::from(*value)).collect();
        agree(id, &got, &array(folder, &case["expect"], "key").0, &case["tol"]);
    });
}

#[test]
fn the_chain_on_minute_files_is_that_of_the_workflow() {
    each("das_chain", |folder, case| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        let dataset = case["input"]["dataset"].as_str().unwrap();
        let mut channels: Vec<Vec<f64>> = Vec::new();
        for file in case["input"]["files"].as_array().unwrap() {
            let href = Href::from_path(&folder.join(file.as_str().unwrap()));
            let (values, shape) = runtime.block_on(async {
                let opened = Opened::open(&store, &href).await.unwrap();
                let variable = opened.meta.find(dataset).unwrap().clone();
                let window: Vec<_> = variable.grid.shape.iter().map(|len| 0..*len).collect();
                let bytes = opened.read(&opened.locate(&variable).await.unwrap(), &window).await.unwrap();
                (numbers(variable.dtype, &bytes), variable.grid.shape)
            });
            channels.resize_with(usize::try_from(shape[0]).unwrap(), Vec::new);
            let length = usize::try_from(shape[1]).unwrap();
            channels.iter_mut().zip(values.chunks(length)).for_each(|(all, more)| all.extend_from_slice(more));
        }
        let length = channels[0].len();
        for trace in &mut channels {
            remove_mean(trace);
            detrend(trace, &[]).unwrap();
        }
        let params = &case["params"];
        let band = Band::Pass(params["band"][0].as_f64().unwrap(), params["band"][1].as_f64().unwrap());
        let every = usize::try_from(params["decimate"].as_u64().unwrap()).unwrap();
        let sos =
            butter(usize::try_from(params["order"].as_u64().unwrap()).unwrap(), band, params["fs"].as_f64().unwrap())
                .unwrap();
        let filtered = sos.filtfilt(&channels.concat(), length, every).unwrap();
        let tol = serde_json::json!({"rtol": 0, "atol": case["tol"]["f64_atol"]});
        let kept = length.div_ceil(every);
        #[expect(clippy::cast_possible_truncation, reason = "they are gathered in single precision")]
        let mut gathered: Vec<f32> = filtered.iter().map(|value| *value as f32).collect();
        remove_median(&mut gathered, kept);
        let got: Vec<f64> = gathered.iter().map(|value| f64::from(*value)).collect();
        agree("chain", &got, &array(folder, &case["expect"], "processed_f64").0, &tol);
    });
}

/// Traces of whole numbers that fit 16 bits, with a trend.
fn trended(count: usize, length: usize) -> Vec<i16> {
    let at = |trace: usize, at: usize| (at * at * 31 + trace * 7919 + at * trace) % 4001 + trace * 20 + at / 3;
    (0..count).flat_map(|trace| (0..length).map(move |sample| i16::try_from(at(trace, sample)).unwrap())).collect()
}

#[test]
fn one_pass_is_trends_then_filter() {
    let (count, length, every) = (21, 1000, 3);
    let sos = butter(4, Band::Pass(0.5, 10.0), 100.0).unwrap();
    let raw = trended(count, length);
    for removed in [Removed::Nothing, Removed::Mean, Removed::Line] {
        let mut traces: Vec<f64> = raw.iter().map(|value| f64::from(*value)).collect();
        for trace in traces.chunks_mut(length) {
            match removed {
                Removed::Nothing => {}
                Removed::Mean => remove_mean(trace),
                Removed::Line => {
                    remove_mean(trace);
                    detrend(trace, &[]).unwrap();
                }
            }
        }
        let want = sos.filtfilt(&traces, length, every).unwrap();
        let (mut got, mut narrow) = (Vec::<f64>::new(), Vec::<f32>::new());
        let mut work = Workspace::default();
        sos.condition_into((&raw[..], length), (removed, every), &mut got, &mut work).unwrap();
        sos.condition_into((&raw[..], length), (removed, every), &mut narrow, &mut work).unwrap();
        let most = want.iter().fold(0f64, |most, value| most.max(value.abs()));
        assert_eq!(difference(&got, &want, 0.0, 1e-12 * most), None, "{removed:?}");
        let rounded =
            got.iter().zip(&narrow).all(|(wide, narrow)| (wide - f64::from(*narrow)).abs() <= 6e-8 * wide.abs());
        assert!(rounded && narrow.len() == count * length.div_ceil(every));
        // The type of the samples changes nothing, nor do neighbours.
        let single: Vec<f32> = raw.iter().map(|value| f32::from(*value)).collect();
        let mut other = Vec::<f64>::new();
        sos.condition_into((&single[5 * length..6 * length], length), (removed, every), &mut other, &mut work).unwrap();
        let kept = length.div_ceil(every);
        assert!(other.iter().zip(&got[5 * kept..]).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
