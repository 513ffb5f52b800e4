//! The library as a whole: its settings, and what it says.

use std::cell::RefCell;
use std::sync::Once;

use gdal::config::{get_config_option, set_config_option, set_error_handler, set_thread_local_config_option};
use gdal::errors::{CplErrType, GdalError};

use super::drivers::NETWORK;

/// Most memory for blocks of all open files, in MiB, where `GDAL_CACHEMAX` does not say it.
const CACHE_MIB: &str = "64";
/// Most messages that are kept of one call.
const MESSAGES: usize = 8;

static START: Once = Once::new();

thread_local! {
    /// What GDAL warned of on this thread.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Settings of the process; the first call makes them.
fn start() {
    START.call_once(|| {
        let had = |key| get_config_option(key, "").unwrap_or_default();
        set("GDAL_SKIP", format!("{} {}", had("GDAL_SKIP"), NETWORK.join(" ")).trim(), set_config_option);
        if had("GDAL_CACHEMAX").is_empty() {
            set("GDAL_CACHEMAX", CACHE_MIB, set_config_option);
        }
        // What is wrong is an error of ours, not a line on standard error.
        set_error_handler(|kind, _, text| {
            if matches!(kind, CplErrType::Warning | CplErrType::Failure | CplErrType::Fatal) {
                SAID.with(|said| {
                    if let Ok(mut said) = said.try_borrow_mut()
                        && said.len() < MESSAGES
                    {
                        said.push(text.trim().to_owned());
                    }
                });
            }
        });
    });
}

/// Names and values of our own hold no NUL, which is all that can be wrong with them.
fn set(key: &str, value: &str, setter: fn(&str, &str) -> gdal::errors::Result<()>) {
    let _ = setter(key, value);
}

/// Runs calls of GDAL on this thread with these settings; the second part is what it warned of meanwhile.
pub(super) fn within<T>(settings: &[(&str, String)], run: impl FnOnce() -> T) -> (T, Vec<String>) {
    start();
    for (key, value) in settings {
        set(key, value, set_thread_local_config_option);
    }
    SAID.with_borrow_mut(Vec::clear);
    let answer = run();
    (answer, SAID.with_borrow_mut(std::mem::take))
}

/// What GDAL says of a failure, without the words of its bindings.
pub(super) fn reason(error: &GdalError) -> String {
    match error {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } if !msg.is_empty() => msg.clone(),
        GdalError::CplError { .. } | GdalError::NullPointer { .. } => "it does not say why".to_owned(),
        other => other.to_string(),
    }
}
