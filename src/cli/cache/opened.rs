//! The store, uv and its cache, found and opened for a subcommand.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::flags::UvArgs;
use crate::cache::store::KeptFolder;
use crate::cache::uv::Known;
use crate::cache::{CacheOptions, Progress, Silent, Store, Uv, UvCache};
use crate::cli::failure::Failure;
use crate::cli::listing::print;
use crate::cli::opened::store_options;
use crate::cli::screen::{Screen, say, terminal_size};
use crate::config::{Flags, Settings, load};
use crate::output::TransferBar;

/// What settings, environment and defaults say of the store.
pub(super) fn options() -> Result<CacheOptions, Failure> {
    let file = load(Path::new(".")).map_err(Failure::Settings)?;
    let settings = Settings::resolve(&Flags::default(), &|name| std::env::var_os(name), file);
    Ok(store_options(&settings.map_err(Failure::Settings)?))
}

/// The store as it is configured here.
pub(super) fn store() -> Result<Store, Failure> {
    Ok(Store::open(&options()?)?)
}

/// uv's cache, as far as noxide knows it.
pub(super) enum UvSide {
    /// Wheel by wheel.
    Known(UvCache),
    /// As a whole, and why.
    Whole(KeptFolder, String),
}

/// uv and its cache.
pub(super) fn uv_cache(args: &UvArgs, store: &Store) -> Result<UvSide, Failure> {
    let uv = Uv::find(std::env::var_os("PATH"))?;
    let here = PathBuf::from(".");
    let dir = match &args.uv_cache {
        Some(dir) => dir.clone(),
        None => uv.cache_dir(&here, &|name| std::env::var_os(name))?,
    };
    let dir =
        std::path::absolute(&dir).map_err(|source| Failure::System { what: dir.display().to_string(), source })?;
    match uv.layout(store) {
        Known::Known(layout) => Ok(UvSide::Known(UvCache::new(dir, layout))),
        Known::Unknown { why } => Ok(UvSide::Whole(KeptFolder::uv_cache(dir, &uv.version()?), why)),
    }
}

/// The folders that settings name.
pub(super) fn folders(store: &Store) -> Vec<KeptFolder> {
    let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(KeptFolder::named);
    store.options().folders.iter().filter_map(absolute).collect()
}

/// Says that uv's cache is kept as a whole.
pub(super) fn tell_whole(why: &str) {
    say(&format!("note: how this uv keeps its cache is not known ({why}): it is kept as a whole"));
}

/// A bar where people watch, else silence.
pub(super) fn progress(screen: &Screen) -> Box<dyn Progress> {
    use std::io::IsTerminal;
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if !std::io::stderr().is_terminal() || dumb || screen.silent() {
        return Box::new(Silent);
    }
    let width = terminal_size().map_or(80, |(columns, _)| usize::from(columns));
    Box::new(TransferBar::new(Box::new(std::io::stderr()), screen.err, width))
}

/// Prints a report as one document, its version at its top.
pub(super) fn print_document(report: &impl Serialize) {
    let mut document = json!({ "version": 1 });
    if let (Value::Object(document), Ok(Value::Object(report))) = (&mut document, serde_json::to_value(report)) {
        document.extend(report);
    }
    print(&format!("{document:#}\n"));
}
