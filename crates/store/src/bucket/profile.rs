//! Profiles of the AWS command line: `~/.aws/credentials` and `~/.aws/config`.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::path::Path;

use crate::environment::Environment;
use crate::{Error, Href, Result};

/// Largest file that is read.
const MOST: u64 = 1 << 20;

/// Keys for which credentials would have to be fetched in a way that is not supported.
const FOREIGN: [&str; 6] =
    ["sso_session", "sso_start_url", "role_arn", "credential_process", "login_session", "web_identity_token_file"];

/// The two files, which name their sections differently.
#[derive(Clone, Copy, PartialEq)]
enum File {
    Config,
    Credentials,
}

/// The settings of one profile.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) name: String,
    values: BTreeMap<String, String>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Profile({})", self.name)
    }
}

impl Profile {
    /// The profile that `AWS_PROFILE` names, else `default`; empty if no file has one.
    ///
    /// # Errors
    /// [`Error::Settings`] if a profile is named that no file has, or a file cannot be read.
    pub(super) fn read(href: &Href, environment: &Environment) -> Result<Self> {
        let named = environment.get(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let name = named.unwrap_or("default");
        let mut profile = Self { name: name.to_owned(), values: BTreeMap::new() };
        let mut found = false;
        let files = [
            (File::Config, "AWS_CONFIG_FILE", ".aws/config"),
            (File::Credentials, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ];
        for (file, variable, below_home) in files {
            let Some(path) = environment.file(variable, below_home) else { continue };
            let Some(text) = text(href, &path)? else { continue };
            found |= profile.take(&text, file);
        }
        if named.is_some() && !found {
            return Err(Error::settings(href, format!("no file of AWS settings has the profile `{name}`")));
        }
        Ok(profile)
    }

    /// Takes the values of the profile from a file; those of later files win. True if the file has the profile.
    fn take(&mut self, text: &str, file: File) -> bool {
        let (mut inside, mut found) = (false, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            // Indented lines belong to the setting above.
            if line.trim().is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
                continue;
            }
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                inside = self.is_section(section.trim(), file);
                found |= inside;
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
                let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
                let value = value[..end.unwrap_or(value.len())].trim();
                self.values.insert(key.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
        found
    }

    fn is_section(&self, section: &str, file: File) -> bool {
        let named = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim);
        match (file, named) {
            (File::Config, Some(named)) => named.trim_matches('"') == self.name,
            (File::Config, None) => section == "default" && self.name == "default",
            (File::Credentials, _) => section == self.name,
        }
    }

    /// A setting that is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting of the profile that says in an unsupported way where credentials are.
    pub(super) fn foreign(&self) -> Option<&'static str> {
        FOREIGN.into_iter().find(|key| self.get(key).is_some())
    }
}

/// The text of a file; `None` if there is none.
fn text(href: &Href, path: &Path) -> Result<Option<String>> {
    let broken = |why: String| Error::settings(href, format!("cannot read {}: {why}", path.display()));
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error.to_string())),
        Ok(meta) if meta.len() > MOST => return Err(broken(format!("it is larger than {MOST} bytes"))),
        Ok(_) => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(|e| broken(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\u{feff}# mine\n[default]\nregion = eu-west-1 # near\ns3 =\n  region = no\n\
                          [profile work]\r\nregion=us-west-2\r\nendpoint_url = http://h:1/\r\n[work]\nregion = no\n";

    fn profile(name: &str, text: &str, file: File) -> (Profile, bool) {
        let mut profile = Profile { name: name.to_owned(), ..Profile::default() };
        let found = profile.take(text, file);
        (profile, found)
    }

    #[test]
    fn sections_and_values_are_those_of_the_aws_command_line() {
        let (default, _) = profile("default", CONFIG, File::Config);
        assert_eq!(default.get("region"), Some("eu-west-1"));
        let (work, found) = profile("work", CONFIG, File::Config);
        assert_eq!(
            (work.get("region"), work.get("endpoint_url"), found),
            (Some("us-west-2"), Some("http://h:1/"), true)
        );
        assert!(!profile("other", CONFIG, File::Config).1);
        let keys = "[work]\naws_access_key_id = A#B=\naws_secret_access_key=hush/+=\n";
        let (work, _) = profile("work", keys, File::Credentials);
        assert_eq!((work.get("aws_access_key_id"), work.get("aws_secret_access_key")), (Some("A#B="), Some("hush/+=")));
        assert!(!format!("{work:?}").contains("hush"));
        assert_eq!(profile("default", "[default]\nsso_session = x\n", File::Config).0.foreign(), Some("sso_session"));
    }
}
