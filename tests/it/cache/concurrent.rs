//! Eight processes at once, saving, restoring and pruning: none fails, nothing is incomplete.

use std::process::Stdio;

use noxide::cache::{NoProgress, PackageSelection};

use super::fixture::{ALL, Fixture};
use crate::support::ChildDeadline as _;
use crate::support::rounds;

#[test]
fn eight_processes_at_once() {
    let fixture = Fixture::new();
    fixture.cache("first"); // the layout is detected once, not eight times
    for round in 0..rounds(2, 8) {
        let (one, two) = (format!("../restored-{round}"), format!("../restored-too-{round}"));
        let verbs: [Vec<&str>; 8] = [
            vec!["save"],
            vec!["restore", "--uv-cache", &one],
            vec!["prune", "--max-size", "20KB"],
            vec!["save"],
            vec!["restore", "--uv-cache", &one],
            vec!["restore", "--all", "--uv-cache", &two],
            vec!["prune", "--max-unused", "0"],
            vec!["save"],
        ];
        let children: Vec<_> = verbs
            .iter()
            .map(|verb| {
                let mut command = fixture.noxide("first", verb);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for (child, verb) in children.into_iter().zip(&verbs) {
            let done = child.finish_output();
            let output = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert!(done.status.success(), "round {round}: {verb:?}: {output}");
            assert!(!output.contains("damaged"), "round {round}: {verb:?}: {output}");
        }
        let report = fixture.store().verify_entries(&NoProgress);
        assert!(report.is_clean(), "round {round}: {report:?}");
        // Trees in the uv caches are complete: uv adds the rest itself.
        for cache in [&one[3..], &two[3..]] {
            std::fs::remove_dir_all(fixture.project.root().join(".venv")).ok();
            fixture.uv(cache, &["sync", "--quiet", "--frozen"]);
            assert_eq!(fixture.imported(), ALL);
        }
    }
    fixture.store().save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    assert_eq!(fixture.store().entry_ids().len(), 4);
}

/// An entry in use is not pruned.
#[test]
fn entries_in_use_are_not_pruned() {
    let mut fixture = Fixture::new();
    fixture.store().save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    fixture.options.max_size = 1;
    let store = fixture.store();
    let ids = store.entry_ids();
    let held = store.open_entry(&ids[0]).unwrap().unwrap();
    let plan = store.plan_prune();
    assert_eq!(plan.remove.len(), 4);
    let report = store.prune(&plan, &NoProgress).unwrap();
    assert_eq!((report.removed.len(), report.in_use.len()), (3, 1), "{report:?}");
    assert_eq!(report.in_use[0].entry, ids[0]);
    assert!(held.tree_path().is_dir());
    drop(held);
    assert_eq!(store.prune(&store.plan_prune(), &NoProgress).unwrap().removed.len(), 1);
    assert!(store.entry_ids().is_empty());
}

/// Entries used since the plan was made are not pruned either; age alone is a reason to prune.
#[test]
fn an_outdated_prune_plan_removes_nothing_used_since() {
    let fixture = Fixture::new();
    let store = fixture.store();
    store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(61 * 86_400);
    let listings: Vec<_> = store
        .entry_ids()
        .iter()
        .map(|id| store.open_entry(id).unwrap().unwrap().tree_path().with_file_name("listing"))
        .collect();
    for path in &listings[..2] {
        std::fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let plan = store.plan_prune();
    assert_eq!((plan.remove.len(), plan.remaining), (2, 2));
    std::fs::File::options()
        .append(true)
        .open(&listings[0])
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    let report = store.prune(&plan, &NoProgress).unwrap();
    assert_eq!((report.removed.len(), report.in_use.len(), report.remaining), (1, 1, 3), "{report:?}");
}
