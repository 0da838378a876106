//! Workflows modelled on thirteen real projects: all findings match a reviewed fixture.

use std::path::{Path, PathBuf};

use super::audit_project::{directory, find, fixtures, lines};

/// The files below a directory, with their paths in it.
fn below(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(below(&path));
        } else {
            files.push((path.clone(), fs_err::read_to_string(&path).unwrap()));
        }
    }
    files
}

/// Returns the findings of a project; a workflow outside the directories of forges counts as GitHub's.
fn check(name: &str) {
    let source = fixtures().join(name);
    let mut files = Vec::new();
    for (path, text) in below(&source) {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        match file.as_str() {
            "found.txt" => {}
            "forgejo.yml" => files.push((".forgejo/workflows/ci.yml".to_owned(), text)),
            _ if file.contains('/') || !file.contains(".y") => files.push((file, text)),
            _ => files.push((format!(".github/workflows/{file}"), text)),
        }
    }
    let root = directory(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
    let text = lines(&find(root.path(), true)).join("\n") + "\n";
    let fixture = source.join("found.txt");
    if std::env::var_os("NOXIDE_KEEP").is_some() {
        fs_err::write(&fixture, &text).unwrap();
    }
    assert_eq!(text, fs_err::read_to_string(&fixture).unwrap(), "{name}: run with NOXIDE_KEEP=1 to update the fixture");
}

#[test]
fn several_commands_a_job_and_appended_coverage() {
    check("appended");
}

#[test]
fn one_command_with_four_sessions_on_three_systems() {
    check("continued");
}

#[test]
fn lint_build_and_coverage_in_one_job() {
    check("one-job");
}

#[test]
fn needs_without_data_and_a_matrix_of_includes() {
    check("needs");
}

#[test]
fn unindented_sequences_and_a_home_made_key() {
    check("unindented");
}

#[test]
fn comments_everywhere_and_tags() {
    check("comments");
}

#[test]
fn a_session_variable_for_each_job() {
    check("variable");
}

#[test]
fn a_real_forgejo_shape() {
    check("forgejo");
}

#[test]
fn poetry_on_gitea_with_a_cached_environment() {
    check("poetry");
}

#[test]
fn tox_with_a_gate() {
    check("tox");
}

#[test]
fn reusable_workflows_and_a_composite_action() {
    check("reusable");
}

#[test]
fn uv_on_forgejo_without_mistakes() {
    check("uv");
}

#[test]
fn a_matrix_made_by_nox_itself() {
    check("action");
}
