//! Credentials of hosts, each bound to its origin (scheme, host, port): from the config file, the environment and netrc.
//!
//! Every hop of a redirect is asked for anew, so that nothing goes to an origin that it was not given for. Tokens from
//! files and commands are read again when they may have changed. Not here: object stores (`bucket`).

mod config;
mod oidc;
mod origin;
mod sign;
mod token;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use netrc::Netrc;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::Url;

use crate::environment::Environment;
use crate::voice::Voice;
use crate::{Error, Href, Result};

use config::Config;
use origin::Pattern;
use sign::Signer;
pub(crate) use token::Secret;
use token::Token;

/// What a host is sent.
#[derive(Debug)]
enum Login {
    /// `Authorization: Bearer`.
    Bearer(Token),
    /// `Authorization: Basic`.
    Basic(String, Token),
    /// A header of another name.
    Header(HeaderName, Token),
}

/// What the hosts of some origins are sent.
#[derive(Debug)]
struct Rule {
    origins: Vec<Pattern>,
    login: Login,
}

#[derive(Debug, Default)]
struct Known {
    rules: Vec<Rule>,
    /// What hrefs start with, and the URL that is meant.
    aliases: Vec<(String, String)>,
    signers: Vec<Signer>,
    netrc: Option<Logins>,
}

/// The machines of a netrc file.
struct Logins(Netrc);

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.hosts.keys()).finish()
    }
}

/// What is known of hosts; `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials(Arc<Known>, Voice);

impl Credentials {
    /// Those that the environment names: `OUTCROP_CONFIG`, else `~/.config/outcrop/config.toml`; `NETRC`, else `~/.netrc`;
    /// `EARTHDATA_TOKEN`.
    ///
    /// # Errors
    /// [`Error::Config`] if a file cannot be read or understood; one of the usual places may be missing.
    pub(crate) fn of(environment: &Environment, voice: &Voice) -> Result<Self> {
        let mut known = Config::load(environment)?.map_or_else(|| Ok(Known::default()), Config::into_known)?;
        if let Some(token) = environment.get(&["EARTHDATA_TOKEN"]) {
            let origins = EARTHDATA.iter().filter_map(|text| Pattern::parse(text)).collect();
            known.rules.push(Rule { origins, login: Login::Bearer(Token::Text(Secret::new(token))) });
        }
        if let Some(path) = environment.file("NETRC", ".netrc").filter(|path| path.exists()) {
            let href = Href::from_path(&path);
            let broken = |e: netrc::Error| {
                // Its own words may hold what stands in the file.
                let why =
                    if matches!(e, netrc::Error::Io(_)) { "it cannot be read" } else { "it cannot be understood" };
                Error::Config { href: href.clone(), why: why.to_owned() }
            };
            known.netrc = Some(Logins(Netrc::from_file(&path).map_err(broken)?));
        }
        Ok(Self(Arc::new(known), voice.clone()))
    }

    /// The URL that is meant by an href: of an alias such as `dcache://` its place at the door, else itself.
    pub(crate) fn locate(&self, href: &Href) -> Result<Href> {
        let text = href.as_str();
        let found = self.0.aliases.iter().filter(|(prefix, _)| text.starts_with(prefix.as_str()));
        match found.max_by_key(|(prefix, _)| prefix.len()) {
            Some((prefix, url)) => Href::parse(&format!("{url}{}", &text[prefix.len()..])),
            None => Ok(href.clone()),
        }
    }

    /// The header for a hop of a request.
    pub(crate) async fn header(
        &self,
        href: &Href,
        url: &Url,
        client: &Client,
    ) -> Result<Option<(HeaderName, HeaderValue)>> {
        if let Some(rule) = self.rule(url) {
            let told = |text: &str| self.1.tell(text);
            return rule.login.header(href, client, &told).await.map(Some);
        }
        // As for curl and requests: a machine by its name; but only where nobody can listen.
        let host = url.host_str().unwrap_or_default();
        let is_safe = url.scheme() == "https" || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let has_own = !url.username().is_empty() || url.password().is_some();
        let machine = self.0.netrc.as_ref().filter(|_| is_safe && !has_own).and_then(|logins| logins.0.hosts.get(host));
        let Some(machine) = machine else { return Ok(None) };
        basic(href, &machine.login, &machine.password).map(Some)
    }

    fn rule(&self, url: &Url) -> Option<&Rule> {
        self.0.rules.iter().find(|rule| rule.origins.iter().any(|origin| origin.is_of(url)))
    }

    /// True if a request for this URL carries something.
    pub(crate) fn has(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_known = |logins: &Logins| logins.0.hosts.contains_key(host);
        self.rule(url).is_some() || self.signs(url) || self.0.netrc.as_ref().is_some_and(is_known)
    }

    /// True if a service signs this URL.
    pub(crate) fn signs(&self, url: &Url) -> bool {
        self.0.signers.iter().any(|signer| signer.is_of(url))
    }

    /// The URL with the signature that its host wants.
    pub(crate) async fn signed(&self, href: &Href, url: Url, client: &Client) -> Result<Url> {
        match self.0.signers.iter().find(|signer| signer.is_of(&url)) {
            Some(signer) => signer.signed(href, url, client).await,
            None => Ok(url),
        }
    }
}

/// Hosts of NASA that take the bearer tokens of Earthdata Login.
const EARTHDATA: [&str; 2] = ["https://*.earthdata.nasa.gov", "https://*.earthdatacloud.nasa.gov"];

impl Login {
    async fn header(
        &self,
        href: &Href,
        client: &Client,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(HeaderName, HeaderValue)> {
        let (Self::Bearer(token) | Self::Basic(_, token) | Self::Header(_, token)) = self;
        let token = token.get(href, client, tell).await?;
        match self {
            Self::Bearer(_) => Ok((AUTHORIZATION, value(href, format!("Bearer {}", token.reveal()))?)),
            Self::Basic(user, _) => basic(href, user, token.reveal()),
            Self::Header(name, _) => Ok((name.clone(), value(href, token.reveal().to_owned())?)),
        }
    }
}

fn basic(href: &Href, user: &str, password: &str) -> Result<(HeaderName, HeaderValue)> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Ok((AUTHORIZATION, value(href, format!("Basic {pair}"))?))
}

fn value(href: &Href, text: String) -> Result<HeaderValue> {
    let broken = |_| Error::settings(href, "the token for its host holds characters that a header cannot carry");
    let mut value = HeaderValue::try_from(text).map_err(broken)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(credentials: &Credentials, url: &str) -> Option<String> {
        let (href, url) = (Href::parse("https://h/").unwrap(), Url::parse(url).unwrap());
        let found = crate::testing::wait(credentials.header(&href, &url, &crate::testing::client())).unwrap();
        found.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
    }

    fn with_files(config: &str, netrc: &str) -> Credentials {
        let folder = tempfile::tempdir().unwrap();
        let (at, login) = (folder.path().join("c.toml"), folder.path().join("netrc"));
        std::fs::write(&at, config).unwrap();
        std::fs::write(&login, netrc).unwrap();
        let pairs =
            [("OUTCROP_CONFIG", at.display().to_string()), ("NETRC", login.display().to_string()), ("T", "one".into())];
        Credentials::of(&pairs.into_iter().collect(), &Voice::default()).unwrap()
    }

    #[test]
    fn each_origin_gets_its_own_and_no_other() {
        let config = "[[host]]\norigin = \"https://door.example:2880\"\nalso = [\"https://*.pool.example\"]\ntoken-env = \"T\"\n\
                      [[host]]\norigin = \"https://api.example\"\nheader = \"X-Api-Key\"\ntoken-env = \"T\"\n";
        let credentials = with_files(config, "machine urs.example login me password pw\ndefault login all password pw");
        for (url, want) in [
            ("https://door.example:2880/a", Some("authorization: Bearer one")),
            ("https://a.pool.example/a", Some("authorization: Bearer one")),
            ("https://api.example/a", Some("x-api-key: one")),
            ("https://urs.example/oauth", Some("authorization: Basic bWU6cHc=")),
            ("https://door.example/a", None),
            ("http://door.example:2880/a", None),
            ("https://pool.example/a", None),
            ("https://evilpool.example/a", None),
            ("https://api.example:8443/a", None),
            ("http://urs.example/oauth", None),
            ("https://else.example/", None),
        ] {
            assert_eq!(header_of(&credentials, url).as_deref(), want, "{url}");
        }
        assert!(!format!("{credentials:?}").contains("one") && !format!("{credentials:?}").contains("pw"));
    }

    #[test]
    fn aliases_lead_to_the_door_and_the_longest_wins() {
        let config = "[[alias]]\nprefix = \"dcache://pnfs/\"\nurl = \"https://a.example/\"\n\
                      [[alias]]\nprefix = \"dcache://pnfs/grid/\"\nurl = \"https://b.example:2880/pnfs/grid/\"\n";
        let credentials = with_files(config, "");
        let at = |text: &str| credentials.locate(&Href::parse(text).unwrap()).unwrap().as_str().to_owned();
        assert_eq!(at("dcache://pnfs/grid/x/y.nc"), "https://b.example:2880/pnfs/grid/x/y.nc");
        assert_eq!(at("dcache://pnfs/z.nc"), "https://a.example/z.nc");
        assert_eq!(at("https://pnfs/z.nc"), "https://pnfs/z.nc");
    }

    #[test]
    fn a_config_that_is_wrong_is_named() {
        for (text, part) in [
            ("[[host]]\norigin = \"https://h\"\n", "no token"),
            ("[[host]]\norigin = \"h\"\ntoken-env = \"T\"\n", "is not an origin"),
            ("[[host]]\norigin = \"https://h\"\ntokenn = \"T\"\n", "unknown field"),
            ("[[host]]\norigin = \"https://h\"\ntoken-env = \"ABSENT\"\n", "ABSENT is not set"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().join("c.toml");
            std::fs::write(&at, text).unwrap();
            let pairs = [("OUTCROP_CONFIG", at.display().to_string())];
            let error = Credentials::of(&pairs.into_iter().collect(), &Voice::default()).unwrap_err();
            assert!(error.to_string().contains(part) && error.to_string().contains("c.toml"), "{error}");
        }
    }
}
