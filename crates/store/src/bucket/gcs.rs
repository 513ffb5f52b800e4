//! Google Cloud Storage, by its XML API.
//!
//! <https://cloud.google.com/storage/docs/xml-api/overview>

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::client::HttpRequest;
use object_store::gcp::{GcpCredential, GcpCredentialProvider, GoogleCloudStorageBuilder};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::client::Client;
use super::connector::Connector;
use super::{endpoint, no_credentials};
use crate::environment::Environment;
use crate::{Error, Href, Result};

/// Where the tokens are from.
const FROM: &str = "the Google application credentials";

/// The header of the project that pays.
const PROJECT: &str = "x-goog-user-project";

/// A bucket of Google Cloud Storage.
pub(super) struct Gcs {
    host: String,
    name: String,
    signer: Option<GcpCredentialProvider>,
    /// The project that pays.
    project: Option<HeaderValue>,
}

impl Gcs {
    pub(super) fn new(href: &Href, name: &str, environment: &Environment, connector: &Connector) -> Result<Self> {
        let emulator = environment.get(&["STORAGE_EMULATOR_HOST"]);
        let host = match emulator {
            Some(text) if text.contains("://") => endpoint(href, "STORAGE_EMULATOR_HOST", text)?,
            Some(text) => endpoint(href, "STORAGE_EMULATOR_HOST", &format!("http://{text}"))?,
            None => "https://storage.googleapis.com".to_owned(),
        };
        // An emulator is asked without credentials, as by Google's own clients.
        let anonymous = emulator.is_some() || environment.is_on(&["GS_NO_SIGN_REQUEST"]);
        let signer = if anonymous { None } else { signer(href, environment, connector)? };
        let project = environment.get(&["GOOGLE_CLOUD_QUOTA_PROJECT"]).filter(|_| signer.is_some());
        let project = project.map(HeaderValue::try_from).transpose();
        let project = project.map_err(|_| Error::settings(href, "GOOGLE_CLOUD_QUOTA_PROJECT is not a project"))?;
        Ok(Self { host, name: name.to_owned(), signer, project })
    }

    pub(super) fn is_signed(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn base(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// True if both are of one service and asked with the same credentials.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// A client that writes.
    pub(super) fn client(&self, connector: &Connector) -> object_store::Result<Arc<dyn Client>> {
        let project = self.project.iter().map(|value| (HeaderName::from_static(PROJECT), value.clone()));
        let builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.name)
            .with_base_url(&self.host)
            .with_retry(connector.retry())
            .with_http_connector(connector.clone().with_headers(project.collect()));
        let builder = match &self.signer {
            Some(provider) => builder.with_credentials(provider.clone()),
            // A token of no letters is not sent; `with_skip_signature` asks for one when it puts.
            None => builder
                .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))),
        };
        Ok(Arc::new(builder.build()?))
    }

    pub(super) async fn sign(&self, href: &Href, request: &mut HttpRequest) -> Result<()> {
        let Some(provider) = &self.signer else { return Ok(()) };
        let credential = provider.get_credential().await.map_err(|e| no_credentials(href, FROM, &e))?;
        let broken = |_| Error::settings(href, format!("no credentials from {FROM}: the token is malformed"));
        let mut token = HeaderValue::try_from(format!("Bearer {}", credential.bearer)).map_err(broken)?;
        token.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, token);
        if let Some(project) = &self.project {
            request.headers_mut().insert(HeaderName::from_static(PROJECT), project.clone());
        }
        Ok(())
    }
}

/// The application default credentials, where there are some.
fn signer(href: &Href, environment: &Environment, connector: &Connector) -> Result<Option<GcpCredentialProvider>> {
    const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
    let file = environment.file(VARIABLE, ".config/gcloud/application_default_credentials.json");
    let named = environment.get(&[VARIABLE]).is_some();
    let Some(path) = file.filter(|path| named || path.exists()) else { return Ok(None) };
    let Some(path) = path.to_str() else { return Err(Error::settings(href, format!("{VARIABLE} is not UTF-8"))) };
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_application_credentials(path)
        .with_retry(Connector::retries())
        .with_http_connector(connector.clone());
    let store = builder.build().map_err(|e| no_credentials(href, FROM, &e))?;
    Ok(Some(store.credentials().clone()))
}
