//! The command line: global flags, subcommands, and their help in groups.

use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

use super::build_info::LONG_VERSION;
use super::exit_code::exit_codes_help;
use super::list::{GraphArgs, ListArgs};
use super::run_args::{CiArgs, RunArgs};
use super::shared_args::{LoadArgs, OutputFormat, choice_parser};
use crate::config::ColorMode;
use crate::project::expand_short_flags;

/// Subcommands as `noxide --help` groups them: each is in exactly one group.
const COMMAND_GROUPS: [(&str, &[&str]); 3] = [
    ("Everyday", &["run", "list", "graph", "logs", "runs", "replay", "report"]),
    ("CI", &["init", "ci", "matrix", "merge", "gate", "audit"]),
    ("Maintenance", &["trace", "cache", "history", "bench", "schema", "completions", "man", "help"]),
];

/// Run your nox sessions in parallel.
#[derive(Parser, Clone, Debug, PartialEq, Eq)]
#[command(name = "noxide", version, long_version = LONG_VERSION, max_term_width = 100, arg_required_else_help = true)]
#[command(help_template = grouped_help(), after_help = exit_codes_help())]
pub struct Cli {
    /// Flags of every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The subcommand.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// Flags of every subcommand.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Change to DIR before doing anything else
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Color output: auto, always or never [env: NOXIDE_COLOR, NO_COLOR, FORCE_COLOR]
    #[arg(long, value_name = "WHEN", global = true, hide_possible_values = true, value_parser = choice_parser::<ColorMode>())]
    pub color: Option<ColorMode>,
    /// Print more; also passed to nox
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Print less; for a run, -qq prints only the totals
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub quiet: u8,
    /// Whether errors are printed as a JSON document.
    #[arg(skip)]
    pub wants_json: bool,
}

/// The subcommands.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum CliCommand {
    /// Run sessions in parallel
    Run(Box<RunArgs>),
    /// List sessions
    List(ListArgs),
    /// Show the session graph and the reason for each dependency
    Graph(GraphArgs),
    /// Print the logs of sessions
    Logs(super::LogsArgs),
    /// List past runs
    Runs(super::RunsArgs),
    /// Print a past run again
    Replay(super::ReplayArgs),
    /// Run sessions one at a time and find conflicts between them
    Trace(Box<super::TraceArgs>),
    /// Report on a run: HTML page, text, Markdown, JSON or a file for Perfetto
    Report(super::ReportArgs),
    /// Import session times from past CI runs
    History(super::HistoryArgs),
    /// Benchmark noxide against nox in interleaved rounds
    Bench(super::BenchArgs),
    /// Find and fix problems in CI workflows
    Audit(Box<super::AuditArgs>),
    /// Create a CI workflow, or apply all fixes of `noxide audit` to the workflows that run nox
    Init(super::InitArgs),
    /// Run a CI job: restore caches, run sessions, save caches, collect logs, set the exit code
    Ci(Box<CiArgs>),
    /// Manage the package cache
    Cache(super::CacheArgs),
    /// Print a job matrix with one shard of the sessions for each runner
    Matrix(super::MatrixArgs),
    /// Merge the runs and coverage of several runners
    Merge(super::MergeArgs),
    /// Check the results of the jobs that this job needs
    Gate(super::GateArgs),
    /// Print the JSON schema of the settings
    Schema,
    /// Print a completion script for bash, zsh, fish, elvish or powershell
    Completions(super::CompletionsArgs),
    /// Write manual pages
    Man(super::ManArgs),
}

/// Builds the help template: clap has no groups of subcommands, so they are written into it.
fn grouped_help() -> StyledStr {
    use std::fmt::Write as _;
    let commands = CliCommand::augment_subcommands(Command::new("noxide"));
    let about = |name: &str| match commands.find_subcommand(name).and_then(Command::get_about) {
        Some(about) => about.to_string(),
        None => "Print help, or the help of a subcommand".to_owned(),
    };
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut template = StyledStr::new();
    let _ = writeln!(template, "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n");
    for (group, names) in COMMAND_GROUPS {
        let _ = writeln!(template, "{header}{group}:{header:#}");
        for name in names {
            let _ = writeln!(template, "  {literal}{name:<11}{literal:#}  {}", about(name));
        }
        let _ = writeln!(template);
    }
    let _ = write!(template, "{header}Global options:{header:#}\n{{options}}{{after-help}}");
    template
}

impl Cli {
    /// Parses a command line, program name first; the error knows its exit code and how to print itself.
    pub fn parse_args(argv: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let argv = join_rerun_filter(expand_short_flags(argv));
        let mut command = let_last_flag_win(Self::command());
        let parsed = command.try_get_matches_from_mut(argv).and_then(|matches| {
            let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
            cli.global.wants_json = wants_json(&matches);
            Ok(cli)
        });
        let mut cli = parsed.map_err(add_advice)?;
        if let CliCommand::Ci(ci) = &mut cli.command {
            ci.run.nox_run.verbose = cli.global.verbose > 0;
        }
        if let CliCommand::Run(run) = &mut cli.command {
            if run.environments.has_backend_conflict() {
                let message = "--no-venv cannot be used with --force-venv-backend, unless that is `none`";
                return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
            }
            run.nox_run.verbose = cli.global.verbose > 0;
            cli.global.color = cli.global.color.or(match (run.nox_run.forcecolor, run.nox_run.nocolor) {
                (true, _) => Some(ColorMode::Always),
                (_, true) => Some(ColorMode::Never),
                _ => None,
            });
            if run.list_sessions {
                cli.command = CliCommand::List(ListArgs {
                    load: LoadArgs { selection: run.selection.clone(), host: run.host.clone() },
                    format: if run.json { OutputFormat::Json } else { run.output.format },
                });
            }
        }
        Ok(cli)
    }
}

/// Lets the last of several equal flags win, in every subcommand.
fn let_last_flag_win(command: Command) -> Command {
    command.args_override_self(true).mut_subcommands(let_last_flag_win)
}

/// Returns whether errors are printed as JSON: where the result is, except for `audit` and `matrix`.
fn wants_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        // These print documents for other programs, so errors are text on standard error.
        Some(("audit" | "matrix", _)) => false,
        Some((_, inner)) => wants_json(inner),
        None => {
            let format = matches.try_get_raw("format").ok().flatten();
            let lists_as_json = matches.try_get_one::<bool>("json").ok().flatten() == Some(&true);
            lists_as_json || format.is_some_and(|mut values| values.any(|value| value == "json"))
        }
    }
}

/// Replaces clap's guesses where it is known what a user of nox or of another runner means.
fn add_advice(mut error: clap::Error) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let (flag, command) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidSubcommand));
    let lacks_command = error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("<COMMAND>"));
    let advice = match (error.kind(), flag.as_str(), command.as_str()) {
        (ErrorKind::UnknownArgument, "--watch" | "-w", _) => {
            "noxide does not watch files; let a file watcher run it, as in `watchexec -e py -- noxide run`".to_owned()
        }
        // nox has no subcommands, so its users may leave out `run`.
        (ErrorKind::UnknownArgument, ..) if lacks_command => {
            "pass nox's flags to `noxide run`, as in `noxide run -s tests`".to_owned()
        }
        (ErrorKind::InvalidSubcommand, _, "clean") => {
            "`noxide cache clean` empties the package cache; to remove environments and past runs, delete `.nox`"
                .to_owned()
        }
        (ErrorKind::InvalidSubcommand, _, name) if lacks_command => {
            format!("to run a session, use `noxide run {name}`")
        }
        _ => return error,
    };
    if command == "clean" || flag == "--watch" {
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
    }
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![advice.into()]));
    error
}

/// Joins `--rerun failed`: the value is optional, and another word after the flag is the name of a session.
fn join_rerun_filter(argv: Vec<OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_posarg = false;
    for argument in argv {
        match joined.last_mut() {
            Some(last) if !is_posarg && *last == "--rerun" && argument == "failed" => last.push("=failed"),
            _ => {
                is_posarg |= argument == "--";
                joined.push(argument);
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_is_in_exactly_one_help_group() {
        let mut root = Cli::command();
        root.build();
        let mut grouped: Vec<&str> = COMMAND_GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        grouped.sort_unstable();
        let mut known: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
        known.sort_unstable();
        assert_eq!(grouped, known);
    }
}
