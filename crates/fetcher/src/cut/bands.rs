//! Which bands of an image were asked for.

use std::ops::Range;

/// Positions of bands by their numbers from 1 or their names, of which an image may have several lists.
///
/// The error says why it cannot be done.
pub(super) fn chosen(asked: &[String], count: u64, names: &[Vec<String>]) -> Result<Range<u64>, String> {
    let mut found = Vec::new();
    for text in asked {
        let named = names.iter().find_map(|list| list.iter().position(|name| name == text));
        let at = match (named, text.parse::<u64>()) {
            (Some(at), _) => at as u64,
            (None, Ok(number)) if (1..=count).contains(&number) => number - 1,
            _ => {
                let first = names.iter().find(|list| !list.is_empty()).map(|list| list.join(", "));
                let names = first.map_or(String::new(), |names| format!(", named {names}"));
                return Err(format!("there is no band `{text}`; it has {count}{names}"));
            }
        };
        found.push(at);
    }
    found.sort_unstable();
    found.dedup();
    let (Some(first), Some(last)) = (found.first().copied(), found.last().copied()) else { return Ok(0..count) };
    if last - first + 1 != found.len() as u64 {
        return Err(format!("bands {} are no neighbours; fetch each into a folder of its own", asked.join(", ")));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_numbers_from_1_or_names_and_neighbours() {
        let names = [vec!["blue".to_owned(), "green".into(), "red".into()]];
        let of = |asked: &[&str]| chosen(&asked.iter().map(ToString::to_string).collect::<Vec<_>>(), 3, &names);
        assert_eq!(of(&["2"]), Ok(1..2));
        assert_eq!(of(&["red", "2"]), Ok(1..3));
        assert_eq!(of(&[]), Ok(0..3));
        assert!(of(&["1", "red"]).unwrap_err().contains("no neighbours"));
        assert!(of(&["nir"]).unwrap_err().contains("named blue, green, red"));
        assert!(of(&["0"]).is_err() && of(&["4"]).is_err());
    }
}
