//! NX203: the same preparation stands in many jobs.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX203", name: "copied-bootstrap", summary: "The same preparation stands in many jobs." },
    rationale: "Each copy costs its own minutes on every run, and they drift apart: one is pinned, another is not.",
    evidence: "W24: about 40 lines times 12 jobs; 60 % of sampled repositories install the same tools in several jobs. Preparation is most of a small job's time under load: +3 min in every Python job of a busy day, nothing elsewhere.",
    advice: "Run the sessions of such jobs in one job with `noxide run`, unless a free machine waits for each job (`--runner-capacity`); then move the preparation into one composite action. In one job the sessions share a checkout: say what may not run together by `locks` and `exclusive` in `[tool.noxide.sessions]`.",
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
      - uses: actions/checkout@v4
      - run: pip install nox
      - run: nox -s a
  b:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - run: pip install nox
      - run: nox -s b
  c:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - run: pip install nox
      - run: nox -s c
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - run: pip install nox noxide
      - run: noxide run -s a b c
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let mut groups: std::collections::BTreeMap<Vec<String>, Vec<(JobView, Span)>> = std::collections::BTreeMap::new();
    for view in project.job_views() {
        if let Some((core, place)) = bootstrap_signature(&view) {
            groups.entry(core).or_default().push((view, place));
        }
    }
    for (core, members) in groups.iter().filter(|(_, members)| members.len() >= 3 && is_repeated_in_workflow(members)) {
        let mut files: Vec<&str> = Vec::new();
        for (view, place) in members {
            if files.contains(&view.source().path.as_str()) {
                continue;
            }
            files.push(&view.source().path);
            let here = members.iter().filter(|(other, _)| other.source() == view.source()).count();
            let message =
                format!("{} jobs prepare themselves alike ({}), {here} of them here", members.len(), core.join(", "));
            let finding = found.report(view.source(), *place, message);
            let jobs: Vec<JobView> =
                members.iter().filter(|(other, _)| other.source() == view.source()).map(|(other, _)| *other).collect();
            for (other, place) in members.iter().filter(|(other, _)| other.source() == view.source()).skip(1) {
                finding.add_related(other.source(), *place, format!("again in job `{}`", other.job.id.value));
            }
            // Where a machine is free for each job, one job would only be slower.
            if project.options.runner_capacity.map_or(view.is_self_hosted(), |capacity| capacity < jobs.len()) {
                finding.fix = fixes::merge_jobs::merge_jobs(&jobs);
            }
        }
    }
}

/// Whether one run of one workflow pays for it more than once.
fn is_repeated_in_workflow(members: &[(JobView, Span)]) -> bool {
    members.iter().any(|(view, _)| members.iter().filter(|(other, _)| other.source() == view.source()).count() > 1)
}

/// What a job does before its first session: system packages, checkout, tools; and where it starts.
fn bootstrap_signature(view: &JobView) -> Option<(Vec<String>, Span)> {
    let first = view.analysis.nox_calls.first()?.step_index;
    let mut core = Vec::new();
    let mut place = None;
    for step in view.job.steps.iter().take(first) {
        let before = core.len();
        let fetched = view
            .analysis
            .network_fetches
            .iter()
            .filter(|(at, fetch, _)| *at == step.index && !fetch.resource.contains('/'));
        core.extend(fetched.map(|(_, fetch, _)| fetch.resource.clone()));
        if let Some(action) =
            step.action.as_ref().filter(|action| action.name.contains("checkout") || action.name.contains("setup-"))
        {
            core.push(action.name.clone());
        }
        for installed in view.analysis.installs.iter().filter(|installed| installed.step_index == step.index) {
            let names = installed.install.packages.iter().map(|word| {
                let end = word.text.find(['=', '<', '>', '[', '~', '@']).unwrap_or(word.text.len());
                word.text.get(..end).unwrap_or_default().to_owned()
            });
            core.extend(names);
        }
        if core.len() > before && place.is_none() {
            place = Some(step.span);
        }
    }
    core.sort();
    core.dedup();
    (core.len() >= 2).then_some((core, place?))
}
