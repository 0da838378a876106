//! Environments in the store: what is stored, that it is restored unchanged, and when it is not.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use noxide::cache::store::{CacheMiss, EntryKind, EnvironmentSpec, PruneReason, StoreEntry};
use noxide::cache::{NoProgress, PackageSelection, Store, StoreOptions};
use noxide::fs::FileLinker;

use super::fixture::{ALL, Fixture};
use crate::support::ChildDeadline as _;
use crate::support::rounds;

/// The project's environment, created by uv.
fn environment_spec(fixture: &Fixture, digest: &str) -> EnvironmentSpec {
    let venv = fixture.project.root().join(".venv");
    EnvironmentSpec::new(&venv, &python(fixture), digest).unwrap()
}

/// The interpreter that uv chose.
fn python(fixture: &Fixture) -> PathBuf {
    let python = fixture.project.outer_dir().join("python");
    if !python.exists() {
        let real = std::fs::canonicalize(fixture.project.root().join(".venv/bin/python")).unwrap();
        std::os::unix::fs::symlink(real, &python).unwrap();
    }
    python
}

fn remove(fixture: &Fixture) {
    std::fs::remove_dir_all(fixture.project.root().join(".venv")).unwrap();
}

/// A store that has the project's wheels and its environment.
fn filled_store(fixture: &Fixture) -> Store {
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    store.save_environment(&environment_spec(fixture, "")).unwrap().unwrap();
    store
}

fn entries(store: &Store, kind: EntryKind) -> Vec<StoreEntry> {
    let ids = store.entry_ids().into_iter().filter(|id| id.kind == kind);
    ids.map(|id| store.open_entry(&id).unwrap().unwrap()).collect()
}

/// The state of a tree: type, permissions and bytes of each node, and modification times of files.
fn state(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>, i64)> {
    let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter().map(|entry| entry.unwrap());
    let told = |entry: walkdir::DirEntry| {
        let digest = entry.metadata().unwrap();
        let kind = entry.file_type();
        let bytes = match () {
            () if kind.is_file() => std::fs::read(entry.path()).unwrap(),
            () if kind.is_symlink() => std::fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes(),
            () => Vec::new(),
        };
        let dated = kind.is_file() || entry.path().to_string_lossy().ends_with(".dist-info");
        let time = if dated { digest.mtime() * 1_000_000_000 + digest.mtime_nsec() } else { 0 };
        // uv lets everyone write to its lock file; the store lets nobody else, and no group, write to anything.
        (entry.path().strip_prefix(root).unwrap().to_path_buf(), (digest.mode() & !0o022, bytes, time))
    };
    entries.map(told).collect()
}

#[test]
fn an_environment_is_restored_unchanged() {
    let fixture = Fixture::new();
    let venv = fixture.project.root().join(".venv");
    std::fs::create_dir_all(venv.join("share/empty")).unwrap();
    // A file of a wheel that was changed in the environment, and one that was removed.
    std::fs::remove_file(fixture.installed("beta/__init__.py")).unwrap();
    fs_err::write(fixture.installed("beta/__init__.py"), "VERSION = '2.0'\nPATCHED = 1\n").unwrap();
    std::fs::remove_file(fixture.installed("many/f600.py")).ok();
    let store = filled_store(&fixture);
    let before = state(&venv);
    let entry = entries(&store, EntryKind::Environment).remove(0);
    assert!(entry.listing.nodes.iter().all(|item| !item.path.contains("/many/")), "wheels are not stored twice");
    assert!(entry.listing.nodes.iter().any(|item| item.path.ends_with("/beta/__init__.py")), "what differs is");
    assert_eq!(entry.meta.members.len(), 4, "{:?}", entry.meta);
    drop(entry);
    assert_eq!(store.save_environment(&environment_spec(&fixture, "")), Ok(None), "nothing new, nothing written");

    remove(&fixture);
    let restored = store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap();
    assert!(restored.files > 700 && restored.name == venv.display().to_string(), "{restored:?}");
    let after = state(&venv);
    let differ = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    assert_eq!(differ.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    assert_eq!(fixture.imported(), ALL);
    let linker = FileLinker::new();
    linker.link_file(&fixture.installed("many/__init__.py"), &fixture.project.outer_dir().join("probe")).unwrap();
    if linker.current_mode() == noxide::fs::LinkMode::Hardlink {
        assert!(std::fs::metadata(fixture.installed("many/__init__.py")).unwrap().nlink() > 2, "linked");
    }
    assert_eq!(std::fs::metadata(fixture.installed("many-1.5.dist-info/RECORD")).unwrap().nlink(), 1, "its own");
    let again = store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap_err();
    assert_eq!(again.reason, "it already exists");
    assert_eq!(store.save_environment(&environment_spec(&fixture, "")), Ok(None), "it is known as it is");
    assert!(store.verify_entries(&NoProgress).is_clean());
    assert_eq!(
        store.status().kinds.iter().map(|kind| (kind.kind, kind.entries)).next_back(),
        Some((EntryKind::Environment, 1))
    );

    fs_err::write(venv.join("share/note"), "new").unwrap();
    store.save_environment(&environment_spec(&fixture, "")).unwrap().unwrap();
    assert_eq!(entries(&store, EntryKind::Environment).len(), 1, "the newest counts, the older one is gone");
    remove(&fixture);
    store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap();
    assert_eq!(fs_err::read_to_string(venv.join("share/note")).unwrap(), "new");
}

/// What a session writes there may contain its secrets, and pull requests read environments of their base.
#[test]
fn only_what_installers_create_is_stored() {
    let fixture = Fixture::new();
    let venv = fixture.project.root().join(".venv");
    let written = ["tmp/.pypirc", ".netrc", ".docker/config.json", "reports/x.xml"];
    for path in written.into_iter().chain(["share/man/x.1"]) {
        fs_err::create_dir_all(venv.join(path).parent().unwrap()).unwrap();
        fs_err::write(venv.join(path), "token").unwrap();
    }
    let store = filled_store(&fixture);
    remove(&fixture);
    store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap();
    assert!(venv.join("share/man/x.1").exists() && venv.join("bin/python").exists());
    for path in written {
        assert!(!venv.join(path.split('/').next().unwrap()).exists(), "{path}");
    }
}

#[test]
fn an_environment_is_restored_only_for_its_path_interpreter_and_inputs() {
    let fixture = Fixture::new();
    let store = filled_store(&fixture);
    let venv = fixture.project.root().join(".venv");
    let other = fixture.project.outer_dir().join("other");
    std::fs::copy(python(&fixture), &other).unwrap();
    let missed = |kept: EnvironmentSpec| store.restore_environment(&kept, &NoProgress).unwrap_err().reason;
    remove(&fixture);
    assert_eq!(
        missed(EnvironmentSpec::new(&venv.with_extension("x"), &python(&fixture), "").unwrap()),
        CacheMiss::NOT_STORED
    );
    assert_eq!(missed(EnvironmentSpec::new(&venv, &other, "").unwrap()), CacheMiss::NOT_STORED);
    assert_eq!(missed(environment_spec(&fixture, "other facts")), CacheMiss::NOT_STORED);
    assert_eq!(EnvironmentSpec::new(Path::new("relative"), &other, ""), None);
    assert_eq!(EnvironmentSpec::new(&venv, Path::new("/missing"), ""), None);
    store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap();

    let refused = |kept: EnvironmentSpec| store.save_environment(&kept).unwrap_err().reason;
    assert_eq!(refused(EnvironmentSpec::new(&venv, &other, "").unwrap()), "it was created for another interpreter");
    fs_err::create_dir_all(venv.join("share")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", venv.join("share/out")).unwrap();
    assert_eq!(
        refused(environment_spec(&fixture, "")),
        "it cannot be restored: symbolic link out of the entry, to /etc/passwd"
    );
    std::fs::remove_file(venv.join("share/out")).unwrap();
    std::fs::set_permissions(venv.join("CACHEDIR.TAG"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(refused(environment_spec(&fixture, "")), "CACHEDIR.TAG: setuid, setgid or sticky bit is set");
    std::fs::remove_file(venv.join("CACHEDIR.TAG")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, venv.join("share/pipe"), rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(refused(environment_spec(&fixture, "")), "share/pipe is not a regular file");
    std::fs::remove_file(venv.join("share/pipe")).unwrap();
    std::fs::rename(fixture.installed(""), venv.join("moved")).unwrap();
    assert_eq!(refused(environment_spec(&fixture, "")), "it has no site-packages");
    fs_err::write(venv.join("pyvenv.cfg"), "home = /x\n").unwrap();
    assert_eq!(refused(environment_spec(&fixture, "")), "it was not created by uv");
    remove(&fixture);
    assert!(refused(environment_spec(&fixture, "")).contains("pyvenv.cfg"), "there is none");
}

#[test]
fn a_file_written_to_through_a_link_is_found() {
    let fixture = Fixture::new();
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    let file = fixture.installed("many/__init__.py");
    if std::fs::metadata(&file).unwrap().nlink() < 2 {
        return; // this file system clones: nothing is shared
    }
    let mut open = fs_err::OpenOptions::new().append(true).open(&file).unwrap();
    std::io::Write::write_all(&mut open, b"# poison\n").unwrap();
    let reason = store.save_environment(&environment_spec(&fixture, "")).unwrap_err().reason;
    assert!(reason.ends_with("many/__init__.py was modified, and it is also a file of the store"), "{reason}");
}

#[test]
fn damaged_entries_are_quarantined_not_restored() {
    let fixture = Fixture::new();
    let store = filled_store(&fixture);
    let venv = fixture.project.root().join(".venv");
    remove(&fixture);
    let missed = || store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap_err().reason;
    let python = python(&fixture);
    // A file of the environment itself.
    let tree = entries(&store, EntryKind::Environment).remove(0).tree_path();
    let own = tree.join("pyvenv.cfg");
    let good = fs_err::read_to_string(&own).unwrap();
    fs_err::write(&own, good.replace("home", "hume")).unwrap();
    let report = store.verify_entries(&NoProgress);
    assert_eq!((report.damaged.len(), report.damaged[0].path.as_str()), (1, "pyvenv.cfg"), "{report:?}");
    assert_eq!(missed(), "damaged and quarantined: pyvenv.cfg: content differs from the list of files");
    assert!(
        !venv.exists() && entries(&store, EntryKind::Environment).is_empty() && store.status().quarantined.len() == 1
    );
    assert_eq!(missed(), CacheMiss::NOT_STORED);

    // A file of a wheel in it.
    fixture.sync_offline("first");
    let again = store.save_environment(&environment_spec(&fixture, "")).unwrap().unwrap();
    remove(&fixture);
    let wheels = entries(&store, EntryKind::Wheel);
    let many = wheels.iter().find(|wheel| wheel.meta.name == "many 1.5").unwrap();
    let id = many.id.clone();
    let module = many.tree_path().join("many/__init__.py");
    let text = fs_err::read_to_string(&module).unwrap();
    fs_err::write(&module, text.replace("1.5", "6.6")).unwrap();
    drop(wheels);
    assert!(missed().ends_with("many/__init__.py: content differs from the list of files"));
    assert!(!venv.exists() && !store.has_entry(&id));
    let left = std::fs::read_dir(venv.parent().unwrap()).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".noxide-work")));
    assert_eq!(missed(), format!("its wheel {id} is not in the store"));
    assert!(store.verify_entries(&NoProgress).is_clean(), "a wheel that is not here is no damage");
    assert!(store.has_entry(&noxide::cache::store::EntryId::parse(&again.entry).unwrap()));

    // The list of its wheels.
    let parts = entries(&store, EntryKind::Environment).remove(0).tree_path().join(".noxide-environment.json");
    fs_err::write(&parts, "{}").unwrap();
    assert!(
        missed().starts_with("damaged and quarantined: .noxide-environment.json: invalid metadata"),
        "a damaged entry is quarantined"
    );
    assert!(python.exists());
}

#[test]
fn an_environment_is_pruned_before_its_wheels() {
    let fixture = Fixture::new();
    let store = filled_store(&fixture);
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 3_600);
    for wheel in entries(&store, EntryKind::Wheel) {
        let digest = wheel.tree_path().parent().unwrap().join("listing");
        fs_err::OpenOptions::new().append(true).open(digest).unwrap().into_parts().0.set_modified(long_ago).unwrap();
    }
    let with = |max_size: u64, days: u64| {
        let max_unused = Duration::from_secs(days * 24 * 3_600);
        let store = Store::open(&StoreOptions { max_size, max_unused, ..fixture.options.clone() }).unwrap();
        store.plan_prune().remove.into_iter().map(|entry| (entry.entry.kind, entry.reason)).collect::<Vec<_>>()
    };
    assert_eq!(with(u64::MAX, 7), [], "a wheel is used as long as an environment that it is in");
    let all = with(1, 7);
    assert_eq!((all.len(), all[0]), (5, (EntryKind::Environment, PruneReason::OverMaxSize)), "{all:?}");
    let held = entries(&store, EntryKind::Environment);
    let store = Store::open(&StoreOptions { max_size: 1, ..fixture.options.clone() }).unwrap();
    let report = store.prune(&store.plan_prune(), &NoProgress).unwrap();
    assert_eq!((report.removed.len(), report.in_use.len()), (4, 1), "what is held stays: {report:?}");
    drop(held);
}

#[test]
fn a_store_on_another_file_system_stores_environments() {
    let mut fixture = Fixture::new();
    let Ok(shared_memory) = tempfile::tempdir_in("/dev/shm") else { return };
    fixture.options.dir = Some(shared_memory.path().join("store"));
    let store = filled_store(&fixture);
    let entry = entries(&store, EntryKind::Environment).remove(0);
    assert!(entry.listing.nodes.iter().all(|item| !item.path.contains("/many/")), "compared by what is in them");
    drop(entry);
    remove(&fixture);
    store.restore_environment(&environment_spec(&fixture, ""), &NoProgress).unwrap();
    assert_eq!(fixture.imported(), ALL);
}

/// The process that is killed: it saves, restores or prunes in an endless loop.
#[test]
#[ignore = "runs as a child of kills_while_environments_are_saved_and_restored_leave_a_valid_store"]
fn at_work_until_killed() {
    let work = std::env::var("NOXIDE_TEST_VENV_WORK").expect("work from the parent test");
    let work: Vec<&str> = work.split('\n').collect();
    let [verb, store, venv, python] = work.as_slice() else { panic!("{work:?}") };
    // A save would prune too.
    let max_size = if *verb == "prune" { 1 } else { u64::MAX };
    let options = StoreOptions { dir: Some(store.into()), max_size, ..StoreOptions::default() };
    let store = Store::open(&options).unwrap();
    let kept = EnvironmentSpec::new(Path::new(venv), Path::new(python), "").unwrap();
    for round in 0.. {
        match *verb {
            "save" => {
                fs_err::write(Path::new(venv).join("note"), round.to_string()).unwrap();
                store.save_environment(&kept).unwrap();
            }
            "restore" => {
                let gone = Path::new(venv).with_extension("gone");
                std::fs::remove_dir_all(&gone).ok();
                std::fs::rename(venv, gone).ok();
                store.restore_environment(&kept, &NoProgress).unwrap();
            }
            _ => drop(store.prune(&store.plan_prune(), &NoProgress).unwrap()),
        }
    }
}

#[test]
fn kills_while_environments_are_saved_and_restored_leave_a_valid_store() {
    let rounds = rounds(15, 90) as usize;
    let fixture = Fixture::new();
    filled_store(&fixture);
    let (venv, python) = (fixture.project.root().join(".venv"), python(&fixture));
    let store = |max_size: u64| Store::open(&StoreOptions { max_size, ..fixture.options.clone() }).unwrap();
    for round in 0..rounds {
        let verb = ["save", "restore", "prune"][round % 3];
        let root = store(u64::MAX).root().to_path_buf();
        let told = [verb, root.to_str().unwrap(), venv.to_str().unwrap(), python.to_str().unwrap()];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--ignored", "cache::environment_store::at_work_until_killed"])
            .env("NOXIDE_TEST_VENV_WORK", told.join("\n"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started_at = Instant::now();
        let moment = Duration::from_millis(40 + (round as u64 * 37) % 160);
        std::thread::sleep(moment.saturating_sub(started_at.elapsed()));
        child.kill().unwrap();
        assert_eq!(child.wait_for_end().signal(), Some(9), "round {round}: it was at work");
        let store = store(u64::MAX);
        let report = store.verify_entries(&NoProgress);
        assert!(report.is_clean(), "round {round}: {report:?}");
        assert_eq!(std::fs::read_dir(store.root().join("tmp")).unwrap().count(), 0, "round {round}");
        if venv.exists() && verb == "restore" {
            assert_eq!(fixture.imported(), ALL, "round {round}: whole or not at all");
        }
        // The next restore works and removes leftovers.
        if verb == "prune" {
            fixture.sync_offline("first");
            store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
            store.save_environment(&environment_spec(&fixture, "")).unwrap();
        }
        std::fs::remove_dir_all(&venv).ok();
        store
            .restore_environment(&environment_spec(&fixture, ""), &NoProgress)
            .unwrap_or_else(|miss| panic!("round {round}: {miss:?}"));
        let left = std::fs::read_dir(venv.parent().unwrap()).unwrap().flatten();
        assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".noxide-work")));
    }
}
