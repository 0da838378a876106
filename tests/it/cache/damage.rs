//! Files that were changed, truncated or lost: found, named, quarantined and repaired.

use std::io::Write;

use noxide::cache::store::Damage;
use noxide::cache::{NoProgress, PackageSelection};

use super::fixture::{ALL, Fixture};

/// Writes to a file in place, which changes every hard link of it.
fn poison(path: &std::path::Path) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"VERSION = 'poisoned'\n").unwrap();
}

#[test]
fn files_changed_through_a_link_are_found_and_repaired() {
    let fixture = Fixture::new();
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    poison(&fixture.installed("beta/__init__.py"));
    fixture.uv("first", &["sync", "--quiet", "--frozen", "--reinstall"]);
    assert!(fixture.imported().contains("poisoned"), "uv does not notice");

    let report = store.restore_wheels(&fixture.wanted(), &fixture.cache("first"), &NoProgress);
    assert_eq!(report.misses.len(), 1, "{report:?}");
    assert_eq!(report.misses[0].name, "beta 2.0");
    assert!(report.damaged.iter().any(|damage| damage.path.ends_with("beta/__init__.py")), "{report:?}");
    assert_eq!(std::fs::read_dir(store.root().join("quarantine")).unwrap().count(), 1);
    std::fs::remove_dir_all(fixture.project.root().join(".venv")).unwrap();
    fixture.uv("first", &["sync", "--quiet", "--frozen"]);
    assert_eq!(fixture.imported(), ALL, "uv fetched it anew");
    let saved = store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    assert_eq!(saved.saved.iter().map(|saved| saved.name.as_str()).collect::<Vec<_>>(), ["beta 2.0"]);
    assert!(store.verify_entries(&NoProgress).is_clean());
}

#[test]
fn a_file_missing_from_the_uv_cache_is_restored() {
    let fixture = Fixture::new();
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    store.restore_wheels(&PackageSelection::All, &fixture.cache("second"), &NoProgress);
    let (pointers, _) = fixture.cache("second").scan_wheels();
    let beta = pointers.iter().find(|pointer| pointer.name == "beta 2.0").unwrap();
    std::fs::remove_file(fixture.cache_dir("second").join(&beta.tree_path).join("beta/__init__.py")).unwrap();
    let report = store.restore_wheels(&fixture.wanted(), &fixture.cache("second"), &NoProgress);
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert_eq!(
        (report.damaged[0].path.as_str(), &report.damaged[0].damage),
        ("in the uv cache: beta/__init__.py", &Damage::Missing)
    );
    assert_eq!((report.restored.len(), report.already_present.len(), report.misses.len()), (1, 3, 0), "{report:?}");
    assert_eq!(fixture.sync_offline("second"), ALL);
    assert!(!store.root().join("quarantine").exists(), "the store was sound");
}

#[test]
fn a_damaged_uv_cache_is_not_saved() {
    let fixture = Fixture::new();
    let store = fixture.store();
    poison(&fixture.installed("beta/__init__.py"));
    let saved = store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    assert_eq!(saved.saved.len(), 3, "{saved:?}");
    assert_eq!(saved.failures.len(), 1);
    assert_eq!(saved.failures[0].name, "beta 2.0");
    assert_eq!(saved.damaged[0].path, "beta/__init__.py");
}

#[test]
fn verify_names_each_file_and_repair_downloads_again() {
    let fixture = Fixture::new();
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    let ids = store.entry_ids();
    let of = |name: &str| {
        let id = ids.iter().find(|id| store.entry_meta(id).unwrap().name.starts_with(name)).unwrap();
        store.open_entry(id).unwrap().unwrap().tree_path()
    };
    let (alpha, many) = (of("alpha"), of("many"));
    std::fs::remove_file(alpha.join("alpha/run.sh")).unwrap();
    fs_err::write(alpha.join("extra.py"), "import os\n").unwrap();
    poison(&many.join("many/data/3/3.txt"));
    let report = store.verify_entries(&NoProgress);
    let damaged: Vec<(String, String, String)> = report
        .damaged
        .iter()
        .map(|damage| (damage.name.clone(), damage.path.clone(), damage.damage.to_string()))
        .collect();
    let one = |name: &str, path: &str, wrong: &str| (name.to_owned(), path.to_owned(), wrong.to_owned());
    assert_eq!(damaged.len(), 3, "{damaged:?}");
    assert_eq!(damaged[0], one("alpha 1.0", "alpha/run.sh", "missing"));
    assert_eq!(damaged[1], one("alpha 1.0", "extra.py", "not listed"));
    assert_eq!((damaged[2].0.as_str(), damaged[2].1.as_str()), ("many 1.5", "many/data/3/3.txt"));

    let uv = noxide::cache::Uv::from_path(crate::support::venv().join("bin/uv"));
    let with = noxide::cache::store::RepairContext { uv: Some(&uv), project: fixture.project.root() };
    let repaired = store.repair_entries(&report.damaged, &with);
    assert_eq!(repaired.iter().map(|one| (one.name.as_str(), one.repaired)).collect::<Vec<_>>().len(), 2);
    assert!(repaired.iter().all(|one| one.repaired && one.quarantine_path.is_some()), "{repaired:?}");
    assert!(store.verify_entries(&NoProgress).is_clean());
    assert_eq!(store.status().quarantined.len(), 2);
}
