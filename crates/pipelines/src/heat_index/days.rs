//! Days of a series.

use chrono::NaiveDate;

/// Days between the first and the last of rising days that are not there.
pub fn missing_days(days: &[NaiveDate]) -> Vec<NaiveDate> {
    let gaps = days.windows(2).flat_map(|pair| pair[0].iter_days().skip(1).take_while(move |day| *day < pair[1]));
    gaps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_days_that_are_not_there() {
        let days = ["2016-02-28", "2016-03-01", "2016-03-02"].map(|day| day.parse().unwrap());
        assert_eq!(missing_days(&days), ["2016-02-29".parse().unwrap()]);
    }
}
