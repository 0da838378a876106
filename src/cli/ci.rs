//! `noxide ci`: runs a CI job in one step: restores caches, runs sessions, saves caches, collects files.

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::loaded_project::environment_redactor;
use super::run::{RunCommandResult, run_sessions};
use super::run_args::CiArgs;
use super::shared_args::OutputFormat;
use crate::config::settings_root;
use crate::fs::write_atomic;
use crate::output::OutputContext;
use crate::provision::CacheProvisioner;
use crate::record::{collect_run_files, reset_collection_dir};
use crate::report::combine_coverage;
use crate::run::is_signal_exit;
use crate::text::{pluralize, to_single_line};
use std::path::{Path, PathBuf};

/// Runs a CI job and returns the exit code: the larger one of the run and the coverage check.
///
/// # Errors
/// When the run cannot start, or its files cannot be collected.
pub(super) fn run(args: &CiArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let dir = std::path::absolute(&args.ci.dir).context("cannot find --dir")?;
    reset_collection_dir(&dir).context("cannot use --dir")?;
    let mut run_args = args.run.clone();
    run_args.output.junit.get_or_insert_with(|| dir.join("junit.xml"));
    let RunCommandResult { mut exit_code, run_dir, mut provisioner } =
        run_sessions(&run_args, output, Some(&args.ci.remote))?;
    if let Some(run_dir) = &run_dir {
        collect_run_files(run_dir, &dir).context("cannot collect the files of the run")?;
    }
    let mut lines = Vec::new();
    if let Some(provisioner) = &mut provisioner {
        lines.extend(finish_cache(args, provisioner, &dir)?);
    }
    if args.ci.coverage && !is_signal_exit(exit_code.code()) {
        let (coverage_exit, coverage_lines) = check_coverage(args, run_dir, &dir);
        exit_code = exit_code.max(coverage_exit);
        lines.extend(coverage_lines);
    }
    lines.push(format!("collected in {}", args.ci.dir.display()));
    // A file name, or a message of coverage.py or of a server, may repeat what only a secret should contain.
    let redactor = environment_redactor();
    let lines: Vec<String> = lines.iter().map(|line| redactor.redact_text(line)).collect();
    print_summary(args, output, &lines);
    Ok(exit_code)
}

/// Uploads new packages, writes `cache.json` and, if requested, `noxide.sums`. Returns lines of the summary.
fn finish_cache(args: &CiArgs, provisioner: &mut CacheProvisioner, dir: &Path) -> Result<Vec<String>, CliError> {
    provisioner.finish_upload();
    // A server may repeat a request in its error message.
    let redactor = environment_redactor();
    let mut lines = provisioner.summary_lines();
    if args.ci.write_sums {
        match provisioner.write_checksums() {
            Ok(from_remote) if from_remote.is_empty() => {}
            Ok(from_remote) => lines.push(format!(
                "warning: noxide.sums contains {} that came from a remote cache, not from the index: {}; to be sure, write \
                 it with `--remote off` and an empty NOXIDE_CACHE_DIR and UV_CACHE_DIR",
                pluralize(from_remote.len(), "wheel"),
                from_remote.join(", ")
            )),
            Err(error) => lines.push(format!("warning: noxide.sums cannot be written: {error}")),
        }
    }
    let text = redactor.redact_text(&format!("{:#}\n", provisioner.to_json()));
    write_atomic(&dir.join("cache.json"), text.as_bytes()).context("cannot write cache.json")?;
    Ok(lines.into_iter().map(|line| format!("cache: {line}")).collect())
}

/// Combines coverage data and compares it with `--fail-under`. Returns an exit code and lines of the summary.
fn check_coverage(args: &CiArgs, run_dir: Option<PathBuf>, dir: &Path) -> (ExitCode, Vec<String>) {
    let root = settings_root(args.run.selection.noxfile.as_deref().map(Path::new));
    let directories: Vec<PathBuf> = std::iter::once(root).chain(run_dir).collect();
    let combined = match combine_coverage(&directories, &[], dir) {
        Ok(combined) => combined,
        Err(error) => {
            let line = format!("coverage: {error}");
            return (CliError::from(error).exit_code(), vec![line]);
        }
    };
    let is_low = combined.iter().any(|coverage| !coverage.reaches(args.ci.fail_under));
    let lines = combined.iter().map(|coverage| format!("coverage: {}", coverage.describe(args.ci.fail_under)));
    (ExitCode::from_check(is_low), lines.collect())
}

/// Prints the summary to standard output, or to standard error with `--format json`, and adds it to the job summary.
fn print_summary(args: &CiArgs, output: &OutputContext, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{}\n", to_single_line(line))).collect();
    match args.run.output.format {
        OutputFormat::Text => output.print(&text),
        OutputFormat::Json => output.print_to_stderr(text.trim_end()),
    }
    if let Err(error) = output.append_step_summary(lines) {
        output.warn(&format!("cannot write the job summary: {error}"));
    }
}
