//! Access tokens of OpenID Connect providers: by the secret of a client (RFC 6749, 4.4), or of a person who confirms a code
//! on any device (RFC 8628). They are renewed before they end.
//!
//! What renews the token of a person is kept in a file of this user alone, so that they are asked once.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::token::Secret;
use crate::{Error, Href, Result};

/// How long before its end a token counts as ended.
const EARLY: Duration = Duration::from_mins(1);
/// How long a token is used that does not say when it ends.
const KEEP: Duration = Duration::from_mins(5);
/// Longest time that a person has.
const LONGEST: Duration = Duration::from_mins(15);
/// The grant of a code that a person confirms.
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A provider, and who we are there.
#[derive(Debug)]
pub(super) struct Oidc {
    pub(super) issuer: String,
    pub(super) client_id: String,
    /// With one, no person is asked.
    pub(super) client_secret: Option<Secret>,
    pub(super) scope: Option<String>,
    /// Where what renews the token of a person is kept.
    pub(super) kept: PathBuf,
    pub(super) token: Mutex<Option<(Secret, Instant)>>,
}

#[derive(Deserialize)]
struct Provider {
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Device {
    #[serde(rename = "device_code")]
    code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<u64>,
    interval: Option<u64>,
}

/// Why there is no token.
enum Refusal {
    /// The code of the provider, such as `authorization_pending`.
    Code(String),
    Other(String),
}

type Form<'a> = Vec<(&'a str, &'a str)>;

impl Oidc {
    /// The token as it is now; `tell` is told what a person has to do.
    pub(super) async fn get(
        &self,
        href: &Href,
        client: &Client,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Secret> {
        // One request for all that wait for it.
        let mut token = self.token.lock().await;
        if let Some((secret, until)) = token.as_ref()
            && *until > Instant::now()
        {
            return Ok(secret.clone());
        }
        let failed = |refusal: Refusal| {
            let why = match refusal {
                Refusal::Code(code) => format!("it refuses ({code})"),
                Refusal::Other(why) => why,
            };
            Error::settings(href, format!("no token from `{}`: {why}", self.issuer))
        };
        let granted = self.granted(client, tell).await.map_err(failed)?;
        let lifetime = granted.expires_in.map_or(KEEP, Duration::from_secs).saturating_sub(EARLY);
        if let Some(renewal) = granted.refresh_token.filter(|_| self.client_secret.is_none()) {
            self.keep(&renewal).map_err(|e| failed(Refusal::Other(e)))?;
        }
        let secret = Secret::new(&granted.access_token);
        *token = Some((secret.clone(), Instant::now() + lifetime));
        Ok(secret)
    }

    async fn granted(
        &self,
        client: &Client,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> std::result::Result<Granted, Refusal> {
        let provider = self.provider(client).await?;
        let token = provider.token_endpoint.as_str();
        if self.client_secret.is_some() {
            return self.ask(client, token, vec![("grant_type", "client_credentials")]).await;
        }
        if let Ok(renewal) = std::fs::read_to_string(&self.kept) {
            let form = vec![("grant_type", "refresh_token"), ("refresh_token", renewal.trim())];
            match self.ask(client, token, form).await {
                // It has ended: the person is asked again.
                Err(Refusal::Code(_)) => {}
                other => return other,
            }
        }
        let Some(endpoint) = provider.device_authorization_endpoint.as_deref() else {
            return Err(Refusal::Other("it has no flow for devices; give a client-secret".to_owned()));
        };
        self.by_person(client, (endpoint, token), tell).await
    }

    async fn provider(&self, client: &Client) -> std::result::Result<Provider, Refusal> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let response = client.get(&url).send().await.map_err(|e| Refusal::Other(e.without_url().to_string()))?;
        let bytes = response.bytes().await.map_err(|e| Refusal::Other(e.without_url().to_string()))?;
        serde_json::from_slice(&bytes).map_err(|_| Refusal::Other("it does not describe itself".to_owned()))
    }

    /// Asks a person, and waits until they have confirmed.
    async fn by_person(
        &self,
        client: &Client,
        (endpoint, token): (&str, &str),
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> std::result::Result<Granted, Refusal> {
        let device: Device = self.ask(client, endpoint, Vec::new()).await?;
        let place = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
        tell(&format!("to let outcrop read as you, open {place} and confirm the code {}", device.user_code));
        let mut pause = Duration::from_secs(device.interval.unwrap_or(5).clamp(1, 60));
        let end = Instant::now() + device.expires_in.map_or(LONGEST, Duration::from_secs).min(LONGEST);
        while Instant::now() < end {
            tokio::time::sleep(pause).await;
            let form = vec![("grant_type", DEVICE), ("device_code", device.code.as_str())];
            match self.ask(client, token, form).await {
                Err(Refusal::Code(code)) if code == "authorization_pending" => {}
                Err(Refusal::Code(code)) if code == "slow_down" => pause += Duration::from_secs(5),
                other => return other,
            }
        }
        Err(Refusal::Other("nobody confirmed the code in time".to_owned()))
    }

    /// Posts a form with who we are.
    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        client: &Client,
        endpoint: &str,
        mut form: Form<'_>,
    ) -> std::result::Result<T, Refusal> {
        form.push(("client_id", &self.client_id));
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.reveal())));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = client.post(endpoint).header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.map_err(|e| Refusal::Other(e.without_url().to_string()))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| Refusal::Other(e.without_url().to_string()))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| Refusal::Other("its answer is no token".to_owned()));
        }
        let code = serde_json::from_slice::<Value>(&bytes).ok();
        let code = code.and_then(|answer| answer.get("error")?.as_str().map(str::to_owned));
        let is_word = |code: &String| code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        Err(match code.filter(is_word) {
            Some(code) => Refusal::Code(code),
            None => Refusal::Other(format!("it answered HTTP status {}", status.as_u16())),
        })
    }

    /// Keeps what renews the token, for this user alone.
    fn keep(&self, renewal: &str) -> std::result::Result<(), String> {
        let failed = |e: std::io::Error| format!("`{}` cannot be written: {e}", self.kept.display());
        if let Some(folder) = self.kept.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let part = self.kept.with_extension(format!("{}.part", std::process::id()));
        // A file of another mode that stands there is not taken.
        let _ = std::fs::remove_file(&part);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
        file.write_all(renewal.as_bytes()).map_err(failed)?;
        std::fs::rename(&part, &self.kept).map_err(failed)
    }
}
