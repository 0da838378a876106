//! NX210: Several jobs download the same tool.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX210", name: "repeated-download", summary: "Several jobs download the same tool." },
    rationale: "Each job repeats the download and the index update, and depends on the slowest mirror.",
    evidence: "Observed: Node with apt, 20 to 30 s in each of 12 jobs; Helm, 15 to 25 s in each of 3 jobs.",
    advice: "Download it once per run: use an image that has it, one job with `noxide run`, or a cache keyed by its version.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
  b:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let mut downloads: std::collections::BTreeMap<&str, Vec<(JobView, Span)>> = std::collections::BTreeMap::new();
    for view in project.job_views() {
        for (_, fetch, span) in &view.analysis.network_fetches {
            let locations = downloads.entry(fetch.resource.as_str()).or_default();
            if !locations.iter().any(|(other, _)| std::ptr::eq(other.job, view.job)) {
                locations.push((view, *span));
            }
        }
    }
    // Workflows run separately, so only a download in several jobs of one workflow is repeated within a run.
    let is_repeated = |locations: &[(JobView, Span)]| {
        locations
            .iter()
            .any(|(view, _)| locations.iter().filter(|(other, _)| other.source() == view.source()).count() > 1)
    };
    for (resource, locations) in downloads.iter().filter(|(_, locations)| is_repeated(locations)) {
        for (view, span) in locations {
            findings.report(view.source(), *span, format!("`{resource}` is downloaded in {} jobs", locations.len()));
        }
    }
}
