//! What is kept of a destination while a run goes on: its journal, its ledger, what is there already.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use outcrop_store::Store;

use crate::item::locked;
use crate::journal::{self, Entry, Journal, Want};
use crate::ledger::{Ledger, Line};
use crate::place::Plan;
use crate::remote;
use crate::site::Site;
use crate::{Error, Result};

/// What is kept of a destination.
pub(crate) struct Book {
    pub(crate) site: Site,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) ledger: Mutex<Option<Ledger>>,
    /// What its folder was when it was opened.
    pub(crate) place: Option<(u64, u64)>,
    /// What failed before, where only that is tried again: item and asset.
    pub(crate) retry: Option<HashSet<(String, String)>>,
}

impl Book {
    /// What is noted of a copy that is there, whole.
    pub(crate) async fn holds(&self, store: &Store, plan: &Plan) -> Option<Entry> {
        let path = plan.copy.copy.to_path().unwrap_or_default();
        let want = Want { size: plan.known.size, checksum: plan.known.checksum.as_ref() };
        let sources: Vec<String> =
            std::iter::once(&plan.copy.source).chain(&plan.mirrors).map(|source| plan.identity(source)).collect();
        let entry = journal::noted(&self.journal, &plan.file);
        if self.site.is_remote() {
            let entry = entry.filter(|entry| sources.contains(&entry.href) && entry.agrees(&want))?;
            let probe = remote::probe(&plan.copy.copy, plan.part.as_ref().map(|(_, kind)| *kind)).ok()?;
            return remote::is_there(store, &probe, &entry).await.then_some(entry);
        }
        entry.filter(|entry| entry.is_met_by(&path, &sources, &want))
    }

    /// Sees whether its folder is still the one that it was.
    ///
    /// # Errors
    /// [`Error::Vanished`] if it is not.
    pub(crate) fn check_place(&self) -> Result<()> {
        let is_same = self.place.is_none() || self.place == self.site.place();
        if is_same { Ok(()) } else { Err(Error::Vanished { href: self.site.root.clone() }) }
    }

    /// Adds a line to the ledger; a dry run has none.
    pub(crate) fn note(&self, line: &Line) -> Result<()> {
        locked(&self.ledger).as_mut().map_or(Ok(()), |ledger| ledger.add(line))
    }
}
