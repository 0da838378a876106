//! Verdict on the results of the jobs that a gate job needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::forge::Forge;
use super::source::SourceFile;
use super::workflow::{Workflow, WorkflowFileKind};
use crate::fs::read_project_text;

/// Why job results cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// There are no results.
    #[error("no job results; pass `${{{{ toJSON(needs) }}}}` with --needs, NOXIDE_NEEDS or standard input")]
    NoResults,
    /// The results are not the JSON of a `needs` context.
    #[error("cannot parse the job results: {0}; pass `${{{{ toJSON(needs) }}}}` unchanged")]
    InvalidResults(#[from] serde_json::Error),
    /// No job is needed, and no job is expected.
    #[error("the gate job needs no other job; list the jobs to check in `needs`")]
    NoNeeds,
    /// The workflow cannot be read.
    #[error("cannot read {}: {message}", path.display())]
    Workflow {
        /// The workflow file.
        path: PathBuf,
        /// The error.
        message: String,
    },
    /// The workflow lacks the gate job.
    #[error("{} has no job `{job}`; name the gate job with --job", path.display())]
    UnknownJob {
        /// The workflow file.
        path: PathBuf,
        /// The gate job.
        job: String,
    },
    /// The gate job is not specified.
    #[error("the gate job is unknown; name it with --job")]
    NoGateJob,
}

/// A job of the `needs` context.
#[derive(Debug, Deserialize)]
struct JobResult {
    result: String,
}

/// The verdict on one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobVerdict {
    pub(crate) job: String,
    /// The forge's result; `None` if the job is not in `needs`.
    pub(crate) result: Option<String>,
    /// Why the job does not pass.
    pub(crate) failure_reason: Option<String>,
}

/// Judges the results of a `needs` context: failed, cancelled and missing jobs do not pass, skipped ones do.
///
/// # Errors
/// When the results cannot be parsed, or there is nothing to judge.
pub(crate) fn judge_jobs(needs: &str, expected: &[String]) -> Result<Vec<JobVerdict>, GateError> {
    let needs: BTreeMap<String, JobResult> = serde_json::from_str(needs)?;
    if needs.is_empty() && expected.is_empty() {
        return Err(GateError::NoNeeds);
    }
    let mut verdicts: Vec<JobVerdict> = needs
        .into_iter()
        .map(|(job, JobResult { result })| {
            let failure_reason = match result.as_str() {
                "success" | "skipped" => None,
                "failure" => Some("the job failed".to_owned()),
                "cancelled" => Some("the job was cancelled".to_owned()),
                other => Some(format!("unknown result `{other}`")),
            };
            JobVerdict { job, result: Some(result), failure_reason }
        })
        .collect();
    for job in expected {
        if !verdicts.iter().any(|known| known.job == *job) {
            let reason = Some("the job is not in `needs`; add it".to_owned());
            verdicts.push(JobVerdict { job: job.clone(), result: None, failure_reason: reason });
        }
    }
    Ok(verdicts)
}

/// Returns the jobs of a workflow without the gate job itself.
///
/// # Errors
/// When the workflow cannot be read or lacks the gate job.
pub(crate) fn expected_jobs(path: &Path, gate_job: Option<&str>) -> Result<Vec<String>, GateError> {
    let invalid = |message: String| GateError::Workflow { path: path.to_path_buf(), message };
    let text = read_project_text(path).map_err(|error| invalid(error.to_string()))?;
    let source = SourceFile::new(path.display().to_string(), text);
    let workflow = Workflow::parse(source, WorkflowFileKind::Workflow, Forge::Forgejo)
        .map_err(|error| invalid(error.to_string()))?;
    let jobs: Vec<String> = workflow.jobs.iter().map(|job| job.id.value.clone()).collect();
    match gate_job {
        Some(gate) if jobs.iter().any(|job| job == gate) => Ok(jobs.into_iter().filter(|job| job != gate).collect()),
        Some(gate) => Err(GateError::UnknownJob { path: path.to_path_buf(), job: gate.to_owned() }),
        None => Err(GateError::NoGateJob),
    }
}

/// Returns the document of `noxide gate --format json`.
pub(crate) fn verdicts_json(verdicts: &[JobVerdict]) -> Value {
    let job = |verdict: &JobVerdict| {
        json!({
            "job": verdict.job,
            "result": verdict.result,
            "ok": verdict.failure_reason.is_none(),
            "reason": verdict.failure_reason,
        })
    };
    let is_ok = verdicts.iter().all(|verdict| verdict.failure_reason.is_none());
    json!({ "version": 1, "ok": is_ok, "jobs": verdicts.iter().map(job).collect::<Vec<_>>() })
}
