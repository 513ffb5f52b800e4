//! What can go wrong between the bytes of a file and its values.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to understand, decode or write array data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is none of the formats this crate reads.
    #[error("not a NetCDF, HDF5, TIFF or miniSEED file: it looks like {looks}")]
    NotRecognised {
        /// What the first bytes look like.
        looks: String,
    },
    /// The file ends before what it declares.
    #[error("the file is truncated: {what} ends at byte {need}, the file has {have} bytes")]
    Truncated {
        /// What lies past the end.
        what: String,
        /// Where it ends, in bytes.
        need: u64,
        /// Size of the file in bytes.
        have: u64,
    },
    /// A part of the file breaks the rules of its format.
    #[error("{object} is malformed: {why}")]
    Malformed {
        /// The part.
        object: String,
        /// The rule it breaks.
        why: String,
    },
    /// A part of an HDF5 file cannot be understood.
    #[error("cannot read {object}")]
    Hdf5 {
        /// The part.
        object: String,
        /// The reason.
        #[source]
        source: Box<hdf5_reader::error::Error>,
    },
    /// A part of the file uses what is not supported.
    #[error("cannot read `{object}`: {what} is not supported")]
    Unsupported {
        /// Variable, group or file.
        object: String,
        /// What it uses.
        what: String,
    },
    /// There is no such variable.
    #[error("there is no variable `{name}`; the file has: {known}")]
    NoVariable {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The values of a variable cannot be read.
    #[error("cannot read `{name}`: {source}")]
    Variable {
        /// The variable.
        name: String,
        /// The reason.
        source: Box<Error>,
    },
    /// A size is beyond the limit for foreign data.
    #[error("{what} is {value}, which is more than the limit of {limit}")]
    Limit {
        /// What is too large.
        what: String,
        /// How large it is.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// A chunk has another size than its variable declares.
    #[error("chunk has {actual} bytes after {step}, {expected} were expected")]
    ChunkLength {
        /// What was done last.
        step: &'static str,
        /// Bytes expected.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// A codec refused the bytes of a chunk.
    #[error("chunk cannot be decoded by {codec}: {why}")]
    Codec {
        /// The codec.
        codec: &'static str,
        /// What it says.
        why: String,
    },
    /// A checksum does not match.
    #[error("chunk is damaged: its {codec} checksum is {actual:#010x}, {expected:#010x} is stored")]
    Checksum {
        /// The checksum.
        codec: &'static str,
        /// What the file says.
        expected: u32,
        /// What the bytes give.
        actual: u32,
    },
    /// A chunk that was written once is not there.
    #[error("the chunk `{href}` is missing: {why}")]
    MissingChunk {
        /// The object.
        href: outcrop_store::Href,
        /// How that is known, and what to do.
        why: String,
    },
    /// A window does not lie within its variable.
    #[error("window {window} does not lie within shape {shape}")]
    Window {
        /// The window.
        window: String,
        /// The shape.
        shape: String,
    },
    /// A Zarr store cannot be read or written.
    #[error("cannot {action} Zarr array or group `{path}`: {why}")]
    Zarr {
        /// What was tried.
        action: &'static str,
        /// The group or array.
        path: String,
        /// The reason.
        why: String,
    },
    /// A NetCDF file cannot be written.
    #[error("cannot write NetCDF variable `{name}`: {why}")]
    NetCdf {
        /// Variable, dimension or file.
        name: String,
        /// The reason.
        why: String,
    },
    /// An image cannot be written as GeoTIFF.
    #[error("cannot write a GeoTIFF: {why}")]
    GeoTiff {
        /// The reason.
        why: String,
    },
    /// Samples cannot be written as miniSEED.
    #[error("cannot write segment `{segment}` as miniSEED: {why}")]
    MiniSeed {
        /// Its source.
        segment: String,
        /// The reason.
        why: String,
    },
    /// GDAL failed, or warned of data that it would have made up.
    #[error("GDAL cannot {action} `{object}`: {why}")]
    Gdal {
        /// What was tried.
        action: &'static str,
        /// The file.
        object: String,
        /// What GDAL says.
        why: String,
    },
    /// GDAL was asked for in a program without it.
    #[error("this program was built without GDAL: build it with `--features gdal`")]
    WithoutGdal,
    /// Bytes cannot be had or published.
    #[error(transparent)]
    Store(#[from] outcrop_store::Error),
}

impl Error {
    /// Says which variable could not be read.
    pub(crate) fn of_variable(self, name: &str) -> Self {
        Self::Variable { name: name.to_owned(), source: Box::new(self) }
    }

    pub(crate) fn malformed(object: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed { object: object.into(), why: why.into() }
    }

    pub(crate) fn unsupported(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported { object: object.into(), what: what.into() }
    }
}
