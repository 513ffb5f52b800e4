//! Tokens: where they come from, and when they are read again.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use reqwest::Client;

use super::oidc::Oidc;
use crate::{Error, Href, Result};

/// How long the token of a command is used that does not say when it ends.
const KEEP: Duration = Duration::from_mins(5);
/// How long before its end a token counts as ended.
const EARLY: Duration = Duration::from_mins(1);

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, for what is sent.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a token comes from.
#[derive(Debug)]
pub(super) enum Token {
    Text(Secret),
    /// A file, read for each request: others may write a new one into it.
    File(PathBuf),
    /// The first line that a program prints, until it ends.
    Command(Vec<String>, Mutex<Option<(Secret, Instant)>>),
    /// A provider of OpenID Connect.
    Oidc(Box<Oidc>),
}

impl Token {
    /// The token as it is now, for a request for `href`.
    pub(super) async fn get(
        &self,
        href: &Href,
        client: &Client,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Secret> {
        match self {
            Self::Oidc(oidc) => oidc.get(href, client, tell).await,
            other => other.at_hand(href),
        }
    }

    /// A token that no server is asked for.
    fn at_hand(&self, href: &Href) -> Result<Secret> {
        match self {
            Self::Oidc(_) => Err(Error::settings(href, "its token comes from a provider")),
            Self::Text(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let failed = |e: std::io::Error| {
                    Error::settings(href, format!("the token file `{}` cannot be read: {e}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(failed)?;
                if text.trim().is_empty() {
                    return Err(Error::settings(href, format!("the token file `{}` is empty", path.display())));
                }
                Ok(Secret::new(&text))
            }
            Self::Command(words, kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((secret, until)) = kept.as_ref()
                    && *until > Instant::now()
                {
                    return Ok(secret.clone());
                }
                let secret = run(href, words)?;
                *kept = Some((secret.clone(), Instant::now() + lifetime(&secret)));
                Ok(secret)
            }
        }
    }
}

fn run(href: &Href, words: &[String]) -> Result<Secret> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::settings(href, "the command for its token is empty"));
    };
    let failed = |why: String| Error::settings(href, format!("the command `{program}` for its token {why}"));
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| failed(format!("cannot be run: {e}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(failed("printed nothing".to_owned())),
    }
}

/// How long a token is good: a JWT says so (RFC 7519, 4.1.4), of others nothing is known.
fn lifetime(secret: &Secret) -> Duration {
    let claims = secret.0.split('.').nth(1).and_then(|part| {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()
    });
    let Some(end) = claims.and_then(|claims| claims.get("exp")?.as_u64()) else { return KEEP };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(end).saturating_sub(now).saturating_sub(EARLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn href() -> Href {
        Href::parse("https://h/a").unwrap()
    }

    #[test]
    fn commands_are_run_again_when_their_token_ends() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let jwt = |end: u64| {
            let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
            format!("x.{part}.y")
        };
        let token = |text: &str| {
            let script = format!("echo >> '{}'; echo '{text}'", count.display());
            Token::Command(vec!["sh".into(), "-c".into(), script], Mutex::default())
        };
        let runs = |token: &Token| {
            let _ = std::fs::remove_file(&count);
            for _ in 0..3 {
                token.at_hand(&href()).unwrap();
            }
            std::fs::read_to_string(&count).unwrap().lines().count()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(runs(&token("opaque")), 1);
        assert_eq!(runs(&token(&jwt(now + 600))), 1);
        assert_eq!(runs(&token(&jwt(now + 30))), 3);
        let error = Token::Command(vec!["false".into()], Mutex::default()).at_hand(&href()).unwrap_err();
        assert!(error.to_string().contains("`false` for its token failed"), "{error}");
    }

    #[test]
    fn files_are_read_for_each_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::File(path.clone());
        assert!(token.at_hand(&href()).unwrap_err().to_string().contains("cannot be read"));
        for text in ["one\n", "two"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(token.at_hand(&href()).unwrap().reveal(), text.trim());
        }
    }
}
