//! Commit statuses, whose description says how long a job took: «Successful in 5m5s», «Failing after 4m25s».

use std::collections::BTreeMap;

use super::fields::{At, Told};
use super::span::forge;
use crate::record::{ImportedJob, ImportedRun};

/// What a description says: whether the job passed, and its milliseconds.
pub(super) fn described(text: &str) -> Option<(bool, u64)> {
    for (begin, passed) in [("Successful in ", true), ("Failing after ", false), ("Failed after ", false)] {
        if let Some(time) = text.trim().strip_prefix(begin) {
            return Some((passed, forge(time)?));
        }
    }
    None
}

/// The job of a context such as `ci.yml / lint (pull_request)`.
pub(super) fn job(context: &str) -> String {
    let name = context.rsplit(" / ").next().unwrap_or(context).trim();
    match name.rfind(" (") {
        Some(at) if name.ends_with(')') && is_event(&name[at + 2..name.len() - 1]) => name[..at].to_owned(),
        _ => name.to_owned(),
    }
}

fn is_event(word: &str) -> bool {
    ["push", "pull_request", "pull_request_target", "schedule", "workflow_dispatch", "release", "merge_group"]
        .contains(&word)
}

/// The statuses of a commit; of several with one context the first counts, which forges list newest first.
pub(super) fn statuses(entries: &[At<'_>], commit: Option<&str>) -> Result<Told, String> {
    let mut runs: BTreeMap<String, ImportedRun> = BTreeMap::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut open = 0;
    for entry in entries {
        let context = entry.text(&["context"])?.ok_or_else(|| entry.wrong("context", "is missing"))?;
        let description = entry.text(&["description"])?.unwrap_or_default();
        let Some((passed, wall)) = described(&description) else {
            open += 1;
            continue;
        };
        let own = address(entry)?;
        let key = commit.map(str::to_owned).or(own).unwrap_or_else(|| "unknown".to_owned());
        if seen.contains(&(key.clone(), context.clone())) {
            continue;
        }
        seen.push((key.clone(), context.clone()));
        let run = runs.entry(key.clone()).or_insert_with(|| ImportedRun {
            source: "statuses".to_owned(),
            id: format!("statuses of {key}"),
            time: None,
            commit: Some(key).filter(|key| key.len() >= 40 && key.chars().all(|c| c.is_ascii_hexdigit())),
            wall: None,
            passed: Some(true),
            jobs: Vec::new(),
        });
        run.time = run.time.take().or(entry.text(&["created_at"])?);
        run.passed = Some(run.passed == Some(true) && passed);
        run.jobs.push(ImportedJob { name: job(&context), wall: Some(wall), passed });
    }
    Ok((runs.into_values().collect(), open))
}

/// The commit in the status's own address, `…/statuses/<commit>`.
fn address(entry: &At<'_>) -> Result<Option<String>, String> {
    let url = entry.text(&["url"])?;
    Ok(url.and_then(|url| url.rsplit_once("/statuses/").map(|(_, commit)| commit.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_and_contexts() {
        assert_eq!(described("Successful in 5m5s"), Some((true, 305_000)));
        assert_eq!(described("Failing after 4m25s"), Some((false, 265_000)));
        for text in
            ["Has been cancelled", "Blocked by required conditions", "Successful in ages", "Has started running"]
        {
            assert_eq!(described(text), None, "{text}");
        }
        assert_eq!(job("ci.yml / lint (pull_request)"), "lint");
        assert_eq!(job("CI / tests (3.12) (push)"), "tests (3.12)");
        assert_eq!(job("CI / tests (3.12)"), "tests (3.12)");
        assert_eq!(job("coverage"), "coverage");
    }
}
