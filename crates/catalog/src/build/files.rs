//! From the plan of an item to the headers of its files, unless nothing has changed since they were read.

use std::sync::Arc;

use outcrop_store::{ObjectMeta, Store};
use serde_json::json;

use super::Failed;
use super::known::{Found, Known};
use super::state::fingerprint;
use crate::Result;
use crate::header::{self, Header, Wanted};
use crate::item::Opened;
use crate::recipe::{AssetPlan, Field, ItemPlan};

/// How the files of items are read.
pub(super) struct Files<'a> {
    pub store: &'a Store,
    pub wanted: Wanted<'a>,
    /// Items of the last build.
    pub known: Arc<Known>,
    /// Of the recipe.
    pub digest: u64,
}

/// What became of a plan.
pub(super) enum Made {
    /// Its files were opened; those that could not be are named.
    Opened { plan: ItemPlan, assets: Vec<Opened>, failed: Vec<Failed>, print: u64 },
    /// Nothing has changed since the last build.
    Known(Found),
}

/// What tells one version of a file from another: size, `ETag`, time of change.
type Version = (u64, Option<String>, Option<String>);

fn version(meta: &ObjectMeta) -> Version {
    (meta.size, meta.etag.clone(), meta.modified.clone())
}

impl Files<'_> {
    fn are_read(&self) -> bool {
        !self.wanted.fields.is_empty() || self.wanted.references || !self.wanted.properties.is_empty()
    }

    /// True if all that is wanted of a file is known.
    fn is_known(&self, asset: &AssetPlan) -> bool {
        let only_size = !self.wanted.references && self.wanted.fields.iter().all(|field| *field == Field::Size);
        only_size && self.wanted.properties.is_empty() && asset.size.is_some()
    }

    pub(super) async fn make(&self, plan: ItemPlan) -> Result<Made> {
        if let Some(known) = self.known.get(&plan.id)?
            && let Ok(versions) = self.versions(&plan).await
            && self.print(&plan, &versions) == known.entry.print
        {
            return Ok(Made::Known(known));
        }
        let (assets, failed, versions) = self.open(&plan).await;
        // What could not be read is tried again.
        let print = if failed.is_empty() { self.print(&plan, &versions) } else { 0 };
        Ok(Made::Opened { plan, assets, failed, print })
    }

    /// The versions of the files as they are now: a request each, none where files are not read or their listing says it.
    async fn versions(&self, plan: &ItemPlan) -> outcrop_store::Result<Vec<Option<Version>>> {
        if !self.are_read() {
            return Ok(vec![None; plan.assets.len()]);
        }
        let of = |asset: &AssetPlan| {
            let is_known = asset.version.is_some() || self.is_known(asset);
            let href = (!is_known).then(|| asset.href.clone());
            async move {
                let Some(href) = href else { return Ok(None) };
                self.store.head(&href, 1).await.map(|(meta, _)| Some(version(&meta)))
            }
        };
        futures::future::try_join_all(plan.assets.iter().map(of)).await
    }

    fn print(&self, plan: &ItemPlan, versions: &[Option<Version>]) -> u64 {
        let assets: Vec<_> = plan
            .assets
            .iter()
            .map(|asset| {
                let listed =
                    (asset.size, &asset.version, asset.fields.as_ref().map(|fields| json!(fields).to_string()));
                (&asset.key, asset.href.as_str(), listed, asset.vars.iter().collect::<Vec<_>>())
            })
            .collect();
        let origin = plan.origin.as_ref().map(|origin| json!(**origin).to_string());
        fingerprint(&(self.digest, &plan.id, plan.vars.iter().collect::<Vec<_>>(), assets, versions, origin))
    }

    async fn open(&self, plan: &ItemPlan) -> (Vec<Opened>, Vec<Failed>, Vec<Option<Version>>) {
        if !self.are_read() {
            let assets = plan.assets.iter().map(|asset| (asset.clone(), None)).collect();
            return (assets, Vec::new(), vec![None; plan.assets.len()]);
        }
        let reads = plan.assets.iter().map(|asset| async move {
            if self.is_known(asset) {
                return Ok(None);
            }
            header::read(self.store, &asset.href, self.wanted).await.map(Some)
        });
        let headers: Vec<Result<Option<Header>>> = futures::future::join_all(reads).await;
        let (mut assets, mut failed, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for (asset, header) in plan.assets.iter().zip(headers) {
            match header {
                Ok(header) => {
                    let object = header.as_ref().and_then(Header::object);
                    versions.push(object.filter(|_| asset.version.is_none()).map(version));
                    assets.push((asset.clone(), header));
                }
                Err(why) => failed.push(Failed { what: asset.href.to_string(), why }),
            }
        }
        (assets, failed, versions)
    }
}
