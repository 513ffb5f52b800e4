//! Folds that are ended in the middle, and go on to the same result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use outcrop_compute::fold::Moment;
use outcrop_compute::{Block, Checkpoints, Error, Executor, Fold, FoldBytes, FoldPlan, RunOptions, Step};

use super::field::{Bench, Numbers};

/// A sum that depends on the order of its steps, and ends its run after some slabs.
struct Weighted {
    applied: AtomicU64,
    ends_after: u64,
    interrupt: Arc<AtomicBool>,
}

impl Fold for Weighted {
    type Mapped = Vec<f64>;
    type State = Vec<f64>;
    type Output = Vec<f64>;

    fn bytes(&self) -> FoldBytes {
        FoldBytes { state: 8, mapped: 8, output: 8 }
    }

    fn slab_values(&self) -> u64 {
        1
    }

    fn map(&self, inputs: Vec<Block>, _: usize) -> Vec<f64> {
        inputs.into_iter().next().unwrap().into_f64()
    }

    fn start(&self, cells: usize) -> Vec<f64> {
        vec![0.0; cells]
    }

    fn apply(&self, state: &mut Vec<f64>, mapped: &Vec<f64>, _: u64) -> Step {
        for step in mapped.chunks(state.len()) {
            state.iter_mut().zip(step).for_each(|(sum, value)| *sum = *sum * 0.9 + value);
        }
        if self.applied.fetch_add(1, Ordering::SeqCst) + 1 == self.ends_after {
            self.interrupt.store(true, Ordering::SeqCst);
        }
        Step::Continue(1.0)
    }

    fn finish(&self, state: Vec<f64>) -> Vec<f64> {
        state
    }

    fn key(&self) -> Option<String> {
        Some("weighted".into())
    }

    fn save(&self, state: &Vec<f64>, _: Moment) -> Vec<u8> {
        state.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn restore(&self, bytes: &[u8], cells: usize) -> Option<Vec<f64>> {
        let values: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|value| f64::from_le_bytes(*value)).collect();
        (values.len() == cells).then_some(values)
    }
}

#[test]
fn a_fold_that_ends_in_the_middle_goes_on_to_the_same_bits() {
    let (bench, mut numbers) = (Bench::new(), Numbers::new(11));
    let values = |numbers: &mut Numbers| Block::from((0..12 * 6 * 8).map(|_| numbers.float()).collect::<Vec<_>>());
    let array = bench.stored("v", &values(&mut numbers), &[12, 6, 8], &[2, 3, 4]);
    let other = bench.stored("v", &values(&mut numbers), &[12, 6, 8], &[2, 3, 4]);
    let folder = tempfile::tempdir().unwrap();
    let run = |array: &outcrop_compute::DataArray, ends_after: u64, executor: Executor| {
        let interrupt = Arc::new(AtomicBool::new(false));
        let fold = Weighted { applied: AtomicU64::new(0), ends_after, interrupt: interrupt.clone() };
        let plan = FoldPlan::new(vec![array.clone()], fold).unwrap();
        assert_eq!((plan.columns().len(), plan.slabs().len()), (4, 6));
        let states = folder.path().join("states");
        let checkpoints = Some(Checkpoints { folder: states, every: Duration::ZERO, least_bytes: 0 });
        let options = RunOptions { executor, threads: 2, checkpoints, interrupt, ..RunOptions::default() };
        let mut columns = vec![Vec::new(); 4];
        let report = plan.run::<Error>(&options, |column| {
            columns[column.index] = column.output;
            Ok(())
        });
        (report.map(|report| (report.steps, report.resumed)), columns, plan.fold().applied.load(Ordering::SeqCst))
    };
    let (_, want, _) = run(&array, 0, Executor::Serial);
    let (_, unlike, _) = run(&other, 0, Executor::Serial);
    assert_ne!(want, unlike);
    for executor in [Executor::Serial, Executor::Threads] {
        for ends_after in [1, 5, 6, 7, 13, 23] {
            let (ended, _, applied) = run(&array, ends_after, executor);
            assert!(matches!(ended, Err(Error::Interrupted)), "{ended:?}");
            assert!(folder.path().join("states").exists());
            // States of other inputs are not gone on with.
            if ends_after == 7 {
                let (report, columns, _) = run(&other, 0, executor);
                assert_eq!((report.unwrap(), &columns), ((48, 0), &unlike));
                continue;
            }
            let (report, columns, more) = run(&array, 0, executor);
            let (steps, resumed) = report.unwrap();
            assert_eq!(columns, want, "{executor:?} {ends_after}");
            assert_eq!((steps + resumed, more), (48, 24 - resumed / 2));
            assert!(resumed / 2 + 1 >= applied && resumed > 0 || ends_after == 1, "{resumed} of {applied}");
            assert!(!folder.path().join("states").exists());
        }
    }
    // A state whose bytes are not those that were written is not taken.
    let _ = run(&array, 9, Executor::Serial);
    let file = folder.path().join("states/column-0");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (report, columns, _) = run(&array, 0, Executor::Threads);
    assert_eq!((report.unwrap(), columns), ((48, 0), want));
}
