//! S3 and what speaks its protocol.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>

use std::sync::{Arc, Mutex, PoisonError};

use object_store::StaticCredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::HttpRequest;

use super::client::Client;
use super::connector::Connector;
use super::profile::Profile;
use super::{endpoint, no_credentials};
use crate::environment::Environment;
use crate::{Error, Href, Result};

/// Credentials, and where they are from.
type Signer = (AwsCredentialProvider, &'static str);

/// A bucket of S3.
pub(super) struct Aws {
    name: String,
    endpoint: Option<String>,
    region: Mutex<String>,
    signer: Option<Signer>,
    requester_pays: bool,
}

impl Aws {
    pub(super) fn new(href: &Href, name: &str, environment: &Environment, connector: &Connector) -> Result<Self> {
        let profile = Profile::read(href, environment)?;
        let region = environment.get(&["AWS_REGION", "AWS_DEFAULT_REGION"]).or(profile.get("region"));
        let region = region.unwrap_or("us-east-1");
        if !is_region(region) {
            return Err(Error::settings(href, "AWS_REGION is not the name of a region"));
        }
        let requester_pays = match environment.get(&["AWS_REQUEST_PAYER"]).map(str::to_ascii_lowercase).as_deref() {
            None => false,
            Some("requester" | "true") => true,
            Some(_) => return Err(Error::settings(href, "AWS_REQUEST_PAYER is neither `requester` nor unset")),
        };
        Ok(Self {
            name: name.to_owned(),
            endpoint: endpoint_of(href, environment, &profile)?,
            region: Mutex::new(region.to_owned()),
            signer: signer(href, environment, &profile, connector)?,
            requester_pays,
        })
    }

    pub(super) fn is_signed(&self) -> bool {
        self.signer.is_some()
    }

    /// The URL of the bucket: path style, which all buckets have.
    pub(super) fn base(&self, region: &str) -> String {
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{}", self.name),
            None => format!("https://s3.{region}.amazonaws.com{china}/{}", self.name),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// True if both are of one service and asked with the same credentials.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.region() == other.region()
    }

    /// A client that writes.
    pub(super) fn client(&self, connector: &Connector, region: &str) -> object_store::Result<Arc<dyn Client>> {
        let base = self.base(region);
        let endpoint = base.strip_suffix(&format!("/{}", self.name)).unwrap_or(&base);
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(region)
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(false)
            .with_request_payer(self.requester_pays)
            .with_retry(connector.retry())
            .with_http_connector(connector.clone());
        let builder = match &self.signer {
            Some((provider, _)) => builder.with_credentials(provider.clone()),
            None => builder.with_skip_signature(true),
        };
        Ok(Arc::new(builder.build()?))
    }

    /// Where the bucket is, as far as is known.
    pub(super) fn region(&self) -> String {
        self.region.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the region that the store says the bucket is in; true if the request was sent to another one.
    pub(super) fn is_moved(&self, region: &str, sent: &str) -> bool {
        let moved = is_region(region) && region != sent;
        if moved {
            region.clone_into(&mut self.region.lock().unwrap_or_else(PoisonError::into_inner));
        }
        moved
    }

    pub(super) async fn sign(&self, href: &Href, region: &str, request: &mut HttpRequest) -> Result<()> {
        let Some((provider, from)) = &self.signer else { return Ok(()) };
        let credential = provider.get_credential().await.map_err(|e| no_credentials(href, from, &e))?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", region).with_request_payer(self.requester_pays);
        authorizer.try_authorize(request, None).map_err(|e| no_credentials(href, from, &e))
    }
}

/// The name becomes part of a host.
fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn endpoint_of(href: &Href, environment: &Environment, profile: &Profile) -> Result<Option<String>> {
    if environment.is_on(&["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]) {
        return Ok(None);
    }
    let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    if let Some(text) = environment.get(&names) {
        return endpoint(href, "AWS_ENDPOINT_URL", text).map(Some);
    }
    if profile.get("services").is_some() {
        let why = format!("the profile `{}` has `services`; set AWS_ENDPOINT_URL_S3 in its place", profile.name);
        return Err(Error::settings(href, why));
    }
    profile.get("endpoint_url").map(|text| endpoint(href, "endpoint_url of the profile", text)).transpose()
}

/// The credentials, in the order of the AWS command line; `None` for requests without. The service of instance metadata
/// is not asked unless the environment says that there is one: elsewhere that would wait for nothing.
fn signer(href: &Href, environment: &Environment, profile: &Profile, connector: &Connector) -> Result<Option<Signer>> {
    if environment.is_on(&["AWS_NO_SIGN_REQUEST"]) {
        return Ok(None);
    }
    let get = |name: &str| environment.get(&[name]);
    match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            return keys(href, (id, secret, get("AWS_SESSION_TOKEN")), "the environment").map(Some);
        }
        (None, None) => {}
        _ => {
            let why = "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other";
            return Err(Error::settings(href, why));
        }
    }
    if get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && get("AWS_ROLE_ARN").is_some() {
        return tokens(href, environment, connector, "a web identity").map(Some);
    }
    match (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key"), profile.foreign()) {
        (Some(id), Some(secret), _) => {
            return keys(href, (id, secret, profile.get("aws_session_token")), "the AWS profile").map(Some);
        }
        (None, None, None) => {}
        (None, None, Some(foreign)) => {
            let name = &profile.name;
            return Err(Error::settings(
                href,
                format!(
                    "the AWS profile `{name}` has `{foreign}`, which is not supported; `aws configure \
                     export-credentials --profile {name} --format env` gives keys, AWS_NO_SIGN_REQUEST=YES goes without"
                ),
            ));
        }
        _ => return Err(Error::settings(href, format!("the AWS profile `{}` has half of a key", profile.name))),
    }
    let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if environment.get(&container).is_some() {
        return tokens(href, environment, connector, "the container").map(Some);
    }
    let instance = get("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some()
        || get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    if instance {
        return tokens(href, environment, connector, "the instance").map(Some);
    }
    Ok(None)
}

fn keys(href: &Href, (id, secret, token): (&str, &str, Option<&str>), from: &'static str) -> Result<Signer> {
    let is_text = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    if !is_text(id) || !token.is_none_or(is_text) {
        return Err(Error::settings(href, format!("the keys of {from} hold characters that keys do not have")));
    }
    let credential =
        AwsCredential { key_id: id.to_owned(), secret_key: secret.to_owned(), token: token.map(str::to_owned) };
    Ok((Arc::new(StaticCredentialProvider::new(credential)), from))
}

/// Credentials that a service gives for some time.
fn tokens(href: &Href, environment: &Environment, connector: &Connector, from: &'static str) -> Result<Signer> {
    use AmazonS3ConfigKey as Key;
    let settings = [
        (Key::WebIdentityTokenFile, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (Key::RoleArn, "AWS_ROLE_ARN"),
        (Key::RoleSessionName, "AWS_ROLE_SESSION_NAME"),
        (Key::StsEndpoint, "AWS_ENDPOINT_URL_STS"),
        (Key::ContainerCredentialsRelativeUri, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        (Key::ContainerCredentialsFullUri, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        (Key::ContainerAuthorizationTokenFile, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        (Key::MetadataEndpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
    ];
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_region(environment.get(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or("us-east-1"))
        .with_retry(Connector::retries())
        .with_http_connector(connector.clone());
    for (key, variable) in settings {
        if let Some(value) = environment.get(&[variable]) {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.build().map_err(|e| no_credentials(href, from, &e))?;
    Ok((store.credentials().clone(), from))
}
