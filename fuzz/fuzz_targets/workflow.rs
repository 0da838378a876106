//! Fuzzes workflows: any bytes are parsed, audited by every rule, and fixed. Nothing may panic or hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noxide::audit::baseline::Baseline;
use noxide::audit::fix::{FixLevel, plan_fixes};
use noxide::audit::options::AuditOptions;
use noxide::audit::project::AuditProject;
use noxide::audit::project_files::ProjectFiles;
use noxide::audit::source::SourceFile;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let options = AuditOptions { pedantic: true, runner_capacity: Some(8), ..AuditOptions::default() };
    let load = |text: &str| {
        let files =
            ProjectFiles { lock_file: Some("uv.lock".to_owned()), has_pyproject: true, ..ProjectFiles::default() };
        let source = SourceFile::new(".forgejo/workflows/ci.yml", text);
        AuditProject::from_sources(".".as_ref(), vec![source], None, files, options.clone())
    };
    let Some(changed) = plan_fixes(load(&text), FixLevel::Unsafe, &Baseline::default()).changed_files.pop() else { return };
    // A second round of fixes must change nothing.
    let again = plan_fixes(load(&changed.new.text), FixLevel::Unsafe, &Baseline::default());
    assert!(again.changed_files.is_empty(), "a second fix changes more: {:?}", again.applied);
});
