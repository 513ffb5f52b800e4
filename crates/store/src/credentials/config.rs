//! The config file: which origin is sent what, other names for URLs, services that sign.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use reqwest::header::HeaderName;
use serde::Deserialize;

use super::oidc::Oidc;
use super::origin::Pattern;
use super::sign::Signer;
use super::{Known, Login, Rule, Secret, Token};
use crate::environment::Environment;
use crate::{Error, Href, Result};

/// The file as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    host: Vec<HostTable>,
    #[serde(default)]
    alias: Vec<AliasTable>,
    #[serde(default)]
    sign: Vec<SignTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HostTable {
    origin: String,
    #[serde(default)]
    also: Vec<String>,
    user: Option<String>,
    header: Option<String>,
    token_env: Option<String>,
    token_file: Option<String>,
    token_command: Option<Vec<String>>,
    oidc: Option<OidcTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OidcTable {
    issuer: String,
    client_id: String,
    client_secret_env: Option<String>,
    client_secret_file: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasTable {
    prefix: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignTable {
    service: String,
    url: Option<String>,
    hosts: Option<Vec<String>>,
}

/// A config file with the environment that it refers to.
pub(super) struct Config {
    path: PathBuf,
    tables: Tables,
    environment: Environment,
}

impl Config {
    /// The file that the environment names; `None` if the usual place has none.
    pub(super) fn load(environment: &Environment) -> Result<Option<Self>> {
        let named = environment.get(&["OUTCROP_CONFIG"]).map(PathBuf::from);
        let folder = environment.get(&["XDG_CONFIG_HOME"]).map(PathBuf::from);
        let folder = folder.or_else(|| environment.get(&["HOME"]).map(|home| Path::new(home).join(".config")));
        let usual = folder.map(|folder| folder.join("outcrop/config.toml")).filter(|path| path.exists());
        let Some(path) = named.or(usual) else { return Ok(None) };
        let broken = |why: String| Error::Config { href: Href::from_path(&path), why };
        let text = std::fs::read_to_string(&path).map_err(|e| broken(e.to_string()))?;
        // The parser's own words would show the line, which may hold a secret that does not belong there.
        let tables = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            broken(format!("line {}: {}", line.unwrap_or(1), e.message()))
        })?;
        Ok(Some(Self { path, tables, environment: environment.clone() }))
    }

    pub(super) fn into_known(self) -> Result<Known> {
        let mut known = Known::default();
        for table in &self.tables.host {
            known.rules.push(self.rule(table)?);
        }
        for AliasTable { prefix, url } in &self.tables.alias {
            if !prefix.contains("://") || Href::parse(url).ok().is_none_or(|url| url.to_url().is_none()) {
                return Err(
                    self.broken(format!("the alias `{prefix}` must be like `dcache://pnfs/`, its url of http(s)"))
                );
            }
            known.aliases.push((prefix.clone(), url.clone()));
        }
        for SignTable { service, url, hosts } in &self.tables.sign {
            let signer = Signer::new(service, url.as_deref(), hosts.as_deref());
            known.signers.push(signer.map_err(|why| self.broken(why))?);
        }
        Ok(known)
    }

    fn broken(&self, why: String) -> Error {
        Error::Config { href: Href::from_path(&self.path), why }
    }

    fn rule(&self, table: &HostTable) -> Result<Rule> {
        let pattern = |text: &String| {
            let wrong = || {
                self.broken(format!("`{text}` is not an origin such as `https://host:8443` or `https://*.host.org`"))
            };
            Pattern::parse(text).ok_or_else(wrong)
        };
        let origins = std::iter::once(&table.origin).chain(&table.also).map(pattern).collect::<Result<_>>()?;
        let token = self.token(table)?;
        let login = match (&table.user, &table.header) {
            (Some(user), None) => Login::Basic(user.clone(), token),
            (None, Some(name)) => {
                let wrong = |_| self.broken(format!("`{name}` is not the name of a header"));
                Login::Header(HeaderName::try_from(name.as_str()).map_err(wrong)?, token)
            }
            (None, None) => Login::Bearer(token),
            (Some(_), Some(_)) => {
                return Err(self.broken(format!("`{}` has a user and a header; give one", table.origin)));
            }
        };
        Ok(Rule { origins, login })
    }

    fn token(&self, table: &HostTable) -> Result<Token> {
        if let Some(oidc) = &table.oidc {
            let others = [table.token_env.is_some(), table.token_file.is_some(), table.token_command.is_some()];
            if others.contains(&true) {
                return Err(self.broken(format!("`{}` has more than one source of its token", table.origin)));
            }
            return self.oidc(oidc).map(|oidc| Token::Oidc(Box::new(oidc)));
        }
        match (&table.token_env, &table.token_file, &table.token_command) {
            (Some(name), None, None) => match self.environment.get(&[name]) {
                Some(text) => Ok(Token::Text(Secret::new(text))),
                None => Err(self.broken(format!("the variable {name} is not set"))),
            },
            (None, Some(path), None) => Ok(Token::File(self.path_of(path))),
            (None, None, Some(words)) => Ok(Token::Command(words.clone(), Mutex::default())),
            (None, None, None) => {
                Err(self.broken(format!("`{}` has no token-env, token-file, token-command or oidc", table.origin)))
            }
            _ => Err(self.broken(format!("`{}` has more than one source of its token", table.origin))),
        }
    }

    fn oidc(&self, table: &OidcTable) -> Result<Oidc> {
        let OidcTable { issuer, client_id, client_secret_env, client_secret_file, scope } = table;
        let url = Href::parse(issuer).ok().and_then(|issuer| issuer.to_url());
        let is_near = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        // What is sent there is a secret.
        let is_safe = url.is_some_and(|url| url.scheme() == "https" || url.host_str().is_some_and(is_near));
        if !is_safe {
            return Err(self.broken(format!("the issuer `{issuer}` is not a URL of https")));
        }
        let secret = match (client_secret_env, client_secret_file) {
            (None, None) => None,
            (Some(name), None) => {
                let text = self.environment.get(&[name]);
                Some(Secret::new(text.ok_or_else(|| self.broken(format!("the variable {name} is not set")))?))
            }
            (None, Some(path)) => {
                let path = self.path_of(path);
                let failed = |e: std::io::Error| self.broken(format!("`{}` cannot be read: {e}", path.display()));
                Some(Secret::new(&std::fs::read_to_string(&path).map_err(failed)?))
            }
            (Some(_), Some(_)) => {
                return Err(self.broken(format!("`{issuer}` has more than one source of its client-secret")));
            }
        };
        let mark = blake3::hash(format!("{issuer} {client_id} {scope:?}").as_bytes()).to_hex();
        Ok(Oidc {
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: secret,
            scope: scope.clone(),
            kept: self.environment.state_folder().join("oidc").join(&mark[..32]),
            token: tokio::sync::Mutex::default(),
        })
    }

    /// A path of the file: below the home folder, or beside the file.
    fn path_of(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), self.environment.get(&["HOME"])) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => self.path.parent().unwrap_or(Path::new("")).join(text),
        }
    }
}
