//! Store, progress and reports shared by the subcommands of `noxide cache`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cache::store::{EntryDamage, FolderSpec, RestorePlan};
use crate::cache::{CacheOptions, NoProgress, ProgressReporter, Store};
use crate::cli::error::CliError;
use crate::cli::loaded_project::resolve_store_options;
use crate::cli::shared_args::OutputFormat;
use crate::config::{Settings, SettingsFlags, load_settings};
use crate::output::{CacheProgressBar, OutputContext, terminal_size};

/// Version of the JSON reports.
const REPORT_VERSION: u32 = 2;

/// Returns the options of the store from settings, environment and defaults.
pub(super) fn load_store_options() -> Result<CacheOptions, CliError> {
    let file = load_settings(Path::new(".")).map_err(CliError::Settings)?;
    let settings = Settings::resolve(&SettingsFlags::default(), &|name| std::env::var_os(name), file);
    Ok(resolve_store_options(&settings.map_err(CliError::Settings)?))
}

/// Opens the configured store.
pub(super) fn open_store() -> Result<Store, CliError> {
    Ok(Store::open(&load_store_options()?)?)
}

/// Returns the directories that settings name.
pub(super) fn configured_folders(store: &Store) -> Vec<FolderSpec> {
    let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(FolderSpec::from_settings);
    store.options().folders.iter().filter_map(absolute).collect()
}

/// Returns a progress bar on a terminal, else nothing.
pub(super) fn transfer_progress(output: &OutputContext) -> Box<dyn ProgressReporter> {
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if !std::io::stderr().is_terminal() || is_dumb || output.is_quiet() {
        return Box::new(NoProgress);
    }
    let width = terminal_size().map_or(80, |(columns, _)| usize::from(columns));
    Box::new(CacheProgressBar::new(Box::new(std::io::stderr()), output.stderr_theme, width))
}

/// Prints a report as text, or as a JSON document with a version.
pub(super) fn print_report(
    output: &OutputContext,
    format: OutputFormat,
    report: &impl Serialize,
    to_text: impl FnOnce() -> String,
) {
    if format == OutputFormat::Text {
        return output.print(&to_text());
    }
    let mut document = json!({ "version": REPORT_VERSION });
    if let (Value::Object(document), Ok(Value::Object(report))) = (&mut document, serde_json::to_value(report)) {
        document.extend(report);
    }
    output.print_json(&document);
}

/// Prints what would be restored.
pub(super) fn print_restore_plan(output: &OutputContext, format: OutputFormat, plan: &RestorePlan) {
    let amount = plan.total_amount();
    let document = json!({
        "entries": amount.entries, "files": amount.files, "bytes": amount.bytes,
        "already_present": plan.present, "misses": plan.misses, "damaged": plan.damaged,
    });
    print_report(output, format, &document, || plan.to_text());
}

/// Names each damaged file on standard error.
pub(super) fn print_damage(output: &OutputContext, damaged: &[EntryDamage]) {
    damaged.iter().for_each(|damage| output.print_error(&damage.to_text()));
}
