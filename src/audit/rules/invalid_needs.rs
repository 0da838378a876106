//! NX414: A job needs a job that does not exist, or itself.

use std::collections::HashMap;

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

/// Most names of unknown jobs in a workflow for which a similar name is searched.
const MAX_HINTS: usize = 20;

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        // GitHub ignores the case of job ids.
        let mut by_lower_case: HashMap<String, Vec<&str>> = HashMap::new();
        for job in workflow.jobs.iter().filter(|_| workflow.forge == Forge::Github) {
            by_lower_case.entry(job.id.value.to_ascii_lowercase()).or_default().push(&job.id.value);
        }
        let mut hints = 0;
        for job in &workflow.jobs {
            for need in &job.needs {
                let same = by_lower_case.get(&need.value.to_ascii_lowercase());
                if same.is_some_and(|ids| ids.iter().any(|id| *id != need.value)) {
                    continue;
                }
                let id = &job.id.value;
                if workflow.find_job(&need.value).is_none() {
                    let known = workflow.jobs.iter().map(|job| job.id.value.as_str()).filter(|_| hints < MAX_HINTS);
                    let hint = did_you_mean(&need.value, known).map(|hint| format!("; {hint}")).unwrap_or_default();
                    hints += 1;
                    let message = format!("job `{}` does not exist{hint}", need.value);
                    findings.report(&workflow.source, need.span, message);
                } else if need.value == *id || workflow.needs_graph.needs(&need.value, id) {
                    let through = if need.value == *id { String::new() } else { format!(" through `{}`", need.value) };
                    findings.report(&workflow.source, need.span, format!("job `{id}` needs itself{through}"));
                }
            }
        }
    }
}
