//! `noxide gate`: the results of the jobs that a job needs, judged honestly.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ci_flags::GateArgs;
use super::failure::Failure;
use super::format::Format;
use super::listing::print;
use super::screen::Screen;
use crate::audit::dialect::Dialect;
use crate::audit::span::Source;
use crate::audit::workflow::{FileKind, Workflow};

/// What a forge says of one job.
#[derive(Debug, Deserialize)]
struct Needed {
    result: String,
}

/// How one job is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judged {
    job: String,
    /// The forge's word; none where it says nothing of the job.
    result: Option<String>,
    /// Why it does not pass.
    why: Option<String>,
}

/// Judges the results: 1 where a job failed, was cancelled or is missing; a skipped one is fine.
///
/// # Errors
/// When there are no results, or they cannot be read.
pub(super) fn gate(args: &GateArgs, screen: &Screen) -> Result<u8, Failure> {
    let text = match &args.needs {
        Some(text) => text.clone(),
        None => variable("NOXIDE_NEEDS").or_else(|| variable("NEEDS")).map_or_else(stdin, Ok)?,
    };
    let needs: BTreeMap<String, Needed> = serde_json::from_str(&text).map_err(|error| {
        Failure::NoRun(format!("the results cannot be read: {error}; pass `${{{{ toJSON(needs) }}}}` as it is"))
    })?;
    let mut expected = args.expect.clone();
    if let Some(path) = &args.workflow {
        expected.extend(jobs(path, args.job.clone().or_else(|| variable("GITHUB_JOB")).as_deref())?);
    }
    if needs.is_empty() && expected.is_empty() {
        return Err(Failure::NoRun("no job is needed, so there is nothing to judge: list them in `needs`".to_owned()));
    }
    let judged = judge(&needs, &expected);
    let failed = judged.iter().filter(|job| job.why.is_some()).count();
    print(&match args.format {
        Format::Text => text_of(&judged, failed, screen),
        Format::Json => format!("{:#}\n", document(&judged, failed)),
    });
    Ok(u8::from(failed > 0))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let mut stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let read = stdin.read_to_string(&mut text);
        read.map_err(|source| Failure::System { what: "cannot read the standard input".to_owned(), source })?;
    }
    if text.trim().is_empty() {
        let none = "there are no results: give `${{ toJSON(needs) }}` by --needs, NOXIDE_NEEDS or the standard input";
        return Err(Failure::NoRun(none.to_owned()));
    }
    Ok(text)
}

/// The jobs of a workflow, all but the gate's own.
fn jobs(path: &Path, own: Option<&str>) -> Result<Vec<String>, Failure> {
    let named = |why: String| Failure::NoRun(format!("{}: {why}", path.display()));
    let text = fs_err::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let source = Source::new(path.display().to_string(), text);
    let workflow =
        Workflow::read(source, FileKind::Workflow, Dialect::Forgejo).map_err(|error| named(error.to_string()))?;
    let jobs: Vec<String> = workflow.jobs.iter().map(|job| job.id.value.clone()).collect();
    match own {
        Some(own) if jobs.iter().any(|job| job == own) => Ok(jobs.into_iter().filter(|job| job != own).collect()),
        Some(own) => Err(named(format!("it has no job `{own}`"))),
        None => Err(named("which job runs the gate? say it by --job".to_owned())),
    }
}

fn judge(needs: &BTreeMap<String, Needed>, expected: &[String]) -> Vec<Judged> {
    let mut judged: Vec<Judged> = needs
        .iter()
        .map(|(job, needed)| {
            let why = match needed.result.as_str() {
                "success" | "skipped" => None,
                "failure" => Some("it failed".to_owned()),
                "cancelled" => Some("it was cancelled, so nobody knows".to_owned()),
                other => Some(format!("its result `{other}` is no word known here")),
            };
            Judged { job: job.clone(), result: Some(needed.result.clone()), why }
        })
        .collect();
    for job in expected {
        if !judged.iter().any(|known| known.job == *job) {
            let why = Some("it is not among the needs, so it is not waited for".to_owned());
            judged.push(Judged { job: job.clone(), result: None, why });
        }
    }
    judged
}

fn text_of(judged: &[Judged], failed: usize, screen: &Screen) -> String {
    let width = judged.iter().map(|job| job.job.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for job in judged {
        let result = job.result.as_deref().unwrap_or("missing");
        let outcome = match (&job.why, result) {
            (Some(_), _) => crate::record::Outcome::Failed,
            (None, "skipped") => crate::record::Outcome::Skipped,
            (None, _) => crate::record::Outcome::Passed,
        };
        let mark = screen.out.mark(outcome);
        let why = job.why.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        text.push_str(&format!("{mark} {:width$}  {result}{why}\n", job.job));
    }
    let count = if judged.len() == 1 { "1 job".to_owned() } else { format!("{} jobs", judged.len()) };
    text.push_str(&match failed {
        0 => format!("{count}: all is well\n"),
        failed => format!("{count}: {failed} not well\n"),
    });
    text
}

fn document(judged: &[Judged], failed: usize) -> Value {
    let row = |job: &Judged| json!({ "job": job.job, "result": job.result, "ok": job.why.is_none(), "why": job.why });
    json!({ "version": 1, "ok": failed == 0, "jobs": judged.iter().map(row).collect::<Vec<_>>() })
}
