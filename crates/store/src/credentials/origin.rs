//! Origins: scheme, host and port, the host perhaps with a star for what stands before it.

use url::Url;

/// An origin, or all whose hosts end alike: `https://*.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    scheme: String,
    /// Without the star, in lower case.
    host: String,
    is_suffix: bool,
    port: u16,
}

impl Pattern {
    /// `None` if the text is no origin of http or https.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_suffix = rest.starts_with("*.");
        let plain = format!("{scheme}://{}", rest.strip_prefix("*.").unwrap_or(rest));
        let url = Url::parse(&plain).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
        let host =
            url.host_str().filter(|host| is_bare && !host.contains('*') && (!is_suffix || host.contains('.')))?;
        Some(Self { scheme: url.scheme().into(), host: host.into(), is_suffix, port: url.port_or_known_default()? })
    }

    /// True if a URL is of it.
    pub(super) fn is_of(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let fits = if self.is_suffix {
            host.strip_suffix(self.host.as_str()).is_some_and(|before| before.ends_with('.') && before.len() > 1)
        } else {
            host == self.host
        };
        fits && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole_and_stars_stand_for_hosts_only() {
        for bad in ["h", "ftp://h", "https://", "https://h/path", "https://*.org", "https://me@h", "https://*"] {
            assert!(Pattern::parse(bad).is_none(), "{bad}");
        }
        let pattern = Pattern::parse("https://*.Example.org").unwrap();
        let fits = |url: &str| pattern.is_of(&Url::parse(url).unwrap());
        assert!(fits("https://a.example.org/x") && fits("https://a.b.example.org:443/"));
        assert!(!fits("https://example.org/") && !fits("https://.example.org/") && !fits("https://aexample.org/"));
        assert!(!fits("http://a.example.org/") && !fits("https://a.example.org:444/"));
    }
}
