//! Plants: the coefficients of their scores.

use crate::{Error, Result};

/// A plant of the spring index: `score = mds0 * MDS0 + synop * SYNOP + dde2 * DDE2 + dd57 * DD57`.
///
/// MDS0 is the day of the year minus 1, SYNOP the number of days so far with DDE2 >= 637, DDE2 the GDH of the last
/// three days, DD57 the GDH of the days 5 to 7 days back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plant {
    /// Its name in results.
    pub name: &'static str,
    /// Weight of the day.
    pub mds0: f64,
    /// Weight of the number of warm spells.
    pub synop: f64,
    /// Weight of the last three days.
    pub dde2: f64,
    /// Weight of the days before.
    pub dd57: f64,
    /// Days added to the result.
    pub shift: f64,
}

/// The three plants, in the order of the reference.
pub const PLANTS: [Plant; 3] = [
    Plant { name: "lilac", mds0: 3.306, synop: 13.878, dde2: 0.201, dd57: 0.153, shift: 0.0 },
    Plant { name: "arnold red", mds0: 4.266, synop: 20.899, dde2: 0.0, dd57: 0.248, shift: 1.0 },
    Plant { name: "zabelli", mds0: 2.802, synop: 21.433, dde2: 0.266, dd57: 0.0, shift: 0.0 },
];

/// Plants from names; `arnold-red` is as good as `arnold red`, `zabeli` as `zabelli`.
///
/// # Errors
/// [`Error::Parameter`] for another name, a name given twice, or none.
pub fn parse_plants<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Plant>> {
    let mut plants: Vec<Plant> = Vec::new();
    let refuse =
        |value: &str, why: &str| Error::Parameter { name: "plants", value: format!("`{value}`"), why: why.into() };
    for name in names {
        let wanted = name.trim().to_lowercase().replace(['-', '_'], " ");
        let wanted = if wanted == "zabeli" { "zabelli" } else { &wanted };
        let plant = PLANTS.iter().find(|plant| plant.name == wanted);
        let plant = plant.ok_or_else(|| refuse(name, "choose from lilac, arnold-red and zabelli"))?;
        if plants.iter().any(|have| have.name == plant.name) {
            return Err(refuse(name, "it is given twice"));
        }
        plants.push(*plant);
    }
    if plants.is_empty() { Err(refuse("", "name at least one plant")) } else { Ok(plants) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_forgiving_but_not_guessed() {
        let names: Vec<&str> = parse_plants(["Arnold-Red", "zabeli"]).unwrap().iter().map(|p| p.name).collect();
        assert_eq!(names, ["arnold red", "zabelli"]);
        for bad in [vec!["rose"], vec![], vec!["lilac", "lilac"]] {
            assert!(parse_plants(bad).is_err());
        }
    }
}
