//! NX210: the same tool is fetched in several jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX210", name: "fetched-again", what: "The same tool is fetched in several jobs." },
    why: "Each job pays the download and the index update; the slowest mirror decides.",
    evidence: "W10: Node by apt 20 to 30 s times 12 jobs, Helm 15 to 25 s times 3, in the users' own counts.",
    advice: "Fetch it once a run: an image that has it, one job with `noxide run`, or a cache under its version.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: apt-get install -y nodejs
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    let mut fetched: std::collections::BTreeMap<&str, Vec<(View, Span)>> = std::collections::BTreeMap::new();
    for view in project.jobs() {
        for (_, fetch, place) in &view.survey.fetches {
            let places = fetched.entry(fetch.what.as_str()).or_default();
            if !places.iter().any(|(other, _)| std::ptr::eq(other.job, view.job)) {
                places.push((view, *place));
            }
        }
    }
    // Once in each of two workflows is once a run.
    let twice = |places: &[(View, Span)]| {
        places.iter().any(|(view, _)| places.iter().filter(|(other, _)| other.source() == view.source()).count() > 1)
    };
    for (what, places) in fetched.iter().filter(|(_, places)| twice(places)) {
        for (view, place) in places {
            found.report(view.source(), *place, format!("`{what}` is fetched in {} jobs", places.len()));
        }
    }
}
