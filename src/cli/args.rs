//! The command line: subcommands, flags and their help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::argv::expand_short_flags;
use super::dependency_args::DependencyArgs;
pub use super::host_args::{HostArgs, LoadArgs};
use super::nox_args::{EnvironmentArgs, NoxRunArgs, SelectionArgs};
pub use super::output_format::OutputFormat;
use super::value_parser::choice_parser;
use crate::config::{ColorMode, JobCount, SettingsFlags, parse_count, parse_duration, parse_jobs, parse_log_name};
use crate::run::{FailFast, FlakyMode, OutputStyle, Shard};
use crate::trace::TraceMode;

/// What scripts ask help for most; the whole table is in the handbook.
const EXIT_CODES_HELP: &str = "Exit codes:
  0  all is well
  1  a session failed
  2  wrong usage or settings
  3  no nox, or a noxfile that does not load
  4  nothing selected";

/// Runs a noxfile's sessions side by side, each after what it needs.
#[derive(Parser, Clone, Debug, PartialEq, Eq)]
#[command(name = "noxide", version, max_term_width = 100, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, args_override_self = true, after_help = EXIT_CODES_HELP)]
pub struct Cli {
    /// What counts for every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// Flags of every subcommand.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// Work as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Colours: auto, always or never [env: NOXIDE_COLOR, NO_COLOR, FORCE_COLOR]
    #[arg(long, value_name = "WHEN", global = true, hide_possible_values = true, value_parser = choice_parser::<ColorMode>())]
    pub color: Option<ColorMode>,
    /// Say more; for nox too
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say less; twice: nothing but errors
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub quiet: u8,
}

/// The subcommands.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
#[command(args_override_self = true)]
pub enum CliCommand {
    /// Run sessions
    #[command(args_override_self = true)]
    Run(Box<RunArgs>),
    /// List sessions
    #[command(args_override_self = true)]
    List(ListArgs),
    /// Show what waits for what, and why
    #[command(args_override_self = true)]
    Graph(GraphArgs),
    /// Show a past run again
    #[command(args_override_self = true)]
    Replay(ReplayArgs),
    /// Run sessions one by one, and say which race
    #[command(args_override_self = true)]
    Trace(Box<super::TraceArgs>),
    /// Tell what records say of a run and those before it: a page, words, JSON, a trace
    #[command(args_override_self = true)]
    Report(super::ReportArgs),
    /// Keep what past CI runs took
    History(super::HistoryArgs),
    /// Measure before and after in interleaved rounds, cold and warm
    #[command(args_override_self = true)]
    Bench(super::BenchArgs),
    /// Look at the project's workflows, and mend them
    #[command(args_override_self = true)]
    Audit(Box<super::AuditArgs>),
    /// Make a workflow that runs every session
    #[command(args_override_self = true)]
    Init(super::InitArgs),
    /// Do all of a CI job: bring what sessions need, run them, keep what is new, gather logs, judge
    #[command(args_override_self = true)]
    Ci(Box<CiArgs>),
    /// Keep dependencies and put them back: restore, save, status, verify, prune
    #[command(args_override_self = true)]
    Cache(super::CacheArgs),
    /// Print a matrix that deals the sessions to several runners
    #[command(args_override_self = true)]
    Matrix(super::MatrixArgs),
    /// Fold the runs of several runners into one, and their coverage
    #[command(args_override_self = true)]
    Merge(super::MergeArgs),
    /// Judge the results of the jobs that this one needs
    #[command(args_override_self = true)]
    Gate(super::GateArgs),
    /// Print the JSON schema of the settings
    Schema,
}

/// Flags of `noxide run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// Which sessions.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Run again what the last run left failed, aborted or cancelled, with its needs
    #[arg(long, value_name = "WHICH", help_heading = "Selection")]
    pub rerun: Option<RerunFilter>,
    /// Run only part I of N, dealt by the noxfile alone so that every runner agrees
    #[arg(long, value_name = "I/N", help_heading = "Selection")]
    pub shard: Option<Shard>,
    /// How environments are made.
    #[command(flatten)]
    pub environments: EnvironmentArgs,
    /// How dependencies are kept and had.
    #[command(flatten)]
    pub dependencies: DependencyArgs,
    /// How noxide runs them.
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// What people and machines get to see.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How sessions behave.
    #[command(flatten)]
    pub nox_run: NoxRunArgs,
    /// How nox is found and started.
    #[command(flatten)]
    pub host: HostArgs,
    /// List sessions instead: `nox -l` from old scripts.
    #[arg(short = 'l', long, alias = "list", hide = true)]
    pub list_sessions: bool,
    /// nox's `--json`, which only goes with `-l`.
    #[arg(long, hide = true, requires = "list_sessions")]
    pub json: bool,
    /// What sessions get as session.posargs
    #[arg(last = true, value_name = "POSARGS", help_heading = "Arguments")]
    pub posargs: Vec<OsString>,
}

impl RunArgs {
    /// The flags for nox in the host: what was given and noxide does not do itself.
    pub fn nox_flags(&self) -> Vec<OsString> {
        let mut argv = self.selection.nox_args();
        argv.extend(self.environments.nox_args());
        argv.extend(self.nox_run.nox_args());
        argv
    }

    /// The arguments for nox in the host: the flags, then the posargs.
    pub fn nox_args(&self) -> Vec<OsString> {
        let mut argv = self.nox_flags();
        if !self.posargs.is_empty() {
            argv.push("--".into());
            argv.extend_from_slice(&self.posargs);
        }
        argv
    }

    /// What the flags say of settings.
    pub fn settings_flags(&self) -> SettingsFlags {
        let running = &self.execution;
        SettingsFlags {
            jobs: running.jobs,
            fail_fast: running.resolve_fail_fast(),
            timeout: running.timeout,
            idle_timeout: running.idle_timeout,
            leak_timeout: running.leak_timeout,
            load_timeout: self.host.load_timeout,
            retries: running.retries,
            flaky: running.flaky,
            output: self.output.output,
            logs: self.output.logs.clone(),
            log_name: self.output.log_name.clone(),
            nox: self.host.nox.clone(),
            cache: self.dependencies.cache,
            locked: self.dependencies.locked_override(),
            max_age: self.dependencies.max_age,
        }
    }
}

/// Flags that say how noxide runs sessions.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Running")]
pub struct ExecutionArgs {
    /// CPUs to fill with sessions: a number or auto [default: auto] [env: NOXIDE_JOBS, NOX_PARALLEL]
    #[arg(short, long, alias = "parallel", value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<JobCount>,
    /// Run on after a failure, all but what requires it (the default)
    #[arg(long, overrides_with_all = ["fail_fast", "stop_on_first_error", "no_stop_on_first_error"])]
    pub keep_going: bool,
    /// After a failure start nothing more; wait lets sessions finish, kill ends them [default: wait]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "wait")]
    #[arg(hide_possible_values = true, value_parser = choice_parser::<FailFast>())]
    #[arg(overrides_with_all = ["keep_going", "stop_on_first_error", "no_stop_on_first_error"])]
    pub fail_fast: Option<FailFast>,
    /// The same as --fail-fast=wait
    #[arg(short = 'x', long, overrides_with_all = ["keep_going", "fail_fast", "no_stop_on_first_error"])]
    pub stop_on_first_error: bool,
    /// The same as --keep-going
    #[arg(long, hide_short_help = true)]
    #[arg(overrides_with_all = ["keep_going", "fail_fast", "stop_on_first_error"])]
    pub no_stop_on_first_error: bool,
    /// End sessions that run longer, such as 10m [env: NOXIDE_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// End sessions that are silent for longer [env: NOXIDE_IDLE_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub idle_timeout: Option<Duration>,
    /// Wait so long for processes a session left behind [default: 200ms] [env: NOXIDE_LEAK_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, hide_short_help = true)]
    pub leak_timeout: Option<Duration>,
    /// Try failed sessions again so many times [default: 0] [env: NOXIDE_RETRIES]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub retries: Option<u32>,
    /// Whether a pass after a failure is a pass or a fail [default: pass] [env: NOXIDE_FLAKY]
    #[arg(long, value_name = "AS", hide_possible_values = true, value_parser = choice_parser::<FlakyMode>())]
    pub flaky: Option<FlakyMode>,
    /// Conflicts between sessions: auto uses what was learnt and traces again what changed, always traces all, never neither
    #[arg(long, value_name = "WHEN", hide_possible_values = true, value_parser = choice_parser::<TraceMode>(), hide_short_help = true)]
    pub trace: Option<TraceMode>,
    /// Show the plan and run nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl ExecutionArgs {
    /// What a failure does, if a flag says so; the last of the flags that do.
    pub(crate) fn resolve_fail_fast(&self) -> Option<Option<FailFast>> {
        if self.keep_going || self.no_stop_on_first_error {
            Some(None)
        } else if self.stop_on_first_error {
            Some(Some(FailFast::Wait))
        } else {
            self.fail_fast.map(Some)
        }
    }
}

/// Flags that say what people and machines get to see.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Sessions' output: grouped, stream, labelled or quiet [env: NOXIDE_OUTPUT]
    #[arg(long, value_name = "STYLE", hide_possible_values = true, value_parser = choice_parser::<OutputStyle>())]
    pub output: Option<OutputStyle>,
    /// The result as text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text")]
    pub format: OutputFormat,
    /// Write events to FILE as they happen, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Write nox's report to FILE
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a JUnit report to FILE
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Put one log a session into DIR as well [env: NOXIDE_LOGS]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Names of those logs [default: {session}.log] [env: NOXIDE_LOG_NAME]
    #[arg(long, value_name = "PATTERN", value_parser = parse_log_name)]
    pub log_name: Option<String>,
}

/// Flags of `noxide ci`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CiArgs {
    /// What it does around the run.
    #[command(flatten)]
    pub ci: super::CiStepArgs,
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags of `noxide list`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ListArgs {
    /// Which sessions, of which noxfile, by which nox.
    #[command(flatten)]
    pub load: LoadArgs,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide graph`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphArgs {
    /// Which sessions, of which noxfile, by which nox.
    #[command(flatten)]
    pub load: LoadArgs,
    /// As text, json, dot or mermaid
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: GraphFormat,
}

/// Flags of `noxide replay`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayArgs {
    /// The run, as its folder in .noxide/runs is named; the beginning will do, and `last` is the last
    #[arg(value_name = "ID")]
    pub run: String,
    /// Sessions' output: grouped, stream, labelled or quiet
    #[arg(long, value_name = "STYLE", hide_possible_values = true, value_parser = choice_parser::<OutputStyle>(), help_heading = "Output")]
    pub output: Option<OutputStyle>,
    /// As text or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Pictures of a graph.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphFormat {
    /// For people.
    #[default]
    Text,
    /// One document, its version at its top.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid, which forges draw in Markdown.
    Mermaid,
}

/// Which sessions of the last run to run again.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerunFilter {
    /// Those that failed, were aborted or cancelled.
    Failed,
}

impl Cli {
    /// Reads a command line, the program's name first; an error knows its exit code and how to print itself.
    pub fn parse_args(argv: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse_from(expand_short_flags(argv)).map_err(|error| {
            // Whoever comes from nox may leave out the subcommand.
            let subcommand = error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("<COMMAND>"));
            if error.kind() == ErrorKind::UnknownArgument && subcommand { add_run_suggestion(error) } else { error }
        })?;
        if let CliCommand::Ci(ci) = &mut cli.command {
            ci.run.nox_run.verbose = cli.global.verbose > 0;
        }
        if let CliCommand::Run(run) = &mut cli.command {
            if run.environments.has_backend_conflict() {
                let text = "--no-venv cannot be used with another --force-venv-backend than none";
                return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
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
    let tip = "nox's flags follow `noxide run`, as in `noxide run -s tests`";
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}
