//! `outcrop fetch`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use outcrop_catalog::{Cql, SearchOptions, Source, portrait, search, search_raw};
use outcrop_compute::human;
use outcrop_fetcher::{
    Checked, Cut, Describe, Error as FetchError, Failure as Failed, FetchOptions, FetchReport, Filter, LEDGER,
    OnConflict, Selection, State, Target, Told, check, fetch, room,
};
use outcrop_stac::RawItem;
use outcrop_store::{Href, Store};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{search_options, source};
use crate::args::{Conflict, FetchArgs};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// Requests at once to a far host that has many small files.
const MANY_JOBS: usize = 64;
/// How long a fetch waits until it is known that there is room.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn run(context: &Context, args: &FetchArgs) -> Result<Outcome, Failure> {
    let selection = Selection {
        keys: args.assets.clone(),
        roles: args.roles.clone(),
        media_types: args.media_types.clone(),
        filter: args.asset_filter.as_deref().map(filter).transpose()?,
    };
    let all = [&selection.keys, &selection.roles, &selection.media_types];
    if all.iter().any(|texts| texts.iter().any(String::is_empty)) {
        return Err(Failure::usage("an asset key, role or media type is empty", "`outcrop describe` lists the keys"));
    }
    let (from, options) = (source(&args.source)?, search_options(&args.selection)?);
    if args.verify {
        let items = search(&context.store, &from, &options);
        let sink = context.progress.sink();
        let checked = context.wait(async { Ok::<_, Failure>(check(&context.store, items, &sink).await) })?;
        tell_checked(context, args, &checked);
        return Ok(Outcome::of(checked.failed.len()));
    }
    let target = match &args.to {
        Some(to) if !args.in_place => Target::Folder(place(to)?),
        Some(_) => return Err(Failure::usage("--to and --in-place exclude each other", "give one of them")),
        None => Target::InPlace,
    };
    let store = store_for(context, args)?;
    let fetching = FetchOptions {
        cut: cut(args, &options)?,
        jobs: args.jobs,
        dry_run: args.dry_run,
        retry_failed: args.retry_failed,
        checksum: args.checksum.0,
        on_conflict: if args.on_conflict == Conflict::Suffix { OnConflict::Suffix } else { OnConflict::Error },
        progress: context.progress.sink(),
        told: told(context, args),
        ..FetchOptions::new(selection, target)
    };
    let items = search_raw(&store, &from, &options).map(|found| found.map(|found| (found.item, found.ancestors)));
    let room = room_for(&store, args, (&from, &options), &fetching);
    let mut report = context.wait(with_room(room, fetch(&store, items, &fetching)))?;
    if report.items == 0
        && report.failed.len() == 1
        && report.failed[0].item.is_empty()
        && let Some(only) = report.failed.pop()
    {
        return Err(only.why.into());
    }
    tell(context, args, &report);
    tell_of_waiting(context, args, report.seconds);
    Ok(Outcome::of(usize::try_from(report.failures).unwrap_or(usize::MAX)))
}

/// Sees whether the disk has room, where the items can be read twice without asking anybody.
fn room_for(
    store: &Store,
    args: &FetchArgs,
    (from, search): (&Source, &SearchOptions),
    fetching: &FetchOptions,
) -> Option<JoinHandle<Result<(), FetchError>>> {
    let Target::Folder(to) = &fetching.target else { return None };
    let is_whole = !args.dry_run && !args.retry_failed && fetching.cut.is_none();
    if args.ignore_space || !is_whole || !to.is_local() || !from.href.is_local() || from.is_standard_input() {
        return None;
    }
    let (own, to, from, search, assets) =
        (store.clone(), to.clone(), from.clone(), search.clone(), fetching.assets.clone());
    Some(store.runtime().spawn(async move {
        let items = || search_raw(&own, &from, &search).map(|found| found.map(|found| (found.item, found.ancestors)));
        room(&to, &assets, items).await
    }))
}

/// Fetches when it is known that there is room; of a large catalog, while that is found out.
async fn with_room(
    room: Option<JoinHandle<Result<(), FetchError>>>,
    fetching: impl Future<Output = Result<FetchReport, FetchError>>,
) -> Result<FetchReport, FetchError> {
    let Some(mut room) = room else { return fetching.await };
    if let Ok(known) = tokio::time::timeout(PATIENCE, &mut room).await {
        known.unwrap_or(Ok(()))?;
        return fetching.await;
    }
    let mut fetching = std::pin::pin!(fetching);
    tokio::select! {
        known = &mut room => known.unwrap_or(Ok(()))?,
        done = &mut fetching => {
            room.abort();
            return done;
        }
    }
    fetching.await
}

/// A local folder, or one of a bucket or server.
fn place(text: &str) -> Result<Href, Failure> {
    Ok(Href::parse(text)?.absolute().as_folder())
}

/// The part of each asset that is wanted: by the box and the interval of the selection.
fn cut(args: &FetchArgs, search: &SearchOptions) -> Result<Option<Arc<Cut>>, Failure> {
    if !args.cut {
        return Ok(None);
    }
    let cut = Cut {
        bbox: search.bbox,
        interval: search.datetime,
        variables: args.variables.clone(),
        bands: args.bands.clone(),
        describe: Describe::new(|store, files| Box::pin(async move { Ok(portrait(&store, &files).await?) })),
    };
    if cut.is_whole() {
        let hint = "add --bbox, --datetime, --variable or --band, or leave --cut out to fetch whole files";
        return Err(Failure::usage("--cut without anything to cut by", hint));
    }
    Ok(Some(Arc::new(cut)))
}

/// The store for the assets: a catalog of the internet does not lead into networks that are not.
fn store_for(context: &Context, args: &FetchArgs) -> Result<Store, Failure> {
    let text = args.source.rsplit_once('#').map_or(args.source.as_str(), |(href, _)| href);
    let store = &context.store;
    let Ok(href) = Href::parse(text) else { return Ok(store.clone()) };
    if args.allow_private
        || href.to_url().is_none()
        || !context.wait(async { Ok::<_, Failure>(store.is_public(&href).await) })?
    {
        return Ok(store.clone());
    }
    let to = args.to.as_deref().map(Href::parse).transpose()?;
    Ok(store.guarded(&[Some(href), to].into_iter().flatten().collect::<Vec<_>>())?)
}

/// Assets that an expression holds for, as if their fields were properties of the item.
fn filter(text: &str) -> Result<Filter, Failure> {
    let cql = Cql::parse(text)?;
    Ok(Filter::new(move |item, key, asset| {
        let mut properties = item.body().get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        properties.extend(asset.clone());
        properties.insert("key".into(), key.into());
        let one = json!({"type": "Feature", "id": item.id(), "geometry": null, "links": [], "assets": {},
            "properties": properties});
        Ok(cql.fits(&RawItem::parse(item.href().clone(), serde_json::to_vec(&one)?.into())?)?)
    }))
}

/// A dry run lists what it would copy; events tell each line of the ledger.
fn told(context: &Context, args: &FetchArgs) -> Told {
    let (is_listed, events) = (args.dry_run && !context.json, context.progress.events().cloned());
    if !is_listed && events.is_none() {
        return Told::default();
    }
    Told::new(move |line| {
        if let Some(events) = &events {
            events.tell("asset", serde_json::to_value(line).unwrap_or_default());
        }
        if is_listed && line.state == State::Done {
            let size = line.size.filter(|size| *size > 0).map_or_else(|| "?".to_owned(), human);
            print::data(&format!("{:>10}  {} {}  {}\n", size, line.item, line.asset, line.href));
        }
    })
}

fn tell_failed(args: &FetchArgs, failed: &[Failed]) {
    for failure in failed {
        let name = [failure.item.as_str(), failure.asset.as_str(), failure.href.as_str()];
        let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
        let name = if name.is_empty() { args.source.clone() } else { name.join(" ") };
        print::failed(&name, &failure.why);
    }
}

fn as_json(failed: &[Failed]) -> Vec<Value> {
    let one =
        |f: &Failed| json!({"item": f.item, "asset": f.asset, "href": f.href, "why": print::chain(&f.why).join(": ")});
    failed.iter().map(one).collect()
}

fn tell(context: &Context, args: &FetchArgs, report: &FetchReport) {
    tell_failed(args, &report.failed);
    for warning in &report.warnings {
        context.say(&format!("warning: {warning}"));
    }
    let to = args.to.as_deref().unwrap_or("their items");
    if context.json {
        print::json(&json!({
            "items": report.items, "copied": report.copied, "skipped": report.skipped, "bytes": report.bytes,
            "unverified": report.unverified, "failures": report.failures, "seconds": report.seconds,
            "dry_run": args.dry_run, "failed": as_json(&report.failed), "warnings": report.warnings,
        }));
        return;
    }
    let more = report.failures.saturating_sub(report.failed.len() as u64);
    if more > 0 {
        context.say(&format!("{more} more failed"));
    }
    if report.failures > 0
        && !args.dry_run
        && let Some(to) = &args.to
    {
        context.say(&format!("{to}/{LEDGER} tells what became of each; --retry-failed tries only those again"));
    }
    if report.items == 0 && report.failures == 0 && !args.retry_failed {
        context
            .say(&format!("no item of {} meets the selection; `outcrop search` with --explain tells why", args.source));
    }
    let verb = if args.dry_run { "would copy" } else { "copied" };
    context.say(&format!(
        "{verb} {} files ({}) of {} items to {to}, {} there already, {} failed, {:.2} s",
        report.copied,
        human(report.bytes),
        report.items,
        report.skipped,
        report.failures,
        report.seconds
    ));
}

/// Where most of the time was waiting for a far host, more requests at once are faster.
fn tell_of_waiting(context: &Context, args: &FetchArgs, seconds: f64) {
    let stats = context.store.stats();
    let waited = stats.waited.as_secs_f64();
    let each = 1000.0 * waited / stats.requests.max(1) as f64;
    if seconds > 2.0 && args.jobs < MANY_JOBS && each > 5.0 && waited > 0.6 * seconds * args.jobs as f64 {
        let jobs = args.jobs;
        context.say(&format!(
            "most of the time was waiting for answers ({each:.0} ms each, {jobs} at once); --jobs {MANY_JOBS} asks for more at once"
        ));
    }
}

fn tell_checked(context: &Context, args: &FetchArgs, checked: &Checked) {
    tell_failed(args, &checked.failed);
    if context.json {
        print::json(&json!({
            "items": checked.items, "right": checked.right, "unverified": checked.unverified, "bytes": checked.bytes,
            "seconds": checked.seconds, "failed": as_json(&checked.failed),
        }));
        return;
    }
    context.say(&format!(
        "{} items: {} files are right ({}), {} have no digest to hold them against, {} failed, {:.2} s",
        checked.items,
        checked.right,
        human(checked.bytes),
        checked.unverified,
        checked.failed.len(),
        checked.seconds
    ));
}
