//! How a command ends.

use std::error::Error;
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
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Some("free some space and run the same command again; nothing half-written was left behind")
                }
                std::io::ErrorKind::PermissionDenied => Some("check the permissions of the file and its folder"),
                std::io::ErrorKind::ConnectionRefused => Some("check the host and port, and that the server runs"),
                _ => None,
            };
        }
        if let Some(store) = error.downcast_ref::<outcrop_store::Error>() {
            use outcrop_store::Error as E;
            match store {
                E::NotFound { .. } => return Some("check the spelling of the path or URL"),
                E::Status { status: 401 | 403, .. } => return Some("the host wants a login or refuses this file"),
                E::Status { status: 429 | 500..=599, .. } => {
                    return Some("the host is busy; try again later or raise --retries");
                }
                E::Truncated { .. } => return Some("fetch the file again"),
                E::Transport { .. } if error.source().is_none_or(|s| s.source().is_none()) => {
                    return Some("check the network and the host name");
                }
                _ => {}
            }
        }
        cause = error.source();
    }
    None
}
