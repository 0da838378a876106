//! `noxide cache restore -s` and `save -s`: dependencies of single sessions.

use serde_json::json;

use super::args::{CacheRestoreArgs, CacheSaveArgs, UvArgs};
use super::store_context::{print_damage, print_report, print_restore_plan};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::loaded_project::{LoadOptions, LoadedProject};
use crate::cli::shared_args::OutputFormat;
use crate::output::OutputContext;
use crate::project::NoxfileManifest;
use crate::provision::{CacheProvisioner, Provisioner as _, SessionCacheStats};

/// Restores the packages of the selected sessions. Fails with `--require` if one is missing.
///
/// # Errors
/// With flags that select packages of uv.lock. When the project cannot be loaded, or the store or uv cannot be used.
pub(super) fn restore(args: &CacheRestoreArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let names_packages = [&args.extra, &args.group, &args.package].iter().any(|names| !names.is_empty());
    if names_packages || args.all || args.interpreter.is_some() {
        let message =
            "--extra, --group, --package, --all and --interpreter select packages of uv.lock, not of sessions";
        return Err(CliError::Usage(message.to_owned()));
    }
    let mut options = LoadOptions::from_args(&args.load);
    options.flags.locked = args.lock_file.locked_override();
    options.flags.max_age = args.max_age;
    let (manifest, mut provisioner) = open_provisioner(options, &args.uv, output)?;
    if args.dry_run {
        print_restore_plan(output, args.format, &provisioner.plan_restore(&manifest.queue));
        return Ok(ExitCode::SUCCESS);
    }
    let progress = output.transfer_progress();
    let mut stats = SessionCacheStats::default();
    for id in &manifest.queue {
        let result = provisioner.provision_session(*id, &*progress);
        result.notices.iter().for_each(|notice| output.note(notice));
        stats.add(&manifest.sessions[id.0].name, result.cache);
    }
    let report = provisioner.restore_report();
    let mut document = json!(report);
    document["sessions"] = stats.to_json();
    print_report(output, args.format, &document, || stats.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(args.require && stats.has_misses()))
}

/// Saves the packages in the environments of the selected sessions. Fails if one is damaged.
///
/// # Errors
/// When the project cannot be loaded, or the store or uv cannot be used.
pub(super) fn save(args: &CacheSaveArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let (manifest, mut provisioner) = open_provisioner(LoadOptions::from_args(&args.load), &args.uv, output)?;
    provisioner.save_sessions(&manifest.queue, &*output.transfer_progress());
    provisioner.take_warnings().iter().for_each(|warning| output.warn(warning));
    let report = provisioner.save_report();
    print_report(output, args.format, report, || report.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(!report.damaged.is_empty()))
}

fn open_provisioner(
    options: LoadOptions<'_>,
    uv: &UvArgs,
    output: &OutputContext,
) -> Result<(NoxfileManifest, CacheProvisioner), CliError> {
    let project = LoadedProject::load(options, output)?;
    project.notices.iter().for_each(|notice| output.note(notice));
    let provisioner = CacheProvisioner::open(&project.provision_inputs(None, uv.uv_cache.as_deref(), &[]));
    let manifest = project.manifest.clone();
    project.close();
    Ok((manifest, provisioner?))
}
