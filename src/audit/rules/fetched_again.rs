//! NX210: the same tool is fetched in several jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX210", name: "fetched-again", summary: "The same tool is fetched in several jobs." },
    rationale: "Each job pays the download and the index update; the slowest mirror decides.",
    evidence: "W10: Node by apt 20 to 30 s times 12 jobs, Helm 15 to 25 s times 3, in the users' own counts.",
    advice: "Fetch it once a run: an image that has it, one job with `noxide run`, or a cache under its version.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let mut fetched: std::collections::BTreeMap<&str, Vec<(JobView, Span)>> = std::collections::BTreeMap::new();
    for view in project.job_views() {
        for (_, fetch, place) in &view.analysis.network_fetches {
            let places = fetched.entry(fetch.resource.as_str()).or_default();
            if !places.iter().any(|(other, _)| std::ptr::eq(other.job, view.job)) {
                places.push((view, *place));
            }
        }
    }
    // Once in each of two workflows is once a run.
    let twice = |places: &[(JobView, Span)]| {
        places.iter().any(|(view, _)| places.iter().filter(|(other, _)| other.source() == view.source()).count() > 1)
    };
    for (what, places) in fetched.iter().filter(|(_, places)| twice(places)) {
        for (view, place) in places {
            found.report(view.source(), *place, format!("`{what}` is fetched in {} jobs", places.len()));
        }
    }
}
