//! `noxide report`: HTML pages, text, Markdown, JSON and Perfetto files from records, and comparisons.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::last_run_data_dir;
use crate::fs::write_atomic;
use crate::output::{OutputContext, log_tail_text};
use crate::project::list_commits;
use crate::record::{RunRecord, RunStore};
use crate::report::{
    FailedLogTail, LogTailBudget, RunReport, build_perfetto_trace, compare_runs, render_markdown, render_page,
    render_text, resolve_comparison_target,
};
use crate::text::to_safe_lines;

/// Lines of a failed session's log.
const MAX_LOG_LINES: usize = 200;
/// Commits of a branch that are searched for runs.
const MAX_COMMITS_BACK: usize = 500;

/// Flags of `noxide report`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportArgs {
    /// Run to report: its identifier, the start of it, `last`, or a record file
    #[arg(value_name = "RUN", default_value = "last", help_heading = "Selection")]
    pub(crate) run: String,
    /// Include up to N earlier runs
    #[arg(long, value_name = "N", default_value_t = 99, help_heading = "Selection")]
    pub(crate) runs: usize,
    /// Compare two runs, commits, branches or record files: before and after
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with = "run", help_heading = "Comparison")]
    pub(crate) compare: Option<Vec<String>>,
    /// Exit with 1 if something is significantly slower
    #[arg(long, requires = "compare", help_heading = "Comparison")]
    pub(crate) check: bool,
    /// Write html, markdown, text, json or perfetto (for ui.perfetto.dev and chrome://tracing)
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "html", help_heading = "Output")]
    pub(crate) format: ReportFormat,
    /// Write to FILE, `-` is standard output [default: .nox/.noxide/report.html, `-` for other formats]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

/// Format of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    /// One self-contained page.
    #[default]
    Html,
    /// For a merge request.
    #[value(alias = "md")]
    Markdown,
    /// For a terminal.
    Text,
    /// One JSON document with a `version` key.
    Json,
    /// Chrome's trace event format.
    Perfetto,
}

/// Writes a report of one run, or a comparison.
///
/// # Errors
/// When there is no such run, its record cannot be read, or the report cannot be written.
pub(super) fn run(args: &ReportArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = RunStore::open_existing(last_run_data_dir(Path::new(".")));
    if let Some([before, after]) = args.compare.as_deref() {
        return write_comparison(args, [before, after], store.as_ref(), output);
    }
    let (record, run_dir) = RunStore::load_run(store.as_ref(), &args.run)?;
    let earlier = store.as_ref().map(|store| store.records_before(&record.run_id, args.runs)).unwrap_or_default();
    let report = RunReport::from_record(&record, &earlier);
    let log_tails = || failure_log_tails(&record, &run_dir);
    let text = match args.format {
        ReportFormat::Html => {
            let page = render_page(&report, &log_tails()).map_err(std::io::Error::other);
            // Names may contain them; a page has no use for any.
            page.context("cannot render the page")?.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "")
        }
        ReportFormat::Markdown => render_markdown(&report, &log_tails()),
        ReportFormat::Text => to_safe_lines(&render_text(&report)),
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
        ReportFormat::Perfetto => format!("{}\n", build_perfetto_trace(&report)),
    };
    let is_html = args.format == ReportFormat::Html;
    let target = match (&args.output, store) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(store)) if is_html => Some(store.path().join("report.html")),
        _ => None,
    };
    write_report(target.as_deref(), &text, output)?;
    Ok(ExitCode::SUCCESS)
}

fn write_comparison(
    args: &ReportArgs,
    names: [&String; 2],
    store: Option<&RunStore>,
    output: &OutputContext,
) -> Result<ExitCode, CliError> {
    let commits = |name: &str| list_commits(Path::new("."), name, MAX_COMMITS_BACK);
    let [before, after] = names.map(|name| resolve_comparison_target(name, store, &commits));
    let comparison = compare_runs(&before?, &after?);
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", serde_json::to_value(&comparison).unwrap_or_default()),
        ReportFormat::Markdown => comparison.to_markdown(),
        ReportFormat::Html | ReportFormat::Text => to_safe_lines(&comparison.to_text()),
        ReportFormat::Perfetto => {
            let message = "--compare cannot be written as perfetto; use --format text, markdown or json";
            return Err(CliError::Usage(message.to_owned()));
        }
    };
    write_report(args.output.as_deref(), &text, output)?;
    Ok(ExitCode::from_check(args.check && comparison.has_slowdown()))
}

/// Writes a report to a file and prints its path, or to standard output.
fn write_report(target: Option<&Path>, text: &str, output: &OutputContext) -> Result<(), CliError> {
    let Some(path) = target.filter(|path| *path != Path::new("-")) else {
        output.print_document(text);
        return Ok(());
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), fs_err::create_dir_all)
        .and_then(|()| write_atomic(path, text.as_bytes()))
        .context("cannot write the report")?;
    output.status(&format!("report: {}", path.display()));
    Ok(())
}

/// Reads the ends of the logs of failed sessions.
fn failure_log_tails(record: &RunRecord, run_dir: &Path) -> Vec<FailedLogTail> {
    let mut budget = LogTailBudget::default();
    let mut tails = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last_attempt().filter(|_| result.outcome.is_failure()) else { continue };
        let tail = log_tail_text(&run_dir.join(&last.log), last.log_bytes, MAX_LOG_LINES);
        let Ok((lines, omitted_note)) = tail else { continue };
        let lines = budget.shorten(lines);
        tails.push(FailedLogTail { session: result.session.as_str().to_owned(), lines, omitted_note });
    }
    tails
}
