//! Answers of the Actions API of GitHub, Gitea and Forgejo: runs, jobs, tasks.
//!
//! GitHub and Gitea say `workflow_runs` and `jobs` with `run_started_at`/`started_at`, `updated_at`/`completed_at`,
//! `status` and `conclusion`. Forgejo says `workflow_runs` too: for runs with `started`, `stopped` and `commit_sha`,
//! for tasks (its jobs) with `run_started_at`, `updated_at` and a `status` that is the conclusion.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{At, Told};
use super::span::between;
use crate::record::{ImportedJob, ImportedRun};

/// How something ended, by the words of the three forges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    /// Cancelled or skipped: its time says nothing.
    Void,
    /// It still runs or waits.
    Open,
}

/// Reads an answer that is an object.
pub(super) fn object(answer: &Value) -> Result<Told, String> {
    let root = At::new(answer, "");
    if answer.get("workflow_runs").is_some() {
        let entries = root.members("workflow_runs")?;
        return if !entries.is_empty() && entries.iter().all(is_task) { tasks(&entries) } else { runs(&entries) };
    }
    if answer.get("jobs").is_some() {
        return jobs(&root.members("jobs")?);
    }
    if answer.get("statuses").is_some() {
        return super::statuses::statuses(&root.members("statuses")?, root.text(&["sha"])?.as_deref());
    }
    if answer.get("id").is_some() && (answer.get("status").is_some() || answer.get("state").is_some()) {
        return list(std::slice::from_ref(&At::new(answer, "answer")));
    }
    match root.text(&["message", "error"]).ok().flatten() {
        Some(message) => Err(format!("the forge says: {message}")),
        None => Err("it has neither `workflow_runs` nor `jobs` nor `statuses`".to_owned()),
    }
}

/// Reads an answer that is a list: jobs, runs or statuses.
pub(super) fn list(entries: &[At<'_>]) -> Result<Told, String> {
    let Some(first) = entries.first() else { return Ok((Vec::new(), 0)) };
    if first.has("context") {
        super::statuses::statuses(entries, None)
    } else if first.has("commit_sha") || first.has("workflow_id") && !first.has("run_id") {
        runs(entries)
    } else if first.has("name") {
        jobs(entries)
    } else {
        Err("its members are neither runs nor jobs nor statuses".to_owned())
    }
}

/// Forgejo's tasks are listed as `workflow_runs`, but each is a job: its status says how it ended.
fn is_task(entry: &At<'_>) -> bool {
    let says = |name: &str| entry.value.get(name).is_some();
    says("run_number") && says("name") && !says("conclusion") && !says("commit_sha")
}

fn end(entry: &At<'_>) -> Result<End, String> {
    let word = entry.text(&["conclusion", "status", "state"])?.unwrap_or_default();
    Ok(match word.to_lowercase().as_str() {
        "success" | "neutral" => End::Passed,
        "failure" | "error" | "timed_out" | "startup_failure" => End::Failed,
        "cancelled" | "canceled" | "skipped" | "stale" | "action_required" => End::Void,
        "completed" | "queued" | "in_progress" | "waiting" | "running" | "blocked" | "pending" | "requested"
        | "unknown" | "" => End::Open,
        other => return Err(entry.wrong("status", &format!("is `{other}`, which no forge says"))),
    })
}

fn span(entry: &At<'_>) -> Result<(Option<String>, Option<u64>), String> {
    let start = entry.text(&["run_started_at", "started_at", "started", "created_at", "created"])?;
    let end = entry.text(&["completed_at", "stopped", "updated_at", "updated"])?;
    let wall = start.as_deref().zip(end.as_deref()).and_then(|(start, end)| between(start, end));
    Ok((start, wall))
}

fn source(entry: &At<'_>) -> &'static str {
    let address = entry.value.get("html_url").or_else(|| entry.value.get("url")).and_then(Value::as_str);
    match address {
        Some(address) if address.contains("github.com") => "github",
        _ if entry.has("commit_sha") || entry.has("stopped") || is_task(entry) => "forgejo",
        _ if entry.has("node_id") || entry.has("check_run_url") => "github",
        _ => "gitea",
    }
}

fn runs(entries: &[At<'_>]) -> Result<Told, String> {
    let (mut runs, mut open) = (Vec::new(), 0);
    for entry in entries {
        let end = end(entry)?;
        let (time, wall) = span(entry)?;
        if matches!(end, End::Open | End::Void) {
            open += 1;
            continue;
        }
        runs.push(ImportedRun {
            source: source(entry).to_owned(),
            id: format!("run {}", entry.id("id")?),
            time,
            commit: entry.text(&["head_sha", "commit_sha"])?,
            wall,
            passed: Some(end == End::Passed),
            jobs: Vec::new(),
        });
    }
    Ok((runs, open))
}

fn jobs(entries: &[At<'_>]) -> Result<Told, String> {
    grouped(entries, "run_id")
}

fn tasks(entries: &[At<'_>]) -> Result<Told, String> {
    grouped(entries, "run_number")
}

/// Jobs as runs: those of one run together. Their run is as long as from the first start to the last end.
fn grouped(entries: &[At<'_>], by: &str) -> Result<Told, String> {
    let mut runs: BTreeMap<String, (ImportedRun, Vec<(String, String)>)> = BTreeMap::new();
    let mut open = 0;
    for entry in entries {
        let name = entry.text(&["name"])?.ok_or_else(|| entry.wrong("name", "is missing"))?;
        let end = end(entry)?;
        if matches!(end, End::Open | End::Void) {
            open += 1;
            continue;
        }
        let (time, wall) = span(entry)?;
        // A job without its run (Forgejo's answer for one run) belongs to the one that was asked for.
        let run = if entry.has(by) { entry.id(by)? } else { format!("of job {}", entry.id("id")?) };
        let key = format!("{} {run}", by.replace('_', " "));
        let (run, spans) = runs.entry(key.clone()).or_insert_with(|| {
            let run = ImportedRun {
                source: source(entry).to_owned(),
                id: format!("jobs of {key}"),
                time: None,
                commit: None,
                wall: None,
                passed: Some(true),
                jobs: Vec::new(),
            };
            (run, Vec::new())
        });
        run.commit = run.commit.take().or(entry.text(&["head_sha", "commit_sha"])?);
        run.passed = Some(run.passed == Some(true) && end == End::Passed);
        run.jobs.push(ImportedJob { name, wall, passed: end == End::Passed });
        let stop = entry.text(&["completed_at", "stopped", "updated_at", "updated"])?;
        spans.extend(time.zip(stop).filter(|_| wall.is_some()));
    }
    let whole = |(mut run, spans): (ImportedRun, Vec<(String, String)>)| {
        let instant = |text: &String| text.parse::<jiff::Timestamp>().ok();
        let first = spans.iter().map(|(start, _)| start).min_by_key(|text| instant(text));
        let last = spans.iter().map(|(_, end)| end).max_by_key(|text| instant(text));
        run.wall = first.zip(last).and_then(|(first, last)| between(first, last));
        run.time = first.cloned();
        run
    };
    Ok((runs.into_values().map(whole).collect(), open))
}
