//! What is read and written, in words: `docs/reference/formats.md` is made of it.

use std::fmt::Write;

use crate::array::Format;

/// A row of a table: the format, what of it, and the commands (or the type of this crate) that do it.
pub type Row = [&'static str; 3];

const ALL: [Format; 8] = [
    Format::NetCdf3,
    Format::NetCdf4,
    Format::Hdf5,
    Format::GeoTiff,
    Format::MiniSeed,
    Format::Raw,
    Format::Zarr,
    Format::Gdal,
];

/// What is read of a format.
fn row(format: Format) -> Row {
    const EVERY: &str = "build, info, convert, run, plot";
    match format {
        Format::NetCdf3 => [
            "NetCDF-3",
            "classic (CDF-1), 64-bit offset (CDF-2), 64-bit data (CDF-5); fixed and record variables",
            EVERY,
        ],
        Format::NetCdf4 => {
            ["NetCDF-4", "all that is said of HDF5, with its dimensions, unlimited ones and groups", EVERY]
        }
        Format::Hdf5 => [
            "HDF5",
            "superblock 0, 2, 3, also behind a user block; object headers 1 and 2; groups old and new; layouts of DAS vendors",
            EVERY,
        ],
        Format::GeoTiff => [
            "GeoTIFF, COG",
            "TIFF and BigTIFF, both byte orders; strips and tiles; bands side by side or apart; overviews, masks, pages",
            EVERY,
        ],
        Format::MiniSeed => [
            "miniSEED",
            "versions 2 and 3, both byte orders, record lengths of 128 bytes to 1 MiB (version 3: 16 MiB), with or without \
             blockette 1000",
            "build, info, convert",
        ],
        Format::Raw => [
            "raw binary",
            "one array in C order, declared by `--raw`: type, byte order, shape, bytes before and behind",
            "info, convert",
        ],
        Format::Zarr => [
            "Zarr",
            "versions 2 and 3, by consolidated metadata or by listing; shards (their chunks as byte ranges)",
            EVERY,
        ],
        Format::Gdal => {
            ["GDAL", "with feature `gdal`: JPEG 2000, GRIB, HDF4, ENVI, PNG and whatever else GDAL opens", EVERY]
        }
    }
}

const REFERENCES: Row = [
    "kerchunk",
    "references in JSON (versions 0 and 1, templates, `gen`) and in Parquet (a folder), inline or to ranges of files \
     wherever they are; shards behind references",
    "info, convert, run",
];

const WRITTEN: [Row; 11] = [
    [
        "GeoTIFF, COG",
        "tiles, overviews, deflate, zstd or LZW with predictors 2 and 3, BigTIFF where needed, nodata, CRS, scale and offset, \
         band names",
        "`outcrop convert`, `outcrop_formats::GeoTiffWriter`",
    ],
    [
        "NetCDF-4",
        "chunks, shuffle, deflate, attributes, dimension scales, unlimited dimensions",
        "`outcrop convert`, `outcrop_formats::netcdf4::Writer`",
    ],
    [
        "NetCDF-3",
        "CDF-1, CDF-2 and CDF-5, by default the oldest that fits; records",
        "`outcrop convert`, `outcrop_formats::netcdf3::Writer`",
    ],
    [
        "Zarr 3",
        "zstd, gzip or none; shards; consolidated metadata",
        "`outcrop convert`, `outcrop run`, `outcrop_formats::zarr::GroupWriter`",
    ],
    [
        "Zarr 2",
        "blosc (lz4), zstd, gzip or none; consolidated metadata; fill values only where values are missing",
        "`outcrop convert` and `outcrop run` with `--zarr-format 2`, `outcrop_formats::zarr::GroupWriter`",
    ],
    [
        "`.refs`",
        "the chunk references of a file, to be opened in its place",
        "`outcrop build --references`, `outcrop info --save-references`",
    ],
    [
        "kerchunk",
        "references to the chunks of a file, as Zarr 2, in JSON or (`NAME.parq`) as a folder of tables in Parquet",
        "`outcrop info --save-references`",
    ],
    [
        "miniSEED 2, 3",
        "text, int16, int32, float32, float64, Steim1, Steim2; record lengths; checksums of version 3",
        "`outcrop convert`, `outcrop_formats::miniseed::Writer`",
    ],
    ["PNG", "a map with colour bar, axes and title", "`outcrop plot`"],
    [
        "STAC 1.1.0",
        "static catalogs and collections, self-contained, relative or absolute",
        "`build`, `fetch`, `run --catalog`",
    ],
    ["GeoJSON, ndjson", "item collections", "`outcrop search`"],
];

/// The table of what is read, as Markdown.
pub fn read_table() -> String {
    let rows: Vec<Row> = ALL.into_iter().map(row).chain([REFERENCES]).collect();
    table(["format", "what", "where"], &rows)
}

/// The table of what is written, as Markdown.
pub fn written_table() -> String {
    table(["format", "what", "by"], &WRITTEN)
}

fn table(heads: Row, rows: &[Row]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |\n|---|---|---|", heads.join(" | "));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
