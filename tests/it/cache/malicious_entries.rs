//! Malicious entries: rejected and named, when they are saved and when they are in the store already.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use noxide::cache::store::{Corruption, EntryDamage, EntryId, EntryKind, PublishOutcome};
use noxide::cache::{CacheOptions, NoProgress, PackageSelection, Store};
use noxide::fs::{FileLinker, Sha256Digest, encode_base64_url};

use super::fixture::Fixture;

struct Own {
    folder: tempfile::TempDir,
    store: Store,
}

impl Own {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = CacheOptions {
            dir: Some(folder.path().join("store")),
            max_entry_size: 1_000_000,
            ..CacheOptions::default()
        };
        Self { store: Store::open(&options).unwrap(), folder }
    }

    fn id(&self) -> EntryId {
        EntryId::for_wheel(Sha256Digest::hash_bytes(b"some wheel"))
    }

    /// Saves a small wheel with the additions of `more` to its files and its RECORD.
    fn comes_in(&self, more: &[(&str, &[u8])], record: &str) -> Result<PublishOutcome, Vec<EntryDamage>> {
        let mut incoming = self.store.stage_entry(&self.id(), "wheel 1").unwrap();
        let one = |damage| vec![damage];
        let mut text = record.to_owned();
        for (path, bytes) in [("a.py", &b"A = 1\n"[..])].iter().chain(more) {
            incoming.add_file(path, false, bytes.len() as u64, &mut &**bytes).map_err(one)?;
            text.push_str(&format!(
                "{path},sha256={},{}\n",
                encode_base64_url(&Sha256Digest::hash_bytes(bytes).0),
                bytes.len()
            ));
        }
        let bytes = text.as_bytes();
        incoming.add_file("wheel-1.dist-info/RECORD", false, bytes.len() as u64, &mut { bytes }).map_err(one)?;
        incoming.publish(None)
    }

    fn is_empty(&self) -> bool {
        let work = std::fs::read_dir(self.store.root().join("tmp")).into_iter().flatten().count();
        self.store.entry_ids().is_empty() && work == 0
    }
}

#[test]
fn malicious_entries_are_rejected_when_saved() {
    let own = Own::new();
    let wrong = |more: &[(&str, &[u8])], record: &str| {
        let damage = own.comes_in(more, record).unwrap_err().remove(0);
        assert!(own.is_empty(), "{damage:?}");
        (damage.path, damage.corruption)
    };
    for path in ["../out.py", "/etc/cron.d/out", "a/../../out", "", "a//b", "nul\0"] {
        assert_eq!(wrong(&[(path, b"x")], ""), (path.to_owned(), Corruption::InvalidPath));
    }
    assert!(!own.folder.path().join("out.py").exists());
    assert_eq!(wrong(&[], "gone.py,sha256=x,1\n"), ("gone.py".to_owned(), Corruption::Missing));
    assert_eq!(wrong(&[], "../../gone.py,,\n"), ("../../gone.py".to_owned(), Corruption::InvalidPath));
    assert_eq!(wrong(&[("big", &vec![0; 1_000_001])], "").1, Corruption::TooLarge { limit: 1_000_000, unit: "bytes" });
    assert!(matches!(wrong(&[("a.py", b"twice")], "").1, Corruption::Unreadable(_)));
    assert!(matches!(own.comes_in(&[], "").unwrap(), PublishOutcome::New(_)));
    assert_eq!(own.comes_in(&[], "").unwrap(), PublishOutcome::AlreadyExists);
}

#[test]
fn streams_of_another_length_than_declared_are_rejected() {
    let own = Own::new();
    let mut incoming = own.store.stage_entry(&own.id(), "wheel 1").unwrap();
    let damage = incoming.add_file("a", false, 10, &mut &b"short"[..]).unwrap_err();
    assert_eq!(damage.corruption, Corruption::SizeMismatch { listed: 10, found: 5 });
    // What never ends is read to one byte more than it should have.
    let damage = incoming.add_file("b", false, 10, &mut std::io::repeat(0)).unwrap_err();
    assert_eq!(damage.corruption, Corruption::SizeMismatch { listed: 10, found: 11 });
    let mut failing = std::io::repeat(0).take(3).chain(Broken);
    assert!(matches!(
        incoming.add_file("c", false, 10, &mut failing).unwrap_err().corruption,
        Corruption::Unreadable(_)
    ));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the line broke"))
    }
}

#[test]
fn links_stay_inside_and_nothing_is_written_through_them() {
    let own = Own::new();
    let id = EntryId::new(EntryKind::Directory, "some-folder").unwrap();
    let mut incoming = own.store.stage_entry(&id, "folder").unwrap();
    for target in ["/etc", "../../x", "a/../../x", ""] {
        assert_eq!(
            incoming.add_symlink("l", target).unwrap_err().corruption,
            Corruption::EscapingSymlink(target.to_owned())
        );
    }
    incoming.add_symlink("inside", "sub").unwrap();
    assert_eq!(
        incoming.add_file("inside/x", false, 1, &mut &b"x"[..]).unwrap_err().corruption,
        Corruption::InvalidPath
    );
    incoming.add_empty_folder("sub").unwrap();
    assert_eq!(incoming.add_empty_folder("../sub").unwrap_err().corruption, Corruption::InvalidPath);
    incoming.add_file("run", true, 1, &mut &b"x"[..]).unwrap();
    assert!(!own.store.has_entry(&id));
    let other = "0".repeat(64);
    assert_eq!(
        incoming.publish(Some(&other)).unwrap_err()[0].corruption,
        Corruption::ContentMismatch,
        "not the tree it should be"
    );
    assert!(own.is_empty());
}

#[test]
fn devices_pipes_and_setuid_files_are_rejected() {
    let own = Own::new();
    let adopt = |make: &dyn Fn(&PathBuf)| {
        let from = tempfile::tempdir().unwrap();
        make(&from.path().join("it"));
        let mut incoming = own.store.stage_entry(&own.id(), "wheel 1").unwrap();
        incoming.import_tree(from.path(), &FileLinker::new()).map(|()| incoming.publish(None)).unwrap_err().corruption
    };
    assert_eq!(
        adopt(&|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap()),
        Corruption::FileTypeMismatch
    );
    assert_eq!(
        adopt(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        Corruption::FileTypeMismatch
    );
    assert_eq!(
        adopt(&|path| symlink("/etc/passwd", path).unwrap()),
        Corruption::EscapingSymlink("/etc/passwd".to_owned())
    );
    let setuid = |path: &PathBuf| {
        fs_err::write(path, "x").unwrap();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    };
    assert_eq!(adopt(&setuid), Corruption::SpecialMode);
    assert!(own.is_empty());
    let mut incoming = own.store.stage_entry(&own.id(), "x").unwrap();
    let missing = incoming.import_tree(&own.folder.path().join("none"), &FileLinker::new()).unwrap_err();
    assert!(matches!(missing.corruption, Corruption::Unreadable(_) | Corruption::Missing), "{missing:?}");
}

/// One after the other, entries in the store are made harmful; uv's cache gets nothing of it, and the run goes on.
#[test]
fn malicious_entries_in_the_store_are_never_restored() {
    let fixture = Fixture::with(&serde_json::json!([
        {"name": "alpha", "version": "1.0", "files": {"alpha/run.sh": "#!/bin/sh\n"}},
        {"name": "beta", "version": "2.0"},
    ]));
    let outside = fixture.project.beside().join("outside");
    fs_err::write(&outside, "secret").unwrap();
    type Harm<'a> = (&'a str, &'a dyn Fn(&std::path::Path));
    let facts = |from: &'static str, to: &'static str| {
        move |tree: &std::path::Path| {
            let path = tree.with_file_name("manifest");
            let text = fs_err::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs_err::write(&path, text.replace(from, to)).unwrap();
        }
    };
    let climbs = facts("\talpha/run.sh", "\t../../../../run.sh");
    let torn = |tree: &std::path::Path| {
        let path = tree.with_file_name("manifest");
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, &text[..text.len() / 2]).unwrap();
    };
    let replaced = |make: &'static dyn Fn(&std::path::Path)| {
        move |tree: &std::path::Path| {
            let path = tree.join("alpha/run.sh");
            std::fs::remove_file(&path).unwrap();
            make(&path);
        }
    };
    let pipe = replaced(&|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap());
    let leads_out = replaced(&|path| symlink("/etc/passwd", path).unwrap());
    let other = replaced(&|path| fs_err::write(path, "#!/bin/SH\n").unwrap());
    let truncated = replaced(&|path| fs_err::write(path, "#!").unwrap());
    let gone = replaced(&|_| {});
    let runnable = replaced(&|path| {
        fs_err::write(path, "#!/bin/sh\n").unwrap();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o6755)).unwrap();
    });
    let pointer = |tree: &std::path::Path| {
        let folder = std::fs::read_dir(tree.with_file_name("uv")).unwrap().next().unwrap().unwrap().path();
        let text = fs_err::read_to_string(folder.join("placement.json")).unwrap();
        fs_err::write(folder.join("placement.json"), text.replace("archive-v0/", "../../archive-v0/")).unwrap();
    };
    let harms: [Harm<'_>; 9] = [
        ("metadata", &climbs),
        ("metadata", &torn),
        ("wrong file type", &pipe),
        ("wrong file type", &leads_out),
        ("content differs", &other),
        ("instead of", &truncated),
        ("missing", &gone),
        ("setuid", &runnable),
        ("not a path", &pointer),
    ];
    for (number, (said, harm)) in harms.into_iter().enumerate() {
        let store = fixture.store();
        store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
        let id = store.entry_ids().into_iter().find(|id| store.entry_meta(id).unwrap().name == "alpha 1.0").unwrap();
        let tree = store.open_entry(&id).unwrap().unwrap().tree_path();
        harm(&tree);
        let told = store.verify_entries(&NoProgress);
        assert!(told.damaged.iter().any(|damage| damage.corruption.to_string().contains(said)), "{number}: {told:?}");
        let cache = format!("cache-{number}");
        let report = store.restore_wheels(&fixture.wanted(), &fixture.cache(&cache), &NoProgress);
        assert_eq!(report.restored.len(), 1, "{number}: {report:?}");
        assert_eq!(report.misses.len(), 1, "{number}: {report:?}");
        assert_eq!(report.misses[0].name, "alpha 1.0", "{number}: {report:?}");
        assert!(!fixture.cache(&cache).scan_wheels().0.iter().any(|pointer| pointer.id == id), "uv will fetch it");
        store.repair_entries(
            &told.damaged,
            &noxide::cache::store::RepairContext { uv: None, project: fixture.project.root() },
        );
        assert!(store.verify_entries(&NoProgress).is_clean(), "{number}");
    }
    assert_eq!(fs_err::read(&outside).unwrap(), b"secret");
}
