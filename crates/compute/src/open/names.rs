//! The day of a file, out of its name; not what is in the file.

use chrono::NaiveDate;

use crate::{Error, Result};

/// Where a file name says its day: digits for `YYYY`, `MM`, `DD` and `DDD` (day of the year), all else as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    YearDay,
    Letter(char),
}

/// Patterns that are looked for where none is named.
const USUAL: [&str; 4] = ["YYYY.MM.DD", "YYYY-MM-DD", "YYYY_MM_DD", "YYYYMMDD"];

impl Part {
    fn digits(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Month | Self::Day => 2,
            Self::YearDay => 3,
            Self::Letter(_) => 0,
        }
    }
}

impl DatePattern {
    /// Reads a pattern such as `YYYY.MM.DD` or `YYYYDDD`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it does not say a year, and month and day or the day of the year, each once.
    pub fn parse(text: &str) -> Result<Self> {
        let known = [("YYYY", Part::Year), ("DDD", Part::YearDay), ("MM", Part::Month), ("DD", Part::Day)];
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(letter) = rest.chars().next() {
            let found = known.iter().find(|(name, _)| rest.starts_with(name));
            let (part, len) =
                found.map_or((Part::Letter(letter), letter.len_utf8()), |(name, part)| (*part, name.len()));
            parts.push(part);
            rest = &rest[len..];
        }
        let count = |part: Part| parts.iter().filter(|own| **own == part).count();
        match [Part::Year, Part::Month, Part::Day, Part::YearDay].map(count) {
            [1, 1, 1, 0] | [1, 0, 0, 1] => Ok(Self { text: text.to_owned(), parts }),
            _ => Err(Error::Unsupported {
                action: "read dates by",
                array: text.to_owned(),
                why: "it needs YYYY with MM and DD, or YYYY with DDD (the day of the year), each once".into(),
            }),
        }
    }

    /// The day that a text has from a position on, and the text behind it.
    fn at<'a>(&self, text: &'a str) -> Option<(NaiveDate, &'a str)> {
        let (mut year, mut month, mut day, mut yearday) = (0, 0, 0, None);
        let mut rest = text;
        for part in &self.parts {
            if let Part::Letter(letter) = part {
                rest = rest.strip_prefix(*letter)?;
                continue;
            }
            let digits = rest.get(..part.digits()).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            let number: u32 = digits.parse().ok()?;
            match part {
                Part::Year => year = i32::try_from(number).ok()?,
                Part::Month => month = number,
                Part::Day => day = number,
                Part::YearDay => yearday = Some(number),
                Part::Letter(_) => {}
            }
            rest = &rest[part.digits()..];
        }
        let date = match yearday {
            Some(yearday) => NaiveDate::from_yo_opt(year, yearday),
            None => NaiveDate::from_ymd_opt(year, month, day),
        };
        Some((date?, rest))
    }

    /// The days that a name has, each once. What is part of a longer number is no day, but for a time of day behind it.
    fn days(&self, name: &str) -> Vec<NaiveDate> {
        let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
        let mut found = Vec::new();
        for (at, _) in name.char_indices() {
            let begins_with_digit = !matches!(self.parts.first(), Some(Part::Letter(_)) | None);
            if begins_with_digit && is_digit(name[..at].chars().next_back()) {
                continue;
            }
            let Some((date, rest)) = self.at(&name[at..]) else { continue };
            let more = rest.bytes().take_while(u8::is_ascii_digit).count();
            if [0, 2, 4, 6].contains(&more) && !found.contains(&date) {
                found.push(date);
            }
        }
        found
    }
}

/// The day that a file name says, by a pattern or one of the usual ones.
///
/// # Errors
/// [`Error::Day`] that names the file if there is none, or more than one.
pub fn day_of_name(name: &str, pattern: Option<&DatePattern>) -> Result<NaiveDate> {
    let usual: Vec<DatePattern> = USUAL.iter().filter_map(|text| DatePattern::parse(text).ok()).collect();
    let patterns = pattern.map_or(&usual[..], std::slice::from_ref);
    let mut days: Vec<NaiveDate> = patterns.iter().flat_map(|pattern| pattern.days(name)).collect();
    days.sort_unstable();
    days.dedup();
    let of = pattern.map_or_else(|| USUAL.join(", "), |pattern| pattern.text.clone());
    match days[..] {
        [day] => Ok(day),
        [] => Err(Error::Day {
            file: name.into(),
            why: format!("its name has no day like {of}; say where it is (--date-pattern, or `labels` of a step)"),
        }),
        [first, .., last] => Err(Error::Day {
            file: name.into(),
            why: format!(
                "its name has several days, {first} and {last}; say which (--date-pattern, or `labels` of a step)"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn names_say_their_day_in_the_usual_ways() {
        for name in [
            "himax.2016.02.29.tif",
            "a_2016-02-29_b.tif",
            "20160229.tif",
            "x2016_02_29",
            "t20160229T1200",
            "2016022906",
        ] {
            assert_eq!(day_of_name(name, None).unwrap(), day("2016-02-29"), "{name}");
        }
        for name in ["himax.tif", "2015.02.29.tif", "120160229.tif", "2016060.tif", "2016.02.29-2016.03.01.tif"] {
            let error = day_of_name(name, None).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("--date-pattern"), "{error}");
        }
    }

    #[test]
    fn patterns_say_where_the_day_is() {
        let pattern = |text: &str| DatePattern::parse(text).unwrap();
        assert_eq!(day_of_name("v20190101.2016060.tif", Some(&pattern(".YYYYDDD."))).unwrap(), day("2016-02-29"));
        assert_eq!(day_of_name("29-02-2016", Some(&pattern("DD-MM-YYYY"))).unwrap(), day("2016-02-29"));
        assert!(day_of_name("2015366.tif", Some(&pattern("YYYYDDD"))).is_err());
        assert!(DatePattern::parse("YYYY-MM").is_err() && DatePattern::parse("YYYYMMDD DD").is_err());
    }
}
