//! Coordinate axes: cell centres, their spacing and direction.

/// A one-dimensional coordinate with even spacing.
///
/// - `step` is negative for a descending axis and 0 for an axis of one cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Centre of the first cell.
    pub first: f64,
    /// Distance from one centre to the next.
    pub step: f64,
    /// Number of cells.
    pub len: usize,
}

impl Axis {
    /// The axis of these centres, if they are evenly spaced to within a thousandth of a step.
    pub fn from_centres(centres: &[f64]) -> Option<Self> {
        let (first, last, len) = (*centres.first()?, *centres.last()?, centres.len());
        let step = if len > 1 { (last - first) / (len - 1) as f64 } else { 0.0 };
        let even = centres.iter().enumerate().all(|(i, c)| (c - (first + step * i as f64)).abs() <= step.abs() * 1e-3);
        (even && first.is_finite() && (len == 1 || step != 0.0)).then_some(Self { first, step, len })
    }

    /// The outer edges, the smaller first.
    pub fn bounds(&self) -> (f64, f64) {
        let (a, b) = (self.first - self.step / 2.0, self.first + self.step * (self.len as f64 - 0.5));
        (a.min(b), a.max(b))
    }
}

/// Positions of the labels between `from` and `to`, inclusive, in the axis' own direction, as half-open indices.
///
/// Like `xarray`'s label slices: on a descending axis `from` must be the larger, otherwise the result is empty.
pub fn positions(centres: &[f64], from: f64, to: f64) -> std::ops::Range<usize> {
    let descending = centres.len() > 1 && centres[0] > centres[centres.len() - 1];
    let before = |c: f64, label: f64| if descending { c > label } else { c < label };
    let start = centres.partition_point(|c| before(*c, from));
    let end = centres.partition_point(|c| before(*c, to) || (c - to).abs() == 0.0);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_slices_follow_the_direction_of_the_axis() {
        let down = [20.0, 10.0, 0.0, -10.0];
        assert_eq!(positions(&down, 10.0, 0.0), 1..3);
        assert!(positions(&down, 0.0, 10.0).is_empty());
        assert_eq!(positions(&[0.0, 1.0, 2.0], 0.5, 2.0), 1..3);
    }

    #[test]
    fn even_axes_have_bounds() {
        let axis = Axis::from_centres(&[4.0, 3.0, 2.0]).unwrap();
        assert_eq!(axis.bounds(), (1.5, 4.5));
        assert!(Axis::from_centres(&[0.0, 1.0, 3.0]).is_none());
        assert_eq!(Axis::from_centres(&[5.0]).unwrap().bounds(), (5.0, 5.0));
    }
}
