//! What can go wrong between an href and a STAC document.

use outcrop_store::Href;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to read, lay out or write STAC documents; every variant names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes cannot be had.
    #[error("cannot read STAC document `{href}`")]
    Read {
        /// The document.
        href: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A web page came where JSON was expected.
    #[error("`{href}` is a web page, not a STAC document: give the href of its JSON, or the host asks for a login")]
    WebPage {
        /// The document.
        href: Href,
    },
    /// The bytes are not JSON.
    #[error("`{href}` is not valid JSON at line {line}, column {column}")]
    Json {
        /// The document.
        href: Href,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON is not a STAC document.
    #[error("`{href}` is not a STAC document: {why}")]
    NotStac {
        /// The document.
        href: Href,
        /// What it is instead.
        why: String,
    },
    /// A document cannot be had as the published model's type.
    #[error("`{href}` breaks the STAC specification")]
    Model {
        /// The document.
        href: Href,
        /// What the model says.
        #[source]
        source: serde_json::Error,
    },
    /// A reference inside a document is not an href.
    #[error("`{document}` holds a reference that is not an href")]
    Reference {
        /// The document that holds it.
        document: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A remote document names a file of this machine.
    #[error("`{document}` is remote and names the local file `{href}`: it is not followed")]
    LocalFromRemote {
        /// The document that holds the reference.
        document: Href,
        /// What it names.
        href: Href,
    },
    /// A walk met one of its caps.
    #[error("the walk ended at `{href}`: more than {limit} {what}")]
    Limit {
        /// Where it ended.
        href: Href,
        /// What is counted.
        what: &'static str,
        /// The cap.
        limit: usize,
    },
    /// A layout template cannot be parsed.
    #[error("layout `{template}` {why}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An item lacks a variable of the layout.
    #[error("item `{item}` has no `{variable}`, which the layout asks for; give a default or another layout")]
    MissingVariable {
        /// Id of the item.
        item: String,
        /// The variable.
        variable: String,
    },
    /// An id or a value of the layout cannot be a file name.
    #[error("{what} cannot be written")]
    Name {
        /// Whose name it is.
        what: String,
        /// The rule it breaks.
        #[source]
        source: outcrop_store::Error,
    },
    /// Two documents would share a file.
    #[error("`{first}` and `{second}` would both be `{path}`: ids must differ within a folder, also in lower case")]
    Duplicate {
        /// The file below the catalog's folder.
        path: String,
        /// What claimed it first.
        first: String,
        /// What claimed it again.
        second: String,
    },
    /// A document cannot be written.
    #[error("cannot write STAC document `{href}`")]
    Write {
        /// The document.
        href: Href,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A server does not keep to the specification, or cannot do what is asked of it.
    #[error("the STAC API at `{href}` cannot be searched: {why}")]
    Api {
        /// The address.
        href: Href,
        /// What is wrong.
        why: String,
    },
    /// Pages of a server cannot be kept for another run.
    #[error("cannot keep pages in `{}`", path.display())]
    Keep {
        /// The file.
        path: std::path::PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// An item has no place among the columns of a table.
    #[error("item `{item}` cannot be a row of a table of items: {why}")]
    Row {
        /// Its id.
        item: String,
        /// What is wrong.
        why: String,
    },
    /// A table of items cannot be read or written.
    #[error("`{}` is not a table of items that can be used: {why}", path.display())]
    Table {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Error {
    /// A table that the system does not let be read or written.
    pub(crate) fn table(path: &std::path::Path, why: &std::io::Error) -> Self {
        Self::Table { path: path.to_owned(), why: why.to_string() }
    }
}
