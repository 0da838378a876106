//! Responses of the Actions API of GitHub, Gitea and Forgejo: runs, jobs, tasks.
//!
//! GitHub and Gitea return `workflow_runs` and `jobs` with `run_started_at` or `started_at`, `updated_at` or
//! `completed_at`, `status` and `conclusion`. Forgejo also returns `workflow_runs`: runs with `started`, `stopped` and
//! `commit_sha`, and tasks (its jobs) with `run_started_at`, `updated_at` and a `status` that is the conclusion.

use std::collections::BTreeMap;

use serde_json::Value;

use super::duration::millis_between;
use super::json_fields::{LocatedJson, ParsedRuns, ResponseFormatError};
use crate::record::{ImportedJob, ImportedRun};

/// Conclusion of a job or run, parsed from the words of the three forges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JobConclusion {
    Passed,
    Failed,
    /// Cancelled or skipped: its time is not comparable.
    Ignored,
    /// Running or queued.
    Unfinished,
}

/// Parses a response that is an object.
pub(super) fn parse_object(response: &Value) -> Result<ParsedRuns, ResponseFormatError> {
    let root = LocatedJson::new(response, "");
    if response.get("workflow_runs").is_some() {
        let entries = root.list_field("workflow_runs")?;
        return if !entries.is_empty() && entries.iter().all(is_forgejo_task) {
            parse_tasks(&entries)
        } else {
            parse_runs(&entries)
        };
    }
    if response.get("jobs").is_some() {
        return parse_jobs(&root.list_field("jobs")?);
    }
    if response.get("statuses").is_some() {
        return super::statuses::parse_statuses(&root.list_field("statuses")?, root.text_field(&["sha"])?.as_deref());
    }
    if response.get("id").is_some() && (response.get("status").is_some() || response.get("state").is_some()) {
        return parse_list(std::slice::from_ref(&LocatedJson::new(response, "response")));
    }
    match root.text_field(&["message", "error"]).ok().flatten() {
        Some(message) => Err(ResponseFormatError(format!("the forge reports: {message}"))),
        None => Err(ResponseFormatError("it has neither `workflow_runs` nor `jobs` nor `statuses`".to_owned())),
    }
}

/// Parses a response that is a list of jobs, runs or statuses.
pub(super) fn parse_list(entries: &[LocatedJson<'_>]) -> Result<ParsedRuns, ResponseFormatError> {
    let Some(first) = entries.first() else { return Ok((Vec::new(), 0)) };
    if first.has_field("context") {
        super::statuses::parse_statuses(entries, None)
    } else if first.has_field("commit_sha") || first.has_field("workflow_id") && !first.has_field("run_id") {
        parse_runs(entries)
    } else if first.has_field("name") {
        parse_jobs(entries)
    } else {
        Err(ResponseFormatError("its items are neither runs nor jobs nor statuses".to_owned()))
    }
}

/// Returns whether an entry is one of Forgejo's tasks, which are listed as `workflow_runs` although each is a job: its
/// status holds the result.
fn is_forgejo_task(entry: &LocatedJson<'_>) -> bool {
    let has = |name: &str| entry.value.get(name).is_some();
    has("run_number") && has("name") && !has("conclusion") && !has("commit_sha")
}

fn parse_conclusion(entry: &LocatedJson<'_>) -> Result<JobConclusion, ResponseFormatError> {
    let word = entry.text_field(&["conclusion", "status", "state"])?.unwrap_or_default();
    Ok(match word.to_lowercase().as_str() {
        "success" | "neutral" => JobConclusion::Passed,
        "failure" | "error" | "timed_out" | "startup_failure" => JobConclusion::Failed,
        "cancelled" | "canceled" | "skipped" | "stale" | "action_required" => JobConclusion::Ignored,
        "completed" | "queued" | "in_progress" | "waiting" | "running" | "blocked" | "pending" | "requested"
        | "unknown" | "" => JobConclusion::Unfinished,
        other => return Err(entry.field_error("status", &format!("has the unknown value `{other}`"))),
    })
}

fn parse_start_and_wall(entry: &LocatedJson<'_>) -> Result<(Option<String>, Option<u64>), ResponseFormatError> {
    let start = entry.text_field(&["run_started_at", "started_at", "started", "created_at", "created"])?;
    let end = entry.text_field(&["completed_at", "stopped", "updated_at", "updated"])?;
    let wall = start.as_deref().zip(end.as_deref()).and_then(|(start, end)| millis_between(start, end));
    Ok((start, wall))
}

fn detect_forge(entry: &LocatedJson<'_>) -> &'static str {
    let url = entry.value.get("html_url").or_else(|| entry.value.get("url")).and_then(Value::as_str);
    match url {
        Some(url) if url.contains("github.com") => "github",
        _ if entry.has_field("commit_sha") || entry.has_field("stopped") || is_forgejo_task(entry) => "forgejo",
        _ if entry.has_field("node_id") || entry.has_field("check_run_url") => "github",
        _ => "gitea",
    }
}

fn parse_runs(entries: &[LocatedJson<'_>]) -> Result<ParsedRuns, ResponseFormatError> {
    let (mut runs, mut skipped) = (Vec::new(), 0);
    for entry in entries {
        let conclusion = parse_conclusion(entry)?;
        let (time, wall) = parse_start_and_wall(entry)?;
        if matches!(conclusion, JobConclusion::Unfinished | JobConclusion::Ignored) {
            skipped += 1;
            continue;
        }
        runs.push(ImportedRun {
            source: detect_forge(entry).to_owned(),
            id: format!("run {}", entry.id_field("id")?),
            started_at: time,
            commit: entry.text_field(&["head_sha", "commit_sha"])?,
            wall_ms: wall,
            passed: Some(conclusion == JobConclusion::Passed),
            jobs: Vec::new(),
        });
    }
    Ok((runs, skipped))
}

fn parse_jobs(entries: &[LocatedJson<'_>]) -> Result<ParsedRuns, ResponseFormatError> {
    group_jobs_by_run(entries, "run_id")
}

fn parse_tasks(entries: &[LocatedJson<'_>]) -> Result<ParsedRuns, ResponseFormatError> {
    group_jobs_by_run(entries, "run_number")
}

/// Groups jobs by run. A run lasts from the first start to the last end of its jobs.
fn group_jobs_by_run(entries: &[LocatedJson<'_>], run_field: &str) -> Result<ParsedRuns, ResponseFormatError> {
    let mut runs: BTreeMap<String, (ImportedRun, Vec<(String, String)>)> = BTreeMap::new();
    let mut skipped = 0;
    for entry in entries {
        let name = entry.text_field(&["name"])?.ok_or_else(|| entry.field_error("name", "is missing"))?;
        let conclusion = parse_conclusion(entry)?;
        if matches!(conclusion, JobConclusion::Unfinished | JobConclusion::Ignored) {
            skipped += 1;
            continue;
        }
        let (time, wall) = parse_start_and_wall(entry)?;
        // A job without a run (in Forgejo's response for one run) counts as a run of its own.
        let run = if entry.has_field(run_field) {
            entry.id_field(run_field)?
        } else {
            format!("of job {}", entry.id_field("id")?)
        };
        let key = format!("{} {run}", run_field.replace('_', " "));
        let (run, spans) = runs.entry(key.clone()).or_insert_with(|| {
            let run = ImportedRun {
                source: detect_forge(entry).to_owned(),
                id: format!("jobs of {key}"),
                started_at: None,
                commit: None,
                wall_ms: None,
                passed: Some(true),
                jobs: Vec::new(),
            };
            (run, Vec::new())
        });
        run.commit = run.commit.take().or(entry.text_field(&["head_sha", "commit_sha"])?);
        run.passed = Some(run.passed == Some(true) && conclusion == JobConclusion::Passed);
        run.jobs.push(ImportedJob { name, wall_ms: wall, passed: conclusion == JobConclusion::Passed });
        let end = entry.text_field(&["completed_at", "stopped", "updated_at", "updated"])?;
        spans.extend(time.zip(end).filter(|_| wall.is_some()));
    }
    let finish_run = |(mut run, spans): (ImportedRun, Vec<(String, String)>)| {
        let instant = |text: &String| text.parse::<jiff::Timestamp>().ok();
        let first = spans.iter().map(|(start, _)| start).min_by_key(|text| instant(text));
        let last = spans.iter().map(|(_, end)| end).max_by_key(|text| instant(text));
        run.wall_ms = first.zip(last).and_then(|(first, last)| millis_between(first, last));
        run.started_at = first.cloned();
        run
    };
    Ok((runs.into_values().map(finish_run).collect(), skipped))
}
