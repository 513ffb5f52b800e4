//! First leaf as a fold over the days.

use multiversion::multiversion;
use outcrop_compute::fold::Moment;
use outcrop_compute::{Block, Fold, FoldBytes, Step};

use super::gdh::{Day, gdh};
use super::plants::Plant;

/// A day is warm for SYNOP when its DDE2 is at least this (°F hours).
const WARM: f64 = 637.0;
/// Leaf-out is the first day whose score is above this.
const THRESHOLD: f64 = 999.5;
/// Days that a predictor looks back, with the day itself.
const RING: usize = 8;
/// Begins the saved state of a column that is finished.
const FINISHED: u8 = 2;

/// First leaf of some plants. Inputs: tmin and tmax in °F, day length in hours, in this order.
#[derive(Debug, Clone)]
pub struct FirstLeaf {
    plants: Vec<Plant>,
    start_day: u64,
}

/// First leaf of a column: one list of cells per plant, 0-based index on the time axis, NaN where it is never reached.
pub type Leaf = Vec<Vec<f64>>;

/// What is kept of each cell.
#[derive(Debug)]
pub struct State {
    /// GDH of the last [`RING`] days, the day `t` at `t % RING`.
    ring: Vec<Vec<f64>>,
    synop: Vec<f32>,
    /// First leaf by plant; NaN until it is reached.
    found: Vec<Vec<f32>>,
    /// 1 once the cell has had data.
    seen: Vec<u8>,
    started: bool,
}

impl FirstLeaf {
    /// A fold for these plants over an axis whose first step is `start_day` of the year, counted from 1.
    pub fn new(plants: Vec<Plant>, start_day: u64) -> Self {
        Self { plants, start_day }
    }

    /// The plants.
    pub fn plants(&self) -> &[Plant] {
        &self.plants
    }

    fn day(&self, state: &mut State, today: &[f64], day: u64) {
        let slot = usize::try_from(day % RING as u64).unwrap_or(0);
        if !state.started {
            // The series is padded in front with its first day.
            state.ring.iter_mut().for_each(|past| past.copy_from_slice(today));
            state.started = true;
        }
        state.ring[slot].copy_from_slice(today);
        let State { ring, synop, found, seen, .. } = state;
        let window: [&[f64]; RING] = std::array::from_fn(|back| &ring[(slot + RING - back) % RING][..]);
        count_warm(&window, synop, seen);
        // Day of the year minus 1, whatever day the axis starts with.
        let mds0 = day + self.start_day.saturating_sub(1);
        for (plant, found) in self.plants.iter().zip(found) {
            score(plant, &window, (day, mds0), (synop, found));
        }
    }
}

/// Adds a warm day where DDE2 is large enough, and marks cells that have data.
#[multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
fn count_warm(window: &[&[f64]; RING], synop: &mut [f32], seen: &mut [u8]) {
    let n = synop.len();
    let (g0, g1, g2) = (&window[0][..n], &window[1][..n], &window[2][..n]);
    for i in 0..n {
        let dde2 = g2[i] + g1[i] + g0[i];
        synop[i] += if dde2 >= WARM { 1.0 } else { 0.0 };
        seen[i] |= u8::from(!g0[i].is_nan());
    }
}

/// Notes the day for cells whose score is above the threshold for the first time.
#[multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
fn score(plant: &Plant, window: &[&[f64]; RING], (day, mds0): (u64, u64), (synop, found): (&[f32], &mut [f32])) {
    let n = found.len();
    let w: [&[f64]; RING] = std::array::from_fn(|back| &window[back][..n]);
    let synop = &synop[..n];
    let base = plant.mds0 * mds0 as f64;
    #[expect(clippy::cast_precision_loss, reason = "days of a time axis are exact in single precision up to 2^24")]
    let today = day as f32;
    for i in 0..n {
        let three = w[2][i] + w[1][i] + w[0][i];
        let five = w[4][i] + w[3][i] + three;
        let eight = w[7][i] + w[6][i] + w[5][i] + five;
        let score = base + plant.synop * f64::from(synop[i]) + plant.dde2 * three + plant.dd57 * (eight - five);
        found[i] = if score > THRESHOLD && found[i].is_nan() { today } else { found[i] };
    }
}

impl Fold for FirstLeaf {
    type Mapped = Vec<f64>;
    type State = State;
    type Output = Leaf;

    fn bytes(&self) -> FoldBytes {
        let plants = self.plants.len() as u64;
        // The output exists beside the state, and once more with the mean and as days of the year while it is written.
        FoldBytes { state: 8 * RING as u64 + 4 + 1 + 4 * plants, mapped: 8, output: 8 * (2 * plants + 3) }
    }

    fn map(&self, inputs: Vec<Block>, cells: usize) -> Vec<f64> {
        let Ok([tmin, tmax, dayl]) = <[Block; 3]>::try_from(inputs) else { return Vec::new() };
        let mut out = vec![0.0; tmin.len()];
        match (tmin, tmax, dayl) {
            (Block::Float32(tmin), Block::Float32(tmax), Block::Float32(dayl)) => {
                days(&tmin, &tmax, &dayl, (cells, &mut out));
            }
            (tmin, tmax, dayl) => days(&tmin.into_f64(), &tmax.into_f64(), &dayl.into_f64(), (cells, &mut out)),
        }
        out
    }

    fn start(&self, cells: usize) -> State {
        State {
            ring: vec![vec![0.0; cells]; RING],
            synop: vec![0.0; cells],
            found: vec![vec![f32::NAN; cells]; self.plants.len()],
            seen: vec![0; cells],
            started: false,
        }
    }

    fn apply(&self, state: &mut State, mapped: &Vec<f64>, first: u64) -> Step {
        let cells = state.seen.len().max(1);
        for (i, today) in mapped.chunks_exact(cells).enumerate() {
            self.day(state, today, first + i as u64);
        }
        let State { found, seen, .. } = state;
        let open = |i: usize| found.iter().any(|found| found[i].is_nan());
        let unsettled = (0..seen.len()).filter(|i| seen[*i] == 1 && open(*i)).count();
        let unseen = || (0u32..).zip(&*seen).filter(|(_, seen)| **seen == 0).map(|(i, _)| i);
        if unsettled > 0 {
            #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
            return Step::Continue((unsettled as f64 / cells as f64) as f32);
        }
        if unseen().next().is_none() { Step::Done } else { Step::DoneUnless(unseen().collect()) }
    }

    fn key(&self) -> Option<String> {
        Some(format!("first leaf {:?} {}", self.plants, self.start_day))
    }

    /// 0 or 1 (whether it has begun) before all of the state; 2 before the first leaves of a column that is finished.
    fn save(&self, state: &State, moment: Moment) -> Vec<u8> {
        let cells = state.seen.len();
        let mut bytes = Vec::with_capacity(1 + cells * (8 * RING + 5 + 4 * self.plants.len()));
        if moment == Moment::Finished {
            bytes.push(FINISHED);
            state.found.iter().for_each(|plant| bytes.extend_from_slice(bytemuck::cast_slice(plant)));
            return bytes;
        }
        bytes.push(u8::from(state.started));
        state.ring.iter().for_each(|day| bytes.extend_from_slice(bytemuck::cast_slice(day)));
        bytes.extend_from_slice(bytemuck::cast_slice(&state.synop));
        state.found.iter().for_each(|plant| bytes.extend_from_slice(bytemuck::cast_slice(plant)));
        bytes.extend_from_slice(&state.seen);
        bytes
    }

    fn restore(&self, bytes: &[u8], cells: usize) -> Option<State> {
        let mut state = self.start(cells);
        let (started, mut rest) = bytes.split_first()?;
        state.started = *started == 1;
        if *started != FINISHED {
            for day in &mut state.ring {
                take(bytemuck::cast_slice_mut(day), &mut rest)?;
            }
            take(bytemuck::cast_slice_mut(&mut state.synop), &mut rest)?;
        }
        for plant in &mut state.found {
            take(bytemuck::cast_slice_mut(plant), &mut rest)?;
        }
        if *started != FINISHED {
            take(&mut state.seen, &mut rest)?;
        }
        rest.is_empty().then_some(state)
    }

    fn finish(&self, state: State) -> Leaf {
        let shifted = |(plant, found): (&Plant, &Vec<f32>)| found.iter().map(|d| f64::from(*d) + plant.shift).collect();
        self.plants.iter().zip(&state.found).map(shifted).collect()
    }
}

/// Fills `to` with the first bytes, which go.
fn take(to: &mut [u8], rest: &mut &[u8]) -> Option<()> {
    let (own, behind) = rest.split_at_checked(to.len())?;
    to.copy_from_slice(own);
    *rest = behind;
    Some(())
}

fn days<T: super::gdh::Temperature>(tmin: &[T], tmax: &[T], dayl: &[T], (cells, out): (usize, &mut [f64])) {
    let cells = cells.max(1);
    let inputs = tmin.chunks(cells).zip(tmax.chunks(cells)).zip(dayl.chunks(cells));
    for (((tmin_f, tmax_f), dayl_h), out) in inputs.zip(out.chunks_mut(cells)) {
        gdh(Day { tmin_f, tmax_f, dayl_h }, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spring_index::PLANTS;
    use outcrop_testkit::{difference, npz, shared_data};

    /// First leaf from golden GDH, and whether the fold would have ended early.
    fn golden(name: &str, plants: &[Plant]) -> Option<(Vec<f64>, Vec<f64>)> {
        let path = shared_data("golden/e_spring")?.join(format!("{name}.npz"));
        let gdh = npz::<f64>(&path, "gdh");
        let cells = gdh.len() / gdh.shape()[0];
        let fold = FirstLeaf::new(plants.to_vec(), 1);
        let mut state = fold.start(cells);
        for (t, day) in gdh.outer_iter().enumerate() {
            let _ = fold.apply(&mut state, &day.iter().copied().collect(), t as u64);
        }
        Some((fold.finish(state).concat(), npz::<f64>(&path, "first_leaf").into_raw_vec_and_offset().0))
    }

    #[test]
    fn golden_first_leaf_of_lilac_is_exact() {
        let Some((got, want)) = golden("leaf_lilac", &PLANTS[..1]) else { return };
        assert_eq!(difference(&got, &want, 0.0, 0.0), None);
    }

    #[test]
    fn golden_first_leaf_of_three_plants_is_exact() {
        let Some((got, want)) = golden("leaf_three_plants", &PLANTS) else { return };
        assert_eq!(difference(&got, &want[..got.len()], 0.0, 0.0), None);
        let mean = crate::spring_index::result::mean_layer(&got, 3);
        assert_eq!(difference(&mean, &want[got.len()..], 0.0, 0.0), None);
    }

    #[test]
    fn a_state_that_was_saved_goes_on_to_the_same_bits() {
        let fold = FirstLeaf::new(PLANTS.to_vec(), 1);
        let day = |t: u64| -> Vec<f64> {
            (0..5u64)
                .map(|cell| if cell == 3 { f64::NAN } else { ((t * 37 + cell * 101) % 611) as f64 + t as f64 })
                .collect()
        };
        let (mut whole, mut parted) = (fold.start(5), fold.start(5));
        for t in 0..300 {
            let _ = fold.apply(&mut whole, &day(t), t);
            let _ = fold.apply(&mut parted, &day(t), t);
            if [0, 5, 8, 140].contains(&t) {
                let bytes = fold.save(&parted, Moment::Between);
                assert!(fold.restore(&bytes[1..], 5).is_none() && fold.restore(&bytes, 4).is_none());
                parted = fold.restore(&bytes, 5).unwrap();
            }
        }
        parted = fold.restore(&fold.save(&parted, Moment::Finished), 5).unwrap();
        let bits = |leaf: Leaf| leaf.concat().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        let want = bits(fold.finish(whole));
        assert!(want.iter().any(|leaf| !f64::from_bits(*leaf).is_nan()));
        assert_eq!(bits(fold.finish(parted)), want);
    }

    #[test]
    fn mds0_is_the_day_of_the_year_whatever_day_the_axis_starts_with() {
        // Without warmth the score of lilac is 3.306 (day of the year - 1): 999.5 is passed on day 304.
        for start_day in [1, 32, 100] {
            let fold = FirstLeaf::new(PLANTS[..1].to_vec(), start_day);
            let mut state = fold.start(1);
            for t in 0..305 {
                let _ = fold.apply(&mut state, &vec![0.0], t);
            }
            let leaf = fold.finish(state);
            assert_eq!(leaf[0][0] + start_day as f64, 304.0, "start day {start_day}");
        }
    }

    #[test]
    fn cells_without_data_are_named_when_the_others_are_settled() {
        let fold = FirstLeaf::new(PLANTS[..1].to_vec(), 1);
        let mut state = fold.start(3);
        let mut step = Step::Continue(1.0);
        for t in 0..200 {
            step = fold.apply(&mut state, &vec![900.0, f64::NAN, 700.0], t);
        }
        assert_eq!(step, Step::DoneUnless(vec![1]));
        let leaf = fold.finish(state);
        assert!(leaf[0][1].is_nan() && leaf[0][0] < leaf[0][2]);
    }
}
