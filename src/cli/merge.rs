//! `noxide merge`: what several runners recorded, folded into one run; their coverage, combined and held to a floor.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use walkdir::WalkDir;

use super::ci_args::MergeArgs;
use super::coverage::{CombinedCoverage, combine_coverage, should_search};
use super::error::CliError;
use super::list::print_stdout;
use super::output_context::{OutputContext, print_stderr};
use super::output_format::OutputFormat;
use super::run::new_run_id;
use crate::fs::write_atomic;
use crate::output::reporters;
use crate::record::{MergePlan, RECORD_VERSION, RunRecord, RunStore, reconstruct_events, write_record};
use crate::report::build_junit_report;
use crate::text::{format_duration, pluralize};

/// Files in a folder of runs deeper than this are not looked for.
const MAX_SEARCH_DEPTH: usize = 8;

/// Folds what runners left, and gives the exit code: 1 where a session failed, is missing, or too little is covered.
///
/// # Errors
/// When there is nothing to fold, or the result cannot be written.
pub(super) fn merge_runs(args: &MergeArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let runs = find_runs(&args.folders)?;
    if runs.is_empty() && !args.coverage {
        let folders: Vec<String> = args.folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(CliError::InvalidInput(format!("no run is recorded below {}", folders.join(", "))));
    }
    let mut document = json!({ "version": 1 });
    let mut exit = 0;
    let mut target = args.dir.clone();
    if !runs.is_empty() {
        let (folder, code) = write_merged_run(args, &runs, screen, &mut document)?;
        target.get_or_insert(folder);
        exit = code;
    }
    if args.coverage {
        let target = target.unwrap_or_else(|| PathBuf::from(".noxide/coverage"));
        let roots: Vec<&Path> = runs.iter().map(|(_, record)| record.root.as_path()).collect();
        let here = [PathBuf::from(".")];
        let mut folders = if args.folders.is_empty() { here.to_vec() } else { args.folders.clone() };
        folders.extend(runs.iter().map(|(run, _)| run.clone()));
        let coverage = combine_coverage(&folders, &roots, &target)?;
        exit = exit.max(check_coverage_floor(args, &coverage, &mut document));
    }
    if args.format == OutputFormat::Json {
        print_stdout(&format!("{document:#}\n"));
    }
    Ok(exit)
}

/// Writes the merged run, shows it, and gives its folder and exit code.
fn write_merged_run(
    args: &MergeArgs,
    runs: &[(PathBuf, RunRecord)],
    screen: &OutputContext,
    document: &mut Value,
) -> Result<(PathBuf, u8), CliError> {
    let records: Vec<RunRecord> = runs.iter().map(|(_, record)| record.clone()).collect();
    let folders: Vec<PathBuf> = runs.iter().map(|(folder, _)| folder.clone()).collect();
    let name = new_run_id();
    let written = |source| CliError::Io { context: "cannot write the merged run".to_owned(), source };
    let Some(mut plan) = MergePlan::from_records(&records, &name) else { return Ok((PathBuf::new(), 0)) };
    for name in &plan.missing_sessions {
        plan.record.notices.push(format!("{name} is in no record"));
    }
    if !plan.missing_sessions.is_empty() {
        plan.record.exit = plan.record.exit.map(|exit| exit.max(1));
    }
    if !plan.missing_shards.is_empty() {
        plan.record.notices.push(format!("shards without a record: {}", plan.missing_shards.join(", ")));
    }
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => RunStore::open(Path::new(".")).map_err(written)?.run_dir(&name),
    };
    fs_err::create_dir_all(folder.join("logs")).map_err(written)?;
    plan.copy_files(&folders, &folder).map_err(written)?;
    let events = reconstruct_events(&plan.record);
    let mut lines = Vec::new();
    for event in &events {
        serde_json::to_writer(&mut lines, event).map_err(|error| written(error.into()))?;
        lines.push(b'\n');
    }
    write_atomic(&folder.join("events.jsonl"), &lines).map_err(written)?;
    if let Some(path) = &args.junit {
        let junit = build_junit_report(&plan.record, &folder);
        junit.skipped_files.iter().for_each(|why| print_stderr(&format!("warning: {why}")));
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or(Ok(()), fs_err::create_dir_all).and_then(|()| write_atomic(path, &junit.xml)).map_err(written)?;
    }
    // Last: a folder with a record is a whole run.
    write_record(&folder, &plan.record).map_err(written)?;
    let json = args.format == OutputFormat::Json;
    if json {
        document["run"] = serde_json::to_value(&plan.record).unwrap_or_default();
        document["folder"] = json!(folder.display().to_string());
        document["missing"] = json!(plan.missing_sessions);
        document["absent"] = json!(plan.missing_shards);
    } else {
        let mut output = screen.output_options(None, false, &name);
        output.is_interactive = false;
        let mut reporters = reporters::open_reporters(&output, screen.open_streams(None));
        let shown = crate::output::replay_events(&mut lines.as_slice(), &folder, &mut reporters);
        shown.map_err(|source| CliError::Io { context: "cannot show the merged run".to_owned(), source })?;
        let wall = format_duration(plan.record.wall);
        print_stdout(&format!("{} of {wall} merged into {}\n", pluralize(records.len(), "run"), folder.display()));
    }
    Ok((folder, plan.record.exit.unwrap_or(1)))
}

/// Says how much is covered and whether that is enough.
fn check_coverage_floor(args: &MergeArgs, coverage: &[CombinedCoverage], document: &mut Value) -> u8 {
    let mut exit = 0;
    for found in coverage {
        let enough = args.fail_under.is_none_or(|floor| found.percent_hundredths() >= floor.0);
        exit = exit.max(u8::from(!enough));
        if args.format == OutputFormat::Text {
            let floor = args.fail_under.map(|floor| f64::from(floor.0) / 100.0);
            let verdict = match floor {
                Some(floor) if enough => format!(", {floor} % asked"),
                Some(floor) => format!(", less than the {floor} % asked"),
                None => String::new(),
            };
            let files = pluralize(found.files, "data file");
            print_stdout(&format!(
                "coverage {:.2} % ({}, {files}{verdict}), in {}\n",
                found.percent,
                found.tool,
                found.path.display()
            ));
        }
    }
    let row = |found: &CombinedCoverage| {
        let path = found.path.display().to_string();
        json!({ "tool": found.tool, "percent": found.percent, "files": found.files, "path": path })
    };
    document["coverage"] = coverage.iter().map(row).collect();
    document["fail_under"] = json!(args.fail_under.map(|floor| f64::from(floor.0) / 100.0));
    exit
}

/// The runs below folders; of those that one `.noxide` keeps only the newest. An artefact that is not there yet is
/// named, and so is a record that cannot be read.
fn find_runs(folders: &[PathBuf]) -> Result<Vec<(PathBuf, RunRecord)>, CliError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            let source = std::io::ErrorKind::NotADirectory.into();
            return Err(CliError::WorkingDirectory { path: folder.clone(), source });
        }
        let walk = WalkDir::new(folder).max_depth(MAX_SEARCH_DEPTH).sort_by_file_name().into_iter();
        let records = walk.filter_entry(should_search).flatten().filter(|entry| entry.file_name() == "record.json");
        let mut here: Vec<PathBuf> = records.filter_map(|entry| entry.path().parent().map(Path::to_path_buf)).collect();
        here.sort();
        here.dedup();
        let newest = |run: &&PathBuf| {
            let kept = run.parent().filter(|parent| parent.ends_with(".noxide/runs"));
            kept.is_none_or(|kept| here.iter().filter(|other| other.parent() == Some(kept)).max() == Some(*run))
        };
        for run in here.iter().filter(newest) {
            if !found.contains(run) {
                found.push(run.clone());
            }
        }
    }
    let read = |run: PathBuf| {
        let path = run.join("record.json");
        let refused = |why: String| CliError::InvalidInput(format!("{}: {why}", path.display()));
        let bytes = fs_err::read(&path).map_err(|error| refused(error.to_string()))?;
        let record: RunRecord = serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
        match record.version {
            RECORD_VERSION => Ok((run, record)),
            other => Err(refused(format!("version {other} is not known to this noxide"))),
        }
    };
    found.into_iter().map(read).collect()
}
