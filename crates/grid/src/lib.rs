//! Where and when cells are: axes, coordinate reference systems, footprints, CF time, intervals. No I/O.

mod axis;
mod bbox;
mod crs;
mod error;
mod footprint;
mod geokeys;
pub mod interval;
mod method;
pub mod time;
mod wkt;

pub use axis::{Axis, positions};
pub use bbox::BBox;
pub use crs::{CfNumbers, Crs};
pub use error::{Error, Result};
pub use footprint::{Footprint, footprint_of_lonlat, footprint_of_rectangle};
pub use geokeys::{GeoKeys, GeoTags, RasterType};
pub use interval::Interval;
pub use wkt::{wkt_to_epsg, wkt_to_proj};
