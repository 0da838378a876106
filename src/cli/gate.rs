//! `noxide gate`: checks the results of the jobs that a job needs.

use clap::Args;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use super::shared_args::OutputFormat;
use crate::audit::job_gate::{GateError, expected_jobs, judge_jobs, verdicts_json};
use crate::output::{JobVerdictView, OutputContext, render_job_verdicts};

/// Flags of `noxide gate`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GateArgs {
    /// Check these results: the value of `${{ toJSON(needs) }}` [env: NOXIDE_NEEDS, NEEDS] [default: standard input]
    #[arg(long, value_name = "JSON", help_heading = "Results")]
    pub needs: Option<String>,
    /// Fail if one of these jobs is not in the results; separate several with commas
    #[arg(long, value_name = "JOBS", value_delimiter = ',', help_heading = "Results")]
    pub expect: Vec<String>,
    /// Fail if a job of this workflow is not in the results, other than the gate job
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub workflow: Option<PathBuf>,
    /// Name of the gate job in the workflow, which --workflow does not expect [default: the current job, from GITHUB_JOB]
    #[arg(long, value_name = "JOB", requires = "workflow", help_heading = "Results")]
    pub job: Option<String>,
    /// Print the verdicts as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Checks the results: failed, cancelled and missing jobs fail, skipped ones pass.
///
/// # Errors
/// When there are no results, or they cannot be read.
pub(super) fn run(args: &GateArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let needs = match &args.needs {
        Some(needs) => needs.clone(),
        None => env_text("NOXIDE_NEEDS").or_else(|| env_text("NEEDS")).map_or_else(read_stdin, Ok)?,
    };
    let mut expected = args.expect.clone();
    if let Some(path) = &args.workflow {
        expected.extend(expected_jobs(path, args.job.clone().or_else(|| env_text("GITHUB_JOB")).as_deref())?);
    }
    let verdicts = judge_jobs(&needs, &expected)?;
    match args.format {
        OutputFormat::Text => {
            let views: Vec<JobVerdictView<'_>> = verdicts
                .iter()
                .map(|verdict| JobVerdictView {
                    job: &verdict.job,
                    result: verdict.result.as_deref(),
                    failure_reason: verdict.failure_reason.as_deref(),
                })
                .collect();
            output.print(&render_job_verdicts(&views, output.stdout_theme));
        }
        OutputFormat::Json => output.print_json(&verdicts_json(&verdicts)),
    }
    Ok(ExitCode::from_check(verdicts.iter().any(|verdict| verdict.failure_reason.is_some())))
}

fn env_text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    let mut stdin = std::io::stdin();
    if !stdin.is_terminal() {
        stdin.read_to_string(&mut text).context("cannot read standard input")?;
    }
    if text.trim().is_empty() { Err(GateError::NoResults.into()) } else { Ok(text) }
}
