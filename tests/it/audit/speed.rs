//! Audit speed: 450 workflows in one project. `NOXIDE_WORKFLOWS` names a directory of real ones to read too.

use std::path::PathBuf;
use std::time::Instant;

use noxide::audit::options::AuditOptions;
use noxide::audit::project::AuditProject;

use super::audit_project::{directory, find};
use super::generated::{Shape, workflow};

#[test]
fn four_hundred_and_fifty_workflows_are_audited_in_time() {
    let texts: Vec<(String, String)> =
        (0..450).map(|n| (format!(".github/workflows/w{n}.yml"), workflow(&Shape::numbered(n)))).collect();
    let root = directory(&texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
    let start = Instant::now();
    let found = find(root.path(), true);
    let seconds = start.elapsed().as_secs_f64();
    println!("450 workflows, {} findings, {seconds:.3} s", found.len());
    assert!(found.len() > 450);
    let allowed = if cfg!(debug_assertions) { 20.0 } else { 1.0 };
    assert!(seconds < allowed, "{seconds} s");
}

#[test]
fn real_workflows_of_a_given_directory_are_read() {
    let Some(directory) = std::env::var_os("NOXIDE_WORKFLOWS") else { return };
    let root = PathBuf::from(directory);
    let project = AuditProject::load(&root, std::slice::from_ref(&root), None, AuditOptions::default()).unwrap();
    println!("{} read, {} not", project.workflows.len(), project.parse_failures.len());
    assert!(project.parse_failures.len() * 50 <= project.workflows.len(), "{:?}", project.parse_failures);
}
