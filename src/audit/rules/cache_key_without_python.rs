//! NX109: The key of an environment cache does not contain the Python version.

use super::prelude::*;
use crate::audit::shell::ShellWord;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX109",
        name: "cache-key-without-python",
        summary: "The key of an environment cache does not contain the Python version.",
    },
    rationale: "An environment built by another Python is broken or rebuilt, so such a hit costs more than a miss. The severity is high if the matrix chooses the Python version, or if a job with another version has the same key, and low otherwise: then the key is wrong only after the version changes.",
    evidence: "Seen in 1 of 275 sampled nox jobs. Not reported where conda creates the environments, which brings its own Python; where the key hashes a file named after the Python version; or where the severity would be low and the noxfile is unknown.",
    advice: "Add the Python version to the key.",
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
    strategy:
      matrix: {python: ["3.12", "3.13"]}
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: "${{ matrix.python }}"}
      - uses: actions/cache@v4
        with: {path: .nox, key: "nox-${{ runner.os }}-${{ hashFiles('noxfile.py') }}"}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: .nox, key: "nox-${{ runner.os }}-python3.13-${{ hashFiles('noxfile.py') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.caches_environments()) {
            if let Some(key) =
                cache.key.as_ref().filter(|key| !job_cache::has_python_part(&job_cache::strip_hash_files(&key.value)))
            {
                let is_later_only = !has_several_pythons(&view) && !is_used_by_other_python(&view, &key.value);
                if has_conda_environments(&view)
                    || hashes_python(&key.value)
                    || (is_later_only && is_unknown(&view, cache))
                {
                    continue;
                }
                let fix = fixes::cache_step::repair_cache_step(&view, cache);
                let finding = findings.report(
                    view.source(),
                    key.span,
                    "environments are cached under a key without the Python version",
                );
                finding.set_fix(fix);
                if is_later_only {
                    // Wrong only from the next change of the version on.
                    finding.set_severity(Severity::Low);
                }
            }
        }
    }
}

/// Whether the jobs of the matrix use different Python versions.
/// Whether conda creates every environment: it installs a Python of its own.
fn has_conda_environments(view: &JobView) -> bool {
    let Some(noxfile) = &view.project.noxfile else { return false };
    let backends = noxfile.backends();
    !backends.is_empty() && backends.iter().all(|backend| backend.contains("conda") || backend.contains("mamba"))
}

/// Whether the key hashes a file that is named after the Python version.
fn hashes_python(key: &str) -> bool {
    job_cache::extract_hashed_files(key).iter().any(|file| {
        let file = file.to_lowercase();
        file.match_indices("py").any(|(at, _)| {
            let rest = file.get(at..).unwrap_or_default().trim_start_matches("python").trim_start_matches("py");
            rest.trim_start_matches(['-', '_']).starts_with(['2', '3', '$'])
        })
    })
}

/// Whether sessions of a noxfile that is not read fill the cached directory.
fn is_unknown(view: &JobView, cache: &JobCache) -> bool {
    let is_nox = |path: &SpannedText| path.value.split('/').any(|part| part == ".nox");
    view.project.noxfile.is_none() && !view.analysis.nox_calls.is_empty() && cache.paths.iter().any(is_nox)
}

fn has_several_pythons(view: &JobView) -> bool {
    let setups = view
        .job
        .steps
        .iter()
        .filter(|step| step.uses_action("actions/setup-python") || step.uses_action("astral-sh/setup-uv"));
    let versions = setups.filter_map(|step| step.input_value("python-version"));
    let variables = [&view.job.env, &view.workflow.env]
        .into_iter()
        .flatten()
        .chain(view.job.steps.iter().flat_map(|step| &step.env));
    let variables = variables.filter(|(name, _)| name.value == "UV_PYTHON").map(|(_, value)| value);
    let texts = versions.chain(variables).chain(&view.job.container).map(|text| text.value.as_str());
    // Environments of sessions with a version in their name are different directories.
    let is_python_option = |pair: &[ShellWord]| matches!(pair[0].text.as_str(), "-p" | "--python" | "--pythons");
    let options = view.job.steps.iter().flat_map(|step| &step.commands).flat_map(|command| command.words.windows(2));
    let options = options.filter(|pair| is_python_option(pair)).map(|pair| pair[1].text.as_str());
    texts.chain(options).any(|text| text.contains("matrix."))
}

/// Whether a job with another Python version uses the same key.
fn is_used_by_other_python(view: &JobView, key: &str) -> bool {
    let versions = |view: &JobView| -> Vec<String> {
        let inputs = view.job.steps.iter().filter_map(|step| step.input_value("python-version"));
        inputs.map(|text| text.value.clone()).collect()
    };
    let own = versions(view);
    let has_key = |other: &JobView| {
        other.analysis.caches.iter().any(|cache| cache.key.as_ref().is_some_and(|text| text.value == key))
    };
    let mut others = view.project.job_views().filter(|other| !versions(other).is_empty() && has_key(other));
    !own.is_empty() && others.any(|other| versions(&other) != own)
}
