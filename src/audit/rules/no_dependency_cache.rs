//! NX101: A job installs Python packages without caching them.

use super::prelude::*;
use crate::audit::project::JobNoxCall;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX101",
        name: "no-dependency-cache",
        summary: "A job installs Python packages without caching them.",
    },
    rationale: "Every run downloads and unpacks the same packages again.",
    evidence: "57 % of 275 sampled nox jobs have no cache of any kind; on Forgejo, where setup-uv does not cache by default (NX102), it would be 81 %. Not reported in jobs that may publish (by their commands, names, permissions or triggers), or that build what another job publishes; low severity on GitHub, whose hosted runners have a fast connection to the index. Pedantic where a job asks only for a few packages (requirements files, groups, extras and the project's dependencies counted), runs only once a week or less often, or runs on a self-hosted runner of GitHub, which may keep its caches; on GitHub also where only pull requests start the job (their caches are not shared), where anyone can start it with the permissions of the repository, where it deploys, where conda, MSYS2 or Cygwin provide packages, or where another cache holds a part of them. Not reported where the installs bypass the cache (`--no-cache-dir`, also in sessions; `PIP_NO_CACHE_DIR`, `UV_NO_CACHE`). The eleven sessions of the example project (parcelbook) take 114.8 s with an empty uv cache and 58.3 s with a filled one.",
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
        let installing_call = view.analysis.nox_calls.iter().find(|call| installs_packages(&view, call));
        let (span, installer) = match (first, installing_call) {
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
        if is_rarely_useful(&view) {
            finding.set_severity(Severity::Info).set_persona(Persona::Pedantic);
        } else if view.workflow.forge == Forge::Github {
            // Hosted runners have a fast connection to the index, self-hosted ones may keep their disk.
            finding.set_severity(Severity::Low);
        }
        finding.fix = fixes::cache_step::add_cache_step(&view);
    }
}

/// Whether a call of nox lets its sessions install packages.
fn installs_packages(view: &JobView, call: &JobNoxCall) -> bool {
    let command = view.step(call.step_index).and_then(|step| step.commands.get(call.command_index));
    !command.is_some_and(|command| command.has_word("--no-install"))
}

/// Whether the installs use no cache on purpose: by a flag of each, by a flag in a session, or by a variable for all.
fn bypasses_cache(view: &JobView) -> bool {
    let is_set = |name: &str| {
        let is_on = |text: &&str| !matches!(*text, "" | "0" | "false");
        let mut values = view.job.steps.iter().filter_map(|step| {
            let variable =
                || view.workflow.resolve_variable(view.job, Some(step), name).map(|text| text.value.as_str());
            variable().filter(is_on)
        });
        let noxfile = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty());
        let in_noxfile = || noxfile.and_then(|noxfile| noxfile.find_env_assignment(name));
        values.next().is_some() || in_noxfile().is_some_and(|variable| is_on(&variable.value.as_str()))
    };
    let by_flag = view.analysis.nox_calls.is_empty()
        && view.job.steps.iter().flat_map(|step| &step.commands).any(|command| {
            let has = |words: &[&str]| command.words.iter().any(|word| words.contains(&word.text.as_str()));
            has(&["install", "sync"])
                && ((has(&["pip", "pip3"]) && has(&["--no-cache-dir"])) || (has(&["uv"]) && has(&["--no-cache"])))
        });
    let mut sessions = view.session_names().iter().filter_map(|name| view.noxfile_session(name));
    let in_session = sessions.any(|session| {
        let mut words = session.calls.iter().flat_map(|call| &call.args);
        words.any(|word| matches!(word.as_str(), "--no-cache-dir" | "--no-cache"))
    });
    by_flag || in_session || is_set("PIP_NO_CACHE_DIR") || is_set("UV_NO_CACHE")
}

/// Whether a cache would rarely be restored, would hold little, or would be a risk.
fn is_rarely_useful(view: &JobView) -> bool {
    let triggers = view.starting_triggers();
    // A cache that is not used for a week is deleted.
    if !triggers.is_empty() && triggers.iter().all(|on| on.is_weekly_only()) {
        return true;
    }
    if installs_few_tools(view) {
        return true;
    }
    if view.workflow.forge != Forge::Github {
        return false;
    }
    // On GitHub, a run of a pull request sees only its own caches and those of the default branch.
    let is_shared = triggers.is_empty() || triggers.iter().any(|on| on.fills_shared_cache());
    let is_untrusted = !triggers.is_empty() && triggers.iter().all(|on| on.has_untrusted_events_only());
    !is_shared
        || is_untrusted
        || view.is_certainly_self_hosted()
        || view.may_deploy()
        || has_other_source(view)
        || asks_for_few_packages(view)
}

/// Whether packages come from another source, or a part of them from another cache: conda, MSYS2, Cygwin, saved wheels or
/// containers.
fn has_other_source(view: &JobView) -> bool {
    let action_has = |parts: &[&str]| {
        let mut actions = view.job.steps.iter().filter_map(|step| step.action.as_ref());
        actions.any(|action| parts.iter().any(|part| action.name.to_lowercase().contains(part)))
    };
    let caches_environment = view
        .job
        .steps
        .iter()
        .any(|step| step.input_value("cache-environment").or(step.input_value("cache-downloads")).is_some());
    let holds_part = |path: &SpannedText| {
        ["wheel", "dist", ".whl", ".tar", "docker", "container", "site-packages"]
            .iter()
            .any(|part| path.value.contains(part))
    };
    let is_project = |text: &str| text.starts_with('.');
    let installs_project_only = !view.analysis.installs.is_empty()
        && view.analysis.nox_calls.is_empty()
        && view.analysis.installs.iter().all(|job_install| {
            let install = &job_install.install;
            install.requirement_files.is_empty()
                && !install.packages.is_empty()
                && install.packages.iter().all(|word| is_project(&word.text))
        });
    action_has(&["setup-msys2", "cygwin"])
        || caches_environment
        || (installs_project_only && action_has(&["conda", "mamba", "pixi"]))
        || view.analysis.caches.iter().flat_map(|cache| &cache.paths).any(holds_part)
}

/// Packages that start sessions or build the project: every job has them.
const COMMON_TOOLS: [&str; 13] = [
    "nox",
    "tox",
    "uv",
    "pip",
    "setuptools",
    "wheel",
    "virtualenv",
    "build",
    "hatchling",
    "flit-core",
    "nox-uv",
    "tomli",
    "typing-extensions",
];
/// Parts of the names of packages that are large, or have large dependencies.
const LARGE_PACKAGES: [&str; 36] = [
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "polars",
    "torch",
    "tensorflow",
    "jax",
    "sklearn",
    "scikit-learn",
    "matplotlib",
    "sphinx",
    "furo",
    "mkdocs",
    "jupyter",
    "notebook",
    "ipykernel",
    "nbconvert",
    "grpc",
    "protobuf",
    "google-cloud",
    "boto",
    "aiohttp",
    "django",
    "ansible",
    "poetry",
    "dvc",
    "ziglang",
    "cargo-zigbuild",
    "sqlalchemy",
    "pytype",
    "awkward",
    "uproot",
    "hypothesis",
    "playwright",
    "moto",
];
/// Number of packages up to which downloading takes about as long as restoring a cache.
const FEW_PACKAGES: usize = 9;

/// Whether the job asks only for a few packages, none of which is known to be large.
fn asks_for_few_packages(view: &JobView) -> bool {
    let Some(names) = view.requested_packages() else { return false };
    let names: Vec<&String> = names.iter().filter(|name| !COMMON_TOOLS.contains(&name.as_str())).collect();
    let is_large = |name: &&String| LARGE_PACKAGES.iter().any(|part| name.contains(part));
    names.len() <= FEW_PACKAGES && !names.iter().any(is_large)
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
