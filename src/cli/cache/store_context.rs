//! Store and reports shared by the subcommands of `noxide cache`.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cache::remote::WheelChecksums;
use crate::cache::store::{EntryDamage, RestorePlan};
use crate::cache::{Store, StoreOptions};
use crate::cli::error::{CliError, ErrorContext as _};
use crate::cli::loaded_project::resolve_store_options;
use crate::cli::shared_args::OutputFormat;
use crate::config::{Settings, SettingsFlags, load_settings};
use crate::output::OutputContext;

/// Version of the JSON reports.
const REPORT_VERSION: u32 = 2;

/// Returns the options of the store from settings, environment and defaults.
pub(super) fn load_store_options() -> Result<StoreOptions, CliError> {
    let file = load_settings(Path::new(".")).map_err(CliError::Settings)?;
    let settings = Settings::resolve(&SettingsFlags::default(), &|name| std::env::var_os(name), file);
    let options = resolve_store_options(&settings.map_err(CliError::Settings)?);
    Ok(StoreOptions { has_checksums: Path::new("noxide.sums").exists(), ..options })
}

/// Opens the configured store.
pub(super) fn open_store() -> Result<Store, CliError> {
    Ok(Store::open(&load_store_options()?)?)
}

/// Opens the configured store as the project in the working directory may use it: within its `noxide.sums`, if it has one.
pub(super) fn open_project_store() -> Result<Store, CliError> {
    let checksums = WheelChecksums::load(Path::new(".")).map_err(std::io::Error::other);
    let store = open_store()?;
    Ok(match checksums.context("cannot use noxide.sums")? {
        Some(checksums) => store.with_expected_trees(checksums.tree_digests()),
        None => store,
    })
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

/// Prints a restore plan for `--dry-run`.
pub(super) fn print_restore_plan(output: &OutputContext, format: OutputFormat, plan: &RestorePlan) {
    print_report(output, format, &plan.to_json(), || plan.to_text());
}

/// Prints each damaged file to standard error.
pub(super) fn print_damage(output: &OutputContext, damaged: &[EntryDamage]) {
    damaged.iter().for_each(|damage| output.print_to_stderr(&damage.to_text()));
}
