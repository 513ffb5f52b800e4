//! First leaf of the extended spring indices.
//!
//! What happens to each cell, after Schwartz (1985, 1997) and Ault et al. (2015), "A Matlab toolbox for the extended
//! spring indices", Computers & Geosciences 83, 46-53:
//! 1. growing degree hours (GDH, base 31 °F) of each day from the daily minimum and maximum temperature and day length
//!    ([`gdh`]), after Linvill (1990);
//! 2. predictors over the last days and the score of each plant ([`plants`]);
//! 3. first leaf is the first day whose score is above 999.5.
//!
//! Cells are independent and days come in order, so it is a fold: 8 GDH per cell are kept, however long the year is.

mod fold;
pub mod gdh;
pub mod plants;
mod result;
mod run;

pub use fold::{FirstLeaf, Leaf};
pub use plants::{PLANTS, Plant, parse_plants};
pub use result::{ResultOptions, ResultWriter};
pub use run::{SpringIndex, SpringIndexOptions, SpringReport};
