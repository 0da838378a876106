//! Known actions: what they install and cache, as far as their inputs decide it. Any other action is unknown.

use super::super::workflow::WorkflowStep;

/// What an action does with Python packages, hook environments and their caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActionEffect {
    pub(super) installs: bool,
    pub(super) cache: ActionCache,
}

/// Whether an action restores and saves a cache of what it installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActionCache {
    Off,
    On,
    /// Its version or a file of the project decides.
    Unknown,
}

/// Actions that install packages, each with the cache that it has without inputs.
const INSTALLING_ACTIONS: [(&str, ActionCache); 18] = [
    ("wntrblm/nox", ActionCache::Off),
    ("theacodes/nox", ActionCache::Off),
    ("excitedleigh/setup-nox", ActionCache::Off),
    ("pre-commit/action", ActionCache::On),
    ("tox-dev/action-pre-commit-uv", ActionCache::On),
    ("j178/prek-action", ActionCache::Unknown),
    ("pypa/cibuildwheel", ActionCache::Off),
    ("pypa/hatch", ActionCache::Unknown),
    ("hynek/build-and-inspect-python-package", ActionCache::Unknown),
    // Its script upgrades pip, setuptools and wheel.
    ("deadsnakes/action", ActionCache::Off),
    ("psf/black", ActionCache::Off),
    ("pypa/gh-action-pip-audit", ActionCache::Unknown),
    ("snok/install-poetry", ActionCache::Off),
    ("pdm-project/setup-pdm", ActionCache::Off),
    ("prefix-dev/setup-pixi", ActionCache::Unknown),
    ("mamba-org/setup-micromamba", ActionCache::Off),
    ("conda-incubator/setup-miniconda", ActionCache::Off),
    ("sigstore/gh-action-sigstore-python", ActionCache::Off),
];

/// Actions of other owners than `actions` that install no Python packages and cache none.
const HARMLESS_ACTIONS: [&str; 68] = [
    "actions-rs/toolchain",
    "actions-rust-lang/setup-rust-toolchain",
    "amannn/action-semantic-pull-request",
    "ana06/get-changed-files",
    "aws-actions/configure-aws-credentials",
    "christopherhx/gitea-upload-artifact",
    "codecov/codecov-action",
    "coverallsapp/github-action",
    "crazy-max/ghaction-github-labeler",
    "dawidd6/action-download-artifact",
    "dependabot/fetch-metadata",
    "dessant/lock-threads",
    "docker/login-action",
    "docker/metadata-action",
    "docker/setup-buildx-action",
    "docker/setup-qemu-action",
    "dorny/paths-filter",
    "dtolnay/rust-toolchain",
    "forgejo/download-artifact",
    "forgejo/upload-artifact",
    "github/codeql-action",
    "github/issue-metrics",
    "ilammy/msvc-dev-cmd",
    "jamesives/github-pages-deploy-action",
    "juliangruber/read-file-action",
    "jwlawson/actions-setup-cmake",
    "lycheeverse/lychee-action",
    "marocchino/sticky-pull-request-comment",
    "mheap/github-action-required-labels",
    "mxschmitt/action-tmate",
    "ncipollo/release-action",
    "nwtgck/actions-netlify",
    "octokit/request-action",
    "ossf/scorecard-action",
    "oven-sh/setup-bun",
    "peaceiris/actions-gh-pages",
    "peter-evans/create-or-update-comment",
    "peter-evans/create-pull-request",
    "peter-evans/find-comment",
    "py-cov-action/python-coverage-comment-action",
    "pypa/gh-action-pypi-publish",
    "ravsamhq/notify-slack-action",
    "re-actors/alls-green",
    "re-actors/checkout-python-sdist",
    "readthedocs/actions",
    "release-drafter/release-drafter",
    "rrainn/dynamodb-action",
    "ruby/setup-ruby",
    "rui314/setup-mold",
    "salsify/action-detect-and-tag-new-version",
    "scientific-python/attach-next-milestone-action",
    "scientific-python/circleci-artifacts-redirector-action",
    "slackapi/slack-github-action",
    "softprops/action-gh-release",
    "step-security/harden-runner",
    "supercharge/mongodb-github-action",
    "supercharge/redis-github-action",
    "swatinem/rust-cache",
    "taiki-e/install-action",
    "tibdex/github-app-token",
    "timonvs/pr-labeler-action",
    "tj-actions/changed-files",
    "tj-actions/glob",
    "ts-graphviz/setup-graphviz",
    "webfactory/ssh-agent",
    "xarray-contrib/ci-trigger",
    "zizmorcore/zizmor-action",
    "zulip/github-actions-zulip",
];

/// Returns what the action of a step does; `None` if it is not known. Local actions and images are not known here.
pub(super) fn action_effect(step: &WorkflowStep) -> Option<ActionEffect> {
    let action = step.action.as_ref().filter(|action| action.needs_node())?;
    let name = action.name.as_str();
    let input = |name: &str| step.input_value(name).map(|text| text.value.as_str());
    if let Some((_, cache)) = INSTALLING_ACTIONS.iter().find(|(known, _)| *known == name) {
        let inputs = ["cache", "cache-environment", "cache-downloads"];
        let is_on = inputs.iter().any(|name| input(name) == Some("true"));
        let is_off = inputs.iter().any(|name| input(name).is_some()) && inputs.iter().all(|name| is_false(input(name)));
        let is_computed = inputs.iter().any(|name| input(name).is_some_and(|value| value.contains("${{")));
        let cache = match (is_computed, is_on, is_off) {
            (true, ..) => ActionCache::Unknown,
            (_, true, _) => ActionCache::On,
            (_, _, true) => ActionCache::Off,
            _ => *cache,
        };
        // Without an environment, setup-micromamba installs its program only.
        let environment = ["environment-file", "environment-name", "create-args"];
        let installs = name != "mamba-org/setup-micromamba" || environment.iter().any(|name| input(name).is_some());
        return Some(ActionEffect { installs, cache: if installs { cache } else { ActionCache::Off } });
    }
    let nothing = ActionEffect { installs: false, cache: ActionCache::Off };
    match name {
        // `pip-install` names packages. Caches of setup-python and setup-uv are caches of the job.
        "actions/setup-python" => Some(ActionEffect { installs: input("pip-install").is_some(), ..nothing }),
        "astral-sh/setup-uv" | "hynek/setup-cached-uv" => Some(nothing),
        _ => (name.starts_with("actions/") || HARMLESS_ACTIONS.contains(&name)).then_some(nothing),
    }
}

fn is_false(value: Option<&str>) -> bool {
    value.is_none_or(|value| value == "false")
}

#[cfg(test)]
mod tests {
    use super::super::super::forge::Forge;
    use super::super::super::source::SourceFile;
    use super::super::super::workflow::{Workflow, WorkflowFileKind};
    use super::*;

    fn effect(step: &str) -> Option<ActionEffect> {
        let source = SourceFile::new("ci.yml", format!("jobs:\n  a:\n    steps:\n      - {step}\n"));
        let workflow = Workflow::parse(source, WorkflowFileKind::Workflow, Forge::Github).unwrap();
        action_effect(&workflow.jobs[0].steps[0])
    }

    #[test]
    fn inputs_decide_about_installs_and_caches() {
        for (step, installs, cache) in [
            ("uses: pre-commit/action@v3", true, ActionCache::On),
            ("uses: j178/prek-action@v1", true, ActionCache::Unknown),
            ("{uses: j178/prek-action@v1, with: {cache: 'false'}}", true, ActionCache::Off),
            ("{uses: pdm-project/setup-pdm@v4, with: {cache: 'true'}}", true, ActionCache::On),
            ("{uses: pdm-project/setup-pdm@v4, with: {cache: '${{ matrix.x }}'}}", true, ActionCache::Unknown),
            ("uses: pdm-project/setup-pdm@v4", true, ActionCache::Off),
            ("uses: https://forge.example/actions/checkout@v4", false, ActionCache::Off),
            ("{uses: actions/setup-python@v6, with: {pip-install: nox}}", true, ActionCache::Off),
            ("uses: actions/setup-python@v6", false, ActionCache::Off),
            ("uses: mamba-org/setup-micromamba@v2", false, ActionCache::Off),
            ("{uses: mamba-org/setup-micromamba@v2, with: {create-args: x}}", true, ActionCache::Off),
            (
                "{uses: mamba-org/setup-micromamba@v2, with: {create-args: x, cache-downloads: 'true'}}",
                true,
                ActionCache::On,
            ),
            ("uses: github/codeql-action/init@v3", false, ActionCache::Off),
        ] {
            assert_eq!(effect(step), Some(ActionEffect { installs, cache }), "{step}");
        }
        for step in ["uses: some/action@v1", "uses: ./local", "uses: docker://alpine", "run: pip install x"] {
            assert_eq!(effect(step), None, "{step}");
        }
    }
}
