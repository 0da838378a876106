//! Bytecode with real nox, uv and Python: compiled once for all environments, never used for another source.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use noxide::cache::Store;
use noxide::cache::store::{Damage, EntryId, EntryKind, StagedEntry, StoreEntry, VersionedKey};
use serde_json::json;

use super::fixture::Fixture;
use crate::support::{NoxideRun, noxide_command};

/// A package in two versions with a top-level module, and another that overwrites one of its files.
fn fixture() -> Fixture {
    // Texts of different lengths: of two that are alike in size and second Python itself takes one for the other.
    let cli = |value: &str| format!("def main(): return {value:?}\n");
    Fixture::with(&json!([
        {"name": "alpha", "version": "1.0", "files": {"alpha/cli.py": cli("one"), "alone.py": "SAID = 'one'\n"}},
        {"name": "alpha", "version": "2.0", "files": {"alpha/cli.py": cli("second"), "alone.py": "SAID = 'second'\n"}},
        {"name": "over", "version": "1.0", "files": {"alpha/cli.py": cli("over")}},
        {"name": "plain", "version": "1.0"},
    ]))
}

const SAY: &str =
    "session.run('python', '-v', '-c', 'import alpha.cli, alone; print(\"said\", alpha.cli.main(), alone.SAID)')";

fn noxfile(fixture: &Fixture, installs: &[&str]) {
    // Of another length than the one before, for the same reason.
    let before = std::fs::read(fixture.project.root().join("noxfile.py")).map_or(0, |text| text.len());
    let steps = installs.iter().map(|install| format!("    session.install({install})\n    {SAY}\n"));
    let text = format!(
        "import nox\nnox.options.default_venv_backend = 'uv'\n{}\n@nox.session\ndef one(session):\n{}",
        "#".repeat(before % 97 + 1),
        steps.collect::<String>()
    );
    fixture.project.write("noxfile.py", text);
}

/// Runs the session in a new environment.
fn run(fixture: &Fixture, ci: bool) -> NoxideRun {
    std::fs::remove_dir_all(fixture.project.root().join(".nox")).ok();
    again(fixture, ci)
}

/// Runs the session in the environment that is there.
fn again(fixture: &Fixture, ci: bool) -> NoxideRun {
    let mut command = noxide_command(&fixture.project, "run --output stream -r");
    command.env("UV_CACHE_DIR", fixture.cache_dir("first")).env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    command.env_remove("PYTHONDONTWRITEBYTECODE");
    if ci {
        command.env("CI", "true");
    }
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.code(), 0, "{}", ran.text);
    ran
}

/// Returns what the session printed, in order.
fn printed_lines(ran: &NoxideRun) -> Vec<&str> {
    ran.text.lines().filter_map(|line| line.strip_prefix("said ")).collect()
}

/// Whether Python compiled a module of `alpha`.
fn compiled(ran: &NoxideRun) -> bool {
    ran.text.lines().any(|line| line.starts_with("# created") && line.contains("/alpha/"))
}

fn bytecode_entries(store: &Store) -> Vec<StoreEntry> {
    let ids = store.entry_ids().into_iter().filter(|id| id.kind == EntryKind::Bytecode);
    ids.map(|id| store.open_entry(&id).unwrap().unwrap()).collect()
}

/// Bytecode in the session's environment: flags and number of hard links, by file.
fn lying(fixture: &Fixture) -> BTreeMap<String, (u8, u64)> {
    let walk = walkdir::WalkDir::new(fixture.project.root().join(".nox/one/lib")).into_iter().flatten();
    let files = walk.filter(|entry| entry.path().extension().is_some_and(|end| end == "pyc"));
    let flags_and_links = |path: &Path| (std::fs::read(path).unwrap()[4], std::fs::metadata(path).unwrap().nlink());
    files.map(|entry| (entry.file_name().to_str().unwrap().to_owned(), flags_and_links(entry.path()))).collect()
}

#[test]
fn bytecode_is_compiled_once_for_all_environments() {
    let fixture = fixture();
    noxfile(&fixture, &["'alpha==1.0', 'plain'"]);
    let ran = run(&fixture, true);
    assert!(printed_lines(&ran) == ["one one"] && compiled(&ran), "{}", ran.text);
    let store = fixture.store();
    let entries = bytecode_entries(&store);
    let paths: Vec<&str> = entries[0].listing.nodes.iter().map(|item| item.path.as_str()).collect();
    assert!(entries.len() == 1 && entries[0].meta.name == "bytecode of alpha 1.0", "only what was imported");
    let are = paths.len() == 2 && paths[0].starts_with("alpha/__pycache__/__init__.") && paths[1].contains("/cli.");
    assert!(are, "{paths:?}");
    drop(entries);
    assert!(store.verify_entries(&noxide::cache::NoProgress).is_clean());

    let ran = run(&fixture, true);
    assert!(printed_lines(&ran) == ["one one"] && !compiled(&ran), "{}", ran.text);
    let lying = lying(&fixture);
    let links = lying
        .iter()
        .filter(|(name, _)| !name.starts_with("alone"))
        .all(|(_, flags_and_links)| *flags_and_links == (1, 2));
    assert!(lying.len() == 3 && links, "{lying:?}");
    assert_eq!(lying.iter().find(|(name, _)| name.starts_with("alone")).unwrap().1.0, 0, "of a module beside packages");
    assert_eq!(bytecode_entries(&store).len(), 1);
    // A reused environment is not changed, and existing bytecode is not written again.
    assert!(!compiled(&again(&fixture, true)));
}

#[test]
fn bytecode_is_never_used_for_changed_sources() {
    let fixture = fixture();
    let all = ["'alpha==1.0'", "'alpha==2.0'", "'over', '--no-deps'"];
    noxfile(&fixture, &all);
    for _ in 0..3 {
        assert_eq!(printed_lines(&run(&fixture, true)), ["one one", "second second", "over second"]);
    }
    // The same in a reused environment: `over` is installed already, its file is not.
    assert_eq!(printed_lines(&again(&fixture, true)), ["one one", "second second", "second second"]);
    noxfile(&fixture, &["'alpha==1.0'"]);
    assert_eq!(printed_lines(&run(&fixture, true)), ["one one"]);
    noxfile(&fixture, &["'alpha==2.0'"]);
    let ran = again(&fixture, true);
    assert_eq!(printed_lines(&ran), ["second second"], "{}", ran.text);
    // A source that was changed before is no longer that of the wheel.
    assert_eq!(printed_lines(&run(&fixture, true)), ["second second"]);
    let source = installed(&fixture, "alpha/cli.py");
    std::fs::remove_file(&source).unwrap();
    fs_err::write(&source, "def main(): return 'mine'\n").unwrap();
    let note = fixture.project.root().join(".nox/one/.noxide-bytecode.json");
    for (name, _) in lying(&fixture).into_iter().filter(|(name, _)| name.starts_with("cli")) {
        std::fs::remove_file(source.with_file_name("__pycache__").join(name)).unwrap();
    }
    std::fs::remove_file(note).unwrap();
    assert_eq!(printed_lines(&again(&fixture, true)), ["mine second"]);
}

fn installed(fixture: &Fixture, path: &str) -> PathBuf {
    let lib = fixture.project.root().join(".nox/one/lib");
    let python = std::fs::read_dir(lib).unwrap().next().unwrap().unwrap().path();
    python.join("site-packages").join(path)
}

#[test]
fn bytecode_never_hides_an_edit() {
    let fixture = fixture();
    noxfile(&fixture, &["'alpha==1.0'"]);
    assert!(compiled(&run(&fixture, false)) && bytecode_entries(&fixture.store()).is_empty());
    run(&fixture, true);
    assert!(!bytecode_entries(&fixture.store()).is_empty());
    assert!(compiled(&run(&fixture, false)), "what is kept is not put where somebody may edit");
    // The settings have precedence if the two differ.
    let settings = |word: &str| fixture.project.write("noxide.toml", format!("[cache]\nbytecode = {word}\n"));
    settings("true");
    assert!(!compiled(&run(&fixture, false)));
    settings("false");
    assert!(compiled(&run(&fixture, true)));
}

#[test]
fn invalid_bytecode_is_rejected() {
    let fixture = fixture();
    let store = fixture.store();
    let good = [b"\xa7\r\r\n\x01\0\0\0".as_slice(), &[0; 8], b"code"].concat();
    let timed = [b"\xa7\r\r\n".as_slice(), &[0; 12], b"code"].concat();
    let publish = |fill: &dyn Fn(&mut StagedEntry<'_>)| {
        let id = EntryId::new(EntryKind::Bytecode, format!("{}.cpython-311.1", "a".repeat(64))).unwrap();
        let mut incoming = store.stage_entry(&id, "bytecode of a").unwrap();
        fill(&mut incoming);
        incoming.publish(None).map(drop).map_err(|mut found| found.remove(0).damage)
    };
    let file = |path: &'static str, bytes: &[u8], executable: bool| {
        let bytes = bytes.to_vec();
        move |incoming: &mut StagedEntry<'_>| {
            incoming.add_file(path, executable, bytes.len() as u64, &mut bytes.as_slice()).unwrap();
        }
    };
    let pyc_path = "a/__pycache__/b.cpython-311.pyc";
    for wrong in [
        file("a/__pycache__/b.pth", &good, false),
        file("__pycache__/b.cpython-311.pyc", &good, false),
        file("a/b.pyc", &good, false),
        file(pyc_path, &timed, false),
        file(pyc_path, &good[..12], false),
        file(pyc_path, &good, true),
    ] {
        assert_eq!(publish(&wrong), Err(Damage::InvalidBytecode));
    }
    assert_eq!(publish(&|incoming| incoming.add_symlink(pyc_path, "c").unwrap()), Err(Damage::InvalidBytecode));
    assert_eq!(publish(&file(pyc_path, &good, false)), Ok(()));
    assert!(store.has_version(&VersionedKey::for_bytecode(&"a".repeat(64), "cpython-311")));
    assert!(!store.has_version(&VersionedKey::for_bytecode(&"a".repeat(64), "cpython-31")));
    // A later change is found.
    let tree = bytecode_entries(&store).remove(0).tree_path();
    fs_err::write(tree.join(pyc_path), "import evil").unwrap();
    assert!(!store.verify_entries(&noxide::cache::NoProgress).is_clean());
}
