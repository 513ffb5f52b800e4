//! Services that sign URLs, at the moment of the request: nothing signed is stored.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::origin::Pattern;
use super::token::Secret;
use crate::{Error, Href, Result};

/// How long before its end a signature counts as ended.
const EARLY: Duration = Duration::from_mins(2);

/// The service of tokens of the Planetary Computer (its documentation, "Using tokens for data access").
const PLANETARY_COMPUTER: &str = "https://planetarycomputer.microsoft.com/api/sas/v1/token";

/// Shared access signatures for containers of Azure, by account and container.
#[derive(Debug)]
pub(super) struct Signer {
    hosts: Vec<Pattern>,
    url: String,
    tokens: Mutex<HashMap<String, (Secret, Instant)>>,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    #[serde(rename = "msft:expiry")]
    expiry: Option<String>,
}

impl Signer {
    /// A service by its name, perhaps at another URL and for other hosts.
    pub(super) fn new(service: &str, url: Option<&str>, hosts: Option<&[String]>) -> std::result::Result<Self, String> {
        if service != "planetary-computer" {
            return Err(format!("the service `{service}` is not known; there is `planetary-computer`"));
        }
        let url = url.unwrap_or(PLANETARY_COMPUTER).trim_end_matches('/').to_owned();
        let usual = ["https://*.blob.core.windows.net".to_owned()];
        let wrong = |text: &String| format!("`{text}` is not an origin such as `https://*.host.org`");
        let hosts = hosts.unwrap_or(&usual).iter().map(|text| Pattern::parse(text).ok_or_else(|| wrong(text)));
        Ok(Self { hosts: hosts.collect::<std::result::Result<_, _>>()?, url, tokens: Mutex::default() })
    }

    /// True for URLs of its hosts that are not signed.
    pub(super) fn is_of(&self, url: &Url) -> bool {
        self.hosts.iter().any(|host| host.is_of(url)) && !url.query_pairs().any(|(name, _)| name == "sig")
    }

    /// The URL with a signature that holds for some minutes.
    pub(super) async fn signed(&self, href: &Href, mut url: Url, client: &Client) -> Result<Url> {
        let account = url.host_str().and_then(|host| host.split('.').next()).unwrap_or_default();
        let container = url.path_segments().and_then(|mut parts| parts.next()).unwrap_or_default();
        let of = format!("{}/{account}/{container}", self.url);
        // One request for all that wait for it.
        let mut tokens = self.tokens.lock().await;
        let kept = tokens.get(&of).filter(|(_, until)| *until > Instant::now());
        let token = if let Some((token, _)) = kept {
            token.clone()
        } else {
            let (token, until) = ask(href, &of, client).await?;
            tokens.insert(of, (token.clone(), until));
            token
        };
        drop(tokens);
        let query = match url.query().filter(|query| !query.is_empty()) {
            Some(query) => format!("{query}&{}", token.reveal()),
            None => token.reveal().to_owned(),
        };
        url.set_query(Some(&query));
        Ok(url)
    }
}

async fn ask(href: &Href, of: &str, client: &Client) -> Result<(Secret, Instant)> {
    let failed = |why: String| Error::settings(href, format!("no signature from `{of}`: {why}"));
    let response = client.get(of).send().await.map_err(|e| failed(e.without_url().to_string()))?;
    if !response.status().is_success() {
        return Err(failed(format!("it answered HTTP status {}", response.status().as_u16())));
    }
    let bytes = response.bytes().await.map_err(|e| failed(e.without_url().to_string()))?;
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| failed("its answer has no token".to_owned()))?;
    let until = answer.expiry.and_then(|text| chrono::DateTime::parse_from_rfc3339(&text).ok());
    let left = until.and_then(|until| (until.to_utc() - chrono::Utc::now()).to_std().ok());
    let left = left.unwrap_or(Duration::from_mins(10)).saturating_sub(EARLY);
    Ok((Secret::new(answer.token.trim_start_matches('?')), Instant::now() + left))
}
