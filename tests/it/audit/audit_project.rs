//! Projects in temporary directories, audited through the library.

use std::path::{Path, PathBuf};

use noxide::audit::baseline::Baseline;
use noxide::audit::finding::Finding;
use noxide::audit::fix::{FixLevel, FixPlan, plan_fixes};
use noxide::audit::options::AuditOptions;
use noxide::audit::project::AuditProject;
use noxide::audit::rule_runner::run_audit;
use tempfile::TempDir;

/// Creates a directory with these files.
pub(super) fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    directory
}

/// Copies the example's workflows and noxfile.
pub(super) fn parcelbook() -> TempDir {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/parcelbook");
    let read = |path: &str| fs_err::read_to_string(example.join(path)).unwrap();
    let paths = [
        ".forgejo/workflows/ci.yml",
        ".forgejo/workflows/nightly-quality.yml",
        ".forgejo/workflows/release.yml",
        "noxfile.py",
        "pyproject.toml",
    ];
    let texts: Vec<(&str, String)> = paths.iter().map(|path| (*path, read(path))).collect();
    directory(&texts.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>())
}

/// Loads a project.
pub(super) fn read(root: &Path, options: AuditOptions) -> AuditProject {
    AuditProject::load(root, &[], None, options).unwrap()
}

/// Audits a project, with pedantic findings on request.
pub(super) fn find(root: &Path, pedantic: bool) -> Vec<Finding> {
    run_audit(&read(root, AuditOptions { pedantic, ..AuditOptions::default() })).findings
}

/// Plans and writes the fixes of a project.
pub(super) fn apply_fixes(root: &Path, level: FixLevel) -> FixPlan {
    let plan = plan_fixes(read(root, AuditOptions::default()), level, &Baseline::default());
    for changed in &plan.changed_files {
        fs_err::write(root.join(&changed.new.path), &changed.new.text).unwrap();
    }
    plan
}

/// Formats each finding as a line: location, rule, message.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let (location, start) = (&finding.location, finding.location.start_position());
        let file = location.source.path.rsplit('/').next().unwrap_or_default();
        format!("{file}:{}:{} {} {}", start.line, start.column, finding.rule.id, finding.message)
    };
    findings.iter().map(line).collect()
}

/// The directory of the audit fixtures.
pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audit")
}
