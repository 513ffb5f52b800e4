//! `outcrop demo`: the whole main job on an archive that it makes and serves itself, through the commands.

mod archive;

use std::path::Path;
use std::time::Instant;

use outcrop_compute::{human, peak};
use outcrop_pipelines::register::register;
use outcrop_server::Server;
use outcrop_store::{Href, publish};
use serde_json::json;

use crate::args::{
    BuildArgs, DemoArgs, DescribeArgs, ExecutorName, FetchArgs, ItemFormat, Limits, PlotArgs, SearchArgs, Selection,
    SpringIndexArgs,
};
use crate::commands;
use crate::commands::run::spring_index::Computed;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// A file that says that the folder is a demo's and may be replaced.
const MARK: &str = ".outcrop-demo";
const ITEM: &str = "lakes-1981";

pub(crate) fn run(context: &Context, args: &DemoArgs) -> Result<Outcome, Failure> {
    let json = context.json;
    let silent = context.silent();
    let context = if json { &silent } else { context };
    let start = Instant::now();
    let root = Href::parse(&args.to)?;
    let folder = root.to_path().ok_or_else(|| Failure::usage("the demo needs a local folder", "drop --to"))?;
    prepare(&folder)?;
    let demo = Demo { context, json, to: args.to.trim_end_matches('/').to_owned() };
    demo.title("An archive: two regions, two years, tmin, tmax, dayl and prcp as NetCDF-4");
    let (files, size) = archive::write(&folder.join("archive"))?;
    context.say(&format!("  {files} files, {} in {:.1} s", human(size), start.elapsed().as_secs_f64()));
    let server = serve(context, &folder.join("archive"))?;
    context.say(&format!("  served at {}", server.url()));
    let result = demo.steps(&folder, &server);
    if context.interrupt.load(std::sync::atomic::Ordering::SeqCst) {
        return Err(context.interrupted());
    }
    result?;
    demo.summary(start, (files, size), &server);
    Ok(Outcome::Done)
}

/// The usual port, so that the catalog's hrefs hold after the demo too; any free one where that is taken.
fn serve(context: &Context, archive: &Path) -> Result<Server, Failure> {
    const PORT: u16 = 8642;
    match context.wait(Server::start(archive, ([127, 0, 0, 1], PORT).into())) {
        Ok(server) => Ok(server),
        Err(_) => context.wait(Server::start(archive, ([127, 0, 0, 1], 0).into())),
    }
}

/// Empties the folder of an older demo; any other folder that holds something is left alone.
fn prepare(folder: &Path) -> Result<(), Failure> {
    if folder.join(MARK).exists() {
        std::fs::remove_dir_all(folder)?;
    }
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("`{}` holds something that is not a demo", folder.display());
        return Err(Failure::usage(message, "name an empty or new folder with --to"));
    }
    Ok(publish::write(&folder.join(MARK), b"made by `outcrop demo`, which replaces this folder\n")?)
}

struct Demo<'a> {
    context: &'a Context,
    json: bool,
    /// The folder as the user named it.
    to: String,
}

impl Demo<'_> {
    fn title(&self, text: &str) {
        self.context.say(&format!("\n{text}"));
    }

    fn command(&self, text: &str) {
        self.context.say(&format!("$ outcrop {text}"));
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.to)
    }

    fn steps(&self, folder: &Path, server: &Server) -> Result<(), Failure> {
        self.title("1. A catalog of the remote archive: listing, headers by byte ranges, STAC documents");
        publish::write(&folder.join("recipe.toml"), recipe(&server.url()).as_bytes())?;
        let (recipe, catalog) = (self.path("recipe.toml"), self.path("catalog"));
        self.command(&format!("build {recipe} --to {catalog}"));
        commands::build::run(self.context, &BuildArgs { recipe, to: Some(catalog.clone()), ..BuildArgs::default() })?;
        self.command(&format!("describe {catalog}"));
        if !self.json {
            commands::describe::run(self.context, &DescribeArgs { catalog: catalog.clone() })?;
        }
        self.search(&catalog)?;
        self.fetch(&catalog)?;
        self.compute()
    }

    fn search(&self, catalog: &str) -> Result<(), Failure> {
        self.title("2. What is there for Michigan in 1981?");
        self.command(&format!("search {catalog} --bbox=-86,42,-83,45 --datetime 1981"));
        let selection =
            Selection { bbox: Some("-86,42,-83,45".into()), datetime: Some("1981".into()), ..Selection::default() };
        let format = Some(ItemFormat::Table);
        let output = self.json.then(|| self.path("found.txt"));
        let args = SearchArgs { source: catalog.into(), selection, format, output, ..SearchArgs::default() };
        commands::search::run(self.context, &args)?;
        Ok(())
    }

    fn fetch(&self, catalog: &str) -> Result<(), Failure> {
        self.title("3. A local copy of the part that is wanted; dayl stays where it is");
        let to = self.path("local");
        self.command(&format!("fetch {catalog} --asset tmin,tmax --ids {ITEM} --to {to}"));
        let args = FetchArgs {
            source: catalog.into(),
            assets: vec!["tmin".into(), "tmax".into()],
            to: Some(to),
            selection: Selection { ids: vec![ITEM.into()], ..Selection::default() },
            jobs: 8,
            ..FetchArgs::default()
        };
        let outcome = commands::fetch::run(self.context, &args)?;
        if outcome == Outcome::Done { Ok(()) } else { Err(Failure::usage("the copy failed", "the reasons are above")) }
    }

    fn compute(&self) -> Result<(), Failure> {
        self.title("4. First leaf of three plants, from two local files and a remote one");
        let (items, zarr) = (self.path("local"), self.path("first-leaf.zarr"));
        self.command(&format!("run spring-index --items {items} --to {zarr}"));
        let args = SpringIndexArgs {
            items,
            to: zarr.clone(),
            selection: Selection::default(),
            plants: ["lilac", "arnold-red", "zabelli"].map(str::to_owned).into(),
            coarsen: 1,
            start_day: 1,
            end_day: 300,
            limits: Limits { plan: false, memory: None, threads: 0, executor: ExecutorName::Threads },
            no_early_end: false,
            zarr_format: 3,
            catalog: None,
        };
        let Computed { mut done, failed, .. } = commands::run::spring_index::compute(self.context, &args)?;
        if let Some((_, failure)) = failed.into_iter().next() {
            return Err(failure);
        }
        self.title("5. A map, and the result as an item of a catalog with links to its source");
        let map = self.path("first-leaf.png");
        self.command(&format!("plot {zarr}/1981 --var first-leaf-doy --sel plant=lilac -o {map}"));
        let plot = PlotArgs {
            href: format!("{zarr}/1981"),
            var: Some("first-leaf-doy".into()),
            isel: Vec::new(),
            sel: vec!["plant=lilac".into()],
            title: Some("First leaf of lilac, Great Lakes, 1981".into()),
            output: map.clone(),
        };
        commands::plot::run(self.context, &plot)?;
        let results = commands::folder(&self.path("results"))?;
        for result in &mut done {
            result.map = Some(Href::parse(&map)?.absolute());
        }
        self.context.wait(register(&self.context.store, &results, &done))?;
        self.context.say(&format!("  registered in {}", self.path("results/catalog.json")));
        Ok(())
    }

    fn summary(&self, start: Instant, (files, size): (usize, u64), server: &Server) {
        let (seconds, stats) = (start.elapsed().as_secs_f64(), self.context.store.stats());
        if self.json {
            print::json(&json!({
                "demo": self.to, "files": files, "archive_bytes": size, "remote_bytes": stats.remote_bytes,
                "requests": stats.requests, "seconds": seconds, "peak_memory": peak(),
            }));
            return;
        }
        let to = &self.to;
        self.context.say(&format!(
            "\nDone in {seconds:.1} s: {files} files became a catalog of 4 items; 2 files were copied, 1 was read in place.\n\
             Read over HTTP: {} of {} in {} requests. Peak memory: {}.\n\
             The map is {to}/first-leaf.png. Try next:\n  \
             outcrop describe {to}/local\n  \
             outcrop info {to}/first-leaf.zarr\n  \
             outcrop plot {to}/first-leaf.zarr/1981 --var first-leaf-doy --sel plant=mean -o {to}/mean.png\n\
             (the archive is served again by: outcrop serve {to}/archive --bind {})",
            human(stats.remote_bytes), human(size), stats.requests, human(peak()), server.address(),
        ));
    }
}

/// The recipe of the demo's catalog.
fn recipe(url: &str) -> String {
    format!(
        "# The catalog of the demo's archive: files found by listing, metadata from their headers.\n\
         id = \"daymet-demo\"\n\
         title = \"Daymet-like demo\"\n\
         description = \"Made-up daily weather of two regions in the layout of Daymet V4\"\n\
         layout = \"${{region}}\"\n\n\
         [listing]\n\
         href = \"{url}\"\n\n\
         [item]\n\
         id = \"{{region}}-{{year}}\"\n\
         datetime = \"{{year}}-01-01T00:00:00Z\"\n\
         properties = {{ region = \"{{region}}\" }}\n\n\
         [assets.\"{{param}}\"]\n\
         pattern = \"daymet_v4_daily_{{region}}_{{param}}_{{year}}.nc\"\n\
         roles = [\"data\"]\n\n\
         [headers]\n\
         fields = [\"file:size\", \"type\", \"proj\", \"cube\", \"bbox\"]\n"
    )
}
