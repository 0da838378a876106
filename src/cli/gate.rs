//! `noxide gate`: the results of the jobs that a job needs, judged honestly.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ci_args::GateArgs;
use super::error::CliError;
use super::list::print_stdout;
use super::output_context::OutputContext;
use super::output_format::OutputFormat;
use crate::audit::dialect::Dialect;
use crate::audit::source::SourceFile;
use crate::audit::workflow::{Workflow, WorkflowFileKind};
use crate::text::pluralize;

/// What a forge says of one job.
#[derive(Debug, Deserialize)]
struct JobResult {
    result: String,
}

/// How one job is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct JobVerdict {
    job: String,
    /// The forge's word; none where it says nothing of the job.
    result: Option<String>,
    /// Why it does not pass.
    failure_reason: Option<String>,
}

/// Judges the results: 1 where a job failed, was cancelled or is missing; a skipped one is fine.
///
/// # Errors
/// When there are no results, or they cannot be read.
pub(super) fn check_gate(args: &GateArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let text = match &args.needs {
        Some(text) => text.clone(),
        None => env_text("NOXIDE_NEEDS").or_else(|| env_text("NEEDS")).map_or_else(read_stdin, Ok)?,
    };
    let needs: BTreeMap<String, JobResult> = serde_json::from_str(&text).map_err(|error| {
        CliError::InvalidInput(format!("the results cannot be read: {error}; pass `${{{{ toJSON(needs) }}}}` as it is"))
    })?;
    let mut expected = args.expect.clone();
    if let Some(path) = &args.workflow {
        expected.extend(read_workflow_jobs(path, args.job.clone().or_else(|| env_text("GITHUB_JOB")).as_deref())?);
    }
    if needs.is_empty() && expected.is_empty() {
        return Err(CliError::InvalidInput(
            "no job is needed, so there is nothing to judge: list them in `needs`".to_owned(),
        ));
    }
    let judged = evaluate_jobs(&needs, &expected);
    let failed = judged.iter().filter(|job| job.failure_reason.is_some()).count();
    print_stdout(&match args.format {
        OutputFormat::Text => format_verdicts(&judged, failed, screen),
        OutputFormat::Json => format!("{:#}\n", verdicts_json(&judged, failed)),
    });
    Ok(u8::from(failed > 0))
}

fn env_text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    let mut stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let read = stdin.read_to_string(&mut text);
        read.map_err(|source| CliError::Io { context: "cannot read the standard input".to_owned(), source })?;
    }
    if text.trim().is_empty() {
        let none = "there are no results: give `${{ toJSON(needs) }}` by --needs, NOXIDE_NEEDS or the standard input";
        return Err(CliError::InvalidInput(none.to_owned()));
    }
    Ok(text)
}

/// The jobs of a workflow, all but the gate's own.
fn read_workflow_jobs(path: &Path, own: Option<&str>) -> Result<Vec<String>, CliError> {
    let named = |why: String| CliError::InvalidInput(format!("{}: {why}", path.display()));
    let text = fs_err::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let source = SourceFile::new(path.display().to_string(), text);
    let workflow = Workflow::parse(source, WorkflowFileKind::Workflow, Dialect::Forgejo)
        .map_err(|error| named(error.to_string()))?;
    let jobs: Vec<String> = workflow.jobs.iter().map(|job| job.id.value.clone()).collect();
    match own {
        Some(own) if jobs.iter().any(|job| job == own) => Ok(jobs.into_iter().filter(|job| job != own).collect()),
        Some(own) => Err(named(format!("it has no job `{own}`"))),
        None => Err(named("which job runs the gate? say it by --job".to_owned())),
    }
}

fn evaluate_jobs(needs: &BTreeMap<String, JobResult>, expected: &[String]) -> Vec<JobVerdict> {
    let mut judged: Vec<JobVerdict> = needs
        .iter()
        .map(|(job, needed)| {
            let why = match needed.result.as_str() {
                "success" | "skipped" => None,
                "failure" => Some("it failed".to_owned()),
                "cancelled" => Some("it was cancelled, so nobody knows".to_owned()),
                other => Some(format!("its result `{other}` is no word known here")),
            };
            JobVerdict { job: job.clone(), result: Some(needed.result.clone()), failure_reason: why }
        })
        .collect();
    for job in expected {
        if !judged.iter().any(|known| known.job == *job) {
            let why = Some("it is not among the needs, so it is not waited for".to_owned());
            judged.push(JobVerdict { job: job.clone(), result: None, failure_reason: why });
        }
    }
    judged
}

fn format_verdicts(judged: &[JobVerdict], failed: usize, screen: &OutputContext) -> String {
    let width = judged.iter().map(|job| job.job.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for job in judged {
        let result = job.result.as_deref().unwrap_or("missing");
        let outcome = match (&job.failure_reason, result) {
            (Some(_), _) => crate::record::Outcome::Failed,
            (None, "skipped") => crate::record::Outcome::Skipped,
            (None, _) => crate::record::Outcome::Passed,
        };
        let mark = screen.stdout_styles.outcome_mark(outcome);
        let why = job.failure_reason.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        text.push_str(&format!("{mark} {:width$}  {result}{why}\n", job.job));
    }
    let count = pluralize(judged.len(), "job");
    text.push_str(&match failed {
        0 => format!("{count}: all is well\n"),
        failed => format!("{count}: {failed} not well\n"),
    });
    text
}

fn verdicts_json(judged: &[JobVerdict], failed: usize) -> Value {
    let row = |job: &JobVerdict| json!({ "job": job.job, "result": job.result, "ok": job.failure_reason.is_none(), "why": job.failure_reason });
    json!({ "version": 1, "ok": failed == 0, "jobs": judged.iter().map(row).collect::<Vec<_>>() })
}
