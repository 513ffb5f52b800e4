//! What a person has to know or do while work goes on: libraries say it, only the command line shows it.

use std::fmt;
use std::sync::Arc;

/// Who is told. The default is nobody.
#[derive(Clone, Default)]
pub struct Voice(Option<Arc<Tell>>);

type Tell = dyn Fn(&str) + Send + Sync;

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Voice(on)" } else { "Voice(off)" })
    }
}

impl Voice {
    /// Calls `f` with each text.
    pub fn new(f: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    /// Says a text.
    pub fn tell(&self, text: &str) {
        if let Some(f) = &self.0 {
            f(text);
        }
    }
}
