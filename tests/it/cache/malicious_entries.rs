//! Malicious entries: rejected and named, when they are saved and when they are in the store already.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use noxide::cache::store::{Damage, EntryDamage, EntryId, EntryKind, PublishOutcome};
use noxide::cache::{NoProgress, PackageSelection, Store, StoreOptions};
use noxide::fs::{FileLinker, Sha256Digest, encode_base64_url};

use super::fixture::Fixture;

struct Own {
    directory: tempfile::TempDir,
    store: Store,
}

impl Own {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            dir: Some(directory.path().join("store")),
            max_entry_size: 1_000_000,
            ..StoreOptions::default()
        };
        Self { store: Store::open(&options).unwrap(), directory }
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
    let store = Own::new();
    let wrong = |more: &[(&str, &[u8])], record: &str| {
        let damage = store.comes_in(more, record).unwrap_err().remove(0);
        assert!(store.is_empty(), "{damage:?}");
        (damage.path, damage.damage)
    };
    for path in ["../out.py", "/etc/cron.d/out", "a/../../out", "", "a//b", "nul\0"] {
        assert_eq!(wrong(&[(path, b"x")], ""), (path.to_owned(), Damage::InvalidPath));
    }
    assert!(!store.directory.path().join("out.py").exists());
    assert_eq!(wrong(&[], "gone.py,sha256=x,1\n"), ("gone.py".to_owned(), Damage::Missing));
    assert_eq!(wrong(&[], "../../gone.py,,\n"), ("../../gone.py".to_owned(), Damage::InvalidPath));
    assert_eq!(wrong(&[("big", &vec![0; 1_000_001])], "").1, Damage::TooLarge { limit: 1_000_000, unit: "bytes" });
    assert!(matches!(wrong(&[("a.py", b"twice")], "").1, Damage::Unreadable(_)));
    assert!(matches!(store.comes_in(&[], "").unwrap(), PublishOutcome::New(_)));
    assert_eq!(store.comes_in(&[], "").unwrap(), PublishOutcome::AlreadyExists);
}

#[test]
fn streams_of_another_length_than_declared_are_rejected() {
    let store = Own::new();
    let mut incoming = store.store.stage_entry(&store.id(), "wheel 1").unwrap();
    let damage = incoming.add_file("a", false, 10, &mut &b"short"[..]).unwrap_err();
    assert_eq!(damage.damage, Damage::SizeMismatch { listed: 10, found: 5 });
    // An endless file is read up to one byte more than its size.
    let damage = incoming.add_file("b", false, 10, &mut std::io::repeat(0)).unwrap_err();
    assert_eq!(damage.damage, Damage::SizeMismatch { listed: 10, found: 11 });
    let mut failing = std::io::repeat(0).take(3).chain(Broken);
    assert!(matches!(incoming.add_file("c", false, 10, &mut failing).unwrap_err().damage, Damage::Unreadable(_)));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the line broke"))
    }
}

#[test]
fn links_stay_inside_and_nothing_is_written_through_them() {
    let store = Own::new();
    let id = EntryId::new(EntryKind::Directory, "some-directory").unwrap();
    let mut incoming = store.store.stage_entry(&id, "directory").unwrap();
    for target in ["/etc", "../../x", "a/../../x", ""] {
        assert_eq!(incoming.add_symlink("l", target).unwrap_err().damage, Damage::EscapingSymlink(target.to_owned()));
    }
    incoming.add_symlink("inside", "sub").unwrap();
    assert_eq!(incoming.add_file("inside/x", false, 1, &mut &b"x"[..]).unwrap_err().damage, Damage::InvalidPath);
    incoming.add_empty_directory("sub").unwrap();
    assert_eq!(incoming.add_empty_directory("../sub").unwrap_err().damage, Damage::InvalidPath);
    incoming.add_file("run", true, 1, &mut &b"x"[..]).unwrap();
    assert!(!store.store.has_entry(&id));
    let other = "0".repeat(64);
    assert_eq!(
        incoming.publish(Some(&other)).unwrap_err()[0].damage,
        Damage::ContentMismatch,
        "not the tree it should be"
    );
    assert!(store.is_empty());
}

#[test]
fn devices_pipes_and_setuid_files_are_rejected() {
    let store = Own::new();
    let adopt = |make: &dyn Fn(&PathBuf)| {
        let from = tempfile::tempdir().unwrap();
        make(&from.path().join("it"));
        let mut incoming = store.store.stage_entry(&store.id(), "wheel 1").unwrap();
        incoming.import_tree(from.path(), &FileLinker::new()).map(|()| incoming.publish(None)).unwrap_err().damage
    };
    assert_eq!(
        adopt(&|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap()),
        Damage::FileTypeMismatch
    );
    assert_eq!(adopt(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())), Damage::FileTypeMismatch);
    assert_eq!(adopt(&|path| symlink("/etc/passwd", path).unwrap()), Damage::EscapingSymlink("/etc/passwd".to_owned()));
    let setuid = |path: &PathBuf| {
        fs_err::write(path, "x").unwrap();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    };
    assert_eq!(adopt(&setuid), Damage::SpecialMode);
    assert!(store.is_empty());
    let mut incoming = store.store.stage_entry(&store.id(), "x").unwrap();
    let missing = incoming.import_tree(&store.directory.path().join("none"), &FileLinker::new()).unwrap_err();
    assert!(matches!(missing.damage, Damage::Unreadable(_) | Damage::Missing), "{missing:?}");
}

#[test]
fn files_in_the_store_belong_to_its_user_and_only_that_user_can_write_to_them() {
    let store = Own::new();
    let from = tempfile::tempdir().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    for (name, mode) in [("group", 0o664), ("everyone", 0o666), ("tool", 0o775), ("foreign", 0o644)] {
        let path = from.path().join(name);
        fs_err::write(&path, name).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    if is_root {
        // As in a cache that jobs of several users share.
        std::os::unix::fs::chown(from.path().join("foreign"), Some(12_347), None).unwrap();
    }
    let id = EntryId::new(EntryKind::Directory, "some-directory.1").unwrap();
    let mut incoming = store.store.stage_entry(&id, "directory").unwrap();
    incoming.import_tree(from.path(), &FileLinker::new()).unwrap();
    incoming.publish(None).unwrap();
    let tree = store.store.open_entry(&id).unwrap().unwrap().tree_path();
    for name in ["group", "everyone", "tool", "foreign"] {
        let found = fs_err::metadata(tree.join(name)).unwrap();
        assert_eq!(found.mode() & 0o022, 0, "{name}");
        assert_eq!(found.uid(), rustix::process::geteuid().as_raw(), "{name}");
        assert_eq!(found.mode() & 0o100 != 0, name == "tool");
    }
    assert!(store.store.verify_entries(&NoProgress).is_clean());
    if is_root {
        // A store from before such files were copied.
        std::os::unix::fs::chown(tree.join("group"), Some(12_347), None).unwrap();
        let verified = store.store.verify_entries(&NoProgress);
        assert_eq!(verified.damaged[0].damage, Damage::ForeignOwner, "{verified:?}");
    }
}

/// Entries in the store are manipulated one after the other; none reaches uv's cache, and the run continues.
#[test]
#[expect(clippy::too_many_lines, reason = "a list of small edits")]
fn malicious_entries_in_the_store_are_never_restored() {
    let fixture = Fixture::with(&serde_json::json!([
        {"name": "alpha", "version": "1.0", "files": {"alpha/run.sh": "#!/bin/sh\n"}},
        {"name": "beta", "version": "2.0"},
    ]));
    let outside = fixture.project.outer_dir().join("outside");
    fs_err::write(&outside, "secret").unwrap();
    type Harm<'a> = (&'a str, &'a dyn Fn(&std::path::Path));
    let edit_listing = |from: &'static str, to: &'static str| {
        move |tree: &std::path::Path| {
            let path = tree.with_file_name("listing");
            let text = fs_err::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs_err::write(&path, text.replace(from, to)).unwrap();
        }
    };
    let climbs = edit_listing("\talpha/run.sh", "\t../../../../run.sh");
    let torn = |tree: &std::path::Path| {
        let path = tree.with_file_name("listing");
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
        let directory = std::fs::read_dir(tree.with_file_name("uv")).unwrap().next().unwrap().unwrap().path();
        let text = fs_err::read_to_string(directory.join("placement.json")).unwrap();
        fs_err::write(directory.join("placement.json"), text.replace("archive-v0/", "../../archive-v0/")).unwrap();
    };
    let edit_placement = |edit: &'static dyn Fn(&mut serde_json::Value)| {
        move |tree: &std::path::Path| {
            let directory = std::fs::read_dir(tree.with_file_name("uv")).unwrap().next().unwrap().unwrap().path();
            let path = directory.join("placement.json");
            let mut placement: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
            edit(&mut placement);
            fs_err::write(&path, placement.to_string()).unwrap();
        }
    };
    // A file "of uv's own" below the link that was just created would change the verified tree.
    let through_link = edit_placement(&|placement| {
        placement["files"][0]["path"] = format!("{}/alpha/run.sh", placement["link"].as_str().unwrap()).into();
    });
    let outside_bucket = edit_placement(&|placement| placement["bucket"] = "/tmp".into());
    let other_kind = edit_placement(&|placement| {
        let text = placement.to_string().replace("wheels-v", "environments-v");
        *placement = serde_json::from_str(&text).unwrap();
    });
    // A store from before pointers were checked.
    let point_outside = |tree: &std::path::Path| {
        let directory = std::fs::read_dir(tree.with_file_name("uv")).unwrap().next().unwrap().unwrap().path();
        let path = directory.join("placement.json");
        let mut placement: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        let name = placement["tree_path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let last = placement["files"].as_array().unwrap().len() - 1;
        let pointer = fs_err::read(directory.join(last.to_string())).unwrap();
        let id = format!("/tmp/of-another-user/{name}");
        let marker = [0xd9, u8::try_from(id.len()).unwrap()];
        let pointer = [&pointer[..1], &marker, id.as_bytes(), &pointer[2 + name.len()..]].concat();
        placement["files"][last]["digest"] = blake3::hash(&pointer).to_hex().as_str().into();
        fs_err::write(directory.join(last.to_string()), pointer).unwrap();
        fs_err::write(&path, placement.to_string()).unwrap();
    };
    let harms: [Harm<'_>; 13] = [
        ("metadata", &climbs),
        ("metadata", &torn),
        ("wrong file type", &pipe),
        ("wrong file type", &leads_out),
        ("content differs", &other),
        ("instead of", &truncated),
        ("missing", &gone),
        ("setuid", &runnable),
        ("not a path", &pointer),
        ("not a path", &through_link),
        ("not a path", &outside_bucket),
        ("not a path", &other_kind),
        ("names something else", &point_outside),
    ];
    for (number, (expected, harm)) in harms.into_iter().enumerate() {
        let store = fixture.store();
        store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
        let id = store.entry_ids().into_iter().find(|id| store.entry_meta(id).unwrap().name == "alpha 1.0").unwrap();
        let tree = store.open_entry(&id).unwrap().unwrap().tree_path();
        harm(&tree);
        let verified = store.verify_entries(&NoProgress);
        assert!(
            verified.damaged.iter().any(|damage| damage.damage.to_string().contains(expected)),
            "{number}: {verified:?}"
        );
        let cache = format!("cache-{number}");
        let report = store.restore_wheels(&fixture.wanted(), &fixture.cache(&cache), &NoProgress);
        assert_eq!(report.restored.len(), 1, "{number}: {report:?}");
        assert_eq!(report.misses.len(), 1, "{number}: {report:?}");
        assert_eq!(report.misses[0].name, "alpha 1.0", "{number}: {report:?}");
        assert!(!fixture.cache(&cache).scan_wheels().0.iter().any(|pointer| pointer.id == id), "uv will fetch it");
        store.repair_entries(
            &verified.damaged,
            &noxide::cache::store::RepairContext { uv: None, project: fixture.project.root() },
        );
        assert!(store.verify_entries(&NoProgress).is_clean(), "{number}");
    }
    assert_eq!(fs_err::read(&outside).unwrap(), b"secret");
}

/// Placements that are valid one by one, but together would add a link to a verified tree, or share a foreign tree.
#[test]
fn no_restore_writes_through_a_link_or_adopts_a_foreign_tree() {
    let fixture =
        Fixture::with(&serde_json::json!([{"name": "alpha", "version": "1.0"}, {"name": "beta", "version": "2.0"}]));
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    let id = store.entry_ids().into_iter().find(|id| store.entry_meta(id).unwrap().name == "alpha 1.0").unwrap();
    let directory =
        std::fs::read_dir(store.open_entry(&id).unwrap().unwrap().tree_path().with_file_name("uv")).unwrap();
    let path = directory.last().unwrap().unwrap().path().join("placement.json");
    let original = fs_err::read_to_string(&path).unwrap();
    let restore_into = |cache: &str| store.restore_wheels(&fixture.wanted(), &fixture.cache(cache), &NoProgress);

    // The parent of alpha's link is a link already, to a directory that restoring must not touch.
    let victim = fixture.project.outer_dir().join("victim");
    fs_err::create_dir(&victim).unwrap();
    let cache = fixture.cache("linked");
    let placement: serde_json::Value = serde_json::from_str(&original).unwrap();
    let parent = cache.dir().join(placement["link"].as_str().unwrap()).parent().unwrap().to_path_buf();
    fs_err::create_dir_all(parent.parent().unwrap()).unwrap();
    symlink(&victim, &parent).unwrap();
    let report = restore_into("linked");
    assert_eq!(report.misses.len(), 1, "{report:?}");
    assert!(report.misses[0].reason.contains("is not a directory"), "{report:?}");
    assert_eq!(fs_err::read_dir(&victim).unwrap().count(), 0);

    // The cache has another tree under the name that the placement gives.
    let cache = fixture.cache("occupied");
    let tree = cache.dir().join(placement["tree_path"].as_str().unwrap());
    fs_err::create_dir_all(&tree).unwrap();
    fs_err::write(tree.join("foreign.py"), "FOREIGN = 1\n").unwrap();
    let report = restore_into("occupied");
    assert!(report.misses.len() == 1 && report.misses[0].reason.contains("already contains other files"), "{report:?}");
    assert!(!cache.scan_wheels().0.iter().any(|wheel| wheel.id == id), "no pointer to the foreign tree");

    // A tree of that name with the same files is used.
    let cache = fixture.cache("same");
    restore_into("same");
    let link = cache.dir().join(placement["link"].as_str().unwrap());
    fs_err::remove_file(&link).unwrap();
    let report = restore_into("same");
    assert!(report.misses.is_empty() && link.is_symlink(), "{report:?}");
}
