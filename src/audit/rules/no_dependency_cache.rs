//! NX101: A job installs Python packages without caching them.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX101",
        name: "no-dependency-cache",
        summary: "A job installs Python packages without caching them.",
    },
    rationale: "Every run downloads and unpacks the same packages again.",
    evidence: "57 % of 275 sampled nox jobs have no cache of any kind, 81 % under Forgejo's rules. The eleven sessions of the example project (parcelbook) take 114.8 s with an empty uv cache and 58.3 s with a filled one.",
    advice: "Restore a cache of uv's downloads before the first install, with a key made of the lock file, the noxfile, the Python version and the platform.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  docs:
    runs-on: docker
    steps:
      - run: pip install nox
      - run: nox -s docs
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ hashFiles('uv.lock') }}"}
      - run: pip install nox
      - run: nox -s docs
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let has_setup_uv = view.job.steps.iter().any(|step| step.uses_action("astral-sh/setup-uv"));
        if view.workflow.kind == WorkflowFileKind::CompositeAction
            || has_setup_uv
            || view.analysis.caches.iter().any(JobCache::has_python_content)
        {
            continue;
        }
        // A local action that was not read may restore a cache.
        if view.job.steps.iter().any(|step| project.is_local_action_missing(step)) {
            continue;
        }
        let is_relevant = |words: &[crate::audit::shell::ShellWord]| {
            words.is_empty() || words.iter().any(|word| !matches!(word.text.as_str(), "pip" | "setuptools" | "wheel"))
        };
        let first = view.analysis.installs.iter().find(|job_install| is_relevant(&job_install.install.packages));
        let (span, installer) = match (first, view.analysis.nox_calls.first()) {
            (Some(job_install), _) => (job_install.span, job_install.install.installer.as_str()),
            (None, Some(call)) => (call.span, "nox"),
            (None, None) => continue,
        };
        let id = &view.job.id.value;
        let finding = findings.report(
            view.source(),
            span,
            format!("job `{id}` installs Python packages with {installer} and caches none of them"),
        );
        if view.is_release() {
            finding.set_severity(Severity::Info).set_advice(
                "This job publishes its result, and a cache could be poisoned. If building without a cache is \
                 intended, add `# noxide: ignore[NX101] releases are built without a cache`.",
            );
        }
        finding.fix = fixes::cache_step::add_cache_step(&view, span);
    }
}
