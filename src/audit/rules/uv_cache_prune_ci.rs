//! NX123: `uv cache prune --ci` removes all downloaded wheels before the cache is saved.

use super::prelude::*;
use crate::audit::shell::ShellCommand;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX123",
        name: "uv-cache-prune-ci",
        summary: "`uv cache prune --ci` removes all downloaded wheels before the cache is saved.",
    },
    rationale: "Only packages built here stay in the cache: a later hit downloads everything else again.",
    evidence: "On the example project (parcelbook) it leaves 7.9 of 193.7 MB.",
    advice: "Remove the command or its `--ci` flag, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune --ci
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
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.analysis.caches.iter().any(JobCache::caches_uv_downloads)) {
        for step in &view.job.steps {
            for command in step.commands.iter().filter(|command| prunes_cache(command) && command.has_word("--ci")) {
                findings.report(
                    view.source(),
                    step.file_span(command.span),
                    "this removes the wheels that the cache should hold",
                );
            }
        }
    }
}

/// Whether a command is `uv cache prune`, with any options before the subcommand.
fn prunes_cache(command: &ShellCommand) -> bool {
    let mut words = command.words.iter().skip(1).map(|word| word.text.as_str()).peekable();
    let mut subcommands = Vec::new();
    while let Some(word) = words.next() {
        if VALUE_OPTIONS.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            subcommands.push(word);
        }
    }
    command.program_name() == "uv" && subcommands.starts_with(&["cache", "prune"])
}

/// Global options of uv that take a value.
const VALUE_OPTIONS: [&str; 5] = ["--cache-dir", "--color", "--config-file", "--directory", "--project"];
