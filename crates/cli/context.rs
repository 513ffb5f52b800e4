//! What every command has: the store, progress, and the flag that a signal sets.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use outcrop_compute::parse_bytes;
use outcrop_store::{Store, StoreOptions, Voice};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::args::{Arguments, Command, FetchArgs};
use crate::failure::Failure;
use crate::progress::Bars;

/// Its number on Linux and macOS.
const SIGXFSZ: i32 = 25;

pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) progress: Bars,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) interrupt: Arc<AtomicBool>,
    signal: Arc<(AtomicI32, Notify)>,
    runtime: Handle,
}

impl Context {
    pub(crate) fn new(arguments: &Arguments, runtime: Handle) -> Result<Self, Failure> {
        let mut usual = StoreOptions { retries: arguments.retries, ..StoreOptions::default() };
        if let Command::Fetch(FetchArgs { limit_rate: Some(text), .. }) = &arguments.command {
            let wrong =
                || Failure::usage(format!("--limit-rate: `{text}` is not a size"), "write it like 500kB or 10MB");
            usual.rate = Some(parse_bytes(text).filter(|rate| *rate > 0).ok_or_else(wrong)?);
        }
        // Who asks for more transfers at once means it, also from one host.
        let jobs = if let Command::Fetch(args) = &arguments.command { args.jobs } else { 0 };
        let (concurrency, per_host) = (usual.concurrency.max(jobs), usual.per_host.max(jobs));
        let options = StoreOptions { concurrency, per_host, ..usual };
        let progress = Bars::new(arguments)?;
        let shown = progress.clone();
        let voice = Voice::new(move |text| shown.line(text));
        let options = StoreOptions { voice, ..options };
        Ok(Self {
            store: Store::new(options, runtime.clone())?,
            progress,
            json: arguments.json,
            quiet: arguments.quiet,
            interrupt: Arc::default(),
            signal: Arc::default(),
            runtime,
        })
    }

    /// The same without a word: for a command that runs others and tells the whole itself.
    pub(crate) fn silent(&self) -> Self {
        Self {
            store: self.store.clone(),
            progress: self.progress.clone(),
            json: false,
            quiet: true,
            interrupt: self.interrupt.clone(),
            signal: self.signal.clone(),
            runtime: self.runtime.clone(),
        }
    }

    /// The first Ctrl-C or TERM asks the work to stop, the second stops at once.
    pub(crate) fn watch_signals(&self) {
        // With a handler, a file that grows past `ulimit -f` is a failure to write it, not the end of the process.
        let runtime = self.runtime.enter();
        drop(signal(SignalKind::from_raw(SIGXFSZ)));
        drop(runtime);
        let (interrupt, shared) = (self.interrupt.clone(), self.signal.clone());
        self.runtime.spawn(async move {
            let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
                return;
            };
            loop {
                let code = tokio::select! {
                    _ = int.recv() => 130,
                    _ = term.recv() => 143,
                };
                if interrupt.swap(true, Ordering::SeqCst) {
                    std::process::exit(code);
                }
                shared.0.store(code, Ordering::SeqCst);
                shared.1.notify_one();
            }
        });
    }

    /// Runs async work to its end or to a signal; what is unfinished then is dropped, which removes temporary files.
    pub(crate) fn wait<T, E: Into<Failure>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
        const PATIENCE: Duration = Duration::from_secs(3);
        let shared = self.signal.clone();
        let done = self.runtime.block_on(async move {
            tokio::select! {
                result = work => result.map_err(Into::into),
                () = shared.1.notified() => Err(Failure::Signal(shared.0.load(Ordering::SeqCst))),
            }
        });
        self.runtime.block_on(self.store.settle(PATIENCE));
        done
    }

    /// The failure of work that stopped because of a signal.
    pub(crate) fn interrupted(&self) -> Failure {
        let code = self.signal.0.load(Ordering::SeqCst);
        Failure::Signal(if code == 0 { 130 } else { code })
    }

    /// Says something to the person at the terminal.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.progress.line(text);
        }
    }
}
