//! NX124: A job runs pre-commit or prek without caching the environments of its hooks.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX124",
        name: "hook-environments-not-cached",
        summary: "A job runs pre-commit or prek without caching the environments of its hooks.",
    },
    rationale: "Each run clones the repository of every hook and builds its environment again. In a lint job that takes longer than the hooks themselves, and a cache of packages does not help: pre-commit creates its own environments.",
    evidence: "42 of 75 sampled noxfiles run pre-commit or prek. Reported only if the configuration names hooks of other repositories. Not reported on self-hosted runners, which may keep their disk, in jobs that may publish, in runs once a week or less often, in sessions that change the directory (the hooks may be those of another project), or where an action may restore the cache.",
    advice: "Cache `~/.cache/pre-commit` (prek: `~/.cache/prek`) with a key that contains the platform, the Python version and `hashFiles('.pre-commit-config.yaml')`. `pre-commit/action` and `j178/prek-action` do that.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".github/workflows/ci.yml",
            r#"on: pull_request
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - run: pipx run pre-commit run --all-files
"#,
        ),
        (".pre-commit-config.yaml", EXAMPLE_HOOKS),
    ],
    good_example: &[
        (
            ".github/workflows/ci.yml",
            r#"on: pull_request
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: actions/cache@v5
        with:
          path: ~/.cache/pre-commit
          key: pre-commit-${{ runner.os }}-py3.13-${{ hashFiles('.pre-commit-config.yaml') }}
      - run: pipx run pre-commit run --all-files
"#,
        ),
        (".pre-commit-config.yaml", EXAMPLE_HOOKS),
    ],
    check_project,
};

const EXAMPLE_HOOKS: &str = r#"repos:
  - repo: https://github.com/astral-sh/ruff-pre-commit
    rev: v0.13.0
    hooks:
      - id: ruff-check
"#;

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    if !project.files.has_remote_hooks {
        return;
    }
    for view in project.job_views() {
        let is_kept = view.workflow.forge == Forge::Github && view.is_certainly_self_hosted();
        if view.workflow.kind == WorkflowFileKind::CompositeAction
            || view.workflow.triggers.is_weekly_only()
            || is_kept
            || view.may_publish()
            || may_restore_hooks(&view)
            || updates_hooks(&view)
        {
            continue;
        }
        if let Some((span, tool, session)) = find_hook_run(&view) {
            let through = session.map(|name| format!(" (in session `{name}`)")).unwrap_or_default();
            let message = format!("`{tool}` builds the environments of its hooks in every run{through}");
            findings.report(view.source(), span, message);
        }
    }
}

/// Returns the first run of hooks in a job: its span, the tool, and the session that runs it.
fn find_hook_run<'a>(view: &JobView<'a>) -> Option<(Span, &'static str, Option<&'a str>)> {
    for step in view.job.steps.iter().filter(|step| step.condition.is_none()) {
        for command in step.commands.iter().filter(|command| !command.is_conditional) {
            let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
            if let Some(tool) = hook_tool(&words) {
                return Some((step.file_span(command.span), tool, None));
            }
        }
        for call in view.analysis.nox_calls.iter().filter(|call| call.step_index == step.index) {
            let has_names = call.parsed.posargs.iter().any(|word| !word.starts_with('-'));
            if call.is_selected_by_expression || call.parsed.noxfile.is_some() || call.parsed.is_noxide || has_names {
                continue;
            }
            for (name, span) in &call.sessions {
                let changes_directory = |session: &crate::audit::noxfile::NoxfileSession| {
                    session.calls.iter().any(|call| matches!(call.method.as_str(), "chdir" | "cd"))
                };
                let session = view.noxfile_session(name);
                let session = session.filter(|session| session.is_straight_line && !changes_directory(session));
                let tool = session.and_then(|session| {
                    session
                        .run_calls()
                        .find_map(|run| hook_tool(&run.args.iter().map(String::as_str).collect::<Vec<_>>()))
                });
                if let Some(tool) = tool {
                    return Some((*span, tool, Some(name)));
                }
            }
        }
    }
    None
}

/// Returns the tool of a command that runs hooks: `pre-commit run`, `prek run`, also through a launcher.
fn hook_tool(words: &[&str]) -> Option<&'static str> {
    let at = words.iter().position(|word| {
        let name = word.split("==").next().unwrap_or(word).split('@').next().unwrap_or(word);
        matches!(name, "pre-commit" | "pre_commit" | "prek")
    })?;
    let launchers =
        ["uvx", "pipx", "run", "uv", "tool", "python", "python3", "-m", "--from", "--with", "pre-commit", "--frozen"];
    let is_launched = words.iter().take(at).all(|word| launchers.contains(word) || word.starts_with("pre-commit-uv"));
    let after: Vec<&str> = words.iter().skip(at + 1).copied().collect();
    // With the name of a hook, only that one needs an environment, and it may be one of the system.
    let is_flag = |word: &&str| word.starts_with(['-', '*']) && *word != "--help";
    let runs = after.first() == Some(&"run") && after.iter().skip(1).all(is_flag);
    let tool = if words.get(at).is_some_and(|word| word.starts_with("prek")) { "prek" } else { "pre-commit" };
    (is_launched && runs).then_some(tool)
}

/// Whether the job updates the hooks, so that their environments would differ from the cached ones.
fn updates_hooks(view: &JobView) -> bool {
    view.job.steps.iter().flat_map(|step| &step.commands).any(|command| command.has_word("autoupdate"))
}

/// Whether a step may restore the hooks' environments: a cache of that path or of an unknown one, or another action.
fn may_restore_hooks(view: &JobView) -> bool {
    let is_own_directory = ["PRE_COMMIT_HOME", "PREK_HOME", "XDG_CACHE_HOME"].iter().any(|name| {
        let variable = |step| view.workflow.resolve_variable(view.job, step, name).is_some();
        variable(None) || view.job.steps.iter().any(|step| variable(Some(step)))
    });
    let caches_path = |path: &SpannedText| {
        let text = path.value.trim_end_matches('/');
        ["pre-commit", "pre_commit", "prek", "${{", "$"].iter().any(|part| text.contains(part))
            || text.ends_with(".cache")
            || text.ends_with(".cache/*")
            || text == "~"
    };
    let mut caches = view.analysis.caches.iter().flat_map(|cache| &cache.paths);
    let may_restore = |step: &WorkflowStep| {
        let Some(action) = &step.action else { return false };
        let is_hook_action = action.name.contains("pre-commit") || action.name.contains("prek");
        let is_cache_action = action.name.contains("cache") && !action.is_named("actions/cache");
        action.is_local || is_hook_action || is_cache_action
    };
    is_own_directory || caches.any(caches_path) || view.job.steps.iter().any(may_restore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_hooks_are_recognized() {
        let tool = |text: &str| hook_tool(&text.split(' ').collect::<Vec<_>>());
        for text in
            ["pre-commit run -a", "uvx pre-commit run", "python -m pre_commit run", "pipx run pre-commit==4.0 run"]
        {
            assert_eq!(tool(text), Some("pre-commit"), "{text}");
        }
        assert_eq!(tool("uv run prek run --all-files"), Some("prek"));
        for text in [
            "pre-commit autoupdate",
            "pre-commit run mypy",
            "pre-commit install",
            "pip install pre-commit run",
            "echo pre-commit run",
        ] {
            assert_eq!(tool(text), None, "{text}");
        }
    }
}
