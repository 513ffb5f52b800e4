//! Cookies, each for the origin that set it: also another port of the same host is another origin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::HeaderValue;
use url::Url;

/// Origins whose cookies are kept.
const MOST: usize = 100;

/// A jar for each origin.
#[derive(Debug, Default)]
pub(super) struct Cookies(Mutex<HashMap<String, Arc<Jar>>>);

impl Cookies {
    fn jar(&self, url: &Url) -> Option<Arc<Jar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&url.origin().ascii_serialization()).cloned()
    }
}

impl CookieStore for Cookies {
    fn set_cookies(&self, cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let mut jars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = url.origin().ascii_serialization();
        if jars.len() >= MOST && !jars.contains_key(&origin) {
            jars.clear();
        }
        jars.entry(origin).or_default().set_cookies(cookies, url);
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        self.jar(url)?.cookies(url)
    }
}
