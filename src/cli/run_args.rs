//! Flags of `noxide run`, and of `noxide ci`, which extends them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::shared_args::{DependencyArgs, HostArgs, OutputFormat, choice_parser};
use crate::config::{JobCount, SettingsFlags, parse_count, parse_duration, parse_jobs, parse_log_name};
use crate::output::SessionOutputStyle;
use crate::project::{EnvironmentArgs, NoxRunArgs, SelectionArgs};
use crate::report::CoverageFloor;
use crate::run::{FailFast, FlakyMode, OutputStyle, Shard};
use crate::trace::TraceMode;

/// Flags of `noxide run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// Flags that select sessions.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Rerun the sessions of the last run that neither passed nor were skipped, and what they require; other flags of selection narrow it. The only FILTER is `failed`
    #[arg(long, visible_aliases = ["failed", "lf"], value_name = "FILTER", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "failed", hide_possible_values = true, help_heading = "Selection")]
    pub rerun: Option<RerunFilter>,
    /// Print the docstring of a session instead of running
    #[arg(long, value_name = "SESSION", help_heading = "Selection")]
    pub usage: Option<OsString>,
    /// Run shard I of N; every runner computes the same shards from the noxfile and the settings
    #[arg(long, value_name = "I/N", help_heading = "Selection")]
    pub shard: Option<Shard>,
    /// Flags that control environments.
    #[command(flatten)]
    pub environments: EnvironmentArgs,
    /// Flags that control dependencies.
    #[command(flatten)]
    pub dependencies: DependencyArgs,
    /// Flags that control execution.
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// Flags that control output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Flags of nox for running sessions.
    #[command(flatten)]
    pub nox_run: NoxRunArgs,
    /// Flags that choose nox.
    #[command(flatten)]
    pub host: HostArgs,
    /// List sessions instead, for scripts that call `nox -l`.
    #[arg(short = 'l', long, alias = "list", hide = true)]
    pub list_sessions: bool,
    /// nox's `--json`, valid only with `-l`.
    #[arg(long, hide = true, requires = "list_sessions")]
    pub json: bool,
    /// Pass these arguments to sessions as session.posargs
    #[arg(last = true, value_name = "POSARGS", help_heading = "Arguments")]
    pub posargs: Vec<OsString>,
}

impl RunArgs {
    /// Returns the flags to forward to nox in the host, without those that noxide handles itself.
    pub fn nox_flags(&self) -> Vec<OsString> {
        let mut argv = self.selection.nox_flags();
        argv.extend(self.environments.nox_flags());
        argv.extend(self.nox_run.nox_flags());
        argv
    }

    /// Returns the settings that these flags override.
    pub fn settings_flags(&self) -> SettingsFlags {
        let execution = &self.execution;
        SettingsFlags {
            jobs: execution.jobs,
            fail_fast: execution.resolve_fail_fast(),
            timeout: execution.timeout,
            idle_timeout: execution.idle_timeout,
            leak_timeout: execution.leak_timeout,
            load_timeout: self.host.load_timeout,
            retries: execution.retries,
            flaky_result: execution.flaky_result,
            trace: execution.trace,
            output: self.output.output,
            logs: self.output.logs.clone(),
            log_name: self.output.log_name.clone(),
            nox: self.host.nox.clone(),
            cache: self.dependencies.cache,
            locked: self.dependencies.lock_file.locked_override(),
            max_age: self.dependencies.max_age,
        }
    }
}

/// Sessions of the last run to rerun.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerunFilter {
    /// Sessions that neither passed nor were skipped.
    Failed,
}

/// Flags that control how sessions are executed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Execution")]
pub struct ExecutionArgs {
    /// Number of slots: N sessions run at once if each takes one slot; auto is one slot per available CPU [default: auto] [env: NOXIDE_JOBS, NOX_PARALLEL]
    #[arg(short, long, alias = "parallel", value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<JobCount>,
    /// Run everything that does not require a failed session (the default)
    #[arg(long, overrides_with_all = ["fail_fast", "stop_on_first_error", "no_stop_on_first_error"])]
    pub keep_going: bool,
    /// Start no session after a failure: wait lets running sessions finish, kill ends them [MODE defaults to wait] [env: NOXIDE_FAIL_FAST]
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "wait")]
    #[arg(hide_possible_values = true, value_parser = choice_parser::<FailFast>())]
    #[arg(overrides_with_all = ["keep_going", "stop_on_first_error", "no_stop_on_first_error"])]
    pub fail_fast: Option<FailFast>,
    /// Same as --fail-fast=wait
    #[arg(short = 'x', long, overrides_with_all = ["keep_going", "fail_fast", "no_stop_on_first_error"])]
    pub stop_on_first_error: bool,
    /// Same as --keep-going
    #[arg(long, hide_short_help = true)]
    #[arg(overrides_with_all = ["keep_going", "fail_fast", "stop_on_first_error"])]
    pub no_stop_on_first_error: bool,
    /// End sessions that run longer than this, such as 10m [env: NOXIDE_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// End sessions that print nothing for this long [env: NOXIDE_IDLE_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub idle_timeout: Option<Duration>,
    /// Wait this long for processes that a finished session left running and that hold its output open, then kill them [default: 200ms] [env: NOXIDE_LEAK_TIMEOUT]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, hide_short_help = true)]
    pub leak_timeout: Option<Duration>,
    /// Retry failed sessions up to N times [default: 0] [env: NOXIDE_RETRIES]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub retries: Option<u32>,
    /// Count a session that passes on retry as pass or fail [default: pass] [env: NOXIDE_FLAKY_RESULT]
    #[arg(long, value_name = "RESULT", hide_possible_values = true, value_parser = choice_parser::<FlakyMode>())]
    pub flaky_result: Option<FlakyMode>,
    /// Trace sessions for conflicts: `auto` traces those that are new, have changed or did not pass, `always` traces all, `never` traces none and ignores learned conflicts [default: auto] [env: NOXIDE_TRACE]
    #[arg(long, value_name = "WHEN", hide_possible_values = true, value_parser = choice_parser::<TraceMode>(), hide_short_help = true)]
    pub trace: Option<TraceMode>,
    /// Show the plan without running it
    #[arg(long)]
    pub dry_run: bool,
}

impl ExecutionArgs {
    /// Returns the reaction to failures that flags set, if any do; the last flag wins.
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

/// Flags that control what a run prints and writes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Show session output grouped, stream, labelled or quiet [env: NOXIDE_OUTPUT]
    #[arg(long, value_name = "STYLE", hide_possible_values = true, value_parser = choice_parser::<OutputStyle>())]
    pub output: Option<OutputStyle>,
    /// Print the result as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text")]
    pub format: OutputFormat,
    /// Write events to FILE as they happen, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Write a JSON report in nox's format to FILE
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a JUnit report to FILE
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Copy each session's log to DIR [env: NOXIDE_LOGS]
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Name the logs in DIR by this pattern [default: {session}.log] [env: NOXIDE_LOG_NAME]
    #[arg(long, value_name = "PATTERN", value_parser = parse_log_name)]
    pub log_name: Option<String>,
}

/// Flags of `noxide ci`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CiArgs {
    /// Flags of the CI job.
    #[command(flatten)]
    pub ci: CiStepArgs,
    /// Flags of the run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags that `noxide ci` adds to those of `noxide run`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "CI")]
pub struct CiStepArgs {
    /// Collect logs, records, artifacts and reports in DIR
    #[arg(long, value_name = "DIR", default_value = "noxide-ci")]
    pub(crate) dir: PathBuf,
    /// Use this remote cache: auto (the forge's own, if any), actions (the forge's own, or an error), off, s3://BUCKET/PREFIX or a directory; separate several with
    /// commas, fastest first
    #[arg(long, value_name = "REMOTE", env = "NOXIDE_REMOTE", hide_env_values = true, default_value = "auto")]
    pub(crate) remote: String,
    /// Write the checksums of the packages in all environments of the run to noxide.sums; if it is committed, only wheels listed in it are restored from a
    /// remote cache
    #[arg(long)]
    pub(crate) write_sums: bool,
    /// Combine the coverage data of the sessions
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Fail if combined coverage is below PERCENT
    #[arg(long, value_name = "PERCENT", requires = "coverage")]
    pub(crate) fail_under: Option<CoverageFloor>,
}

impl From<OutputStyle> for SessionOutputStyle {
    fn from(style: OutputStyle) -> Self {
        match style {
            OutputStyle::Grouped => Self::Grouped,
            OutputStyle::Stream => Self::Stream,
            OutputStyle::Labelled => Self::Labelled,
            OutputStyle::Quiet => Self::Quiet,
        }
    }
}
