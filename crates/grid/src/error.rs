//! Why a place or a time cannot be understood.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A description of space or time that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bounding box is malformed.
    #[error("`{text}` is not a bounding box: {why}")]
    BBox {
        /// The box as it came.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A time is malformed.
    #[error("`{text}` is not an RFC 3339 time or interval: {why}")]
    Time {
        /// The text as it came.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// CF time units are malformed.
    #[error("`{text}` is not a CF time unit like `days since 1950-01-01`")]
    TimeUnits {
        /// The units attribute.
        text: String,
    },
    /// A CF calendar is not known.
    #[error("calendar `{name}` is not known")]
    Calendar {
        /// The calendar attribute.
        name: String,
    },
    /// A grid mapping cannot be turned into a CRS.
    #[error("grid mapping `{name}` cannot be used: {why}")]
    GridMapping {
        /// `grid_mapping_name`.
        name: String,
        /// What is missing or not supported.
        why: String,
    },
    /// A PROJ string is refused or a point cannot be projected.
    #[error("`{definition}` cannot be used as a CRS: {why}")]
    Projection {
        /// The PROJ string.
        definition: String,
        /// What the projection library says.
        why: String,
    },
}
