//! What stands in for GDAL in a program that was built without it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use outcrop_store::{Href, Store};

use super::Scope;
use crate::array::FileMeta;
use crate::{Error, Result};

/// A file that GDAL opened: there is none.
#[derive(Debug)]
pub(crate) enum Source {}

impl Source {
    #[expect(clippy::unused_async, reason = "with GDAL there is something to wait for")]
    pub(crate) async fn open(_: &Store, _: (&Href, Option<u64>), _: Scope) -> Result<(FileMeta, Arc<Self>)> {
        Err(Error::WithoutGdal)
    }

    #[expect(clippy::unused_async, reason = "with GDAL there is something to wait for")]
    pub(crate) async fn read(self: &Arc<Self>, _: &Store, _: (usize, &[Range<u64>])) -> Result<Bytes> {
        match **self {}
    }
}
