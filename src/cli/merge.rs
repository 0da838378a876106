//! `noxide merge`: what several runners recorded, folded into one run; their coverage, combined and held to a floor.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use walkdir::WalkDir;

use super::ci_flags::MergeArgs;
use super::coverage::{Coverage, combine, is_worth_a_look};
use super::failure::Failure;
use super::format::Format;
use super::listing::print;
use super::run::run_name;
use super::screen::{Screen, say};
use crate::fs::write_atomic;
use crate::output::{duration, reporters};
use crate::record::{Folder, MergePlan, RECORD_VERSION, Record, retold, write_record};
use crate::report::junit;

/// Files in a folder of runs deeper than this are not looked for.
const DEPTH: usize = 8;

/// Folds what runners left, and gives the exit code: 1 where a session failed, is missing, or too little is covered.
///
/// # Errors
/// When there is nothing to fold, or the result cannot be written.
pub(super) fn merge(args: &MergeArgs, screen: &Screen) -> Result<u8, Failure> {
    let runs = runs(&args.folders)?;
    if runs.is_empty() && !args.coverage {
        let folders: Vec<String> = args.folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(Failure::NoRun(format!("no run is recorded below {}", folders.join(", "))));
    }
    let mut document = json!({ "version": 1 });
    let mut exit = 0;
    let mut target = args.dir.clone();
    if !runs.is_empty() {
        let (folder, code) = fold(args, &runs, screen, &mut document)?;
        target.get_or_insert(folder);
        exit = code;
    }
    if args.coverage {
        let target = target.unwrap_or_else(|| PathBuf::from(".noxide/coverage"));
        let roots: Vec<&Path> = runs.iter().map(|(_, record)| record.root.as_path()).collect();
        let here = [PathBuf::from(".")];
        let mut folders = if args.folders.is_empty() { here.to_vec() } else { args.folders.clone() };
        folders.extend(runs.iter().map(|(run, _)| run.clone()));
        let coverage = combine(&folders, &roots, &target)?;
        exit = exit.max(judged(args, &coverage, &mut document));
    }
    if args.format == Format::Json {
        print(&format!("{document:#}\n"));
    }
    Ok(exit)
}

/// Writes the merged run, shows it, and gives its folder and exit code.
fn fold(
    args: &MergeArgs,
    runs: &[(PathBuf, Record)],
    screen: &Screen,
    document: &mut Value,
) -> Result<(PathBuf, u8), Failure> {
    let records: Vec<Record> = runs.iter().map(|(_, record)| record.clone()).collect();
    let folders: Vec<PathBuf> = runs.iter().map(|(folder, _)| folder.clone()).collect();
    let name = run_name();
    let written = |source| Failure::System { what: "cannot write the merged run".to_owned(), source };
    let Some(mut plan) = MergePlan::new(&records, &name) else { return Ok((PathBuf::new(), 0)) };
    for name in &plan.missing {
        plan.record.notices.push(format!("{name} is in no record"));
    }
    if !plan.missing.is_empty() {
        plan.record.exit = plan.record.exit.map(|exit| exit.max(1));
    }
    if !plan.absent.is_empty() {
        plan.record.notices.push(format!("shards without a record: {}", plan.absent.join(", ")));
    }
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => Folder::open(Path::new(".")).map_err(written)?.run(&name),
    };
    fs_err::create_dir_all(folder.join("logs")).map_err(written)?;
    plan.apply(&folders, &folder).map_err(written)?;
    let events = retold(&plan.record);
    let mut lines = Vec::new();
    for event in &events {
        serde_json::to_writer(&mut lines, event).map_err(|error| written(error.into()))?;
        lines.push(b'\n');
    }
    write_atomic(&folder.join("events.jsonl"), &lines).map_err(written)?;
    if let Some(path) = &args.junit {
        let junit = junit(&plan.record, &folder);
        junit.passed_over.iter().for_each(|why| say(&format!("warning: {why}")));
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or(Ok(()), fs_err::create_dir_all).and_then(|()| write_atomic(path, &junit.xml)).map_err(written)?;
    }
    // Last: a folder with a record is a whole run.
    write_record(&folder, &plan.record).map_err(written)?;
    let json = args.format == Format::Json;
    if json {
        document["run"] = serde_json::to_value(&plan.record).unwrap_or_default();
        document["folder"] = json!(folder.display().to_string());
        document["missing"] = json!(plan.missing);
        document["absent"] = json!(plan.absent);
    } else {
        let mut output = screen.output(None, false, &name);
        output.board = false;
        let mut reporters = reporters::open(&output, screen.streams(None));
        let shown = crate::output::replay(&mut lines.as_slice(), &folder, &mut reporters);
        shown.map_err(|source| Failure::System { what: "cannot show the merged run".to_owned(), source })?;
        let wall = duration(plan.record.wall);
        print(&format!("{} runs of {wall} merged into {}\n", records.len(), folder.display()));
    }
    Ok((folder, plan.record.exit.unwrap_or(1)))
}

/// Says how much is covered and whether that is enough.
fn judged(args: &MergeArgs, coverage: &[Coverage], document: &mut Value) -> u8 {
    let mut exit = 0;
    for found in coverage {
        let enough = args.fail_under.is_none_or(|floor| found.hundredths() >= floor.0);
        exit = exit.max(u8::from(!enough));
        if args.format == Format::Text {
            let floor = args.fail_under.map(|floor| f64::from(floor.0) / 100.0);
            let verdict = match floor {
                Some(floor) if enough => format!(", {floor} % asked"),
                Some(floor) => format!(", less than the {floor} % asked"),
                None => String::new(),
            };
            let files = if found.files == 1 { "1 data file".to_owned() } else { format!("{} data files", found.files) };
            print(&format!(
                "coverage {:.2} % ({}, {files}{verdict}), in {}\n",
                found.percent,
                found.tool,
                found.path.display()
            ));
        }
    }
    let row = |found: &Coverage| {
        let path = found.path.display().to_string();
        json!({ "tool": found.tool, "percent": found.percent, "files": found.files, "path": path })
    };
    document["coverage"] = coverage.iter().map(row).collect();
    document["fail_under"] = json!(args.fail_under.map(|floor| f64::from(floor.0) / 100.0));
    exit
}

/// The runs below folders; of those that one `.noxide` keeps only the newest. An artefact that is not there yet is
/// named, and so is a record that cannot be read.
fn runs(folders: &[PathBuf]) -> Result<Vec<(PathBuf, Record)>, Failure> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            let source = std::io::ErrorKind::NotADirectory.into();
            return Err(Failure::Folder { path: folder.clone(), source });
        }
        let walk = WalkDir::new(folder).max_depth(DEPTH).sort_by_file_name().into_iter();
        let records = walk.filter_entry(is_worth_a_look).flatten().filter(|entry| entry.file_name() == "record.json");
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
        let refused = |why: String| Failure::NoRun(format!("{}: {why}", path.display()));
        let bytes = fs_err::read(&path).map_err(|error| refused(error.to_string()))?;
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
        match record.version {
            RECORD_VERSION => Ok((run, record)),
            other => Err(refused(format!("version {other} is not known to this noxide"))),
        }
    };
    found.into_iter().map(read).collect()
}
