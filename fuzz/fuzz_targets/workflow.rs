//! Any bytes as a workflow: read, surveyed, looked at by every rule, and every fix planned. Nothing may panic or hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noxide::audit::discover::Files;
use noxide::audit::mend::{Wanted, plan};
use noxide::audit::options::AuditOptions;
use noxide::audit::span::Source;
use noxide::audit::survey::Project;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let options = AuditOptions { pedantic: true, runner_capacity: Some(8), ..AuditOptions::default() };
    let read = |text: &str| {
        let files = Files { lock: Some("uv.lock".to_owned()), pyproject: true, ..Files::default() };
        let source = Source::new(".forgejo/workflows/ci.yml", text);
        Project::survey(".".as_ref(), vec![source], None, files, options.clone())
    };
    let Some(changed) = plan(read(&text), Wanted::All).files.pop() else { return };
    // What is mended stays mended.
    let again = plan(read(&changed.new.text), Wanted::All);
    assert!(again.files.is_empty(), "a second fix changes more: {:?}", again.applied);
});
