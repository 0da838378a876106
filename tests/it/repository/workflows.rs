//! The project's own workflows and actions: clean by every validator, and pinned.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::audit::external_validators::validators_dir;
use crate::support::{noxide_in, run_checked};

const WORKFLOWS: [&str; 4] = [
    ".github/workflows/ci.yml",
    ".github/workflows/release.yml",
    ".forgejo/workflows/ci.yml",
    ".forgejo/workflows/release.yml",
];

const ACTIONS: [&str; 2] = ["action.yml", "github/action.yml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn validator(name: &str, arguments: &[&str], files: &[&str]) -> String {
    let mut command = Command::new(validators_dir().join("bin").join(name));
    run_checked(command.args(arguments).args(files).current_dir(root()).env_remove("GH_TOKEN"))
}

#[test]
fn noxide_finds_nothing_in_them() {
    let text = run_checked(&mut noxide_in(&root(), &["audit", "--pedantic", "--fail-on", "info"]));
    assert!(text.contains("no findings"), "{text}");
}

#[test]
fn other_validators_find_nothing_in_them() {
    // Each of them ends with another status than 0 if it finds something.
    validator("zizmor", &["--offline", "--pedantic", "--quiet"], &[&WORKFLOWS[..], &ACTIONS[..]].concat());
    validator("actionlint", &["-shellcheck=", "-pyflakes="], &WORKFLOWS[..2]);
    validator("check-jsonschema", &["--builtin-schema", "vendor.github-workflows"], &WORKFLOWS);
    validator("check-jsonschema", &["--builtin-schema", "vendor.github-actions"], &ACTIONS);
}

#[test]
fn actions_are_pinned_by_commit_with_their_version() {
    let mut seen = 0;
    for file in WORKFLOWS {
        let text = fs_err::read_to_string(root().join(file)).unwrap();
        for line in text.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses: ")) {
            seen += 1;
            let (_, pin) = line.split_once('@').unwrap();
            let (commit, comment) = pin.split_once(" # v").unwrap_or_else(|| panic!("{file}: no version: {line}"));
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit && comment.starts_with(|c: char| c.is_ascii_digit()), "{file}: {line}");
        }
    }
    assert!(seen > 10, "only {seen} actions");
}
