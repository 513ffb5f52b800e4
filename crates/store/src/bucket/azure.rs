//! Azure Blob Storage.
//!
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api>

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::azure::{
    AzureAccessKey, AzureAuthorizer, AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder, split_sas,
};
use object_store::client::HttpRequest;
use reqwest::header::{HeaderName, HeaderValue};

use super::client::Client;
use super::connector::Connector;
use super::{endpoint, no_credentials};
use crate::environment::Environment;
use crate::{Error, Href, Result};

/// Ends of the hosts of accounts, and of their blob endpoints.
const CLOUDS: [(&str, &str); 6] = [
    (".dfs.core.windows.net", ".blob.core.windows.net"),
    (".blob.core.windows.net", ".blob.core.windows.net"),
    (".dfs.core.chinacloudapi.cn", ".blob.core.chinacloudapi.cn"),
    (".blob.core.chinacloudapi.cn", ".blob.core.chinacloudapi.cn"),
    (".dfs.core.usgovcloudapi.net", ".blob.core.usgovcloudapi.net"),
    (".blob.core.usgovcloudapi.net", ".blob.core.usgovcloudapi.net"),
];

/// Credentials, and where they are from.
type Signer = (AzureCredentialProvider, &'static str);

/// A container of Azure Blob Storage.
pub(super) struct Azure {
    endpoint: String,
    container: String,
    account: String,
    signer: Option<Signer>,
}

impl Azure {
    /// `name` is the container, or `container@account.dfs.core.windows.net`.
    pub(super) fn new(href: &Href, name: &str, environment: &Environment, connector: &Connector) -> Result<Self> {
        let own = environment.get(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]);
        let (container, host) = name.split_once('@').map_or((name, None), |(name, host)| (name, Some(host)));
        let (account, cloud) = match (host, own) {
            (Some(host), _) => account_of(host).ok_or_else(|| {
                Error::settings(href, format!("`{host}` is not a host of Azure storage, like a.dfs.core.windows.net"))
            })?,
            (None, Some(own)) => (own, CLOUDS[0].1),
            (None, None) => {
                return Err(Error::settings(href, "set AZURE_STORAGE_ACCOUNT, which the href does not name"));
            }
        };
        if !account.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) || account.is_empty() {
            return Err(Error::settings(href, "the storage account has characters that accounts do not have"));
        }
        // What is set for one account is not for another that a document may name.
        let is_own = own == Some(account);
        let set = environment.get(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]).filter(|_| is_own);
        let url = match set {
            Some(text) => endpoint(href, "AZURE_STORAGE_ENDPOINT", text)?,
            None => format!("https://{account}{cloud}"),
        };
        let signer = signer(href, environment, is_own.then_some(environment), connector)?;
        Ok(Self { endpoint: url, container: container.to_owned(), account: account.to_owned(), signer })
    }

    pub(super) fn is_signed(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn base(&self) -> String {
        format!("{}/{}", self.endpoint, self.container)
    }

    /// A client that writes.
    pub(super) fn client(&self, connector: &Connector) -> object_store::Result<Arc<dyn Client>> {
        let builder = MicrosoftAzureBuilder::new()
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_endpoint(self.endpoint.clone())
            .with_allow_http(true)
            .with_retry(connector.retry())
            .with_http_connector(connector.clone());
        let builder = match &self.signer {
            Some((provider, _)) => builder.with_credentials(provider.clone()),
            None => builder.with_skip_signature(true),
        };
        Ok(Arc::new(builder.build()?))
    }

    pub(super) async fn sign(&self, href: &Href, request: &mut HttpRequest) -> Result<()> {
        const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
        request.headers_mut().insert(VERSION, HeaderValue::from_static("2023-11-03"));
        let Some((provider, from)) = &self.signer else { return Ok(()) };
        let credential = provider.get_credential().await.map_err(|e| no_credentials(href, from, &e))?;
        let authorizer = AzureAuthorizer::new(&credential, &self.account);
        authorizer.try_authorize(request).map_err(|e| no_credentials(href, from, &e))
    }
}

/// Account and end of the blob endpoint of a host.
fn account_of(host: &str) -> Option<(&str, &'static str)> {
    CLOUDS.iter().find_map(|(end, blob)| Some((host.strip_suffix(end)?, *blob)))
}

/// Key, SAS token or service principal; `None` for requests without credentials. `own` has what is for one account only.
fn signer(
    href: &Href,
    environment: &Environment,
    own: Option<&Environment>,
    connector: &Connector,
) -> Result<Option<Signer>> {
    if environment.is_on(&["AZURE_NO_SIGN_REQUEST"]) {
        return Ok(None);
    }
    let fixed = |credential, from| Some((Arc::new(StaticCredentialProvider::new(credential)) as _, from));
    let key = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"];
    if let Some(key) = own.and_then(|own| own.get(&key)) {
        let key = AzureAccessKey::try_new(key).map_err(|_| Error::settings(href, "AZURE_STORAGE_KEY is not base64"))?;
        return Ok(fixed(AzureCredential::AccessKey(key), "AZURE_STORAGE_KEY"));
    }
    if let Some(sas) = own.and_then(|own| own.get(&["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"])) {
        let pairs = split_sas(sas).map_err(|_| Error::settings(href, "AZURE_STORAGE_SAS_TOKEN is not a SAS token"))?;
        return Ok(fixed(AzureCredential::SASToken(pairs), "AZURE_STORAGE_SAS_TOKEN"));
    }
    let get = |name: &str| environment.get(&[name]);
    match (get("AZURE_CLIENT_ID"), get("AZURE_CLIENT_SECRET"), get("AZURE_TENANT_ID")) {
        (Some(id), Some(secret), Some(tenant)) => {
            let builder = MicrosoftAzureBuilder::new()
                .with_account("account")
                .with_container_name("container")
                .with_client_secret_authorization(id, secret, tenant)
                .with_retry(Connector::retries())
                .with_http_connector(connector.clone());
            let store = builder.build().map_err(|e| no_credentials(href, "AZURE_CLIENT_SECRET", &e))?;
            Ok(Some((store.credentials().clone(), "AZURE_CLIENT_SECRET")))
        }
        _ => Ok(None),
    }
}
