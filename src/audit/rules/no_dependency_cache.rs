//! NX101: A job installs Python packages and keeps no cache of them.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX101",
        name: "no-dependency-cache",
        summary: "A job installs Python packages and keeps no cache of them.",
    },
    rationale: "Every run downloads and unpacks the same packages again.",
    evidence: "57 % of 275 sampled nox jobs have no cache of any kind, 81 % by Forgejo's rules. parcelbook's eleven sessions: 114.8 s with an empty uv cache, 58.3 s with a filled one. W8.",
    advice: "Restore a cache of uv's downloads before the first installation, under a key of lock, noxfile, Python and platform.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let has_setup_uv = view.job.steps.iter().any(|step| step.uses_action("astral-sh/setup-uv"));
        if view.workflow.kind == WorkflowFileKind::CompositeAction
            || has_setup_uv
            || view.analysis.caches.iter().any(JobCache::has_python_content)
        {
            continue;
        }
        // An action of the project's own that was not given may cache.
        if view.job.steps.iter().any(|step| project.is_local_action_missing(step)) {
            continue;
        }
        let real = |words: &[crate::audit::shell::ShellWord]| {
            words.is_empty() || words.iter().any(|word| !matches!(word.text.as_str(), "pip" | "setuptools" | "wheel"))
        };
        let first = view.analysis.installs.iter().find(|installed| real(&installed.install.packages));
        let (place, by) = match (first, view.analysis.nox_calls.first()) {
            (Some(installed), _) => (installed.span, installed.install.installer.as_str()),
            (None, Some(call)) => (call.span, "nox"),
            (None, None) => continue,
        };
        let id = &view.job.id.value;
        let finding = found.report(
            view.source(),
            place,
            format!("job `{id}` installs Python packages by {by} and caches none of them"),
        );
        if view.is_release() {
            finding.set_severity(Severity::Info).set_advice(
                "What this job makes is handed out, and a cache can be poisoned: leaving it out is right here if it is meant. \
                 Say so with `# noxide: ignore[NX101] a release is built from nothing`.",
            );
        }
        finding.fix = fixes::cache_step::add_cache_step(&view, place);
    }
}
