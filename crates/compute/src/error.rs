//! Why an array cannot be opened, planned or computed.

use outcrop_store::Href;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure that names the array, file or limit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes could not be had.
    #[error(transparent)]
    Store(#[from] outcrop_store::Error),
    /// A file could not be understood.
    #[error("cannot open `{href}`")]
    Open {
        /// The file.
        href: Href,
        /// Why.
        #[source]
        source: outcrop_formats::Error,
    },
    /// A chunk could not be decoded.
    #[error("cannot decode chunk {index:?} of `{variable}` in `{href}`")]
    Chunk {
        /// The file.
        href: Href,
        /// The variable.
        variable: String,
        /// The chunk's position in the grid of chunks.
        index: Vec<u64>,
        /// Why.
        #[source]
        source: outcrop_formats::Error,
    },
    /// A variable is not in the dataset.
    #[error("there is no variable `{name}`; there are {have}")]
    NoVariable {
        /// The name asked for.
        name: String,
        /// The names there are.
        have: String,
    },
    /// A dimension is not in the array.
    #[error("`{array}` has no dimension `{dim}`; it has {have}")]
    NoDim {
        /// The array.
        array: String,
        /// The name asked for.
        dim: String,
        /// The names there are.
        have: String,
    },
    /// A selection lies outside the axis.
    #[error("positions {start}..{end} of `{dim}` are outside its length {len}")]
    OutOfRange {
        /// The dimension.
        dim: String,
        /// First position.
        start: u64,
        /// Position after the last.
        end: u64,
        /// Length of the dimension.
        len: u64,
    },
    /// Two arrays do not lie on the same cells.
    #[error("`{left}` and `{right}` do not lie on the same cells: {why}")]
    Misaligned {
        /// One array.
        left: String,
        /// The other.
        right: String,
        /// What differs.
        why: String,
    },
    /// Operations do not fit the array.
    #[error("cannot {action} `{array}`: {why}")]
    Unsupported {
        /// The operation.
        action: &'static str,
        /// The array.
        array: String,
        /// The reason.
        why: String,
    },
    /// The day of a file is not known.
    #[error("`{file}`: {why}")]
    Day {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// An item is not what is to be opened.
    #[error("item `{item}`: {why}")]
    Item {
        /// Its id.
        item: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The plan cannot keep the memory promise.
    #[error("the plan needs at least {need} of memory and {allowed} is allowed; raise --memory{hint}")]
    Memory {
        /// Smallest bound, for people.
        need: String,
        /// The allowance, for people.
        allowed: String,
        /// What else helps.
        hint: &'static str,
    },
    /// The result could not be written.
    #[error(transparent)]
    Write(outcrop_formats::Error),
    /// The run was ended by a signal.
    #[error("interrupted")]
    Interrupted,
    /// A worker ended without a result.
    #[error("a worker thread ended without a result; this is a defect of outcrop")]
    Worker,
}
