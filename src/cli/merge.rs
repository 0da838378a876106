//! `noxide merge`: merges the runs of several runners and their coverage.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::loaded_project::environment_redactor;
use super::shared_args::{OutputFormat, last_run_data_dir};
use crate::output::OutputContext;
use crate::record::{MergePlan, RunLookupError, RunRecord, RunStore, find_runs_below, new_run_id};
use crate::report::{CombinedCoverage, CoverageFloor, combine_coverage, write_junit_report};
use crate::text::{format_duration, pluralize};

/// Flags of `noxide merge`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeArgs {
    /// Directories to search for runs: run directories, `.nox/.noxide`, or directories that contain them
    #[arg(value_name = "DIR", required_unless_present = "coverage", help_heading = "Selection")]
    pub(crate) directories: Vec<PathBuf>,
    /// Write the merged run to DIR [default: a new run in .nox/.noxide]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) dir: Option<PathBuf>,
    /// Write a JUnit report of the merged run to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) junit: Option<PathBuf>,
    /// Combine coverage data of coverage.py and slipcover, from the DIRs or, without any, from the project
    #[arg(long, help_heading = "Coverage")]
    pub(crate) coverage: bool,
    /// Fail if combined coverage is below PERCENT
    #[arg(long, value_name = "PERCENT", requires = "coverage", help_heading = "Coverage")]
    pub(crate) fail_under: Option<CoverageFloor>,
    /// Print the result as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
}

/// Merges the runs and returns the exit code: 1 if a session failed or is missing, or coverage is below `--fail-under`.
///
/// # Errors
/// When there is nothing to merge, or the result cannot be written.
pub(super) fn run(args: &MergeArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let runs = find_runs_below(&args.directories)?;
    if let ([], false, Some(directory)) = (runs.as_slice(), args.coverage, args.directories.first()) {
        return Err(RunLookupError::NoRuns { dir: directory.clone() }.into());
    }
    let mut document = json!({ "version": 1 });
    let mut exit_code = ExitCode::SUCCESS;
    let mut target = args.dir.clone();
    if !runs.is_empty() {
        let (directory, code) = write_merged_run(args, &runs, output, &mut document)?;
        target.get_or_insert(directory);
        exit_code = code;
    }
    if args.coverage {
        let target = target.unwrap_or_else(|| last_run_data_dir(Path::new(".")).join("coverage"));
        let roots: Vec<&Path> = runs.iter().map(|(_, record)| record.root.as_path()).collect();
        let mut directories =
            if args.directories.is_empty() { vec![PathBuf::from(".")] } else { args.directories.clone() };
        directories.extend(runs.iter().map(|(run, _)| run.clone()));
        let coverage = combine_coverage(&directories, &roots, &target)?;
        if args.format == OutputFormat::Text {
            for combined in &coverage {
                let figures = combined.describe(args.fail_under);
                output.print(&format!("coverage {figures}, in {}\n", combined.path.display()));
            }
        }
        document["coverage"] = coverage.iter().map(CombinedCoverage::to_json).collect();
        document["fail_under"] = json!(args.fail_under.map(CoverageFloor::percent));
        let is_low = coverage.iter().any(|combined| !combined.reaches(args.fail_under));
        exit_code = exit_code.max(ExitCode::from_check(is_low));
    }
    if args.format == OutputFormat::Json {
        output.print_json(&document);
    }
    Ok(exit_code)
}

/// Writes and prints the merged run, and returns its directory and exit code.
fn write_merged_run(
    args: &MergeArgs,
    runs: &[(PathBuf, RunRecord)],
    output: &OutputContext,
    document: &mut Value,
) -> Result<(PathBuf, ExitCode), CliError> {
    let records: Vec<RunRecord> = runs.iter().map(|(_, record)| record.clone()).collect();
    let directories: Vec<PathBuf> = runs.iter().map(|(directory, _)| directory.clone()).collect();
    let id = new_run_id();
    let Some(mut plan) = MergePlan::from_records(&records, &id) else {
        return Ok((PathBuf::new(), ExitCode::SUCCESS));
    };
    plan.add_missing_notices();
    let directory = match &args.dir {
        Some(directory) => directory.clone(),
        None => RunStore::open(last_run_data_dir(Path::new("."))).context("cannot write the merged run")?.run_dir(&id),
    };
    plan.write(&directories, &directory).context("cannot write the merged run")?;
    if let Some(path) = &args.junit {
        let redactor = environment_redactor();
        let written = write_junit_report(path, &plan.record, &directory, &|text| redactor.redact_text(text));
        let skipped = written.context("cannot write the JUnit report")?;
        skipped.iter().for_each(|warning| output.warn(warning));
    }
    if args.format == OutputFormat::Json {
        document["run"] = serde_json::to_value(&plan.record).unwrap_or_default();
        document["directory"] = json!(directory.display().to_string());
        document["missing_sessions"] = json!(plan.missing_sessions);
        document["missing_shards"] = json!(plan.missing_shards);
    } else {
        output.replay_run(&directory, None, false).context("cannot print the merged run")?;
        let (runs, wall) = (pluralize(records.len(), "run"), format_duration(plan.record.wall_ms));
        output.print(&format!("merged {runs} into {}: {wall}\n", directory.display()));
    }
    Ok((directory, plan.record.exit_code.map_or(ExitCode::FAILURE, ExitCode::from)))
}
