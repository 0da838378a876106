//! NX101: A job installs Python packages without caching them.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX101",
        name: "no-dependency-cache",
        summary: "A job installs Python packages without caching them.",
    },
    rationale: "Every run downloads and unpacks the same packages again.",
    evidence: "57 % of 275 sampled nox jobs have no cache of any kind, 81 % under Forgejo's rules. Not reported in jobs that may publish (by their commands, names, permissions or triggers), or that build what another job publishes; low severity on GitHub, whose hosted runners have a fast connection to the index; pedantic where a job only installs a few small tools, runs only once a week or less often, or runs on a self-hosted runner of GitHub, which may keep its caches. Not reported where the installs bypass the cache (`--no-cache-dir`, `UV_NO_CACHE`). The eleven sessions of the example project (parcelbook) take 114.8 s with an empty uv cache and 58.3 s with a filled one.",
    advice: "Restore a cache of the downloads of uv or pip before the first install, with a key made of the lock file, the noxfile, the Python version and the platform. Measure it: where the index is fast, restoring can take longer than downloading.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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
      - uses: actions/checkout@v4
      - uses: actions/cache@v4
        with:
          path: ~/.cache/uv
          key: uv-${{ runner.os }}-${{ runner.arch }}-py3.13-${{ hashFiles('uv.lock', 'noxfile.py') }}
          restore-keys: uv-${{ runner.os }}-${{ runner.arch }}-py3.13-
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
            || view.analysis.caches.iter().any(JobCache::may_have_python_content)
            // A cache could be poisoned: what is published is better built without one.
            || view.may_publish()
            || bypasses_cache(&view)
            // `noxide ci` restores and saves packages itself.
            || view.analysis.nox_calls.iter().any(|call| call.parsed.restores_packages && !call.parsed.cache_disabled)
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
        let first = view
            .analysis
            .installs
            .iter()
            .find(|job_install| is_relevant(&job_install.install.packages) && !job_install.install.is_project_only);
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
        // A cache that is not used for a week is deleted, and a self-hosted runner may keep its disk.
        let is_rarely_useful = view.workflow.triggers.is_weekly_only()
            || (view.workflow.forge == Forge::Github && view.is_certainly_self_hosted());
        if is_rarely_useful || installs_few_tools(&view) || sessions_install_small_tools(&view) {
            finding.set_severity(Severity::Info).set_persona(Persona::Pedantic);
        } else if view.workflow.forge == Forge::Github {
            // Hosted runners have a fast connection to the index, self-hosted ones may keep their disk.
            finding.set_severity(Severity::Low);
        }
        finding.fix = fixes::cache_step::add_cache_step(&view);
    }
}

/// Whether the installs use no cache on purpose: by a flag of each, or a variable for all.
fn bypasses_cache(view: &JobView) -> bool {
    let is_set = |name: &str| {
        let mut values = view.job.steps.iter().filter_map(|step| {
            let variable =
                || view.workflow.resolve_variable(view.job, Some(step), name).map(|text| text.value.as_str());
            variable().filter(|value| !matches!(*value, "" | "0" | "false"))
        });
        values.next().is_some()
    };
    let by_flag = view.analysis.nox_calls.is_empty()
        && view.job.steps.iter().flat_map(|step| &step.commands).any(|command| {
            let has = |words: &[&str]| command.words.iter().any(|word| words.contains(&word.text.as_str()));
            has(&["install", "sync"])
                && ((has(&["pip", "pip3"]) && has(&["--no-cache-dir"])) || (has(&["uv"]) && has(&["--no-cache"])))
        });
    by_flag || is_set("PIP_NO_CACHE_DIR") || is_set("UV_NO_CACHE")
}

/// Tools of one small package, or a few.
const SMALL_TOOLS: [&str; 10] = [
    "ruff",
    "coverage",
    "twine",
    "build",
    "codespell",
    "isort",
    "cargo-xwin",
    "validate-pyproject",
    "check-manifest",
    "uv",
];

/// Whether the sessions and commands of a job on GitHub, where the index is fast, install one or two small tools.
fn sessions_install_small_tools(view: &JobView) -> bool {
    let mut requirements: Vec<&str> = Vec::new();
    for job_install in &view.analysis.installs {
        if job_install.install.packages.is_empty() {
            return false;
        }
        requirements.extend(job_install.install.packages.iter().map(|word| word.text.as_str()));
    }
    for name in view.session_names() {
        let Some(session) = view.noxfile_session(name) else { return false };
        for action in &session.actions {
            match action.method.as_str() {
                "install" if !action.args.is_empty() => requirements.extend(action.args.iter().map(String::as_str)),
                "run" | "run_always" | "run_install" | "log" | "warn" | "chdir" | "cd" => {}
                _ => return false,
            }
        }
    }
    let names = requirements.iter().map(|text| crate::audit::shell::requirement_name(text));
    let tools: Vec<&str> = names.filter(|name| !matches!(*name, "nox" | "pip" | "setuptools" | "wheel")).collect();
    view.workflow.forge == Forge::Github
        && (1..=2).contains(&tools.len())
        && tools.iter().all(|name| SMALL_TOOLS.contains(name))
}

/// Whether the job installs a few named tools and nothing else: no session, no project, no list of requirements.
fn installs_few_tools(view: &JobView) -> bool {
    let packages = view.analysis.installs.iter().flat_map(|job_install| &job_install.install.packages);
    let is_named_only = view.analysis.installs.iter().all(|job_install| !job_install.install.packages.is_empty());
    let is_project =
        |text: &str| text.starts_with('.') || text.contains('/') || text.contains('$') || text.contains('[');
    view.analysis.nox_calls.is_empty()
        && is_named_only
        && packages.clone().filter(|word| !matches!(word.text.as_str(), "pip" | "setuptools" | "wheel")).count() <= 3
        && !packages.into_iter().any(|word| is_project(&word.text))
}
