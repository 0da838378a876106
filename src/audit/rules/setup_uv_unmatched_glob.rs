//! NX125: `cache-dependency-glob` of `setup-uv` matches no file of the project.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX125",
        name: "setup-uv-unmatched-glob",
        summary: "`cache-dependency-glob` of `setup-uv` matches no file of the project.",
    },
    rationale: "The cache key then depends on no file: it never changes, and the first saved cache is restored forever, however much the dependencies change.",
    evidence: "setup-uv warns that no file matches the pattern, uses `no-dependency-glob` in the key, and goes on. Reported only if the checkout is at its default place and no command runs before.",
    advice: "Name the files that decide what is installed, such as `uv.lock` or `**/pyproject.toml`.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v6
      - uses: astral-sh/setup-uv@v7
        with: {enable-cache: true, cache-dependency-glob: requirements.txt}
      - run: uvx nox -s lint
"#,
        ),
        ("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1\"\n"),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v6
      - uses: astral-sh/setup-uv@v7
        with: {enable-cache: true, cache-dependency-glob: "**/pyproject.toml"}
      - run: uvx nox -s lint
"#,
        ),
        ("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1\"\n"),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(paths) = &project.files.paths else { return };
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.kind == JobCacheKind::SetupUv) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let Some(globs) = step.input_value("cache-dependency-glob") else { continue };
            if step.input_value("working-directory").is_some() || !has_plain_checkout(&view, cache.step_index) {
                continue;
            }
            if let Some(patterns) = parse_patterns(&globs.value)
                && !paths.iter().any(|path| matches_any(&patterns, path))
            {
                let lines = globs.value.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Vec<String> = lines.map(|line| format!("`{line}`")).collect();
                let message = format!("no file matches {}: the cache key never changes", lines.join(" or "));
                findings.report(view.source(), globs.span, message);
            }
        }
    }
}

/// Whether the steps before this one check the repository out at its default place and run nothing.
fn has_plain_checkout(view: &JobView, index: usize) -> bool {
    let before = || view.job.steps.iter().take(index);
    let is_checkout = |step: &WorkflowStep| step.uses_action("actions/checkout");
    let is_moved = |step: &WorkflowStep| {
        let inputs = ["path", "repository", "sparse-checkout", "ref"];
        is_checkout(step) && inputs.iter().any(|name| step.input_value(name).is_some())
    };
    let is_harmless = |step: &WorkflowStep| is_checkout(step) || step.uses_action("actions/setup-python");
    before().any(is_checkout) && before().all(|step| is_harmless(step) && !is_moved(step))
}

/// Whether a pattern matches a file or a directory that contains it.
fn matches_any(patterns: &[globset::GlobMatcher], path: &str) -> bool {
    let ends = path.match_indices('/').map(|(index, _)| index).chain([path.len()]);
    let mut names = ends.filter_map(|end| path.get(..end));
    names.any(|name| patterns.iter().any(|pattern| pattern.is_match(name)))
}

/// Returns the patterns of an input; `None` if one is computed, excludes files or cannot be parsed.
fn parse_patterns(text: &str) -> Option<Vec<globset::GlobMatcher>> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let parse = |line: &&str| {
        let is_plain = !line.starts_with(['!', '/', '~', '#']) && !line.contains("${{") && !line.contains("..");
        let pattern = line.trim_start_matches("./").trim_end_matches('/');
        let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build().ok()?;
        is_plain.then(|| glob.compile_matcher())
    };
    lines.iter().map(parse).collect::<Option<Vec<_>>>().filter(|patterns| !patterns.is_empty())
}
