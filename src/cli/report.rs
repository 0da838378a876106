//! `noxide report`: what records say, as a page, in words, for programs, and one against another.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::compare_target::resolve_compare_target;
use super::error::CliError;
use super::output_context::{OutputContext, print_stderr};
use super::replay::find_run;
use super::report_args::{ReportArgs, ReportFormat};
use crate::fs::write_atomic;
use crate::output::log_tail_text;
use crate::record::{RunRecord, RunStore};
use crate::report::{
    FailedLogTail, RunReport, build_perfetto_trace, compare_runs, render_markdown, render_page, render_text,
};

/// Lines of a failed session's log.
const MAX_LOG_LINES: usize = 200;
/// Characters of one line of it.
const MAX_LINE_CHARS: usize = 1_000;
/// Bytes of all logs together: a page has to stay small.
const MAX_LOG_BYTES: usize = 192 * 1024;

/// Writes a report of one run.
///
/// # Errors
/// When there is no such run, its record cannot be read, or the report cannot be written.
pub(super) fn report_run(args: &ReportArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let folder = RunStore::open_existing(Path::new("."));
    if let Some([before, after]) = args.compare.as_deref() {
        return write_comparison(args, [before, after], folder.as_ref(), screen);
    }
    let (record, place) = load_run(&args.run, folder.as_ref())?;
    let earlier = folder.as_ref().map(|folder| load_earlier_records(folder, &record, args.history)).unwrap_or_default();
    let report = RunReport::from_record(&record, &earlier);
    let tails = || failure_log_tails(&record, &place);
    let text = match args.format {
        ReportFormat::Html => render_page(&report, &tails()).map_err(|error| CliError::Io {
            context: "cannot make the page".to_owned(),
            source: std::io::Error::other(error),
        })?,
        ReportFormat::Markdown => render_markdown(&report, &tails()),
        ReportFormat::Text => render_text(&report),
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
        ReportFormat::Trace => format!("{}\n", build_perfetto_trace(&report)),
    };
    let html = args.format == ReportFormat::Html;
    let target = match (&args.output, folder) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(folder)) if html => Some(folder.path().join("report.html")),
        _ => None,
    };
    write_output(target.as_deref(), &text, screen)?;
    Ok(0)
}

/// Writes a comparison.
fn write_comparison(
    args: &ReportArgs,
    names: [&String; 2],
    folder: Option<&RunStore>,
    screen: &OutputContext,
) -> Result<u8, CliError> {
    let [before, after] = names.map(|name| resolve_compare_target(name, folder));
    let comparison = compare_runs(&before?, &after?);
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&comparison).unwrap_or_default()),
        ReportFormat::Markdown => comparison.to_markdown(),
        ReportFormat::Html | ReportFormat::Text => comparison.to_text(),
        ReportFormat::Trace => {
            return Err(CliError::Usage("a comparison has no trace: text, markdown or json".to_owned()));
        }
    };
    write_output(args.output.as_deref(), &text, screen)?;
    Ok(u8::from(args.check && comparison.has_slowdown()))
}

/// Writes to a file and says so, or to the standard output.
pub(super) fn write_output(target: Option<&Path>, text: &str, screen: &OutputContext) -> Result<(), CliError> {
    let Some(path) = target.filter(|path| *path != Path::new("-")) else {
        // A reader that left is no reason to fail.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(());
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .map_err(|source| CliError::Io { context: "cannot write the report".to_owned(), source })?;
    if !screen.is_quiet() {
        print_stderr(&format!("report: {}", path.display()));
    }
    Ok(())
}

/// The record that goes by a name, and the folder its logs are in.
pub(super) fn load_run(name: &str, folder: Option<&RunStore>) -> Result<(RunRecord, PathBuf), CliError> {
    let path = Path::new(name);
    if path.is_file() {
        let record = RunRecord::read(path).map_err(|error| CliError::InvalidInput(error.to_string()))?;
        return Ok((record, path.parent().unwrap_or(Path::new(".")).to_path_buf()));
    }
    let folder =
        folder.ok_or_else(|| CliError::InvalidInput("no run is recorded here: there is no .noxide".to_owned()))?;
    let run = if name == "last" { newest_finished_run(folder)? } else { find_run(folder, name)? };
    let record = folder.read_record(&run).map_err(|error| CliError::InvalidInput(error.to_string()))?;
    Ok((record, folder.run_dir(&run)))
}

/// The newest run that is over.
fn newest_finished_run(folder: &RunStore) -> Result<String, CliError> {
    let over = |run: &String| folder.run_dir(run).join("record.json").exists();
    let none = || CliError::InvalidInput("no run is recorded here".to_owned());
    folder.run_ids().into_iter().rev().find(over).ok_or_else(none)
}

/// Records before this one, newest first.
fn load_earlier_records(folder: &RunStore, record: &RunRecord, most: usize) -> Vec<RunRecord> {
    let runs = folder.run_ids();
    let before = runs.iter().rev().filter(|run| **run < record.run_id);
    before.filter_map(|run| folder.read_record(run).ok()).take(most).collect()
}

/// The ends of the logs of what failed.
fn failure_log_tails(record: &RunRecord, place: &Path) -> Vec<FailedLogTail> {
    let mut room = MAX_LOG_BYTES;
    let mut tails = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last_attempt().filter(|_| result.outcome.is_failure()) else { continue };
        let Ok((lines, above)) = log_tail_text(&place.join(&last.log), last.log_bytes, MAX_LOG_LINES) else { continue };
        let mut lines: Vec<String> =
            lines.into_iter().map(|line| line.chars().take(MAX_LINE_CHARS).collect()).collect();
        let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        while size(&lines) > room && !lines.is_empty() {
            lines.drain(..lines.len().div_ceil(2));
        }
        room -= size(&lines);
        tails.push(FailedLogTail { session: result.session.as_str().to_owned(), lines, omitted_note: above });
    }
    tails
}
