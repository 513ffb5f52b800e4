//! Rules of our own for extensions whose schema no package carries: after the field tables of their specifications.
//!
//! They say what the tables say (types, ranges, what is required where), not all that an official schema may.

/// Address of the schema that each stands in for, and its text.
pub(super) const SCHEMAS: [(&str, &str); 4] = [
    ("https://stac-extensions.github.io/eo/v2.0.0/schema.json", include_str!("../../schemas/own/eo-2.0.0.json")),
    (
        "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
        include_str!("../../schemas/own/raster-2.0.0.json"),
    ),
    (
        "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json",
        include_str!("../../schemas/own/alternate-assets-1.2.0.json"),
    ),
    (
        "https://stac-extensions.github.io/datacube/v2.3.0/schema.json",
        include_str!("../../schemas/own/datacube-2.3.0.json"),
    ),
];
