//! Text of `noxide gate`: each job with its result and the reason why it does not pass.

use super::theme::OutputTheme;
use crate::record::Outcome;
use crate::text::{pluralize, to_single_line};

/// A job as it is printed.
#[derive(Debug)]
pub(crate) struct JobVerdictView<'a> {
    pub(crate) job: &'a str,
    /// The forge's result; `None` if the job is missing.
    pub(crate) result: Option<&'a str>,
    /// Reason why the job does not pass; `None` if it passes.
    pub(crate) failure_reason: Option<&'a str>,
}

/// Renders one line per job and a summary.
pub(crate) fn render_job_verdicts(jobs: &[JobVerdictView<'_>], theme: OutputTheme) -> String {
    let names: Vec<String> = jobs.iter().map(|job| to_single_line(job.job)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (job, name) in jobs.iter().zip(&names) {
        let result = job.result.unwrap_or("missing");
        let outcome = match (job.failure_reason, result) {
            (Some(_), _) => Outcome::Failed,
            (None, "skipped") => Outcome::Skipped,
            (None, _) => Outcome::Passed,
        };
        let mark = theme.outcome_mark(outcome);
        let reason = job.failure_reason.map(|reason| format!("  {}", to_single_line(reason))).unwrap_or_default();
        text.push_str(&format!("{mark} {name:width$}  {}{reason}\n", to_single_line(result)));
    }
    let failed = jobs.iter().filter(|job| job.failure_reason.is_some()).count();
    let count = pluralize(jobs.len(), "job");
    text.push_str(&match failed {
        0 => format!("{count} passed\n"),
        _ => format!("{failed} of {count} did not pass\n"),
    });
    text
}
