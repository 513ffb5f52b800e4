//! Joins byte ranges into fewer requests.

use std::ops::Range;

/// Merges ranges that are at most `gap` bytes apart, while the merged range stays within `max` bytes.
///
/// The result is sorted and every input range lies within exactly one of its members; ranges longer than `max` stay whole.
pub fn coalesce(ranges: &[Range<u64>], gap: u64, max: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.iter().filter(|r| r.start < r.end).cloned().collect();
    sorted.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.end <= last.end => {}
            Some(last)
                if range.start <= last.end.saturating_add(gap)
                    && (range.start < last.end || range.end - last.start <= max) =>
            {
                last.end = range.end;
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::coalesce;

    #[test]
    fn neighbours_join_up_to_the_maximum_and_gaps_are_kept() {
        assert_eq!(coalesce(&[0..10, 10..20, 25..30], 0, 100), vec![0..20, 25..30]);
        assert_eq!(coalesce(&[25..30, 0..10, 10..20], 5, 100), vec![0..30]);
        assert_eq!(coalesce(&[0..10, 10..20], 0, 15), vec![0..10, 10..20]);
        assert_eq!(coalesce(&[0..10, 5..20, 7..7], 0, 15), vec![0..20]);
    }
}
