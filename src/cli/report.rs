//! `noxide report`: HTML pages, text, Markdown, JSON and Perfetto files from records, and comparisons.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::last_run_data_dir;
use crate::fs::write_atomic;
use crate::output::OutputContext;
use crate::project::list_commits;
use crate::record::RunStore;
use crate::report::{
    ReportFormat, RunReport, compare_runs, open_page, read_failed_log_tails, resolve_comparison_target,
};

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
    /// Write html (with --compare: text), markdown, text, json or perfetto (for ui.perfetto.dev and chrome://tracing)
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "html", help_heading = "Output")]
    pub(crate) format: ReportFormat,
    /// Open the page in a browser
    #[arg(long, conflicts_with = "compare", help_heading = "Output")]
    pub(crate) open: bool,
    /// Write to FILE, `-` is standard output [default: .nox/.noxide/report.html, `-` for other formats]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
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
    if args.open && (args.format != ReportFormat::Html || args.output.as_deref() == Some(Path::new("-"))) {
        return Err(CliError::Usage(
            "--open needs a page in a file; use it without --format and `--output -`".to_owned(),
        ));
    }
    let (record, run_dir) = RunStore::load_run(store.as_ref(), &args.run)?;
    let earlier = store.as_ref().map(|store| store.records_before(&record.run_id, args.runs)).unwrap_or_default();
    let report = RunReport::from_record(&record, &earlier);
    let text = args.format.render_report(&report, &|| read_failed_log_tails(&record, &run_dir));
    let text = text.map_err(std::io::Error::other).context("cannot render the page")?;
    let is_html = args.format == ReportFormat::Html;
    let target = match (&args.output, store) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(store)) if is_html => Some(store.path().join("report.html")),
        _ => None,
    };
    write_report(args, target.as_deref(), &text, output)?;
    if let Some(page) = target.filter(|_| args.open) {
        open_page(&page).context("cannot open the page")?;
    }
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
    let Some(text) = args.format.render_comparison(&comparison) else {
        let message = "--compare cannot be written as perfetto; use --format text, markdown or json";
        return Err(CliError::Usage(message.to_owned()));
    };
    write_report(args, args.output.as_deref(), &text, output)?;
    Ok(ExitCode::from_check(args.check && comparison.has_slowdown()))
}

/// Writes a report to a file and prints its path, or to standard output.
fn write_report(args: &ReportArgs, target: Option<&Path>, text: &str, output: &OutputContext) -> Result<(), CliError> {
    let Some(path) = target.filter(|path| *path != Path::new("-")) else {
        // Pages, text and Markdown contain ends of logs; JSON has escapes.
        match args.format {
            ReportFormat::Json | ReportFormat::Perfetto => output.print_document(text),
            ReportFormat::Text => output.print_untrusted(&output.stdout_theme.replace_signs(text)),
            _ => output.print_untrusted(text),
        }
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
