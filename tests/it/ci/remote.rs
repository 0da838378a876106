//! Wheels uploaded and downloaded: uv treats them as its own downloads, and a malicious remote store is harmless.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use noxide::cache::remote::{
    CacheScopes, DownloadPlan, EnvironmentEntries, RemoteCache, RemoteManifest, WheelChecksums,
};
use noxide::cache::store::{EntryId, EntryKind};
use noxide::cache::{
    AccessMode, ActionsCacheV1, CacheBackend, DirectoryBackend, HttpClient, NoProgress, PackageSelection, RetryBudget,
    Store, StoreOptions,
};

use crate::cache::fixture::{ALL, Fixture};
use crate::support::{HttpResponse, HttpServer};

/// 2026-11-25, in seconds.
const NOW: i64 = 1_795_600_000;
const DAY: i64 = 24 * 3_600;

fn scopes(reference: &str) -> CacheScopes {
    let (reference, base) = reference.split_once('<').unwrap_or((reference, ""));
    CacheScopes::from_environment("linux-x86_64", "root", &|name| match name {
        "GITHUB_REPOSITORY" => Some("Org/Repo".to_owned()),
        "GITHUB_REF" => Some(reference.to_owned()),
        "GITHUB_BASE_REF" => Some(base.to_owned()),
        _ => None,
    })
}

/// No environment is known.
fn no_environments() -> EnvironmentEntries {
    EnvironmentEntries::default()
}

fn remote(dir: &Path, reference: &str) -> RemoteCache {
    RemoteCache {
        backend: Box::new(DirectoryBackend::new(dir)),
        scopes: scopes(reference),
        signing_key: None,
        checksums: None,
    }
}

/// A fixture whose wheels are in its store and, from the main branch, in a remote store.
struct UploadedFixture {
    fixture: Fixture,
    dir: PathBuf,
}

impl UploadedFixture {
    fn new() -> Self {
        let fixture = Fixture::new();
        let store = fixture.store();
        store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
        let dir = fixture.project.outer_dir().join("directory_backend");
        let sent = Self { fixture, dir };
        let report = sent.push("refs/heads/main", NOW);
        assert_eq!((report.packages.len(), report.packs, report.warnings.len()), (4, 1, 0), "{report:?}");
        sent
    }

    fn push(&self, reference: &str, now: i64) -> noxide::cache::remote::UploadReport {
        let remote = remote(&self.dir, reference);
        let store = self.fixture.store();
        remote.upload(&remote.load_snapshot(), &store, &store.entry_ids(), &no_environments(), now)
    }

    /// A store with nothing in it.
    fn empty(&self, name: &str) -> Store {
        let dir = Some(self.fixture.project.outer_dir().join(name));
        Store::open(&StoreOptions { dir, ..StoreOptions::default() }).unwrap()
    }

    fn download(
        &self,
        remote: &RemoteCache,
        store: &Store,
        wanted: &PackageSelection,
    ) -> noxide::cache::remote::DownloadReport {
        let cache = self.fixture.cache("first");
        let buckets = cache.layout().pointer_buckets();
        let (frames, _) = remote
            .load_snapshot()
            .select_frames(wanted, &buckets, remote.checksums.as_ref(), &|id| store.has_entry(id));
        remote.download(&DownloadPlan::new(frames), store, &NoProgress)
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let walk = walkdir::WalkDir::new(&self.dir).into_iter().map(|entry| entry.unwrap());
        walk.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_path_buf()).collect()
    }

    fn file(&self, kind: &str) -> PathBuf {
        let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
        self.files().into_iter().find(named).unwrap()
    }
}

#[test]
fn uv_installs_offline_from_downloaded_packages() {
    let sent = UploadedFixture::new();
    let store = sent.empty("other-store");
    let remote = remote(&sent.dir, "refs/heads/main");
    let brought = sent.download(&remote, &store, &sent.fixture.wanted());
    assert_eq!((brought.packages.len(), brought.failures.len()), (4, 0), "{brought:?}");
    let report = store.restore_wheels(&sent.fixture.wanted(), &sent.fixture.cache("second"), &NoProgress);
    assert_eq!((report.restored.len(), report.misses.len()), (4, 0), "{report:?}");
    assert_eq!(sent.fixture.sync_offline("second"), ALL);
    assert!(store.verify_entries(&NoProgress).is_clean());
    // Everything is present: nothing is read. Nothing is new: nothing is written.
    assert_eq!(sent.download(&remote, &store, &PackageSelection::All).bytes, 0);
    let before = sent.files();
    let again = remote.upload(&remote.load_snapshot(), &store, &store.entry_ids(), &no_environments(), NOW + DAY);
    assert_eq!((again.bytes, again.packs, again.warnings.len()), (0, 0, 0), "{again:?}");
    assert_eq!(sent.files(), before);
}

#[test]
fn one_session_downloads_only_its_packages() {
    let sent = UploadedFixture::new();
    let PackageSelection::Only(packages) = sent.fixture.wanted() else { panic!() };
    let alpha = packages.into_iter().filter(|package| package.name.starts_with("alpha")).collect();
    let remote = remote(&sent.dir, "refs/heads/main");
    let store = sent.empty("other-store");
    let brought = sent.download(&remote, &store, &PackageSelection::Only(alpha));
    assert_eq!(brought.packages, ["alpha 1.0"]);
    let manifest = RemoteManifest::from_bytes(&std::fs::read(sent.file("m-")).unwrap(), None).unwrap();
    let alpha_length = manifest.frames.iter().find(|frame| frame.name == "alpha 1.0").unwrap().length;
    assert_eq!(brought.bytes, alpha_length);
}

#[test]
fn pull_requests_read_their_base_and_write_their_own_scope() {
    let sent = UploadedFixture::new();
    let store = sent.empty("pull-store");
    let pull = remote(&sent.dir, "refs/pull/7/merge<main");
    assert_eq!(sent.download(&pull, &store, &PackageSelection::All).packages.len(), 4);
    assert_eq!(
        pull.upload(&pull.load_snapshot(), &store, &store.entry_ids(), &no_environments(), NOW).bytes,
        0,
        "the base has it"
    );
    // Something that only the pull request has.
    let id = EntryId::new(EntryKind::BuiltWheel, format!("{}.own-1-py3-none-any", "f".repeat(64))).unwrap();
    assert!(store.open_entry(&id).unwrap().is_none());
    let other = remote(&sent.dir, "refs/heads/other");
    assert!(other.load_snapshot().is_empty());
    assert_eq!(sent.push("refs/heads/other", NOW).packages.len(), 4, "a branch whose default one is not known");
    assert_eq!(remote(&sent.dir, "refs/heads/main").load_snapshot().package_count(), 4);
    assert!(remote(&sent.dir, "refs/pull/8/merge<nothing").load_snapshot().is_empty());
}

#[test]
fn concurrent_uploads_lose_nothing() {
    let sent = UploadedFixture::new();
    let fresh = |name: &str, only: &str| {
        let store = sent.empty(name);
        let PackageSelection::Only(packages) = sent.fixture.wanted() else { panic!() };
        let wanted = packages.into_iter().filter(|package| package.name.starts_with(only)).collect();
        store.save_wheels(&PackageSelection::Only(wanted), &sent.fixture.cache("first"), &NoProgress).unwrap();
        store
    };
    let (one, two) = (fresh("one", "alpha"), fresh("two", "beta"));
    let dir = sent.fixture.project.outer_dir().join("beside");
    let (first, second) = (remote(&dir, "refs/heads/main"), remote(&dir, "refs/heads/main"));
    // Both read the manifests before either wrote.
    let views = (first.load_snapshot(), second.load_snapshot());
    assert_eq!(first.upload(&views.0, &one, &one.entry_ids(), &no_environments(), NOW).packages, ["alpha 1.0"]);
    assert_eq!(second.upload(&views.1, &two, &two.entry_ids(), &no_environments(), NOW + 1).packages, ["beta 2.0"]);
    assert_eq!(remote(&dir, "refs/heads/main").load_snapshot().package_count(), 2);
}

#[test]
fn old_packs_are_rewritten_before_they_expire() {
    let sent = UploadedFixture::new();
    let before = sent.file("p-");
    let later = sent.push("refs/heads/main", NOW + 21 * DAY);
    assert_eq!(later.repack_reason.as_deref(), Some("1 packs older than 20 days"), "{later:?}");
    let after = sent.file("p-");
    assert!(before != after && !before.exists() && sent.files().len() == 2);
    let store = sent.empty("other-store");
    let brought = sent.download(&remote(&sent.dir, "refs/heads/main"), &store, &PackageSelection::All);
    assert_eq!((brought.packages.len(), brought.failures.len()), (4, 0), "{brought:?}");
    // Its use is recorded from time to time, at the cost of a manifest.
    let wanted = sent.push("refs/heads/main", NOW + 27 * DAY);
    assert!(wanted.packs == 0 && wanted.bytes > 0 && wanted.repack_reason.is_none(), "{wanted:?}");
}

#[test]
fn changed_bytes_are_not_used() {
    let sent = UploadedFixture::new();
    let pack = sent.file("p-");
    let mut bytes = std::fs::read(&pack).unwrap();
    let manifest = RemoteManifest::from_bytes(&std::fs::read(sent.file("m-")).unwrap(), None).unwrap();
    let alpha = manifest.frames.iter().find(|frame| frame.name == "alpha 1.0").unwrap();
    bytes[alpha.offset as usize + 20] ^= 1;
    fs_err::write(&pack, &bytes).unwrap();
    let store = sent.empty("other-store");
    let brought = sent.download(&remote(&sent.dir, "refs/heads/main"), &store, &PackageSelection::All);
    assert_eq!(brought.packages.len(), 3, "{brought:?}");
    assert_eq!(brought.failures[0].name, "alpha 1.0");
    assert!(brought.failures[0].reason.contains("digest differs from the manifest"), "{brought:?}");
    fs_err::write(&pack, &bytes[..bytes.len() / 4]).unwrap();
    let store = sent.empty("third-store");
    let cut = sent.download(&remote(&sent.dir, "refs/heads/main"), &store, &PackageSelection::All);
    assert!(cut.failures.iter().all(|failed| failed.reason.contains("shorter than the manifest")), "{cut:?}");
    std::fs::remove_file(&pack).unwrap();
    let without_pack = sent.download(&remote(&sent.dir, "refs/heads/main"), &store, &PackageSelection::All);
    assert!(
        !without_pack.failures.is_empty()
            && without_pack.failures.iter().all(|failed| failed.reason == "its pack no longer exists"),
        "{without_pack:?}"
    );
    fs_err::write(sent.file("m-"), "nxm2 -\nnonsense").unwrap();
    let view = remote(&sent.dir, "refs/heads/main").load_snapshot();
    assert!(view.is_empty() && view.warnings[0].contains("damaged"), "{view:?}");
}

/// An attacker with access to the remote store replaces a wheel by another tree with matching digests.
#[test]
fn a_malicious_store_is_harmless_when_the_lock_has_checksums() {
    let sent = UploadedFixture::new();
    let honest = sent.fixture.store();
    let id = honest.entry_ids().into_iter().find(|id| id.kind == EntryKind::Wheel).unwrap();
    let entry = honest.open_entry(&id).unwrap().unwrap();
    // The same wheel with an additional file that is listed in its RECORD.
    let evil = sent.empty("evil-store");
    let mut incoming = evil.stage_entry(&id, &entry.meta.name).unwrap();
    let record = entry.listing.files().find(|item| item.path.ends_with("/RECORD")).unwrap().path.clone();
    let mut lines = std::fs::read_to_string(entry.tree_path().join(&record)).unwrap();
    let payload = b"import os; os.system('evil')\n";
    let digest = noxide::fs::encode_base64_url(&noxide::fs::Sha256Digest::hash_bytes(payload).0);
    lines.push_str(&format!("evil.pth,sha256={digest},{}\n", payload.len()));
    for item in entry.listing.files() {
        let text = std::fs::read(entry.tree_path().join(&item.path)).unwrap();
        let text = if item.path == record { lines.clone().into_bytes() } else { text };
        incoming.add_file(&item.path, false, text.len() as u64, &mut text.as_slice()).unwrap();
    }
    incoming.add_file("evil.pth", false, payload.len() as u64, &mut payload.as_slice()).unwrap();
    for (placing, files) in entry.placements() {
        incoming.add_placement(placing, files);
    }
    incoming.publish(None).unwrap();
    let dir = sent.fixture.project.outer_dir().join("hostile");
    let mut hostile = remote(&dir, "refs/heads/main");
    assert_eq!(
        hostile.upload(&hostile.load_snapshot(), &evil, &evil.entry_ids(), &no_environments(), NOW).packages.len(),
        1
    );

    // The store alone cannot show this.
    let victim = sent.empty("victim-0");
    assert_eq!(sent.download(&hostile, &victim, &PackageSelection::All).packages.len(), 1);
    // A committed list can: the tree has another digest.
    let heads: Vec<_> = honest.entry_ids().iter().map(|id| honest.entry_meta(id).unwrap()).collect();
    let mut sums = WheelChecksums::default();
    sums.add_entries(&heads);
    sent.fixture.project.write("noxide.sums", sums.to_text());
    hostile.checksums = WheelChecksums::load(sent.fixture.project.root()).unwrap();
    let victim = sent.empty("victim-1");
    let cache = sent.fixture.cache("first");
    let buckets = cache.layout().pointer_buckets();
    let (frames, misses) =
        hostile.load_snapshot().select_frames(&PackageSelection::All, &buckets, hostile.checksums.as_ref(), &|_| false);
    assert!(frames.is_empty() && misses[0].reason.contains("does not match noxide.sums"), "{misses:?}");
    // Also if the manifest states the right digest for the wrong bytes.
    let lying = {
        let path = walkdir::WalkDir::new(&dir)
            .into_iter()
            .map(|e| e.unwrap().into_path())
            .find(|path| path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("m-")));
        let path = path.unwrap();
        let mut manifest = RemoteManifest::from_bytes(&std::fs::read(&path).unwrap(), None).unwrap();
        manifest.frames[0].tree_digest = hostile.checksums.as_ref().unwrap().expected_tree(&id).unwrap().to_owned();
        fs_err::write(&path, manifest.to_bytes(None).unwrap()).unwrap();
        sent.download(&hostile, &victim, &PackageSelection::All)
    };
    assert!(lying.packages.is_empty() && lying.failures.len() == 1, "{lying:?}");
    assert!(victim.entry_ids().is_empty());
    // Wheels that are not in the list are rejected too.
    hostile.checksums = Some(WheelChecksums::default());
    let (frames, misses) =
        hostile.load_snapshot().select_frames(&PackageSelection::All, &buckets, hostile.checksums.as_ref(), &|_| false);
    assert!(frames.is_empty() && misses[0].reason.contains("not in noxide.sums"));
    // A signing key of protected branches does too: unsigned manifests are ignored.
    hostile.checksums = None;
    hostile.signing_key = Some("only on main".to_owned());
    let view = hostile.load_snapshot();
    assert!(view.is_empty() && view.warnings[0].contains("not signed"), "{view:?}");
    assert!(!hostile.upload(&view, &honest, &honest.entry_ids(), &no_environments(), NOW + 9).packages.is_empty());
    assert_eq!(sent.download(&hostile, &victim, &PackageSelection::All).packages.len(), 4);
}

#[test]
fn uv_downloads_the_rest_when_the_server_disappears() {
    let sent = UploadedFixture::new();
    let directory_backend = DirectoryBackend::new(&sent.dir);
    let objects = directory_backend.list_objects("nx2/org-repo-").unwrap();
    let key = objects.into_iter().map(|object| object.key).find(|key| key.contains("/m-")).unwrap();
    let server = HttpServer::new(move |request| {
        if request.path.starts_with("/archive/") {
            let bytes = directory_backend.get_range(&key, 0..u64::MAX).unwrap().unwrap();
            return HttpResponse::ranged(request, &bytes);
        }
        if !request.path.contains("m-") {
            return HttpResponse::new(0, "");
        }
        let dir = format!("http://{}/archive/m", request.headers["host"]);
        HttpResponse::new(200, serde_json::json!({ "archiveLocation": dir, "cacheKey": key }).to_string())
    });
    let client = HttpClient::new(RetryBudget::new(std::time::Duration::from_secs(30)));
    let backend = ActionsCacheV1::new(client, &server.base, "", AccessMode::ReadWrite);
    let remote = RemoteCache {
        backend: Box::new(backend),
        scopes: scopes("refs/heads/main"),
        signing_key: None,
        checksums: None,
    };
    let store = sent.empty("other-store");
    let brought = sent.download(&remote, &store, &sent.fixture.wanted());
    assert_eq!((brought.packages.len(), brought.failures.len()), (0, 4), "{brought:?}");
    assert!(store.entry_ids().is_empty());
    // The run continues: missing packages come from the index.
    let report = store.restore_wheels(&sent.fixture.wanted(), &sent.fixture.cache("second"), &NoProgress);
    assert_eq!(report.misses.len(), 4);
    sent.fixture.uv("second", &["sync", "--quiet", "--frozen"]);
    assert_eq!(sent.fixture.imported(), ALL);
}
