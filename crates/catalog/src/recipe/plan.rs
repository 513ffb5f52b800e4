//! From a recipe to the items that it makes: which id, which variables, which files.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use indexmap::IndexMap;
use outcrop_stac::Body;
use outcrop_store::{EntryKind, Href, Store};

use super::{AssetRecipe, Recipe, Template, Vars};
use crate::{Error, Result};

/// Most files of a listing.
const MOST_FILES: usize = 5_000_000;

/// An item to make.
#[derive(Debug, Clone)]
pub(crate) struct ItemPlan {
    pub(crate) id: String,
    pub(crate) vars: Vars,
    pub(crate) assets: Vec<AssetPlan>,
    /// The item of the source that it is made of, where that is STAC: its fields but links and assets.
    pub(crate) origin: Option<Arc<Body>>,
}

/// An asset to make: the recipe's entry, its key and the file.
#[derive(Debug, Clone)]
pub(crate) struct AssetPlan {
    pub(crate) entry: usize,
    pub(crate) key: String,
    pub(crate) vars: Vars,
    pub(crate) href: Href,
    pub(crate) size: Option<u64>,
    /// What the listing says of its version.
    pub(crate) version: Option<String>,
    /// The fields of the asset of the source, where that is STAC.
    pub(crate) fields: Option<Body>,
}

impl AssetPlan {
    /// An asset of which only the place is known.
    pub(super) fn new(entry: usize, key: String, vars: Vars, href: Href) -> Self {
        Self { entry, key, vars, href, size: None, version: None, fields: None }
    }
}

/// The combinations of some variables, the first varying slowest, with those of `bound` given.
fn product<'a>(recipe: &'a Recipe, names: &'a [String], bound: Vars) -> Box<dyn Iterator<Item = Vars> + Send + 'a> {
    let Some((name, rest)) = names.split_first() else { return Box::new(std::iter::once(bound)) };
    let list = recipe.variables.get(name).and_then(|values| values.0.get(|by| bound.get(by).cloned()));
    let list = list.map(Vec::as_slice).unwrap_or_default();
    Box::new(list.iter().flat_map(move |value| {
        let mut vars = bound.clone();
        vars.insert(name.clone(), value.clone());
        product(recipe, rest, vars)
    }))
}

/// Names of the variables in the order of the recipe.
fn ordered(recipe: &Recipe, wanted: &[&str]) -> Vec<String> {
    recipe.variables.keys().filter(|name| wanted.contains(&name.as_str())).cloned().collect()
}

/// The variables that make the items, in the order of the recipe.
pub(crate) fn item_variables(recipe: &Recipe) -> Vec<String> {
    ordered(recipe, &recipe.item.id.variables())
}

/// The number of items of [`from_templates`].
pub(crate) fn count(recipe: &Recipe, names: &[String]) -> u64 {
    product(recipe, names, Vars::new()).count() as u64
}

/// The items of a recipe whose assets all have an `href`, one at a time; `names` are [`item_variables`].
pub(crate) fn from_templates<'a>(
    recipe: &'a Recipe,
    names: &'a [String],
) -> impl Iterator<Item = Result<ItemPlan>> + 'a {
    product(recipe, names, Vars::new()).map(move |vars| {
        let assets = template_assets(recipe, &vars)?;
        let id = recipe.item.id.fill(&vars).map_err(|name| no_value("", &name))?;
        Ok(ItemPlan { id, vars, assets, origin: None })
    })
}

pub(super) fn no_value(item: &str, name: &str) -> Error {
    Error::Item { item: item.to_owned(), why: format!("variable `{name}` has no value") }
}

/// The assets of an item that come from `href` templates.
fn template_assets(recipe: &Recipe, vars: &Vars) -> Result<Vec<AssetPlan>> {
    let mut assets = Vec::new();
    for (entry, (key, asset)) in recipe.assets.iter().enumerate() {
        let Some(href) = &asset.href else { continue };
        let bad = |why| Error::Item { item: key.clone(), why };
        let key = Template::parse(key).map_err(bad)?;
        let own: Vec<&str> = key.variables().into_iter().filter(|name| !vars.contains_key(*name)).collect();
        let names = ordered(recipe, &own);
        for vars in product(recipe, &names, vars.clone()) {
            let fill = |template: &Template| template.fill(&vars).map_err(|name| no_value(key.as_str(), &name));
            let text = fill(href)?;
            let href = Href::parse(&text)
                .map_err(|e| Error::Item { item: fill(&key).unwrap_or_default(), why: e.to_string() })?;
            let key = fill(&key)?;
            assets.push(AssetPlan::new(entry, key, vars, href));
        }
    }
    Ok(assets)
}

/// What a listing made of the archive.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) items: Vec<ItemPlan>,
    pub(crate) failed: Vec<Error>,
}

/// The items of a recipe with patterns: lists the archive and groups the files that fit.
pub(crate) async fn from_listing(store: &Store, recipe: &Recipe) -> Result<Listed> {
    let Some(listing) = &recipe.listing else { return Ok(Listed::default()) };
    let root =
        Href::parse(&listing.href).map_err(|source| Error::Source { source_text: listing.href.clone(), source })?;
    // A page such as `catalog.xml` stays as it is; what names no file is a folder, and in a bucket all is.
    let named = root.file_name().is_some_and(|name| name.contains('.'));
    let is_page = named && (root.to_url().is_some() || root.to_path().is_some_and(|path| !path.is_dir()));
    let root = if is_page { root } else { root.as_folder() };
    let (mut files, mut failed) = files_below(store, &root, listing).await?;
    let fits = |globs: &[super::Glob], path: &str| globs.iter().any(|glob| glob.fits(path));
    files.retain(|file| {
        (listing.include.is_empty() || fits(&listing.include, &file.path)) && !fits(&listing.exclude, &file.path)
    });
    let mut items: IndexMap<String, ItemPlan> = IndexMap::new();
    for file in &files {
        for (entry, (key, asset)) in recipe.assets.iter().enumerate() {
            let Some(vars) = fitting(recipe, asset, file) else { continue };
            if let Err(error) = place(recipe, &mut items, (entry, key), file, vars) {
                failed.push(error);
            }
        }
    }
    if items.is_empty() {
        let pattern = recipe.assets.values().find(|asset| asset.is_listed()).map(AssetRecipe::expression);
        let pattern = pattern.unwrap_or_default();
        return Err(failed.pop().unwrap_or(Error::NothingFits { href: root, files: files.len(), pattern }));
    }
    let mut items: Vec<ItemPlan> = items.into_values().collect();
    let names = recipe.item.id.variables();
    items.sort_by_cached_key(|item| rank(recipe, &names, &item.vars));
    for item in &mut items {
        let more = template_assets(recipe, &item.vars)?;
        item.assets.extend(more);
        item.assets.sort_by_cached_key(|asset| (asset.entry, rank(recipe, &[], &asset.vars), asset.key.clone()));
    }
    Ok(Listed { items, failed })
}

/// Sorts as the recipe lists its values; what it does not list by number, then by text.
fn rank(recipe: &Recipe, names: &[&str], vars: &Vars) -> Vec<(usize, u64, String)> {
    let order = recipe.variables.keys().map(String::as_str);
    let names: Vec<&str> = order.chain(names.iter().copied()).collect();
    let of = |name: &&str| {
        let value = vars.get(*name)?;
        let listed = recipe.variables.get(*name).and_then(|values| values.0.get(|by| vars.get(by).cloned()));
        let at = listed.and_then(|list| list.iter().position(|known| known == value)).unwrap_or(usize::MAX);
        Some((at, value.parse().unwrap_or(u64::MAX), value.clone()))
    };
    names.iter().filter_map(of).collect()
}

fn place(
    recipe: &Recipe,
    items: &mut IndexMap<String, ItemPlan>,
    (entry, key): (usize, &str),
    file: &Found,
    vars: Vars,
) -> Result<()> {
    let id = recipe.item.id.fill(&vars).map_err(|name| no_value(&file.path, &name))?;
    let key = Template::parse(key).and_then(|key| key.fill(&vars)).map_err(|name| no_value(&id, &name))?;
    let of_item = recipe.item.id.variables();
    let own: Vars =
        vars.iter().filter(|(name, _)| of_item.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    let item = items.entry(id.clone()).or_insert_with(|| ItemPlan {
        id: id.clone(),
        vars: own,
        assets: Vec::new(),
        origin: None,
    });
    if let Some(twin) = item.assets.iter().find(|asset| asset.key == key) {
        let why = format!("`{}` and `{}` would both be its asset `{key}`", twin.href, file.href);
        return Err(Error::Item { item: id, why });
    }
    let asset = AssetPlan::new(entry, key, vars, file.href.clone());
    item.assets.push(AssetPlan { size: file.size, version: file.version.clone(), ..asset });
    Ok(())
}

fn fitting(recipe: &Recipe, asset: &AssetRecipe, file: &Found) -> Option<Vars> {
    let known = |name: &str, value: &str| match recipe.variables.get(name).map(|values| &values.0) {
        None => true,
        Some(super::Choice::Plain(list)) => list.iter().any(|known| known == value),
        Some(super::Choice::By { values, .. }) => values.values().flatten().any(|known| known == value),
    };
    let vars = asset.matches(&file.path, &known)?;
    // A value may be one of another region's only.
    let allowed = |(name, value): (&String, &String)| match recipe.variables.get(name) {
        Some(values) => values.0.get(|by| vars.get(by).cloned()).is_some_and(|list| list.contains(value)),
        None => true,
    };
    vars.iter().all(allowed).then_some(vars)
}

struct Found {
    path: String,
    href: Href,
    size: Option<u64>,
    version: Option<String>,
}

/// All files below a folder, sorted by path; a sub-folder that cannot be listed is a failure of its own.
async fn files_below(store: &Store, root: &Href, listing: &super::Listing) -> Result<(Vec<Found>, Vec<Error>)> {
    let depth = listing.depth;
    let may_hold =
        |folder: &str| listing.include.is_empty() || listing.include.iter().any(|glob| glob.may_fit_below(folder));
    let list = |href: Href, prefix: String, level: usize| async move {
        let entries = store.list(&href).await;
        (href, prefix, level, entries)
    };
    let mut running = FuturesUnordered::new();
    let mut waiting = vec![(root.clone(), String::new(), 0)];
    let mut seen = std::collections::HashSet::from([root.as_str().to_owned()]);
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    loop {
        while running.len() < store.options().concurrency.max(1) {
            let Some((href, prefix, level)) = waiting.pop() else { break };
            running.push(list(href, prefix, level));
        }
        let Some((href, prefix, level, entries)) = running.next().await else { break };
        let entries = match entries {
            Ok(entries) => entries,
            Err(source) if level == 0 => return Err(Error::List { href, source }),
            Err(source) => {
                failed.push(Error::List { href, source });
                continue;
            }
        };
        for entry in entries {
            let path = format!("{prefix}{}", entry.name);
            match entry.kind {
                EntryKind::File if files.len() >= MOST_FILES => {
                    return Err(Error::TooMany { href: root.clone(), limit: MOST_FILES });
                }
                EntryKind::File => {
                    files.push(Found { path, href: entry.href, size: entry.size, version: entry.version });
                }
                EntryKind::Folder => {
                    let folder = format!("{path}/");
                    if level < depth && may_hold(&folder) && seen.insert(entry.href.as_str().to_owned()) {
                        waiting.push((entry.href, folder, level + 1));
                    }
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((files, failed))
}
