//! Butterworth filters as second-order sections (`scipy.signal.butter(..., output="sos")`).
//!
//! An analog prototype is carried to the band, then to samples by the bilinear transform with frequencies warped before. Poles
//! and zeros are paired as SciPy does ("nearest"): sections with poles near the unit circle come last, the gain is in the first.

use std::f64::consts::PI;

use super::complex::Complex;
use super::{SignalError, Sos};

/// Largest order; beyond it coefficients lose their meaning.
const MOST: usize = 40;

/// Which frequencies pass, in Hz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Band {
    /// Those below.
    Low(f64),
    /// Those above.
    High(f64),
    /// Those between.
    Pass(f64, f64),
    /// All but those between.
    Stop(f64, f64),
}

/// Zeros, poles and gain.
#[derive(Debug, Clone)]
struct Zpk {
    zeros: Vec<Complex>,
    poles: Vec<Complex>,
    gain: f64,
}

/// A Butterworth filter of an order for `rate` samples a second; of a band the order is that of each edge.
///
/// # Errors
/// [`SignalError::Design`] for an order of 0 or beyond 40, or frequencies that are not between 0 and half the rate, in order.
pub fn butter(order: usize, band: Band, rate: f64) -> Result<Sos, SignalError> {
    let (low, high) = match band {
        Band::Low(edge) | Band::High(edge) => (edge, edge),
        Band::Pass(low, high) | Band::Stop(low, high) => (low, high),
    };
    let refuse = |why| SignalError::Design { order, low, high, rate, why };
    if !(1..=MOST).contains(&order) {
        return Err(refuse("the order must be 1 to 40"));
    }
    let is_frequency = |edge: f64| edge > 0.0 && edge < rate / 2.0;
    if !(is_frequency(low) && is_frequency(high)) {
        return Err(refuse("frequencies must lie between 0 and half the sampling rate"));
    }
    if matches!(band, Band::Pass(..) | Band::Stop(..)) && low >= high {
        return Err(refuse("the first frequency must be the lower one"));
    }
    // The transform is made at two samples a second.
    let warped = |edge: f64| 4.0 * (PI * edge / rate).tan();
    let (low, high) = (warped(low), warped(high));
    let analog = match band {
        Band::Low(_) => to_low(prototype(order), low),
        Band::High(_) => to_high(&prototype(order), low),
        Band::Pass(..) => to_pass(&prototype(order), high - low, (low * high).sqrt()),
        Band::Stop(..) => to_stop(&prototype(order), high - low, (low * high).sqrt()),
    };
    Ok(Sos::new(sections(bilinear(&analog))))
}

/// The low-pass prototype with its edge at 1.
fn prototype(order: usize) -> Zpk {
    let angle = |at: usize| PI * (2.0 * at as f64 + 1.0 - order as f64) / (2.0 * order as f64);
    // One in the middle is real.
    let pole = |at: usize| {
        if 2 * at + 1 == order { Complex::real(-1.0) } else { Complex::new(-angle(at).cos(), -angle(at).sin()) }
    };
    Zpk { zeros: Vec::new(), poles: (0..order).map(pole).collect(), gain: 1.0 }
}

fn product(values: impl Iterator<Item = Complex>) -> Complex {
    values.fold(Complex::ONE, |product, value| product * value)
}

fn to_low(zpk: Zpk, edge: f64) -> Zpk {
    let gain = zpk.gain * (0..zpk.poles.len()).fold(1.0, |gain, _| gain * edge);
    Zpk { poles: zpk.poles.into_iter().map(|pole| pole * Complex::real(edge)).collect(), gain, ..zpk }
}

fn to_high(zpk: &Zpk, edge: f64) -> Zpk {
    let poles: Vec<Complex> = zpk.poles.iter().map(|pole| Complex::real(edge) / *pole).collect();
    let gain = zpk.gain * (Complex::ONE / product(zpk.poles.iter().map(|pole| -*pole))).re;
    Zpk { zeros: vec![Complex::real(0.0); poles.len()], poles, gain }
}

/// Both solutions of a quadratic around each value.
fn around(values: &[Complex], centre: f64) -> Vec<Complex> {
    let root = |value: Complex| (value * value - Complex::real(centre * centre)).sqrt();
    let plus = values.iter().map(|value| *value + root(*value));
    plus.chain(values.iter().map(|value| *value - root(*value))).collect()
}

fn to_pass(zpk: &Zpk, width: f64, centre: f64) -> Zpk {
    let half: Vec<Complex> = zpk.poles.iter().map(|pole| *pole * Complex::real(width / 2.0)).collect();
    let gain = zpk.gain * (0..zpk.poles.len()).fold(1.0, |gain, _| gain * width);
    Zpk { zeros: vec![Complex::real(0.0); zpk.poles.len()], poles: around(&half, centre), gain }
}

fn to_stop(zpk: &Zpk, width: f64, centre: f64) -> Zpk {
    let half: Vec<Complex> = zpk.poles.iter().map(|pole| Complex::real(width / 2.0) / *pole).collect();
    let gain = zpk.gain * (Complex::ONE / product(zpk.poles.iter().map(|pole| -*pole))).re;
    let order = zpk.poles.len();
    let zeros = [centre, -centre].into_iter().flat_map(|at| vec![Complex::new(0.0, at); order]).collect();
    Zpk { zeros, poles: around(&half, centre), gain }
}

/// To samples, at two a second.
fn bilinear(zpk: &Zpk) -> Zpk {
    let two = Complex::real(4.0);
    let to_z = |value: &Complex| (two + *value) / (two - *value);
    let (up, down) =
        (product(zpk.zeros.iter().map(|zero| two - *zero)), product(zpk.poles.iter().map(|pole| two - *pole)));
    let mut zeros: Vec<Complex> = zpk.zeros.iter().map(to_z).collect();
    // What was at infinity.
    zeros.resize(zpk.poles.len(), Complex::real(-1.0));
    Zpk { zeros, poles: zpk.poles.iter().map(to_z).collect(), gain: zpk.gain * (up / down).re }
}

/// One of each conjugate pair, then the real ones, each sorted.
fn halves(values: &[Complex]) -> Vec<Complex> {
    let is_real = |value: &Complex| value.im.abs() <= 100.0 * f64::EPSILON * value.abs();
    let mut real: Vec<Complex> =
        values.iter().filter(|value| is_real(value)).map(|value| Complex::real(value.re)).collect();
    let mut upper: Vec<Complex> = values.iter().copied().filter(|value| !is_real(value) && value.im > 0.0).collect();
    real.sort_by(|a, b| a.re.total_cmp(&b.re));
    upper.sort_by(|a, b| a.re.total_cmp(&b.re).then(a.im.total_cmp(&b.im)));
    upper.extend(real);
    upper
}

/// The position of the least value.
fn least(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::INFINITY);
    for (at, value) in values.enumerate() {
        if value < best.1 {
            best = (at, value);
        }
    }
    best.0
}

/// Takes the pole that is nearest to the unit circle among those that fit.
fn take_worst(poles: &mut Vec<Complex>, fits: impl Fn(&Complex) -> bool) -> Option<Complex> {
    let distance = |pole: &Complex| if fits(pole) { (1.0 - pole.abs()).abs() } else { f64::INFINITY };
    if !poles.iter().any(&fits) {
        return None;
    }
    let at = least(poles.iter().map(distance));
    Some(poles.remove(at))
}

/// Takes the zero that is nearest to a pole among those that fit.
fn take_nearest(zeros: &mut Vec<Complex>, pole: Complex, fits: impl Fn(&Complex) -> bool) -> Option<Complex> {
    if !zeros.iter().any(&fits) {
        return None;
    }
    let distance = |zero: &Complex| if fits(zero) { (pole - *zero).abs() } else { f64::INFINITY };
    let at = least(zeros.iter().map(distance));
    Some(zeros.remove(at))
}

/// A quadratic with these roots, as its coefficients.
fn quadratic(first: Complex, second: Complex) -> [f64; 3] {
    [1.0, -(first + second).re, (first * second).re]
}

fn sections(zpk: Zpk) -> Vec<[f64; 6]> {
    let Zpk { mut zeros, mut poles, gain } = zpk;
    if !poles.len().is_multiple_of(2) {
        poles.push(Complex::real(0.0));
        zeros.push(Complex::real(0.0));
    }
    let count = poles.len() / 2;
    let (mut zeros, mut poles) = (halves(&zeros), halves(&poles));
    let mut sections = Vec::with_capacity(count);
    let reals = |values: &[Complex]| values.iter().filter(|value| value.is_real()).count();
    while let Some(pole) = take_worst(&mut poles, |_| true) {
        let is_last_real = pole.is_real() && reals(&poles) == 0;
        let keeps_real = !pole.is_real() && reals(&poles) == 1 && reals(&zeros) == 1 && poles.len() + 1 == zeros.len();
        let other = if pole.is_real() {
            take_worst(&mut poles, |pole| pole.is_real()).unwrap_or(Complex::real(0.0))
        } else {
            pole.conj()
        };
        let zero = if is_last_real {
            take_nearest(&mut zeros, pole, |zero| zero.is_real())
        } else if keeps_real {
            take_nearest(&mut zeros, pole, |zero| !zero.is_real())
        } else {
            take_nearest(&mut zeros, pole, |_| true)
        };
        let zero = zero.unwrap_or(Complex::real(0.0));
        let second = if !zero.is_real() {
            zero.conj()
        } else if is_last_real {
            Complex::real(0.0)
        } else {
            take_nearest(&mut zeros, pole, |zero| zero.is_real()).unwrap_or(Complex::real(0.0))
        };
        let ([b0, b1, b2], [a0, a1, a2]) = (quadratic(zero, second), quadratic(pole, other));
        sections.push([b0, b1, b2, a0, a1, a2]);
    }
    sections.reverse();
    if let Some(first) = sections.first_mut() {
        first[..3].iter_mut().for_each(|b| *b *= gain);
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response at a frequency, in Hz of `rate`.
    fn response(sos: &Sos, frequency: f64, rate: f64) -> f64 {
        let angle = -2.0 * PI * frequency / rate;
        let at = |n: f64| Complex::new((n * angle).cos(), (n * angle).sin());
        let of = |b: &[f64]| Complex::real(b[0]) + Complex::real(b[1]) * at(1.0) + Complex::real(b[2]) * at(2.0);
        sos.sections().iter().fold(Complex::ONE, |all, s| all * of(&s[..3]) / of(&s[3..])).abs()
    }

    #[test]
    fn half_of_the_power_passes_at_the_edges() {
        let half = 0.5f64.sqrt();
        for order in 1..=8 {
            for (band, edges, passes, stops) in [
                (Band::Low(5.0), vec![5.0], 0.01, 49.0),
                (Band::High(5.0), vec![5.0], 49.0, 0.01),
                (Band::Pass(2.0, 9.0), vec![2.0, 9.0], 4.3, 49.9),
                (Band::Stop(2.0, 9.0), vec![2.0, 9.0], 0.001, 4.299),
            ] {
                let sos = butter(order, band, 100.0).unwrap();
                for edge in edges {
                    let got = response(&sos, edge, 100.0);
                    assert!((got - half).abs() < 1e-6, "{order} {band:?}: {got} at {edge}");
                }
                assert!(response(&sos, passes, 100.0) > 0.95, "{order} {band:?}");
                assert!(response(&sos, stops, 100.0) < 0.1, "{order} {band:?}");
            }
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (order, band) in [
            (0, Band::Low(1.0)),
            (41, Band::Low(1.0)),
            (2, Band::Low(0.0)),
            (2, Band::High(50.0)),
            (2, Band::Pass(5.0, 5.0)),
            (2, Band::Stop(9.0, 5.0)),
            (2, Band::Low(f64::NAN)),
        ] {
            assert!(matches!(butter(order, band, 100.0), Err(SignalError::Design { .. })), "{band:?}");
        }
    }
}
