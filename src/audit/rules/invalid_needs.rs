//! NX414: A job needs a job that does not exist, or itself.

use super::prelude::*;
use crate::text::did_you_mean;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX414",
        name: "invalid-needs",
        summary: "A job needs a job that does not exist, or itself.",
    },
    rationale: "The forge rejects the whole workflow.",
    evidence: "The forge shows only a run that fails after 0 seconds.",
    advice: "Use the id of an existing job, and remove cycles.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    needs: lnit
    steps:
      - run: nox -s tests
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
  tests:
    runs-on: docker
    needs: lint
    if: always()
    steps:
      - run: nox -s tests
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for need in &view.job.needs {
            // GitHub ignores the case of job ids.
            let is_same = |id: &str| view.workflow.forge == Forge::Github && id.eq_ignore_ascii_case(&need.value);
            if view.workflow.jobs.iter().any(|job| job.id.value != need.value && is_same(&job.id.value)) {
                continue;
            }
            if view.workflow.find_job(&need.value).is_none() {
                let known = view.workflow.jobs.iter().map(|job| job.id.value.as_str());
                let hint = did_you_mean(&need.value, known).map(|hint| format!("; {hint}")).unwrap_or_default();
                findings.report(view.source(), need.span, format!("job `{}` does not exist{hint}", need.value));
            } else if has_needs_cycle(&view, &need.value, &mut Vec::new()) {
                let job = &view.job.id.value;
                let through = if need.value == *job { String::new() } else { format!(" through `{}`", need.value) };
                findings.report(view.source(), need.span, format!("job `{job}` needs itself{through}"));
            }
        }
    }
}

/// Whether a chain of `needs` from `name` leads back to the job.
fn has_needs_cycle<'a>(view: &JobView<'a>, name: &str, seen: &mut Vec<&'a str>) -> bool {
    let Some(job) = view.workflow.find_job(name) else { return false };
    if name == view.job.id.value {
        return true;
    }
    if seen.contains(&job.id.value.as_str()) {
        return false;
    }
    seen.push(&job.id.value);
    job.needs.iter().any(|need| has_needs_cycle(view, &need.value, seen))
}
