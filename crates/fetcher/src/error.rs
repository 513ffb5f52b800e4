//! What can go wrong between an asset and its copy.

use outcrop_store::Href;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to copy assets or to write their catalog; every variant names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was asked for.
    #[error("no asset was chosen; name keys, roles or media types, `outcrop describe` lists the keys")]
    NoAssets,
    /// The item lacks the asset.
    #[error("item `{item}` has no asset `{asset}`; it has {known}")]
    NoAsset {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// The keys there are.
        known: String,
    },
    /// The test of an asset cannot be made.
    #[error("cannot tell whether asset `{asset}` of item `{item}` is wanted")]
    Filter {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two files of one item would have one name.
    #[error(
        "`{first}` and `{second}` would both be the file `{name}` of item `{item}`; fetch them into different folders"
    )]
    SameName {
        /// Id of the item.
        item: String,
        /// The file name.
        name: String,
        /// What has it first.
        first: String,
        /// What has it again.
        second: String,
    },
    /// The last part of an asset's href cannot name a file.
    #[error("asset `{asset}` of item `{item}` cannot be named after its href")]
    Name {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// The rule that it breaks.
        #[source]
        source: outcrop_store::Error,
    },
    /// An asset is its own copy, and where it came from is not known.
    #[error("asset `{asset}` of item `{item}` should be at `{href}`, is not, and no other place of it is known")]
    NoSource {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// Where it should be.
        href: Href,
    },
    /// An object cannot be copied.
    #[error(transparent)]
    Object(#[from] outcrop_store::Error),
    /// An asset cannot be copied.
    #[error("cannot fetch asset `{asset}` of item `{item}`")]
    Transfer {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A host does not give an asset, and its item says what it wants.
    #[error("cannot fetch asset `{asset}` of item `{item}`, which says that it wants {wants}")]
    Refused {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// A login, or that the reader pays.
        wants: String,
        /// The reason.
        #[source]
        source: outcrop_store::Error,
    },
    /// A part of an asset cannot be made.
    #[error("cannot cut asset `{asset}` of item `{item}`")]
    Cut {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// New files do not tell what their item is to say.
    #[error("cannot describe the parts of item `{item}`")]
    Portrait {
        /// Id of the item.
        item: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bytes that came are not those that the catalog or the server speaks of.
    #[error("asset `{asset}` of item `{item}` is damaged: its {algorithm} is {got}, {who} says {want}")]
    Digest {
        /// Id of the item.
        item: String,
        /// The key.
        asset: String,
        /// What was computed.
        algorithm: crate::Algorithm,
        /// The digest of the bytes, in hex.
        got: String,
        /// The digest that it should be.
        want: String,
        /// Who says so.
        who: &'static str,
    },
    /// Two items would have one folder.
    #[error(
        "items `{first}` and `{second}` would share a folder where names know no case or form of an accent; fetch them apart"
    )]
    SameFolder {
        /// Id of the item that has it first.
        first: String,
        /// Id of the other.
        second: String,
    },
    /// Nothing is known of an earlier run.
    #[error("`{href}` has no ledger of an earlier fetch; run without --retry-failed")]
    NoLedger {
        /// The destination.
        href: Href,
    },
    /// A copy cannot get its name.
    #[error("cannot write `{href}`")]
    Write {
        /// The copy.
        href: Href,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A piece of the run ended before it was done.
    #[error("the run was interrupted")]
    Interrupted,
    /// A link in the destination leads elsewhere, perhaps out of it.
    #[error("`{href}` is a symbolic link; nothing is written through links below the destination, remove it first")]
    Link {
        /// The link.
        href: Href,
    },
    /// The destination holds something else.
    #[error("`{href}` is the catalog `{found}`, not `{wanted}`; choose another folder with --to")]
    OtherCatalog {
        /// The destination.
        href: Href,
        /// Id of what is there.
        found: String,
        /// Id of the source.
        wanted: String,
    },
    /// Another run writes to the destination.
    #[error("another fetch is writing to `{href}`; wait for it, or choose another folder with --to")]
    Busy {
        /// The destination.
        href: Href,
    },
    /// The folder of the destination is another than at the beginning.
    #[error(
        "`{href}` is not the folder any more that it was when the fetch began: was its disk unmounted? What was copied is there; mount \
         it again, and run the fetch again"
    )]
    Vanished {
        /// The destination.
        href: Href,
    },
    /// The disk has too little room for what was chosen.
    #[error(
        "the chosen assets take {need} bytes by what their items tell, and `{to}` has {free} free{}; choose fewer, or another folder with \
         --to, or --ignore-space", already(*there)
    )]
    NoRoom {
        /// The destination.
        to: Href,
        /// Bytes of all chosen assets of which a size is told.
        need: u64,
        /// Bytes of copies that are noted there.
        there: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Another run has taken over the right to publish to the destination.
    #[error("another fetch publishes to `{href}` now; run this one again, which finds its copies there")]
    Overtaken {
        /// The destination.
        href: Href,
    },
    /// The journal cannot be read or written.
    #[error("cannot keep the journal `{href}`")]
    Journal {
        /// The journal.
        href: Href,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A STAC document cannot be read or written.
    #[error(transparent)]
    Stac(#[from] outcrop_stac::Error),
    /// An item could not be had from its source.
    #[error(transparent)]
    Item(Box<dyn std::error::Error + Send + Sync>),
}

fn already(there: u64) -> String {
    if there == 0 { String::new() } else { format!(" ({there} bytes of copies are there already)") }
}
