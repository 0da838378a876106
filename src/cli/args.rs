//! The command line: global flags, subcommands, and their help in groups.

use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Command, CommandFactory, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::build_info::LONG_VERSION;
use super::exit_code::exit_codes_help;
use super::list::{GraphArgs, ListArgs};
use super::run_args::{CiArgs, RunArgs};
use super::shared_args::{LoadArgs, OutputFormat, choice_parser};
use crate::config::ColorMode;

/// Subcommands as `noxide --help` groups them: each is in exactly one group.
const COMMAND_GROUPS: [(&str, &[&str]); 3] = [
    ("Everyday", &["run", "list", "graph", "report", "replay"]),
    ("CI", &["init", "ci", "matrix", "merge", "gate", "audit"]),
    ("Maintenance", &["trace", "cache", "history", "bench", "schema", "help"]),
];

/// Short flags of nox that are longer than one letter, with their long form.
const TWO_LETTER_FLAGS: &[(&str, &str)] =
    &[("-db", "--default-venv-backend"), ("-fb", "--force-venv-backend"), ("-ts", "--add-timestamp")];

/// Run your nox sessions in parallel.
#[derive(Parser, Clone, Debug, PartialEq, Eq)]
#[command(name = "noxide", version, long_version = LONG_VERSION, max_term_width = 100, arg_required_else_help = true)]
#[command(args_override_self = true, help_template = grouped_help(), after_help = exit_codes_help())]
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
}

/// The subcommands.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
#[command(args_override_self = true)]
pub enum CliCommand {
    /// Run sessions in parallel
    #[command(args_override_self = true)]
    Run(Box<RunArgs>),
    /// List sessions
    #[command(args_override_self = true)]
    List(ListArgs),
    /// Show the session graph and the reason for each dependency
    #[command(args_override_self = true)]
    Graph(GraphArgs),
    /// Print a past run again
    #[command(args_override_self = true)]
    Replay(super::ReplayArgs),
    /// Run sessions one at a time and find conflicts between them
    #[command(args_override_self = true)]
    Trace(Box<super::TraceArgs>),
    /// Report on a run: HTML page, text, Markdown, JSON or a file for Perfetto
    #[command(args_override_self = true)]
    Report(super::ReportArgs),
    /// Import session times from past CI runs
    History(super::HistoryArgs),
    /// Benchmark noxide against nox in interleaved rounds
    #[command(args_override_self = true)]
    Bench(super::BenchArgs),
    /// Find and fix problems in CI workflows
    #[command(args_override_self = true)]
    Audit(Box<super::AuditArgs>),
    /// Create a CI workflow, or apply all fixes of `noxide audit` to the workflows that run nox
    #[command(args_override_self = true)]
    Init(super::InitArgs),
    /// Run a CI job: restore caches, run sessions, save caches, collect logs, set the exit code
    #[command(args_override_self = true)]
    Ci(Box<CiArgs>),
    /// Manage the dependency cache
    #[command(args_override_self = true)]
    Cache(super::CacheArgs),
    /// Print a job matrix with one shard of the sessions for each runner
    #[command(args_override_self = true)]
    Matrix(super::MatrixArgs),
    /// Merge the runs and coverage of several runners
    #[command(args_override_self = true)]
    Merge(super::MergeArgs),
    /// Check the results of the jobs that this job needs
    #[command(args_override_self = true)]
    Gate(super::GateArgs),
    /// Print the JSON schema of the settings
    Schema,
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
            let _ = writeln!(template, "  {literal}{name:<7}{literal:#}  {}", about(name));
        }
        let _ = writeln!(template);
    }
    let _ = write!(template, "{header}Global options:{header:#}\n{{options}}{{after-help}}");
    template
}

impl Cli {
    /// Parses a command line, program name first; the error knows its exit code and how to print itself.
    pub fn parse_args(argv: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse_from(expand_short_flags(argv)).map_err(|error| {
            // nox has no subcommands, so its users may leave out `run`.
            let lacks_command =
                error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("<COMMAND>"));
            let is_unknown_flag = error.kind() == ErrorKind::UnknownArgument;
            if is_unknown_flag && lacks_command { add_run_suggestion(error) } else { error }
        })?;
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

fn add_run_suggestion(mut error: clap::Error) -> clap::Error {
    let tip = "pass nox's flags to `noxide run`, as in `noxide run -s tests`";
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// Replaces nox's two-letter short flags, up to the first `--`, by their long form.
fn expand_short_flags(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut is_posarg = false;
    argv.into_iter()
        .map(|argument| {
            is_posarg |= argument == "--";
            if is_posarg { argument } else { expand_flag(&argument).unwrap_or(argument) }
        })
        .collect()
}

fn expand_flag(argument: &OsStr) -> Option<OsString> {
    let bytes = argument.as_encoded_bytes();
    TWO_LETTER_FLAGS.iter().find_map(|(short, long)| {
        let rest = bytes.strip_prefix(short.as_bytes())?;
        match std::str::from_utf8(rest).ok()? {
            "" => Some(OsString::from(*long)),
            value if value.starts_with('=') => Some(OsString::from(format!("{long}{value}"))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(argv: &str) -> String {
        let argv = expand_short_flags(argv.split(' ').map(OsString::from));
        argv.iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn two_letter_flags_become_long() {
        assert_eq!(expanded("noxide run -db uv -s a"), "noxide run --default-venv-backend uv -s a");
        assert_eq!(expanded("noxide run -fb=none -ts"), "noxide run --force-venv-backend=none --add-timestamp");
    }

    #[test]
    fn other_arguments_are_left_alone() {
        for argv in ["noxide run -s a -- -db -fb=x -ts", "noxide run -dbuv -tsv -d -f b -t s --db"] {
            assert_eq!(expanded(argv), argv);
        }
    }

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
