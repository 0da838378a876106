//! `kill -9` at random moments: the store verifies, only temporaries are left, and the next start removes them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use noxide::cache::store::{EntryId, TreeNodeKind};
use noxide::cache::{NoProgress, PackageSelection, Store, UvCache};

use super::fixture::{ALL, Fixture};
use crate::support::{ChildDeadline as _, CommandDeadline as _, Random, rounds};

#[test]
fn kills_at_random_moments_leave_a_valid_store() {
    let rounds = u64::from(rounds(30, 210));
    let fixture = Fixture::new();
    let cache = fixture.cache("first");
    let mut random = Random::new(1);
    // Durations without a kill.
    let mut whole = [Duration::ZERO; 3];
    let verbs: [&[&str]; 3] =
        [&["save"], &["restore", "--all", "--uv-cache", "../second"], &["prune", "--max-size", "1B"]];
    for (verb, whole) in verbs.iter().zip(&mut whole) {
        let started_at = Instant::now();
        assert!(fixture.noxide("first", verb).finish().status.success());
        *whole = started_at.elapsed();
    }
    let mut killed = [0; 3];
    for round in 0..rounds {
        let number = (round % 3) as usize;
        if number == 0 {
            // A save needs something new.
            std::fs::remove_dir_all(fixture.store().root().join("entries")).unwrap();
        } else if number == 1 {
            // A restore needs something to restore and an empty cache.
            fixture.store().save_wheels(&PackageSelection::All, &cache, &NoProgress).unwrap();
            std::fs::remove_dir_all(fixture.cache_dir("second")).ok();
        }
        let mut command = fixture.noxide("first", verbs[number]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = Duration::from_micros(random.below(u64::try_from(whole[number].as_micros()).unwrap()));
        std::thread::sleep(moment);
        child.kill().unwrap();
        if child.wait_for_end().signal() == Some(9) {
            killed[number] += 1;
        } else {
            // It ended before the kill: other tests slowed the first measurement.
            whole[number] = moment;
        }
        check(&fixture.store(), &fixture.cache("second"), round);
    }
    assert!(killed.iter().all(|killed| *killed * 9 >= rounds), "most rounds hit it at work: {killed:?} of {rounds}");
    // The store still works.
    fixture.store().save_wheels(&PackageSelection::All, &cache, &NoProgress).unwrap();
    fixture.store().restore_wheels(&PackageSelection::All, &fixture.cache("second"), &NoProgress);
    assert_eq!(fixture.sync_offline("second"), ALL);
    assert_eq!(leftovers(&fixture.cache_dir("second")), 0);
}

/// Checks that the store is valid and has no leftovers, and that trees in uv's cache are complete.
fn check(store: &Store, second: &UvCache, round: u64) {
    let report = store.verify_entries(&NoProgress);
    assert!(report.is_clean(), "round {round}: {report:?}");
    assert_eq!(leftovers(&store.root().join("tmp")), 0, "round {round}");
    let known: Vec<EntryId> = store.entry_ids();
    for pointer in second.scan_wheels().0.iter().filter(|pointer| known.contains(&pointer.id)) {
        let entry = store.open_entry(&pointer.id).unwrap().unwrap();
        for item in &entry.listing.nodes {
            let path = second.dir().join(&pointer.tree_path).join(&item.path);
            let TreeNodeKind::File { sha256, .. } = &item.kind else { continue };
            assert_eq!(noxide::fs::sha256_file(&path).unwrap().0, *sha256, "round {round}: {}", path.display());
        }
    }
}

fn leftovers(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".noxide-work-")).count()
}
