//! The command line from its words to an exit code.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Cli, Command, Format};
use super::failure::Failure;
use super::screen::{Screen, say, terminal_size};
use super::{bench, ci, gate, history, listing, matrix, merge, replay, report, run, trace};
use crate::output::errors_document;

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    // A file at the limit of its size is an error to be told, not the end; a program that noxide starts dies as ever.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stream is no reason to fail twice.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let screen = Screen::new(&cli.global);
    match execute(&cli, &screen) {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            tell(&failure, &screen, wants_json(&cli.command));
            ExitCode::from(failure.exit())
        }
    }
}

fn execute(cli: &Cli, screen: &Screen) -> Result<u8, Failure> {
    if let Some(path) = cli.global.directory.clone() {
        std::env::set_current_dir(&path).map_err(|source| Failure::Folder { path, source })?;
    }
    match &cli.command {
        Command::Run(args) => run::run(args, screen, None).map(|ended| ended.exit),
        Command::Ci(args) => ci::ci(args, screen),
        Command::List(args) => listing::list(args, screen),
        Command::Graph(args) => listing::graph(args, screen),
        Command::Replay(args) => replay::replay(args, screen),
        Command::Trace(args) => trace::trace(args, screen),
        Command::Report(args) => report::report(args, screen),
        Command::History(args) => history::history(args),
        Command::Bench(args) => bench::bench(args, screen),
        Command::Audit(args) => {
            let width = terminal_size().map(|(columns, _)| usize::from(columns)).filter(|_| screen.terminal);
            Ok(listing::said(&super::audit(args, Path::new("."), screen.out, width)?))
        }
        Command::Init(args) => Ok(listing::said(&super::init(args, Path::new("."))?)),
        Command::Matrix(args) => matrix::matrix(args, screen),
        Command::Merge(args) => merge::merge(args, screen),
        Command::Gate(args) => gate::gate(args, screen),
        Command::Cache(args) => super::cache::cache(args, screen),
        Command::Schema => {
            listing::print(&crate::config::schema_json());
            Ok(0)
        }
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Run(args) => args.shown.format == Format::Json,
        Command::Ci(args) => args.run.shown.format == Format::Json,
        Command::List(args) => args.format == Format::Json,
        Command::Graph(args) => args.format == super::args::GraphFormat::Json,
        Command::Replay(args) => args.format == Format::Json,
        Command::Trace(args) => args.format == Format::Json,
        Command::History(args) => {
            let super::HistoryCommand::Import(args) = &args.command;
            args.format == Format::Json
        }
        Command::Bench(args) => args.format.as_plain() == Format::Json,
        Command::Cache(args) => super::cache::wants_json(args),
        Command::Report(args) => args.format == super::ReportFormat::Json,
        Command::Merge(args) => args.format == Format::Json,
        Command::Gate(args) => args.format == Format::Json,
        Command::Matrix(_) | Command::Audit(_) | Command::Init(_) | Command::Schema => false,
    }
}

/// Says why a command could not do its work: to people on the error stream, to programs as a document.
fn tell(failure: &Failure, screen: &Screen, json: bool) {
    let diagnostics = failure.diagnostics();
    if json {
        listing::print(&format!("{:#}\n", errors_document(&diagnostics)));
        return;
    }
    let width = terminal_size().map(|(columns, _)| usize::from(columns));
    let texts: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(screen.err, width)).collect();
    say(texts.join("\n").trim_end());
}
