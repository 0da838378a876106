//! The store, uv and its cache, found and opened for a subcommand.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::args::UvArgs;
use crate::cache::store::FolderSpec;
use crate::cache::uv::UvLayoutSupport;
use crate::cache::{CacheOptions, NoProgress, ProgressReporter, Store, Uv, UvCache};
use crate::cli::error::CliError;
use crate::cli::loaded_project::resolve_store_options;
use crate::config::{Settings, SettingsFlags, load_settings};
use crate::output::CacheProgressBar;
use crate::output::print_stdout;
use crate::output::{OutputContext, print_stderr, terminal_size};

/// What settings, environment and defaults say of the store.
pub(super) fn load_store_options() -> Result<CacheOptions, CliError> {
    let file = load_settings(Path::new(".")).map_err(CliError::Settings)?;
    let settings = Settings::resolve(&SettingsFlags::default(), &|name| std::env::var_os(name), file);
    Ok(resolve_store_options(&settings.map_err(CliError::Settings)?))
}

/// The store as it is configured here.
pub(super) fn open_store() -> Result<Store, CliError> {
    Ok(Store::open(&load_store_options()?)?)
}

/// uv's cache, as far as noxide knows it.
pub(super) enum UvCacheAccess {
    /// Wheel by wheel.
    PerWheel(UvCache),
    /// As a whole, and why.
    WholeFolder(FolderSpec, String),
}

/// uv and its cache.
pub(super) fn open_uv_cache(args: &UvArgs, store: &Store) -> Result<UvCacheAccess, CliError> {
    let uv = Uv::find_in_path(std::env::var_os("PATH"))?;
    let here = PathBuf::from(".");
    let dir = match &args.uv_cache {
        Some(dir) => dir.clone(),
        None => uv.cache_dir(&here, &|name| std::env::var_os(name))?,
    };
    let dir =
        std::path::absolute(&dir).map_err(|source| CliError::Io { context: dir.display().to_string(), source })?;
    match uv.detect_layout(store) {
        UvLayoutSupport::Known(layout) => Ok(UvCacheAccess::PerWheel(UvCache::new(dir, layout))),
        UvLayoutSupport::Unknown { reason: why } => {
            Ok(UvCacheAccess::WholeFolder(FolderSpec::for_uv_cache(dir, &uv.version()?), why))
        }
    }
}

/// The folders that settings name.
pub(super) fn configured_folders(store: &Store) -> Vec<FolderSpec> {
    let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(FolderSpec::from_settings);
    store.options().folders.iter().filter_map(absolute).collect()
}

/// Says that uv's cache is kept as a whole.
pub(super) fn print_whole_cache_note(why: &str) {
    print_stderr(&format!("note: how this uv keeps its cache is not known ({why}): it is kept as a whole"));
}

/// A bar where people watch, else silence.
pub(super) fn transfer_progress(screen: &OutputContext) -> Box<dyn ProgressReporter> {
    use std::io::IsTerminal;
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if !std::io::stderr().is_terminal() || dumb || screen.is_quiet() {
        return Box::new(NoProgress);
    }
    let width = terminal_size().map_or(80, |(columns, _)| usize::from(columns));
    Box::new(CacheProgressBar::new(Box::new(std::io::stderr()), screen.stderr_styles, width))
}

/// Prints a report as one document, its version at its top.
pub(super) fn print_json(report: &impl Serialize) {
    let mut document = json!({ "version": 1 });
    if let (Value::Object(document), Ok(Value::Object(report))) = (&mut document, serde_json::to_value(report)) {
        document.extend(report);
    }
    print_stdout(&format!("{document:#}\n"));
}
