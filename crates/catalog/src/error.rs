//! What can go wrong between a recipe or a source and its items.

use outcrop_store::Href;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to build, describe or search a catalog; every variant names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe cannot be read.
    #[error("cannot read recipe `{href}`")]
    ReadRecipe {
        /// The recipe.
        href: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// The recipe is wrong.
    #[error("recipe `{file}`, line {line}, `{key}`: {why}")]
    Recipe {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Path of the key.
        key: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// Chunk references cannot be kept.
    #[error("cannot write the chunk references of {what}")]
    References {
        /// The asset or item.
        what: String,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// An archive cannot be listed.
    #[error("cannot list the archive `{href}`")]
    List {
        /// The folder or page.
        href: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// No file of the archive fits the recipe.
    #[error("none of the {files} files below `{href}` fits `{pattern}`; compare the pattern with a file name")]
    NothingFits {
        /// The archive.
        href: Href,
        /// Number of files that were seen.
        files: usize,
        /// The first pattern.
        pattern: String,
    },
    /// A listing has too many files.
    #[error("`{href}` holds more than {limit} files; list a part of it, with `include` of [listing]")]
    TooMany {
        /// The archive.
        href: Href,
        /// Most files.
        limit: usize,
    },
    /// The destination holds something else.
    #[error("`{href}` is the catalog `{found}`, not `{wanted}`; choose another folder with --to")]
    OtherCatalog {
        /// The document that is there.
        href: Href,
        /// Its id.
        found: String,
        /// The id of the recipe.
        wanted: String,
    },
    /// A table of files cannot be used.
    #[error("the table `{href}` cannot be used: {why}")]
    Rows {
        /// The table.
        href: Href,
        /// What is wrong, with the line.
        why: String,
    },
    /// Another process builds there.
    #[error("another build writes `{href}`; wait for it, or choose another folder with --to")]
    Busy {
        /// The folder.
        href: Href,
    },
    /// The folder for something new holds something.
    #[error("`{href}` is not empty; choose another folder with --to")]
    Occupied {
        /// The folder.
        href: Href,
    },
    /// The folder of a catalog, or what is kept in it of its build, cannot be written.
    #[error("cannot write the catalog in `{href}`")]
    State {
        /// The folder or file.
        href: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A file's header cannot be read.
    #[error("cannot read the header of `{href}`")]
    Header {
        /// The file.
        href: Href,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file's header lacks what the recipe asks of it.
    #[error("the header of `{href}` does not give `{field}`: {why}")]
    NoField {
        /// The file.
        href: Href,
        /// The field of `[headers] fields`.
        field: &'static str,
        /// What is missing.
        why: String,
    },
    /// An item cannot be made from the recipe.
    #[error("cannot make item `{item}`: {why}")]
    Item {
        /// Its id.
        item: String,
        /// What is wrong.
        why: String,
    },
    /// A STAC document cannot be read or written.
    #[error(transparent)]
    Stac(#[from] outcrop_stac::Error),
    /// The source of a search is not an href.
    #[error("`{source_text}` is not a catalog, a file of items or CATALOG#ID")]
    Source {
        /// The text as given, without secrets.
        source_text: String,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// Wanted items were not found.
    #[error("no item has the id {}; list the ids with `outcrop describe` or `outcrop search`", .ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "))]
    UnknownIds {
        /// The ids.
        ids: Vec<String>,
    },
    /// A filter is not CQL2, or cannot be decided.
    #[error("filter `{filter}`: {why}")]
    Filter {
        /// The filter as given.
        filter: String,
        /// Where it is wrong.
        why: String,
    },
    /// A test of the `query` extension is wrong.
    #[error("query `{name}`: {why}")]
    Query {
        /// The property.
        name: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// The geometry of a search is wrong.
    #[error("the geometry to search by cannot be used: {why}")]
    Geometry {
        /// What is wrong.
        why: String,
    },
    /// A key of an order is wrong.
    #[error("`{text}` is not a key to sort by; write a property, like -datetime or +eo:cloud_cover")]
    Sort {
        /// The text.
        text: String,
    },
    /// Items that are being sorted cannot be put aside.
    #[error("cannot put items aside in `{folder}`; set TMPDIR to a folder with room")]
    Spool {
        /// The folder of temporary files.
        folder: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A file of items cannot be read to its end.
    #[error("`{href}` is not a file of items: {why}")]
    Items {
        /// The file.
        href: Href,
        /// What is wrong.
        why: String,
    },
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
