//! The few complex numbers that the design of a filter takes.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    pub(super) const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub(super) fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    pub(super) fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub(super) fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    pub(super) fn conj(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    /// The root with the larger real part.
    pub(super) fn sqrt(self) -> Self {
        if self.im == 0.0 && self.re >= 0.0 {
            return Self::real(self.re.sqrt());
        }
        // The part that is not small is computed first.
        let large = f64::midpoint(self.abs(), self.re.abs()).sqrt();
        let small = self.im / (2.0 * large);
        if self.re >= 0.0 { Self::new(large, small) } else { Self::new(small.abs(), large.copysign(self.im)) }
    }

    pub(super) fn is_real(self) -> bool {
        self.im == 0.0
    }
}

impl Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl Div for Complex {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let scale = other.re * other.re + other.im * other.im;
        let up = self * other.conj();
        Self { re: up.re / scale, im: up.im / scale }
    }
}

impl Neg for Complex {
    type Output = Self;

    fn neg(self) -> Self {
        Self { re: -self.re, im: -self.im }
    }
}
