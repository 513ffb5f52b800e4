//! What can go wrong between an href and its bytes.

use crate::Href;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to read or write an object; every variant names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The href cannot be parsed.
    #[error("`{href}` is not a valid href")]
    InvalidHref {
        /// The text, without secrets.
        href: String,
    },
    /// No transport exists for the scheme of the href.
    #[error(
        "cannot read `{href}`: scheme `{scheme}` is not supported, use a path or a URL of http(s), s3, gs, az or abfs(s), or \
         give the scheme an alias in the config file"
    )]
    Scheme {
        /// The object.
        href: Href,
        /// Its scheme.
        scheme: String,
    },
    /// There is nothing at the href.
    #[error("`{href}` does not exist")]
    NotFound {
        /// The object.
        href: Href,
    },
    /// The server answered with a status that is a failure.
    #[error("`{href}` answered HTTP status {status}")]
    Status {
        /// The object.
        href: Href,
        /// The HTTP status code.
        status: u16,
    },
    /// A service refuses a request and says why.
    #[error("`{href}` refused the request (HTTP status {status}): {why}")]
    Refused {
        /// The address.
        href: Href,
        /// The HTTP status code.
        status: u16,
        /// What it says.
        why: String,
    },
    /// An object store does not give the object to this user.
    #[error("`{href}` may not be read {}: {code}", if *signed { "with these credentials" } else { "without credentials" })]
    Forbidden {
        /// The object.
        href: Href,
        /// What the store says: its error code, or the HTTP status.
        code: String,
        /// Whether the request carried credentials.
        signed: bool,
    },
    /// The config file, or netrc, cannot be used.
    #[error("cannot use `{href}`: {why}")]
    Config {
        /// The file.
        href: Href,
        /// What is wrong, without secrets.
        why: String,
    },
    /// The settings for an object store (environment, profile, files of credentials) cannot be used.
    #[error("cannot read `{href}`: {why}")]
    Settings {
        /// The object.
        href: Href,
        /// What is wrong, without secrets.
        why: String,
    },
    /// The request failed before an answer was complete.
    #[error("cannot read `{href}`{}", after(*tries))]
    Transport {
        /// The object.
        href: Href,
        /// Number of requests that were sent.
        tries: u32,
        /// The last failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server's answer breaks a rule, so that its bytes cannot be trusted.
    #[error("`{href}` gave an answer that cannot be used: {why}")]
    Answer {
        /// The object.
        href: Href,
        /// The rule.
        why: String,
    },
    /// The server sends whole files only.
    #[error("`{href}` does not support byte ranges; fetch the file first, then open the local copy")]
    NoRanges {
        /// The object.
        href: Href,
    },
    /// The bytes that came are not the bytes that were asked for.
    #[error("`{href}` sent {got} bytes where {want} were expected: the file is truncated or has changed")]
    Truncated {
        /// The object.
        href: Href,
        /// Bytes that came.
        got: u64,
        /// Bytes that were expected.
        want: u64,
    },
    /// The object was replaced while it was read.
    #[error("`{href}` has changed while it was read; run the command again")]
    Changed {
        /// The object.
        href: Href,
    },
    /// The object is larger than the limit for documents.
    #[error("`{href}` is larger than the limit of {limit} bytes for a document")]
    TooLarge {
        /// The object.
        href: Href,
        /// The limit in bytes.
        limit: u64,
    },
    /// A web page came where data was expected.
    #[error("`{href}` looks like an HTML page, not data: the host may ask for a login")]
    HtmlPage {
        /// The object.
        href: Href,
    },
    /// The operating system refused.
    #[error("cannot {action} `{href}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The object.
        href: Href,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The href names a place that cannot be written.
    #[error("cannot write `{href}`: only local paths can be written")]
    ReadOnly {
        /// The object.
        href: Href,
    },
    /// A server or object store does not take the object.
    #[error("cannot write `{href}`: {why}")]
    NotWritten {
        /// The object.
        href: Href,
        /// What it says.
        why: String,
    },
    /// A name from outside is not a portable file name.
    #[error("`{name}` cannot be a file name: {why}")]
    UnsafeName {
        /// The name as it came, escaped.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A listing cannot be understood.
    #[error("cannot list `{href}`: {why}")]
    Listing {
        /// The folder or page.
        href: Href,
        /// What is wrong with it.
        why: String,
    },
}

fn after(tries: u32) -> String {
    if tries > 1 { format!(" after {tries} tries") } else { String::new() }
}

impl Error {
    pub(crate) fn settings(href: &Href, why: impl Into<String>) -> Self {
        Self::Settings { href: href.clone(), why: why.into() }
    }

    pub(crate) fn answer(href: &Href, why: impl Into<String>) -> Self {
        Self::Answer { href: href.clone(), why: why.into() }
    }

    pub(crate) fn io(action: &'static str, href: &Href, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::NotFound && !action.starts_with("write") {
            return Self::NotFound { href: href.clone() };
        }
        Self::Io { action, href: href.clone(), source }
    }

    /// The HTTP status of a failure that is one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// True where other credentials may have another answer.
    pub fn may_want_login(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::HtmlPage { .. }) || matches!(self.status(), Some(401 | 403))
    }

    /// True where there is nothing at the href (also HTTP 404 and 410).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
