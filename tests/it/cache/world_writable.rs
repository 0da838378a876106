//! Modes of what is in the store: nothing can be written to by everyone, whatever the umask is.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::fixture::{Fixture, ended};

#[test]
fn no_umask_makes_the_store_writable_for_everyone() {
    let fixture = Fixture::new();
    // A uv cache whose files and directories everyone can write to: the store links or copies them.
    let without_umask = |command: &Command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let (code, stdout, stderr) = ended(&mut shell);
        assert_eq!(code, 0, "{stdout}{stderr}");
    };
    std::fs::remove_dir_all(fixture.project.root().join(".venv")).unwrap();
    let mut sync = fixture.command("open");
    without_umask(sync.args(["sync", "--quiet", "--frozen"]));
    without_umask(&fixture.noxide("open", &["save"]));
    without_umask(&fixture.noxide("open", &["restore", "--all", "--uv-cache", "../third"]));
    let store = fixture.store();
    assert!(store.entry_ids().len() >= 4);
    let entries = walkdir::WalkDir::new(store.root()).into_iter().map(Result::unwrap);
    let writable = entries.filter(|entry| {
        let found = entry.path().symlink_metadata().unwrap();
        !found.is_symlink() && found.mode() & 0o002 != 0
    });
    let writable: Vec<_> = writable.map(walkdir::DirEntry::into_path).collect();
    assert!(writable.is_empty(), "{} paths: {writable:?}", writable.len());
}
