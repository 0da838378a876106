//! The command line from its words to an exit code.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Cli, CliCommand, OutputFormat};
use super::error::CliError;
use super::output_context::{OutputContext, print_stderr, terminal_size};
use super::{bench, ci, gate, history, list, matrix, merge, replay, report, run, trace};
use crate::output::errors_document;

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    // A file at the limit of its size is an error to be told, not the end; a program that noxide starts dies as ever.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let cli = match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stream is no reason to fail twice.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let screen = OutputContext::new(&cli.global);
    match execute_command(&cli, &screen) {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            report_error(&failure, &screen, wants_json(&cli.command));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute_command(cli: &Cli, screen: &OutputContext) -> Result<u8, CliError> {
    if let Some(path) = cli.global.directory.clone() {
        std::env::set_current_dir(&path).map_err(|source| CliError::WorkingDirectory { path, source })?;
    }
    match &cli.command {
        CliCommand::Run(args) => run::run_sessions(args, screen, None).map(|ended| ended.exit_code),
        CliCommand::Ci(args) => ci::run_ci_job(args, screen),
        CliCommand::List(args) => list::list_sessions(args, screen),
        CliCommand::Graph(args) => list::print_graph(args, screen),
        CliCommand::Replay(args) => replay::replay_run(args, screen),
        CliCommand::Trace(args) => trace::trace_sessions(args, screen),
        CliCommand::Report(args) => report::report_run(args, screen),
        CliCommand::History(args) => history::run_history_command(args),
        CliCommand::Bench(args) => bench::run_bench(args, screen),
        CliCommand::Audit(args) => {
            let width = terminal_size().map(|(columns, _)| usize::from(columns)).filter(|_| screen.stdout_is_terminal);
            Ok(list::print_output(&super::audit_workflows(args, Path::new("."), screen.stdout_styles, width)?))
        }
        CliCommand::Init(args) => Ok(list::print_output(&super::init_workflow(args, Path::new("."))?)),
        CliCommand::Matrix(args) => matrix::print_matrix(args, screen),
        CliCommand::Merge(args) => merge::merge_runs(args, screen),
        CliCommand::Gate(args) => gate::check_gate(args, screen),
        CliCommand::Cache(args) => super::cache::run_cache_command(args, screen),
        CliCommand::Schema => {
            list::print_stdout(&crate::config::schema_json());
            Ok(0)
        }
    }
}

fn wants_json(command: &CliCommand) -> bool {
    match command {
        CliCommand::Run(args) => args.output.format == OutputFormat::Json,
        CliCommand::Ci(args) => args.run.output.format == OutputFormat::Json,
        CliCommand::List(args) => args.format == OutputFormat::Json,
        CliCommand::Graph(args) => args.format == super::args::GraphFormat::Json,
        CliCommand::Replay(args) => args.format == OutputFormat::Json,
        CliCommand::Trace(args) => args.format == OutputFormat::Json,
        CliCommand::History(args) => {
            let super::HistoryCommand::Import(args) = &args.command;
            args.format == OutputFormat::Json
        }
        CliCommand::Bench(args) => args.format.error_format() == OutputFormat::Json,
        CliCommand::Cache(args) => super::cache::wants_json(args),
        CliCommand::Report(args) => args.format == super::ReportFormat::Json,
        CliCommand::Merge(args) => args.format == OutputFormat::Json,
        CliCommand::Gate(args) => args.format == OutputFormat::Json,
        CliCommand::Matrix(_) | CliCommand::Audit(_) | CliCommand::Init(_) | CliCommand::Schema => false,
    }
}

/// Says why a command could not do its work: to people on the error stream, to programs as a document.
fn report_error(failure: &CliError, screen: &OutputContext, json: bool) {
    let diagnostics = failure.diagnostics();
    if json {
        list::print_stdout(&format!("{:#}\n", errors_document(&diagnostics)));
        return;
    }
    let width = terminal_size().map(|(columns, _)| usize::from(columns));
    let texts: Vec<String> =
        diagnostics.iter().map(|diagnostic| diagnostic.render(screen.stderr_styles, width)).collect();
    print_stderr(texts.join("\n").trim_end());
}
