//! A file that GDAL opened: its datasets, each used by one thread at a time.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use outcrop_store::{Href, Store, StoreOptions};
use tokio::sync::Semaphore;

use super::Scope;
use super::drivers::CONTAINED;
use super::element::Element;
use super::library::{reason, within};
use super::lower::{Lowered, lower};
use crate::array::FileMeta;
use crate::{Error, Result};

/// An array of the file.
#[derive(Debug)]
pub(super) struct Array {
    /// GDAL's name of its dataset.
    pub(super) name: String,
    pub(super) element: Element,
}

/// How datasets of one file are opened.
#[derive(Debug)]
pub(super) struct Access {
    href: Href,
    /// GDAL's name of the file.
    pub(super) name: String,
    /// `None` for all.
    drivers: Option<Vec<&'static str>>,
    /// Bytes of the file, where it is one.
    pub(super) size: Option<u64>,
    settings: Vec<(&'static str, String)>,
}

/// A file that GDAL opened.
#[derive(Debug)]
pub(crate) struct Source {
    access: Access,
    arrays: Vec<Array>,
    /// Datasets that no thread uses, with the number of their array. GDAL's datasets are not shared by threads.
    idle: Mutex<Vec<(usize, Dataset)>>,
    most_idle: usize,
    permits: Arc<Semaphore>,
}

impl Access {
    fn new(options: &StoreOptions, (href, size): (&Href, Option<u64>), scope: Scope) -> Result<Self> {
        let href = href.absolute();
        let remote = !href.is_local();
        let name = if remote { format!("/vsicurl/{}", href.as_str()) } else { href.as_str().to_owned() };
        if !remote && name.starts_with("/vsi") {
            return Err(Error::unsupported(name, "a path that GDAL would take for one of its virtual file systems"));
        }
        let drivers = match (scope, remote) {
            (Scope::Contained, _) => Some(CONTAINED.to_vec()),
            (Scope::All, true) => Some([&CONTAINED[..], &["GTiff"]].concat()),
            (Scope::All, false) => None,
        };
        let seconds = |duration: std::time::Duration| duration.as_secs().max(1).to_string();
        let settings = vec![
            // All that a remote file may be is itself; what a local one names is local.
            ("CPL_VSIL_CURL_ALLOWED_FILENAME", if remote { name.clone() } else { "none".to_owned() }),
            ("GDAL_DISABLE_READDIR_ON_OPEN", if remote { "EMPTY_DIR" } else { "FALSE" }.to_owned()),
            ("CPL_VSIL_CURL_USE_HEAD", "NO".to_owned()),
            ("GDAL_HTTP_CONNECTTIMEOUT", seconds(options.connect_timeout)),
            ("GDAL_HTTP_LOW_SPEED_TIME", seconds(options.speed_window)),
            ("GDAL_HTTP_LOW_SPEED_LIMIT", options.min_speed.to_string()),
            ("GDAL_HTTP_MAX_RETRY", options.retries.to_string()),
            ("GDAL_HTTP_RETRY_DELAY", "1".to_owned()),
            ("GDAL_HTTP_NETRC", "NO".to_owned()),
            ("GDAL_NUM_THREADS", "1".to_owned()),
            ("GDAL_ERROR_ON_LIBJPEG_WARNING", "TRUE".to_owned()),
            ("GDAL_VRT_ENABLE_PYTHON", "NO".to_owned()),
        ];
        Ok(Self { href, name, drivers, size, settings })
    }

    /// Opens a dataset by GDAL's name.
    pub(super) fn open(&self, name: &str) -> Result<Dataset> {
        let options = DatasetOptions {
            open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
            allowed_drivers: self.drivers.as_deref(),
            ..DatasetOptions::default()
        };
        let opened = Dataset::open_ex(Path::new(name), options);
        opened.map_err(|error| self.failed("open", &reason(&error)))
    }

    /// An error without the secrets of the href.
    pub(super) fn failed(&self, action: &'static str, why: &str) -> Error {
        let object = self.href.to_string();
        Error::Gdal { action, why: why.replace(&self.name, &object).replace(self.href.as_str(), &object), object }
    }
}

impl Source {
    /// Opens a file: what it is, and how its values are read.
    pub(crate) async fn open(
        store: &Store,
        (href, size): (&Href, Option<u64>),
        scope: Scope,
    ) -> Result<(FileMeta, Arc<Self>)> {
        let access = Access::new(store.options(), (href, size), scope)?;
        let opening = store.runtime().spawn_blocking(move || {
            let (lowered, _) = within(&access.settings, || lower(&access));
            lowered.map(|lowered| (lowered, access))
        });
        let (Lowered { meta, arrays }, access) = opening.await.map_err(|_| stopped(href))??;
        let most = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        let (idle, permits) = (Mutex::default(), Arc::new(Semaphore::new(most)));
        Ok((meta, Arc::new(Self { access, arrays, idle, most_idle: most, permits })))
    }

    /// Reads a window of an array, on the blocking pool.
    pub(crate) async fn read(
        self: &Arc<Self>,
        store: &Store,
        (array, window): (usize, &[Range<u64>]),
    ) -> Result<Bytes> {
        let source = Arc::clone(self);
        let window: Vec<Range<usize>> = window.iter().map(|w| place(w.start)..place(w.end)).collect();
        // It is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| stopped(&self.access.href))?;
        let reading = store.runtime().spawn_blocking(move || {
            let values = source.values(array, &window);
            drop(permit);
            values
        });
        reading.await.map_err(|_| stopped(&self.access.href))?
    }

    fn values(&self, at: usize, window: &[Range<usize>]) -> Result<Bytes> {
        let no_array = || self.access.failed("read", "it has no such array");
        let (array, window) = self.arrays.get(at).zip(window.as_array()).ok_or_else(no_array)?;
        let held = self.take(at);
        let (values, said) = within(&self.access.settings, || {
            let dataset = match held {
                Some(dataset) => dataset,
                None => self.access.open(&array.name)?,
            };
            let values = array.element.read(&dataset, window);
            Ok::<_, Error>(values.map(|values| (values, dataset)).map_err(|error| reason(&error)))
        });
        match values? {
            // What GDAL warns of is missing or damaged data that it fills with something.
            Ok(_) if !said.is_empty() => Err(self.access.failed("read", &said.join("; "))),
            Ok((values, dataset)) => {
                self.give_back(at, dataset);
                Ok(values.into())
            }
            Err(why) => Err(self.access.failed("read", &why)),
        }
    }

    fn take(&self, array: usize) -> Option<Dataset> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(of, _)| *of == array)?;
        Some(idle.swap_remove(at).1)
    }

    fn give_back(&self, array: usize, dataset: Dataset) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (idle.len() >= self.most_idle).then(|| idle.remove(0));
        idle.push((array, dataset));
        drop(idle);
        // Closing takes time, which no other thread should wait for.
        drop(oldest);
    }
}

/// Windows lie within images, whose sides GDAL counts in 31 bits.
fn place(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn stopped(href: &Href) -> Error {
    Error::Gdal { action: "read", object: href.to_string(), why: "its work was stopped".to_owned() }
}
