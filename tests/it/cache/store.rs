//! Save and restore: uv installs what the store restores, and known files are not written again.

use std::os::unix::fs::MetadataExt;

use noxide::cache::store::EntryKind;
use noxide::cache::{NoProgress, PackageSelection, Store, StoreError};

use super::fixture::{ALL, Fixture};

#[test]
fn uv_installs_offline_from_what_was_restored() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let saved = store.save_wheels(&fixture.wanted(), &fixture.cache("first"), &NoProgress).unwrap();
    let names: Vec<&str> = saved.saved.iter().map(|saved| saved.name.as_str()).collect();
    assert_eq!(names, ["alpha 1.0", "beta 2.0", "many 1.5", "source 0.3"], "{saved:?}");
    assert!(saved.damaged.is_empty() && saved.malformed_pointer_files == 0, "{saved:?}");

    let report = store.restore_wheels(&fixture.wanted(), &fixture.cache("second"), &NoProgress);
    assert_eq!((report.restored.len(), report.misses.len(), report.already_present.len()), (4, 0, 0), "{report:?}");
    assert_eq!((report.files, report.bytes), (saved.files, saved.bytes));
    assert_eq!(fixture.sync_offline("second"), ALL);
    assert!(!fixture.cache_dir("second").join("simple-v28").exists(), "nothing else was put there");

    let again = store.restore_wheels(&fixture.wanted(), &fixture.cache("second"), &NoProgress);
    assert_eq!((again.restored.len(), again.already_present.len(), again.misses.len()), (0, 4, 0), "{again:?}");
    let saved = store.save_wheels(&PackageSelection::All, &fixture.cache("second"), &NoProgress).unwrap();
    assert_eq!((saved.saved.len(), saved.already_stored, saved.failures.len()), (0, 4, 0), "{saved:?}");
    assert!(store.verify_entries(&NoProgress).is_clean());
}

#[test]
fn files_are_linked_and_nothing_is_written_twice() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let saved = store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    let state = |path: &std::path::Path| {
        let entries = walkdir::WalkDir::new(path).sort_by_file_name();
        entries
            .into_iter()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (entry.path().to_path_buf(), entry.metadata().unwrap().ino(), entry.metadata().unwrap().mtime_nsec())
            })
            .collect::<Vec<_>>()
    };
    let before = state(&store.root().join("entries"));
    let again = store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    assert!(again.saved.is_empty() && again.bytes == 0);
    assert_eq!(state(&store.root().join("entries")), before, "nothing new, nothing written");
    if saved.link_mode == Some("hardlink") {
        let ids = store.entry_ids();
        let wheel = ids.iter().find(|id| id.kind == EntryKind::Wheel).unwrap();
        let entry = store.open_entry(wheel).unwrap().unwrap();
        let first = entry.listing.files().next().unwrap();
        assert!(std::fs::metadata(entry.tree_path().join(&first.path)).unwrap().nlink() >= 2);
    }
    let status = store.status();
    assert_eq!((status.entries, status.files, status.bytes), (4, saved.files, saved.bytes));
    assert_eq!(
        status.kinds.iter().map(|kind| kind.kind).collect::<Vec<_>>(),
        [EntryKind::Wheel, EntryKind::BuiltWheel]
    );
}

#[test]
fn only_requested_packages_are_restored_and_a_miss_has_a_reason() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let PackageSelection::Only(all) = fixture.wanted() else { panic!() };
    let only = |names: &[&str]| {
        PackageSelection::Only(
            all.iter().filter(|package| names.iter().any(|n| package.name.starts_with(n))).cloned().collect(),
        )
    };
    store.save_wheels(&only(&["alpha", "many"]), &fixture.cache("first"), &NoProgress).unwrap();
    let report = store.restore_wheels(&only(&["alpha", "beta"]), &fixture.cache("second"), &NoProgress);
    assert_eq!(report.restored.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["alpha 1.0"]);
    assert_eq!(report.misses.len(), 1);
    assert_eq!((report.misses[0].name.as_str(), report.misses[0].reason.as_str()), ("beta 2.0", "not in the store"));
    let report = store.restore_wheels(&only(&["beta"]), &fixture.cache("first"), &NoProgress);
    assert_eq!(
        (report.already_present.as_slice(), report.misses.len()),
        (&["beta 2.0".to_owned()][..], 0),
        "uv has it already"
    );

    let mut layout = fixture.cache("first").layout().clone();
    layout.wheels = "wheels-v99".to_owned();
    let other = noxide::cache::UvCache::new(fixture.cache_dir("third"), layout);
    let report = store.restore_wheels(&only(&["alpha"]), &other, &NoProgress);
    assert_eq!(report.misses[0].reason, "stored for uv's cache format wheels-v8, but this uv uses wheels-v99");
    assert!(!fixture.cache_dir("third").exists());

    let entry = store.entry_ids().into_iter().find(|id| store.entry_meta(id).unwrap().name == "alpha 1.0").unwrap();
    let files = store.open_entry(&entry).unwrap().unwrap().tree_path().with_file_name("uv");
    std::fs::remove_dir_all(files).unwrap();
    let report = store.restore_wheels(&only(&["alpha"]), &fixture.cache("fourth"), &NoProgress);
    assert_eq!(report.misses[0].reason, "the files by which uv finds it in its cache are missing or damaged");
}

#[test]
fn the_layout_of_uv_is_detected_once() {
    let fixture = Fixture::new();
    let first = fixture.cache("first");
    let notes: Vec<_> = std::fs::read_dir(fixture.store().root().join("probes")).unwrap().flatten().collect();
    assert_eq!(notes.len(), 1);
    assert_eq!(fixture.cache("first"), first, "read from the note");
    let names: Vec<String> = std::fs::read_dir(first.dir())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .collect();
    assert!(names.contains(&first.layout().wheels) && names.contains(&first.layout().archives), "{names:?}");
}

#[test]
fn a_store_of_another_version_or_without_a_path_is_rejected() {
    let fixture = Fixture::new();
    fs_err::write(fixture.store().root().join("store.json"), "{\"version\": 9}").unwrap();
    let error = Store::open(&fixture.options).unwrap_err();
    assert!(matches!(error, StoreError::UnsupportedVersion { found_version: 9, .. }), "{error}");
    assert!(error.to_string().contains("version 9"));
    fs_err::write(fixture.options.dir.as_ref().unwrap().join("store.json"), "{").unwrap();
    assert!(matches!(Store::open(&fixture.options).unwrap_err(), StoreError::Unusable { .. }));
    let nowhere = noxide::cache::StoreOptions::default();
    assert!(matches!(Store::open(&nowhere).unwrap_err(), StoreError::NoLocation));
}
