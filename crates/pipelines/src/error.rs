//! Why a pipeline cannot run.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of a pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arrays could not be opened, planned or computed.
    #[error(transparent)]
    Compute(#[from] outcrop_compute::Error),
    /// A file could not be read, or the result not be written.
    #[error(transparent)]
    Format(#[from] outcrop_formats::Error),
    /// Items could not be found.
    #[error(transparent)]
    Catalog(#[from] outcrop_catalog::Error),
    /// A catalog could not be read or written.
    #[error(transparent)]
    Stac(#[from] outcrop_stac::Error),
    /// A place could not be reached.
    #[error(transparent)]
    Store(#[from] outcrop_store::Error),
    /// A picture cannot be drawn.
    #[error("cannot draw a picture: {why}")]
    Plot {
        /// The reason.
        why: String,
    },
    /// An item lacks an asset that the pipeline needs.
    #[error("item `{item}` has no asset `{key}`; it has {have}")]
    NoAsset {
        /// The item.
        item: String,
        /// The key.
        key: String,
        /// The keys it has.
        have: String,
    },
    /// An input does not lie on the axes that the formula needs.
    #[error("`{variable}` cannot be used: {why}")]
    Axis {
        /// The variable.
        variable: String,
        /// What is wrong with its axes.
        why: String,
    },
    /// A group of the store holds the result of something else.
    #[error("group `{group}` of `{root}` holds the result of {owner}; choose another --to")]
    OtherResult {
        /// The store.
        root: String,
        /// The group.
        group: String,
        /// The item it was made from.
        owner: String,
    },
    /// The day of a file is not known, or another has it.
    #[error("`{file}`: {why}")]
    Day {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A choice is left to the user.
    #[error("choose {what}: {why}")]
    Choose {
        /// What is to be chosen, and how.
        what: &'static str,
        /// What there is.
        why: String,
    },
    /// A program is not what it should be.
    #[error("{at}: {why}")]
    Program {
        /// Which step or output.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// A parameter is out of range.
    #[error("`{name}` cannot be {value}: {why}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        why: String,
    },
    /// Files cannot follow one another.
    #[error("`{left}` and `{right}` cannot follow one another: {why}")]
    Differ {
        /// One file.
        left: String,
        /// The other.
        right: String,
        /// What differs.
        why: String,
    },
    /// A recording has gaps, and was to have none.
    #[error("the recording has {count} gaps or overlaps; {first}")]
    Gaps {
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// An input has other units than the formula needs.
    #[error("`{variable}` is in `{units}`; the spring index needs {want}")]
    Units {
        /// The variable.
        variable: String,
        /// Its units attribute.
        units: String,
        /// Units that are understood.
        want: &'static str,
    },
}
