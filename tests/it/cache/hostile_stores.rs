//! The hostile store: every backend serves manipulated manifests and packs, with and without `noxide.sums` and signing key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use noxide::cache::remote::{CacheScopes, DownloadPlan, EnvironmentEntries, RemoteCache, WheelChecksums};
use noxide::cache::{
    AccessMode, ActionsCacheV1, ActionsCacheV2, CacheBackend, DirectoryBackend, HttpClient, NoProgress,
    PackageSelection, RetryBudget, S3Backend, S3Credentials, S3Location, Store, StoreOptions,
};
use serde_json::{Value, json};

use super::fixture::Fixture;
use super::hostile_attacks::{ATTACKS, HostileStore, Objects};
use crate::support::{HttpRequest, HttpResponse, HttpServer};

/// 2026-11-25, in seconds.
const NOW: i64 = 1_795_600_000;
/// What a signed manifest is signed with.
const KEY: &str = "secret";

fn scopes(reference: &str) -> CacheScopes {
    CacheScopes::from_environment("linux-x86_64", "root", &|name| match name {
        "GITHUB_REPOSITORY" => Some("Org/Repo".to_owned()),
        "GITHUB_REF" => Some(reference.to_owned()),
        _ => None,
    })
}

fn remote(backend: Box<dyn CacheBackend>, signing_key: Option<&str>) -> RemoteCache {
    let signing_key = signing_key.map(str::to_owned);
    RemoteCache { backend, scopes: scopes("refs/heads/main"), signing_key, checksums: None }
}

fn read_objects(dir: &Path) -> Objects {
    let files = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().is_file());
    let key = |path: &Path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    files.map(|entry| (key(entry.path()), fs_err::read(entry.path()).unwrap())).collect()
}

fn write_objects(dir: &Path, objects: &Objects) {
    for (key, bytes) in objects {
        let path = dir.join(key);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
}

/// A backend that serves these objects, and the server that it needs.
struct Served {
    backend: Box<dyn CacheBackend>,
    _server: Option<HttpServer>,
    _dir: Option<tempfile::TempDir>,
}

fn client() -> HttpClient {
    HttpClient::new(RetryBudget::new(Duration::from_secs(30)))
}

fn serve_directory(objects: &Objects) -> Served {
    let dir = tempfile::tempdir().unwrap();
    write_objects(dir.path(), objects);
    Served { backend: Box::new(DirectoryBackend::new(dir.path())), _server: None, _dir: Some(dir) }
}

fn serve_s3(objects: &Objects) -> Served {
    let objects = Mutex::new(objects.clone());
    let server = HttpServer::new(move |request| {
        let mut objects = objects.lock().unwrap();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let key = path.strip_prefix("/bucket").unwrap().trim_start_matches('/').to_owned();
        match request.method.as_str() {
            "GET" if key.is_empty() => {
                let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap();
                let prefix = prefix.replace("%2F", "/");
                let found = objects.keys().filter(|key| key.starts_with(&prefix));
                let rows: String = found.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
                HttpResponse::new(200, format!("<ListBucketResult>{rows}</ListBucketResult>"))
            }
            "GET" => objects.get(&key).map_or(HttpResponse::new(404, ""), |bytes| HttpResponse::ranged(request, bytes)),
            "PUT" => {
                objects.insert(key, request.body.clone());
                HttpResponse::new(200, "")
            }
            _ => {
                objects.remove(&key);
                HttpResponse::new(204, "")
            }
        }
    });
    let location = S3Location { endpoint: server.base.clone(), bucket: "bucket".to_owned(), prefix: String::new() };
    let credentials = S3Credentials {
        access_key_id: "key".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
        region: "us-east-1".to_owned(),
    };
    Served { backend: Box::new(S3Backend::new(client(), location, credentials)), _server: Some(server), _dir: None }
}

/// The newest object whose key begins with `key`, as both versions of the Actions service find it.
fn newest<'a>(objects: &'a Objects, key: &str) -> Option<(&'a String, &'a Vec<u8>)> {
    objects.get_key_value(key).or_else(|| objects.iter().rev().find(|(known, _)| known.starts_with(key)))
}

fn blob(objects: &Objects, request: &HttpRequest) -> HttpResponse {
    let key = request.path.split('?').next().unwrap().trim_start_matches("/blob/");
    objects.get(key).map_or(HttpResponse::new(404, ""), |bytes| HttpResponse::ranged(request, bytes))
}

fn serve_actions_v1(objects: &Objects) -> Served {
    let objects = Arc::new(objects.clone());
    let server = HttpServer::new(move |request| {
        let Some(query) = request.path.strip_prefix("/_apis/artifactcache/cache?keys=") else {
            return blob(&objects, request);
        };
        let key = query.split('&').next().unwrap().replace("%2F", "/");
        match newest(&objects, &key) {
            None => HttpResponse::new(204, ""),
            Some((found, _)) => {
                let location = format!("http://{}/blob/{found}", request.headers["host"]);
                HttpResponse::new(200, json!({ "archiveLocation": location, "cacheKey": found }).to_string())
            }
        }
    });
    let backend = ActionsCacheV1::new(client(), &server.base, "token", AccessMode::ReadOnly);
    Served { backend: Box::new(backend), _server: Some(server), _dir: None }
}

fn serve_actions_v2(objects: &Objects) -> Served {
    let objects = Arc::new(objects.clone());
    let server = HttpServer::new(move |request| {
        if request.path.starts_with("/blob/") {
            return blob(&objects, request);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (key, prefixes) = (body["key"].as_str().unwrap(), body["restore_keys"].as_array().unwrap());
        let found = if prefixes.is_empty() { objects.get_key_value(key) } else { newest(&objects, key) };
        let response = found.map_or(json!({ "ok": false }), |(found, _)| {
            let url = format!("http://{}/blob/{found}?sig=x", request.headers["host"]);
            json!({ "ok": true, "signed_download_url": url, "matched_key": found })
        });
        HttpResponse::new(200, response.to_string())
    });
    let backend = ActionsCacheV2::new(client(), &server.base, "token", AccessMode::ReadOnly);
    Served { backend: Box::new(backend), _server: Some(server), _dir: None }
}

fn remote_of(dir: &Path, key: Option<&str>) -> RemoteCache {
    remote(Box::new(DirectoryBackend::new(dir)), key)
}

type Serve = fn(&Objects) -> Served;
const BACKENDS: [(&str, Serve); 4] = [
    ("directory", serve_directory),
    ("s3", serve_s3),
    ("actions v1", serve_actions_v1),
    ("actions v2", serve_actions_v2),
];

/// What a project trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Anything,
    Sums,
    Key,
}

/// A fixture whose two wheels are in a remote store, and what a restore may change.
struct Victim {
    fixture: Fixture,
    genuine: Objects,
    signed: Objects,
    sums: WheelChecksums,
    work: tempfile::TempDir,
}

impl Victim {
    fn new() -> Self {
        let fixture = Fixture::with(&json!([
            {"name": "alpha", "version": "1.0", "files": {"alpha/run.sh": "#!/bin/sh\n"}},
            {"name": "beta", "version": "2.0"},
        ]));
        let store = fixture.store();
        store.save_wheels(&PackageSelection::All, &fixture.cache("first"), &NoProgress).unwrap();
        let metas: Vec<_> = store.entry_ids().iter().map(|id| store.entry_meta(id).unwrap()).collect();
        let mut sums = WheelChecksums::default();
        sums.add_entries(&metas);
        let work = tempfile::tempdir().unwrap();
        let upload = |name: &str, key: Option<&str>| {
            let dir = work.path().join(name);
            let remote = remote(Box::new(DirectoryBackend::new(&dir)), key);
            let none = EnvironmentEntries::default();
            let report = remote.upload(&remote.load_snapshot(), &store, &store.entry_ids(), &none, NOW);
            assert_eq!((report.packages.len(), report.warnings.len()), (2, 0), "{report:?}");
            let objects = read_objects(&dir);
            fs_err::remove_dir_all(dir).unwrap();
            objects
        };
        let (genuine, signed) = (upload("genuine", None), upload("signed", Some(KEY)));
        fs_err::create_dir(work.path().join("victim")).unwrap();
        fs_err::write(work.path().join("victim/precious"), "precious").unwrap();
        Self { fixture, genuine, signed, sums, work }
    }

    /// Restores everything from a backend into a new store and a new uv cache; returns the packages restored.
    fn restore(&self, what: &str, served: Served, trust: Trust) -> BTreeSet<String> {
        let started = Instant::now();
        let sandbox = self.work.path().join("sandbox");
        let mut remote = remote(served.backend, (trust == Trust::Key).then_some(KEY));
        remote.checksums = (trust == Trust::Sums).then(|| self.sums.clone());
        let options =
            StoreOptions { dir: Some(sandbox.join("store")), max_entry_size: 64 << 20, ..StoreOptions::default() };
        let store = Store::open(&options).unwrap();
        let cache = noxide::cache::UvCache::new(sandbox.join("uv"), self.fixture.cache("first").layout().clone());
        let snapshot = remote.load_snapshot();
        let buckets = cache.layout().pointer_buckets();
        let (frames, misses) =
            snapshot.select_frames(&self.fixture.wanted(), &buckets, remote.checksums.as_ref(), &|_| false);
        let report = remote.download(&DownloadPlan::new(frames), &store, &NoProgress);
        let restored = store.restore_wheels(&PackageSelection::All, &cache, &NoProgress);

        assert!(started.elapsed() < Duration::from_secs(30), "{what}: {:?}", started.elapsed());
        let verified = store.verify_entries(&NoProgress);
        assert!(verified.is_clean(), "{what}: {verified:?}");
        let named = restored.restored.iter().map(|entry| entry.name.clone());
        let texts = report.failures.iter().flat_map(|failure| [failure.name.clone(), failure.reason.clone()]);
        let texts = texts.chain(snapshot.warnings.clone()).chain(report.packages.clone()).chain(named.clone());
        let misses = misses.iter().chain(&restored.misses).flat_map(|miss| [miss.name.clone(), miss.reason.clone()]);
        for text in texts.chain(misses) {
            let is_safe = !text.chars().any(char::is_control) && !text.starts_with("::") && !text.contains("##[");
            assert!(is_safe && text.len() < 5_000, "{what}: {text:?}");
        }
        for (path, content) in files_below(&sandbox) {
            assert!(path.starts_with("store") || path.starts_with("uv"), "{what}: {}", path.display());
            if trust != Trust::Anything {
                let evil = content.windows(4).any(|part| part == b"EVIL");
                assert!(!evil, "{what}: {} is not what the project trusts", path.display());
            }
        }
        let outside: Vec<PathBuf> = fs_err::read_dir(self.work.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(outside.len(), 2, "{what}: {outside:?}");
        let victim = files_below(&self.work.path().join("victim"));
        assert_eq!(victim, [(PathBuf::from("precious"), b"precious".to_vec())].into(), "{what}");
        fs_err::remove_dir_all(&sandbox).unwrap();
        named.collect()
    }
}

/// The regular files below a directory.
fn files_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    let read = |path: &Path| (path.strip_prefix(dir).unwrap().to_path_buf(), fs_err::read(path).unwrap());
    entries.map(|entry| read(entry.path())).collect()
}

fn both() -> BTreeSet<String> {
    ["alpha 1.0", "beta 2.0"].map(str::to_owned).into()
}

#[test]
fn no_attack_gets_through_any_backend() {
    let victim = Victim::new();
    for (backend, serve) in BACKENDS {
        for trust in [Trust::Anything, Trust::Sums, Trust::Key] {
            let genuine = if trust == Trust::Key { &victim.signed } else { &victim.genuine };
            let what = format!("genuine, {backend}, {trust:?}");
            assert_eq!(victim.restore(&what, serve(genuine), trust), both(), "{what}");
        }
    }
    for (name, attack) in ATTACKS {
        let mut store = HostileStore::open(&victim.genuine);
        attack(&mut store);
        let objects = store.build();
        for (backend, serve) in BACKENDS {
            for trust in [Trust::Anything, Trust::Sums, Trust::Key] {
                let what = format!("{name}, {backend}, {trust:?}");
                let restored = victim.restore(&what, serve(&objects), trust);
                match trust {
                    Trust::Key => assert!(restored.is_empty(), "{what}: {restored:?}"),
                    // What the attack does not touch is still used.
                    _ if store.spares_beta => assert!(restored.contains("beta 2.0"), "{what}: {restored:?}"),
                    _ => {}
                }
                assert!(!restored.contains("alpha 1.0") || !store.harms_alpha, "{what}: {restored:?}");
            }
        }
    }
}

#[test]
fn many_newer_manifests_do_not_crowd_out_the_signed_one() {
    let victim = Victim::new();
    for (backend, serve) in [BACKENDS[0], BACKENDS[1]] {
        let mut objects = victim.signed.clone();
        let (key, manifest) = victim.genuine.iter().find(|(key, _)| key.contains("/m-")).unwrap();
        let prefix = key.rsplit_once("/m-").unwrap().0;
        for number in 1..=200 {
            objects.insert(format!("{prefix}/m-{:011}-{number:012x}", NOW + number), manifest.clone());
            objects.insert(format!("{prefix}/m-{:011}-{number:012x}-{number:016x}", NOW + number), manifest.clone());
        }
        let what = format!("crowd, {backend}");
        assert_eq!(victim.restore(&what, serve(&objects), Trust::Key), both(), "{what}");
    }
}

#[test]
fn a_manifest_of_a_wrong_clock_is_not_the_newest() {
    let victim = Victim::new();
    let mut empty = HostileStore::open(&victim.genuine);
    empty.frames.clear();
    let hidden = empty.build();
    let (key, bytes) = hidden.iter().find(|(key, _)| key.contains("/m-")).unwrap();
    for number in 0..40_i64 {
        let mut objects = victim.genuine.clone();
        // The year 2200.
        let future = key.replace(&format!("{NOW:011}"), &format!("{:011}", 7_258_118_400 + number));
        objects.insert(future, bytes.clone());
        if number == 39 {
            let what = "wrong clock";
            assert_eq!(victim.restore(what, serve_directory(&objects), Trust::Anything), both(), "{what}");
        }
    }
}

#[test]
fn a_manifest_cannot_have_packs_of_other_scopes_deleted() {
    let victim = Victim::new();
    let other = "nx2/other-repo/linux-x86_64/b-main-0000000000000000/p-00000000000000000000000000000000";
    let mut hostile = HostileStore::open(&victim.genuine);
    hostile.manifest["packs"][other] = json!(0);
    for frame in &mut hostile.frames {
        frame.meta["last_used_day"] = json!(0);
    }
    let mut objects = hostile.build();
    let (key, bytes) =
        objects.iter().find(|(key, _)| key.contains("/m-")).map(|(k, b)| (k.clone(), b.clone())).unwrap();
    // A frame in the pack of the other scope, so that the pack counts as used.
    let text =
        String::from_utf8(zstd::decode_all(&bytes[bytes.iter().position(|b| *b == b'\n').unwrap() + 1..]).unwrap());
    let mut manifest: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let mut frame = manifest["frames"][0].clone();
    frame["pack"] = json!(other);
    manifest["frames"].as_array_mut().unwrap().push(frame);
    let packed = zstd::encode_all(manifest.to_string().as_bytes(), 1).unwrap();
    objects.insert(key, [b"nxm2 -\n".as_slice(), &packed].concat());
    objects.insert(other.to_owned(), b"precious".to_vec());
    let dir = victim.work.path().join("shared");
    write_objects(&dir, &objects);
    let remote = remote(Box::new(DirectoryBackend::new(&dir)), None);
    let store = victim.fixture.store();
    let ids = store.entry_ids();
    let report =
        remote.upload(&remote.load_snapshot(), &store, &ids, &EnvironmentEntries::default(), NOW + 30 * 24 * 3_600);
    assert!(report.packs > 0 || report.bytes > 0, "it repacks: {report:?}");
    assert_eq!(fs_err::read(dir.join(other)).unwrap(), b"precious");
}

/// Whoever has no key can copy what was signed in another scope, or at another time.
#[test]
fn a_signed_manifest_is_of_its_scope_and_time_only() {
    let victim = Victim::new();
    let (key, manifest) = victim.signed.iter().find(|(key, _)| key.contains("/m-")).unwrap();
    let other = scopes("refs/heads/other");
    let load = |key: &str, scopes: CacheScopes| {
        let dir = tempfile::tempdir().unwrap();
        write_objects(dir.path(), &[(key.to_owned(), manifest.clone())].into());
        let mut remote = remote(Box::new(DirectoryBackend::new(dir.path())), Some(KEY));
        remote.scopes = scopes;
        let snapshot = remote.load_snapshot();
        (snapshot.package_count(), snapshot.warnings.join("; "))
    };
    assert_eq!(load(key, scopes("refs/heads/main")), (2, String::new()));
    // The directory of the scope ends with a digest of its name.
    let dir = tempfile::tempdir().unwrap();
    let mut uploading = remote(Box::new(DirectoryBackend::new(dir.path())), None);
    uploading.scopes = scopes("refs/heads/other");
    let (store, none) = (victim.fixture.store(), EnvironmentEntries::default());
    uploading.upload(&uploading.load_snapshot(), &store, &store.entry_ids(), &none, NOW);
    let found = read_objects(dir.path());
    let directory = found.keys().next().unwrap().rsplit_once('/').unwrap().0.to_owned();
    let (count, warnings) = load(&format!("{directory}/{}", key.rsplit_once('/').unwrap().1), other);
    assert!(count == 0 && warnings.contains("not signed"), "{count}: {warnings}");
    let later = key.replace(&format!("{NOW:011}"), &format!("{:011}", NOW + 1));
    let (count, warnings) = load(&later, scopes("refs/heads/main"));
    assert!(count == 0 && warnings.contains("not signed"), "{count}: {warnings}");
}

/// What an earlier run took from a remote store without `noxide.sums` is not used once there is one.
#[test]
fn entries_of_the_store_must_be_in_the_sums_too() {
    let victim = Victim::new();
    let mut hostile = HostileStore::open(&victim.genuine);
    let (_, attack) = ATTACKS.iter().find(|(name, _)| *name == "content of the attacker").unwrap();
    attack(&mut hostile);
    let dir = victim.work.path().join("sandbox");
    let options = StoreOptions { dir: Some(dir.join("store")), ..StoreOptions::default() };
    let store = Store::open(&options).unwrap();
    let layout = victim.fixture.cache("first").layout().clone();
    let buckets: Vec<String> = layout.pointer_buckets().iter().map(ToString::to_string).collect();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let served = serve_directory(&hostile.build());
    let remote = remote(served.backend, None);
    let (frames, _) = remote.load_snapshot().select_frames(&victim.fixture.wanted(), &buckets, None, &|_| false);
    assert_eq!(remote.download(&DownloadPlan::new(frames), &store, &NoProgress).packages.len(), 2);
    let store = store.with_expected_trees(victim.sums.tree_digests());
    let cache = noxide::cache::UvCache::new(dir.join("uv"), layout);
    let restored = store.restore_wheels(&victim.fixture.wanted(), &cache, &NoProgress);
    // The tree of beta is the one in the sums, but nothing vouches for uv's metadata.
    assert_eq!((restored.restored.len(), restored.misses.len()), (0, 2), "{restored:?}");
    assert!(restored.misses.iter().all(|miss| miss.reason.contains("noxide.sums")), "{restored:?}");
    let none = EnvironmentEntries::default();
    let target = victim.work.path().join("target");
    let uploading = remote_of(&target, None);
    let report = uploading.upload(&uploading.load_snapshot(), &store, &store.entry_ids(), &none, NOW);
    assert_eq!((report.packages.len(), report.bytes), (0, 0), "{report:?}");
    // What the sums cover replaces what they exclude.
    let genuine = serve_directory(&victim.genuine);
    let mut honest = self::remote(genuine.backend, None);
    honest.checksums = Some(victim.sums.clone());
    let is_stored = |id: &noxide::cache::store::EntryId| store.has_entry(id);
    let snapshot = honest.load_snapshot();
    let (frames, misses) = snapshot.select_frames(&victim.fixture.wanted(), &buckets, Some(&victim.sums), &is_stored);
    assert_eq!((frames.len(), misses.len()), (2, 0), "{misses:?}");
    assert_eq!(honest.download(&DownloadPlan::new(frames), &store, &NoProgress).packages.len(), 2);
    let restored = store.restore_wheels(&victim.fixture.wanted(), &cache, &NoProgress);
    assert_eq!((restored.restored.len(), restored.misses.len()), (2, 0), "{restored:?}");
    let evil = files_below(&dir.join("uv")).into_iter().find(|(_, bytes)| bytes.windows(4).any(|part| part == b"EVIL"));
    assert_eq!(evil.map(|(path, _)| path), None);
    // A wheel that the file does not list any more is neither used nor uploaded; what uv downloaded here is.
    let store = store.with_expected_trees(BTreeMap::new());
    assert!(store.entry_ids().iter().all(|id| !store.has_entry(id)));
    let own = victim.fixture.store().with_expected_trees(BTreeMap::new());
    assert!(own.entry_ids().iter().all(|id| own.has_entry(id)));
}

/// What a run without the signing key took from a remote store is neither used nor signed by one with it.
#[test]
fn entries_of_runs_without_the_key_are_not_those_of_runs_with_it() {
    let victim = Victim::new();
    let dir = victim.work.path().join("sandbox");
    let options = StoreOptions { dir: Some(dir.join("store")), ..StoreOptions::default() };
    let store = Store::open(&options).unwrap();
    let layout = victim.fixture.cache("first").layout().clone();
    let buckets: Vec<String> = layout.pointer_buckets().iter().map(ToString::to_string).collect();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let served = serve_directory(&victim.genuine);
    let unsigned = remote(served.backend, None);
    let (frames, _) = unsigned.load_snapshot().select_frames(&victim.fixture.wanted(), &buckets, None, &|_| false);
    assert_eq!(unsigned.download(&DownloadPlan::new(frames), &store, &NoProgress).packages.len(), 2);
    let signer = |key: &str| Some(StoreOptions::signer_id(key));
    let keyed = Store::open(&StoreOptions { signer: signer(KEY), ..options.clone() }).unwrap();
    assert!(keyed.entry_ids().is_empty() && store.entry_ids().iter().all(|id| !keyed.has_entry(id)));
    let signing = remote_of(&victim.work.path().join("target"), Some(KEY));
    let none = EnvironmentEntries::default();
    let report = signing.upload(&signing.load_snapshot(), &keyed, &store.entry_ids(), &none, NOW);
    assert_eq!((report.packages.len(), report.bytes), (0, 0), "{report:?}");
    let other = Store::open(&StoreOptions { signer: signer("other"), ..options.clone() }).unwrap();
    assert_ne!(other.root(), keyed.root());
    assert!(keyed.root().starts_with(store.root()) && store.verify_entries(&NoProgress).is_clean());
}

/// Whoever can write damaged manifests cannot hide the others without writing many.
#[test]
fn damaged_manifests_do_not_count() {
    let victim = Victim::new();
    let mut objects = victim.genuine.clone();
    let (key, _) = victim.genuine.iter().find(|(key, _)| key.contains("/m-")).unwrap();
    let prefix = key.rsplit_once("/m-").unwrap().0;
    for number in 1..=40 {
        objects.insert(format!("{prefix}/m-{:011}-{number:012x}", NOW + number), b"nxm2 -\nzzz".to_vec());
    }
    let served = serve_directory(&objects);
    let snapshot = remote(served.backend, None).load_snapshot();
    assert_eq!(snapshot.package_count(), 2, "{:?}", snapshot.warnings);
    assert!(snapshot.warnings.len() == 4 && snapshot.warnings[3].contains("37 other manifests"), "{snapshot:?}");
}

/// A volume that others write to has links, pipes and sockets in place of objects and of their directories.
#[test]
fn special_files_in_a_directory_are_neither_opened_nor_followed() {
    use std::os::unix::fs::symlink;
    let victim = Victim::new();
    let manifest = victim.genuine.keys().find(|key| key.contains("/m-")).unwrap();
    let pack = victim.genuine.keys().find(|key| key.contains("/p-")).unwrap();
    let outside = victim.work.path().join("victim");
    type Harm<'a> = &'a dyn Fn(&Path);
    let pipe = |path: &Path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    let link = |path: &Path| symlink(outside.join("precious"), path).unwrap();
    let device = |path: &Path| symlink("/dev/zero", path).unwrap();
    let dir = |path: &Path| fs_err::create_dir(path).unwrap();
    let harms: [(&str, Harm<'_>); 5] =
        [("pipe", &pipe), ("socket", &socket), ("link", &link), ("device", &device), ("directory", &dir)];
    for (name, harm) in harms {
        for key in [manifest, pack] {
            let dir = tempfile::tempdir().unwrap();
            write_objects(dir.path(), &victim.genuine);
            // A short path: sockets have a limit.
            let (path, short) = (dir.path().join(key), dir.path().join("s"));
            fs_err::remove_file(&path).unwrap();
            harm(&short);
            fs_err::rename(&short, &path).unwrap();
            let backend = Box::new(DirectoryBackend::new(dir.path()));
            let served = Served { backend, _server: None, _dir: None };
            let what = format!("{name} at {key}");
            assert_eq!(victim.restore(&what, served, Trust::Anything), BTreeSet::new(), "{what}");
        }
    }
    // The directory of the scope leads to one of the victim: nothing is read, written or deleted there.
    let volume = tempfile::tempdir().unwrap();
    let scope = Path::new(manifest).parent().unwrap();
    fs_err::create_dir_all(volume.path().join(scope).parent().unwrap()).unwrap();
    symlink(&outside, volume.path().join(scope)).unwrap();
    let backend = DirectoryBackend::new(volume.path());
    let key = format!("{}/precious", scope.display());
    assert!(backend.get_range(&key, 0..9).is_err(), "not even read");
    assert!(backend.put_object(&key, noxide::cache::RequestBody::Bytes(b"x")).is_err());
    assert!(backend.put_object(manifest, noxide::cache::RequestBody::Bytes(b"x")).is_err());
    assert!(backend.delete_object(&key).is_err());
    assert!(backend.list_objects(&format!("{}/", scope.display())).unwrap().is_empty());
    assert_eq!(files_below(&outside), [(PathBuf::from("precious"), b"precious".to_vec())].into());
    // An incomplete file of a killed writer is deleted, but not through a link.
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    for dir in [&outside, &volume.path().join("own")] {
        fs_err::create_dir_all(dir).unwrap();
        let partial = fs_err::File::create(dir.join(".partial-0")).unwrap();
        partial.into_parts().0.set_modified(old).unwrap();
    }
    symlink(&outside, volume.path().join("own/link")).unwrap();
    assert!(backend.list_objects("").unwrap().is_empty());
    assert!(outside.join(".partial-0").exists() && !volume.path().join("own/.partial-0").exists());
    fs_err::remove_file(outside.join(".partial-0")).unwrap();
    // What is left by a failed write is nothing.
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 1);
}

/// Whoever answers in place of the store cannot send credentials to another host.
#[test]
fn credentials_follow_no_redirect() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let other = HttpServer::new(move |request| {
        requests.lock().unwrap().push(request.path.clone());
        HttpResponse::new(200, "")
    });
    for status in [301, 302, 307, 308] {
        let target = other.base.replace("127.0.0.1", "localhost");
        let server = HttpServer::new(move |request| {
            let mut response = HttpResponse::new(status, "");
            response.headers.push(("location", format!("{target}{}", request.path)));
            response
        });
        let location = S3Location { endpoint: server.base.clone(), bucket: "bucket".to_owned(), prefix: String::new() };
        let credentials = S3Credentials {
            access_key_id: "key".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
            region: "us-east-1".to_owned(),
        };
        let backend = S3Backend::new(client(), location, credentials);
        assert!(backend.list_objects("nx2/").is_err() && backend.get_range("nx2/m", 0..9).is_err(), "{status}");
        assert!(backend.put_object("nx2/m", noxide::cache::RequestBody::Bytes(b"x")).is_err(), "{status}");
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}
