//! How a command ends.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

/// A command that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Some items failed; each was named.
    Some,
}

impl Outcome {
    pub(crate) fn of(failed: usize) -> Self {
        if failed == 0 { Self::Done } else { Self::Some }
    }

    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Some => ExitCode::from(1),
        }
    }
}

/// A command that could not run.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error with its causes.
    Error(Box<dyn Error + Send + Sync>),
    /// A mistake in the arguments, with the next step.
    Usage { message: String, hint: String },
    /// A signal; the exit code.
    Signal(i32),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Signal(code) => ExitCode::from(u8::try_from(*code).unwrap_or(130)),
            _ => ExitCode::from(2),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

/// The next step after an error, where there is a usual one.
pub(crate) fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let known = error.downcast_ref().and_then(of_io);
        let known = known.or_else(|| store_error(error).and_then(of_store));
        if let Some(hint) = known.or_else(|| of_others(error)) {
            return Some(hint);
        }
        cause = error.source();
    }
    None
}

/// Errors that pass on one of the store leave it out of their chain of causes.
fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a outcrop_store::Error> {
    use outcrop_compute::Error as Compute;
    use outcrop_formats::Error as Format;
    use outcrop_pipelines::Error as Pipeline;
    let compute = error.downcast_ref().or_else(|| match error.downcast_ref() {
        Some(Pipeline::Compute(error)) => Some(error),
        _ => None,
    });
    let format = format_error(error);
    match (error.downcast_ref::<Pipeline>(), compute, format) {
        (Some(Pipeline::Store(error)), ..) | (_, Some(Compute::Store(error)), _) | (.., Some(Format::Store(error))) => {
            Some(error)
        }
        _ => error.downcast_ref(),
    }
}

fn format_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a outcrop_formats::Error> {
    error.downcast_ref().or_else(|| match error.downcast_ref() {
        Some(outcrop_pipelines::Error::Format(error)) => Some(error),
        _ => None,
    })
}

fn of_io(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space and run the same command again; nothing half-written was left behind")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Some("check the permissions of the file and its folder")
        }
        ErrorKind::FileTooLarge => Some("raise the limit on the size of files (`ulimit -f`), or choose another disk"),
        ErrorKind::ConnectionRefused => Some("check the host and port, and that the server runs"),
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Some("a file is in the way; name another folder"),
        ErrorKind::IsADirectory => Some("name a file, not a folder"),
        ErrorKind::AddrInUse => Some("choose another port with --bind"),
        _ => None,
    }
}

fn of_store(error: &outcrop_store::Error) -> Option<&'static str> {
    use outcrop_store::Error as E;
    match error {
        E::NotFound { .. } => Some("check the spelling of the path or URL"),
        E::Status { status: 401 | 403, .. } | E::HtmlPage { .. } => {
            Some("the host wants a login or refuses this file; open the URL in a browser to see what it says")
        }
        E::Status { status: 408 | 429 | 500..=599, .. } => Some("the host is busy; try again later or raise --retries"),
        E::Refused { status: 500..=599, .. } => {
            Some("the server could not answer this request; try again later, or leave out a part, such as --filter")
        }
        E::Truncated { .. } => Some("fetch the file again"),
        E::InvalidHref { .. } | E::Scheme { .. } => Some("give a path or a URL of http(s), s3, gs, az or abfs(s)"),
        E::Forbidden { href, signed, .. } => Some(of_bucket((href.scheme().as_deref(), *signed))),
        E::Settings { .. } => Some("docs/guide/object-stores.md says which settings there are"),
        E::Answer { .. } => {
            Some("something between here and the host may alter files, such as a proxy; ask its people")
        }
        E::Transport { source, .. } => {
            let known = source.downcast_ref().and_then(of_io);
            known.or(Some("check the network and the host name, or try again later"))
        }
        _ => None,
    }
}

/// The next step where an object store refuses a request with or without credentials.
fn of_bucket(who: (Option<&str>, bool)) -> &'static str {
    match who {
        (Some("s3"), false) => {
            "check the spelling, which a missing object may hide behind; for what is not public set AWS_PROFILE, or \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        (Some("s3"), true) => {
            "check the credentials; AWS_NO_SIGN_REQUEST=YES reads public archives, AWS_REQUEST_PAYER=requester those \
             whose reader pays"
        }
        (Some("gs"), false) => "check the spelling; for what is not public set GOOGLE_APPLICATION_CREDENTIALS",
        (Some("gs"), true) => "check the credentials; GS_NO_SIGN_REQUEST=YES reads public archives",
        (_, false) => "check the spelling; for what is not public set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
        (_, true) => "check the credentials; AZURE_NO_SIGN_REQUEST=YES reads public archives",
    }
}

fn of_others(error: &(dyn Error + 'static)) -> Option<&'static str> {
    use outcrop_formats::Error as Format;
    if let Some(outcrop_catalog::Error::Recipe { .. }) = error.downcast_ref() {
        return Some("correct that line; catalogs/daymet-daily-v4/recipe.toml is a whole recipe");
    }
    if let Some(outcrop_catalog::Error::Stac(outcrop_stac::Error::Json { .. })) = error.downcast_ref() {
        return Some("see whether it was copied whole; JSON that is nested more than 128 deep is not read");
    }
    if let Some(outcrop_pipelines::Error::Program { .. }) = error.downcast_ref() {
        return Some("docs/reference/program.md lists operations and outputs; examples/programs has whole programs");
    }
    if let Some(outcrop_server::Error::NotAFolder { .. }) = error.downcast_ref() {
        return Some("name a folder that exists");
    }
    match format_error(error)? {
        Format::Truncated { .. } => Some("fetch the file again"),
        Format::WithoutGdal => Some("`cargo install --path . --features gdal`, with libgdal-dev installed"),
        Format::Window { .. } => {
            Some("positions count from 0, the second is not included; `outcrop info` says the lengths")
        }
        Format::NoVariable { .. } => Some("`outcrop info` lists what the file has"),
        Format::GeoTiff { .. } => Some("choose variables with --var and positions with --isel, or write NetCDF"),
        Format::NetCdf { .. } | Format::Unsupported { .. } => Some("choose other variables with --var"),
        Format::NotRecognised { .. } => Some(
            "name a NetCDF, HDF5, GeoTIFF or miniSEED file, a Zarr store, or a document of references; raw data with --raw",
        ),
        Format::Zarr { why, .. } if why.contains("No space left") => of_io(&ErrorKind::StorageFull.into()),
        Format::Zarr { action: "read", .. } => Some("name the folder of a Zarr store, or a file"),
        _ => None,
    }
}
