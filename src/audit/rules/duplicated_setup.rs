//! NX203: Several jobs repeat the same setup.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX203", name: "duplicated-setup", summary: "Several jobs repeat the same setup." },
    rationale: "Each copy costs time in every run, and copies drift apart: one is pinned, another is not.",
    evidence: "About 40 lines in each of 12 jobs of a real pipeline; 60 % of sampled repositories install the same tools in several jobs. Compared is what jobs install before their first session, in any order. Pedantic on GitHub-hosted runners, where each job has a runner of its own. Under load, the setup takes most of a small job's time: on a busy day every Python job took 3 minutes longer, other jobs did not.",
    advice: "Run the sessions of these jobs in one job with `noxide run`, unless a free runner is available for each job (`--runner-capacity`); then move the setup into a composite action. Sessions in one job share a checkout: declare those that must not run together with `locks` and `exclusive` in `[tool.noxide.sessions]`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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
      - run: pip install "git+<URL of noxide>@<commit>"  # brings nox and uv
      - run: noxide run -s a b c
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let mut groups: std::collections::BTreeMap<Vec<String>, Vec<(JobView, Span)>> = std::collections::BTreeMap::new();
    for view in project.job_views() {
        if let Some((setup, span)) = setup_signature(&view) {
            groups.entry(setup).or_default().push((view, span));
        }
    }
    for (setup, members) in groups.iter().filter(|(_, members)| members.len() >= 3 && is_repeated_in_workflow(members))
    {
        let mut files: Vec<&str> = Vec::new();
        for (view, span) in members {
            if files.contains(&view.source().path.as_str()) {
                continue;
            }
            files.push(&view.source().path);
            let here = members.iter().filter(|(other, _)| other.source() == view.source()).count();
            let message = format!(
                "{} jobs repeat the same setup ({}), {here} of them in this file",
                members.len(),
                setup.join(", ")
            );
            let finding = findings.report(view.source(), *span, message);
            if !view.is_self_hosted() {
                // Each job has a runner of its own.
                finding.set_severity(Severity::Info).set_persona(Persona::Pedantic);
            }
            let jobs: Vec<JobView> =
                members.iter().filter(|(other, _)| other.source() == view.source()).map(|(other, _)| *other).collect();
            for (other, span) in members.iter().filter(|(other, _)| other.source() == view.source()).skip(1) {
                finding.add_related(other.source(), *span, format!("repeated in job `{}`", other.job.id.value));
            }
            // If each job has a free runner, a single job would be slower.
            if project.options.runner_capacity.map_or(view.is_self_hosted(), |capacity| capacity < jobs.len()) {
                finding.fix = fixes::merge_jobs::merge_jobs(&jobs);
            }
        }
    }
}

/// Whether one workflow has the setup in more than one job.
fn is_repeated_in_workflow(members: &[(JobView, Span)]) -> bool {
    members.iter().any(|(view, _)| members.iter().filter(|(other, _)| other.source() == view.source()).count() > 1)
}

/// Returns the setup of a job before its first session (system packages, checkout, tools) and the span of its first
/// step.
fn setup_signature(view: &JobView) -> Option<(Vec<String>, Span)> {
    let call = view.analysis.nox_calls.first()?;
    let first = call.step_index;
    // Commands of the first session's own step count if they come before the session.
    let end = if call.alternative.is_some() { view.step(first)?.span.start } else { call.span.start };
    let mut setup = Vec::new();
    let mut span = None;
    for step in view.job.steps.iter().take(first + 1) {
        let before = setup.len();
        let fetched = view
            .analysis
            .network_fetches
            .iter()
            .filter(|(at, fetch, span)| *at == step.index && span.start < end && !fetch.resource.contains('/'));
        setup.extend(fetched.map(|(_, fetch, _)| fetch.resource.clone()));
        if let Some(action) =
            step.action.as_ref().filter(|action| action.name.contains("checkout") || action.name.contains("setup-"))
        {
            setup.extend((step.index < first).then(|| action.name.clone()));
        }
        let installs = view.analysis.installs.iter().filter(|job_install| job_install.step_index == step.index);
        for job_install in installs.filter(|job_install| job_install.span.start < end) {
            let names = job_install.install.packages.iter().map(|word| {
                let end = word.text.find(['=', '<', '>', '[', '~', '@']).unwrap_or(word.text.len());
                word.text.get(..end).unwrap_or_default().to_owned()
            });
            setup.extend(names);
        }
        if setup.len() > before && span.is_none() {
            span = Some(step.span);
        }
    }
    setup.sort();
    setup.dedup();
    (setup.len() >= 2).then_some((setup, span?))
}
