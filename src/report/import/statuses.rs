//! Commit statuses, whose description holds the duration: "Successful in 5m5s", "Failing after 4m25s".

use std::collections::{BTreeMap, HashSet};

use super::duration::parse_forge_duration;
use super::json_fields::{LocatedJson, ParsedRuns, ResponseFormatError};
use crate::record::{ImportedJob, ImportedRun};

/// Parses a description into whether the job passed, and its milliseconds.
pub(super) fn parse_status_description(text: &str) -> Option<(bool, u64)> {
    for (begin, passed) in [("Successful in ", true), ("Failing after ", false), ("Failed after ", false)] {
        if let Some(time) = text.trim().strip_prefix(begin) {
            return Some((passed, parse_forge_duration(time)?));
        }
    }
    None
}

/// Returns the job of a context such as `ci.yml / lint (pull_request)`.
pub(super) fn job_name(context: &str) -> String {
    let name = context.rsplit(" / ").next().unwrap_or(context).trim();
    match name.rfind(" (") {
        Some(at) if name.ends_with(')') && is_workflow_event(&name[at + 2..name.len() - 1]) => name[..at].to_owned(),
        _ => name.to_owned(),
    }
}

fn is_workflow_event(word: &str) -> bool {
    ["push", "pull_request", "pull_request_target", "schedule", "workflow_dispatch", "release", "merge_group"]
        .contains(&word)
}

/// Parses the statuses of a commit. Forges list the newest first, so the first of each context counts.
pub(super) fn parse_statuses(
    entries: &[LocatedJson<'_>],
    commit: Option<&str>,
) -> Result<ParsedRuns, ResponseFormatError> {
    let mut runs: BTreeMap<String, ImportedRun> = BTreeMap::new();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let mut skipped = 0;
    for entry in entries {
        let context = entry.text_field(&["context"])?.ok_or_else(|| entry.field_error("context", "is missing"))?;
        let description = entry.text_field(&["description"])?.unwrap_or_default();
        let Some((passed, wall)) = parse_status_description(&description) else {
            skipped += 1;
            continue;
        };
        let url_commit = commit_from_url(entry)?;
        let key = commit.map(str::to_owned).or(url_commit).unwrap_or_else(|| "unknown".to_owned());
        if !seen.insert((key.clone(), context.clone())) {
            continue;
        }
        let run = runs.entry(key.clone()).or_insert_with(|| ImportedRun {
            source: "statuses".to_owned(),
            id: format!("statuses of {key}"),
            started_at: None,
            commit: Some(key).filter(|key| key.len() >= 40 && key.chars().all(|c| c.is_ascii_hexdigit())),
            wall_ms: None,
            passed: Some(true),
            jobs: Vec::new(),
        });
        run.started_at = run.started_at.take().or(entry.text_field(&["created_at"])?);
        run.passed = Some(run.passed == Some(true) && passed);
        run.jobs.push(ImportedJob { name: job_name(&context), wall_ms: Some(wall), passed });
    }
    Ok((runs.into_values().collect(), skipped))
}

/// Returns the commit in the status's own URL, `…/statuses/<commit>`.
fn commit_from_url(entry: &LocatedJson<'_>) -> Result<Option<String>, ResponseFormatError> {
    let url = entry.text_field(&["url"])?;
    Ok(url.and_then(|url| url.rsplit_once("/statuses/").map(|(_, commit)| commit.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_and_contexts() {
        assert_eq!(parse_status_description("Successful in 5m5s"), Some((true, 305_000)));
        assert_eq!(parse_status_description("Failing after 4m25s"), Some((false, 265_000)));
        for text in
            ["Has been cancelled", "Blocked by required conditions", "Successful in ages", "Has started running"]
        {
            assert_eq!(parse_status_description(text), None, "{text}");
        }
        assert_eq!(job_name("ci.yml / lint (pull_request)"), "lint");
        assert_eq!(job_name("CI / tests (3.12) (push)"), "tests (3.12)");
        assert_eq!(job_name("CI / tests (3.12)"), "tests (3.12)");
        assert_eq!(job_name("coverage"), "coverage");
    }
}
