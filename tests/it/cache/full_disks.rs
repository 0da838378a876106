//! Full disks, read-only stores, stores on another file system.
#![cfg(target_os = "linux")]

use noxide::cache::{NoProgress, PackageSelection, Store};

use super::fixture::{ALL, Fixture, ended};
use crate::robustness::disk::{Mounted, mount};

#[test]
fn a_full_disk_stores_only_complete_entries() {
    let fixture = Fixture::new();
    let store_dir = fixture.project.outer_dir().join("store");
    fixture.cache("first");
    let note = std::fs::read_dir(store_dir.join("probes")).unwrap().next().unwrap().unwrap();
    let (note, known) = (note.file_name(), fs_err::read(note.path()).unwrap());
    let Some(_mounted) = Mounted::new(&store_dir, "300k") else { return };
    std::fs::create_dir(store_dir.join("probes")).unwrap();
    fs_err::write(store_dir.join("probes").join(note), known).unwrap();
    let (code, out, err) = ended(&mut fixture.noxide("first", &["save"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("not saved: many 1.5"), "{out}{err}");
    let store = fixture.store();
    let report = store.verify_entries(&NoProgress);
    assert!(report.is_clean() && report.entries > 0, "{report:?}");
    assert!(store.entry_ids().iter().all(|id| store.entry_meta(id).unwrap().name != "many 1.5"));
    let restored = store.restore_wheels(&fixture.wanted(), &fixture.cache("second"), &NoProgress);
    assert!(restored.misses.iter().any(|miss| miss.name == "many 1.5"), "{restored:?}");
    assert_eq!(restored.link_mode, Some("copy"), "from one file system to another");
    fixture.uv("second", &["sync", "--quiet", "--frozen", "--reinstall"]);
    assert_eq!(fixture.imported(), ALL, "uv fetched what was missing");
}

#[test]
fn a_file_size_limit_is_handled_like_a_full_disk() {
    let fixture = Fixture::with(&serde_json::json!([
        {"name": "alpha", "version": "1.0"},
        {"name": "big", "version": "1.0", "files": {"big/text.txt": "many words ".repeat(40_000)}},
    ]));
    // Between file systems every file is copied, so that the large one exceeds the space.
    let store_dir = fixture.project.outer_dir().join("store");
    let Some(_mounted) = Mounted::new(&store_dir, "20m") else { return };
    fixture.cache("first");
    let command = fixture.noxide("first", &["save"]);
    let limited = format!("ulimit -f 100; exec {:?} cache save", env!("CARGO_BIN_EXE_noxide"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &limited]).current_dir(fixture.project.root());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let (code, out, err) = ended(&mut shell);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("saved 1 wheel: ") && out.contains("not saved: big 1.0: "), "{out}{err}");
    let store = fixture.store();
    assert!(store.verify_entries(&NoProgress).is_clean());
    let names: Vec<String> = store.entry_ids().iter().map(|id| store.entry_meta(id).unwrap().name).collect();
    assert_eq!(names, ["alpha 1.0"], "nothing of the other is left");
    let (code, out, err) = ended(&mut fixture.noxide("first", &["save"]));
    assert!(code == 0 && out.starts_with("saved 1 wheel: "), "without the limit it is taken: {out}{err}");
}

#[test]
fn a_read_only_store_restores_but_saves_nothing() {
    let fixture = Fixture::new();
    let store_dir = fixture.project.outer_dir().join("store");
    let Some(_mounted) = Mounted::new(&store_dir, "20m") else { return };
    let store = fixture.store();
    let PackageSelection::Only(all) = fixture.wanted() else { panic!() };
    let some =
        PackageSelection::Only(all.iter().filter(|package| !package.name.starts_with("beta")).cloned().collect());
    store.save_wheels(&some, &fixture.cache("first"), &NoProgress).unwrap();
    assert!(mount(&["-o", "remount,ro"], &store_dir));
    let store = Store::open(&fixture.options).unwrap();
    assert!(!store.is_writable());
    let report = store.restore_wheels(&fixture.wanted(), &fixture.cache("second"), &NoProgress);
    assert_eq!((report.restored.len(), report.misses.len()), (3, 1), "{report:?}");
    std::fs::remove_dir_all(fixture.project.root().join(".venv")).unwrap();
    fixture.uv("second", &["sync", "--quiet", "--frozen"]);
    assert_eq!(fixture.imported(), ALL);
    let (code, out, err) = ended(&mut fixture.noxide("second", &["save"]));
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("is read-only"), "{err}");
    let (code, out, _) = ended(&mut fixture.noxide("second", &["status"]));
    assert_eq!(code, 0);
    assert!(out.contains("(read-only)") && out.contains("2 wheels"), "{out}");
    let (code, out, err) = ended(&mut fixture.noxide("second", &["verify"]));
    assert_eq!(code, 0, "{out}{err}");
    let (code, _, err) = ended(&mut fixture.noxide("second", &["prune", "--max-size", "1B"]));
    assert!(code == 3 && err.contains("read-only"), "{err}");
}
