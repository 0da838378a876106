//! Entry point: parses the command line, runs the subcommand, prints its error, returns its exit code.

use std::sync::Arc;

use clap::CommandFactory as _;

use super::args::{Cli, CliCommand};
use super::error::CliError;
use super::exit_code::ExitCode;
use super::loaded_project::environment_redactor;
use super::{
    audit, bench, cache, ci, gate, history, init, list, matrix, merge, reference, replay, report, run, runs, trace,
};
use crate::config::{ColorMode, append_action_inputs};
use crate::output::{OutputContext, print_command_line_error};
use crate::project::{find_invalid_credential, hide_credentials};

/// Runs the command line and returns the exit code.
pub fn main() -> std::process::ExitCode {
    hide_credentials();
    // Turns a write beyond the file size limit into an error; child processes keep the default handling.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let variable = |name: &str| std::env::var(name).ok();
    let argv = append_action_inputs(std::env::args_os(), &variable)
        .map_err(|message| Cli::command().error(clap::error::ErrorKind::ValueValidation, message));
    let cli = match argv.and_then(Cli::parse_args) {
        Ok(cli) => cli,
        Err(error) => {
            let color = ColorMode::from_environment(None, &variable);
            let redact = |text: &str| environment_redactor().redact_text(text);
            print_command_line_error(&error, &|is_terminal, term| color.should_color(is_terminal, term), &redact);
            return u8::try_from(error.exit_code()).unwrap_or(ExitCode::USAGE.code()).into();
        }
    };
    let color = ColorMode::from_environment(cli.global.color, &variable);
    let should_color = |is_terminal: bool, term: Option<&str>| color.should_color(is_terminal, term);
    let output = OutputContext::detect(&should_color, cli.global.verbose, cli.global.quiet);
    let exit_code = run_command(&cli, &output).unwrap_or_else(|error| {
        let redactor = environment_redactor();
        output.print_diagnostics(&error.diagnostics(), cli.global.wants_json, &|text| redactor.redact_text(text));
        error.exit_code()
    });
    exit_code.code().into()
}

fn run_command(cli: &Cli, output: &OutputContext) -> Result<ExitCode, CliError> {
    if let Some(name) = find_invalid_credential() {
        return Err(CliError::Usage(format!("{name} is not valid UTF-8; set it to text, such as hexadecimal digits")));
    }
    if let Some(path) = cli.global.directory.clone() {
        std::env::set_current_dir(&path).map_err(|source| CliError::WorkingDirectory { path, source })?;
    }
    match &cli.command {
        CliCommand::Run(args) => run::run_sessions(args, output, None).map(|result| result.exit_code),
        CliCommand::Ci(args) => ci::run(args, output),
        CliCommand::List(args) => list::run(args, output),
        CliCommand::Graph(args) => list::run_graph(args, output),
        CliCommand::Logs(args) => runs::print_logs(args, output),
        CliCommand::Runs(args) => runs::list_runs(args, output),
        CliCommand::Replay(args) => replay::run(args, output),
        CliCommand::Trace(args) => trace::run(args, output),
        CliCommand::Report(args) => report::run(args, output),
        CliCommand::History(args) => history::run(args, output),
        CliCommand::Bench(args) => bench::run(args, output),
        CliCommand::Audit(args) => audit::run(args, output),
        CliCommand::Init(args) => init::run(args, output),
        CliCommand::Matrix(args) => matrix::run(args, output),
        CliCommand::Merge(args) => merge::run(args, output),
        CliCommand::Gate(args) => gate::run(args, output),
        CliCommand::Cache(args) => cache::run(args, output),
        CliCommand::Schema => {
            output.print_document(&crate::config::schema_json());
            Ok(ExitCode::SUCCESS)
        }
        CliCommand::Completions(args) => Ok(reference::print_completions(args, Cli::command(), output)),
        CliCommand::Man(args) => reference::write_manual(args, Cli::command(), output),
    }
}
