//! One contract for every backend, on real servers: act's cache, S3 by rclone and moto, Azurite, its own client.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use noxide::cache::{
    AccessMode, ActionsCacheV2, BackendError, CacheBackend, DirectoryBackend, HttpClient, RequestBody, RetryBudget,
    TieredBackend, open_backend,
};
use serde_json::{Value, json};

use crate::support::{
    ChildDeadline as _, CommandDeadline as _, HttpRequest, HttpResponse, HttpServer, ServerProgram, build_once,
    free_port, run_checked, wait_until,
};

fn client() -> HttpClient {
    HttpClient::new(RetryBudget::new(Duration::from_secs(30)))
}

/// What every backend must do.
fn contract(backend: &dyn CacheBackend, run: &str) {
    let title = backend.display_name();
    let key = |name: &str| format!("nx1-test/{run}-{name}");
    assert_eq!(backend.get_range(&key("none"), 0..10).unwrap(), None, "{title}");
    assert!(backend.list_objects(&key("none")).unwrap().is_empty(), "{title}");

    backend.put_object(&key("a1"), RequestBody::Bytes(b"0123456789")).unwrap();
    for (range, want) in
        [(0..10, "0123456789"), (2..5, "234"), (8..99, "89"), (0..100, "0123456789"), (3..3, ""), (50..60, "")]
    {
        let got = backend.get_range(&key("a1"), range.clone()).unwrap();
        assert_eq!(got.as_deref(), Some(want.as_bytes()), "{title} {range:?}");
    }
    // A key that begins like another one is not that one.
    assert_eq!(backend.get_range(&key("a"), 0..10).unwrap(), None, "{title}");
    // Once more under the same key, as a concurrent run does.
    backend.put_object(&key("a1"), RequestBody::Bytes(b"0123456789")).unwrap();
    assert_eq!(backend.get_range(&key("a1"), 0..10).unwrap().as_deref(), Some(b"0123456789".as_slice()), "{title}");

    // Larger than one part of any protocol, from the middle of a file.
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..20_u64 << 20).map(|at| ((at * 31) >> 7) as u8).collect();
    file.write_all(&bytes).unwrap();
    let payload = RequestBody::File { file: &file, offset: 5, len: bytes.len() as u64 - 5 };
    backend.put_object(&key("big"), payload).unwrap();
    for range in [0..3_u64, 8_388_600..8_388_620, bytes.len() as u64 - 9..bytes.len() as u64] {
        let want = &bytes[5 + range.start as usize..(5 + range.end as usize).min(bytes.len())];
        assert_eq!(backend.get_range(&key("big"), range.clone()).unwrap().as_deref(), Some(want), "{title} {range:?}");
    }

    let listed = backend.list_objects(&key("a")).unwrap();
    assert_eq!(listed.iter().map(|object| object.key.clone()).collect::<Vec<_>>(), [key("a1")], "{title}");
    assert!(backend.get_range("UPPER", 0..1).is_err() && backend.put_object("", RequestBody::None).is_err(), "{title}");
    let abilities = backend.capabilities();
    if abilities.lists_all {
        backend.put_object(&key("a2"), RequestBody::Bytes(b"x")).unwrap();
        assert_eq!(backend.list_objects(&key("")).unwrap().len(), 3, "{title}");
    }
    if abilities.can_delete {
        backend.delete_object(&key("a1")).unwrap();
        backend.delete_object(&key("a1")).unwrap();
        assert_eq!(backend.get_range(&key("a1"), 0..10).unwrap(), None, "{title}");
    } else {
        assert!(backend.delete_object(&key("a1")).is_err());
    }
}

#[test]
fn directories_and_tiers_of_directories() {
    let directory = tempfile::tempdir().unwrap();
    contract(&DirectoryBackend::new(directory.path().join("one")), "d");
    let tiers: Vec<Box<dyn CacheBackend>> = ["near", "far"]
        .map(|name| Box::new(DirectoryBackend::new(directory.path().join(name))) as Box<dyn CacheBackend>)
        .into();
    contract(&TieredBackend::new(tiers), "t");
    // Objects that only the second backend has are found; a failing first one does not matter.
    let far = DirectoryBackend::new(directory.path().join("far"));
    far.put_object("only", RequestBody::Bytes(b"far")).unwrap();
    fs_err::write(directory.path().join("broken"), "a file").unwrap();
    fs_err::create_dir_all(directory.path().join("near/only")).unwrap();
    let tiers: Vec<Box<dyn CacheBackend>> = ["near", "broken", "far"]
        .map(|name| Box::new(DirectoryBackend::new(directory.path().join(name))) as Box<dyn CacheBackend>)
        .into();
    let tiered = TieredBackend::new(tiers);
    assert_eq!(tiered.get_range("only", 0..9).unwrap().as_deref(), Some(b"far".as_slice()));
    assert!(tiered.get_range("nothing", 0..9).unwrap().is_none() && tiered.display_name().contains(", then "));
    tiered.put_object("more", RequestBody::Bytes(b"x")).unwrap();
    assert!(far.get_range("more", 0..1).unwrap().is_some());
}

/// act's cache server, which runs until this is dropped.
struct Act {
    child: Child,
    file: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Act {
    fn start(work: &Path, file: PathBuf) -> Self {
        let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acttools/run-workflow.sh");
        let mut command = Command::new("bash");
        command.arg(kit).arg(work).args(["--quiet", "--timeout", "300", "--serve-cache"]).arg(&file);
        let log = fs_err::File::create(file.with_extension("log")).unwrap();
        command.stdout(log.file().try_clone().unwrap()).stderr(log.file().try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        wait_until("cache server", || {
            let log = || fs_err::read_to_string(file.with_extension("log")).unwrap();
            assert!(file.exists() || child.try_wait().unwrap().is_none(), "{}", log());
            file.exists().then_some(())
        });
        let text = fs_err::read_to_string(&file).unwrap();
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables: BTreeMap<String, String> = text.lines().filter_map(pair).collect();
        variables.insert("GITHUB_SERVER_URL".to_owned(), "https://forge.example.org".to_owned());
        Self { child, file, variables }
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        fs_err::remove_file(&self.file).unwrap();
        self.child.wait_for_end();
    }
}

/// The directory of act's tools, created once.
pub(super) fn acttools(name: &str) -> PathBuf {
    build_once(name, |dir| {
        let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acttools/run-workflow.sh");
        run_checked(Command::new("bash").arg(kit).arg(dir).arg("--setup-only"));
    })
}

#[test]
fn the_cache_of_act_and_the_official_client_beside_us() {
    let work = acttools("acttools-cache");
    let directory = tempfile::tempdir().unwrap();
    let act = Act::start(&work, directory.path().join("env"));
    let backend = open_backend("actions", &|name| act.variables.get(name).cloned()).unwrap().unwrap();
    let run = directory.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_ascii_lowercase();
    contract(backend.as_ref(), &run);

    // The official client saves and restores independently, and noxide ignores its entry.
    let tree = directory.path().join("tree");
    fs_err::create_dir(&tree).unwrap();
    fs_err::write(tree.join("file"), "content").unwrap();
    let official = |words: &[&str]| {
        let mut command = Command::new("node");
        command.arg(work.join("node/client.mjs")).args(words).current_dir(directory.path()).envs(&act.variables);
        command.env("GITHUB_WORKSPACE", directory.path()).env("RUNNER_TEMP", directory.path());
        command.finish()
    };
    if Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs node for the official client");
        return;
    }
    let key = format!("nx1-test/{run}-a1");
    let saved = official(&["save", &key, "tree"]);
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    fs_err::remove_file(tree.join("file")).unwrap();
    let restored = official(&["restore", &key, "tree"]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(fs_err::read_to_string(tree.join("file")).unwrap(), "content");
    assert_eq!(backend.get_range(&key, 0..10).unwrap().as_deref(), Some(b"0123456789".as_slice()));
}

#[test]
fn two_s3_servers() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(directory.path().join("root/bucket")).unwrap();
    let root = directory.path().join("root").display().to_string();
    let (first, second) = (free_port(), free_port());
    let address = format!("127.0.0.1:{first}");
    let rclone = ["serve", "s3", &root, "--auth-key", "key,secret", "--addr", &address, "--vfs-cache-mode", "off"];
    let config = directory.path().join("rclone.conf").display().to_string();
    let _rclone = ServerProgram::start("rclone", &rclone, &[("RCLONE_CONFIG", &config)], first);
    let port = second.to_string();
    let _moto = ServerProgram::start("moto_server", &["-H", "127.0.0.1", "-p", &port], &[], second);
    for port in [first, second] {
        let endpoint = format!("http://127.0.0.1:{port}");
        let variables = |secret: &'static str| {
            let endpoint = endpoint.clone();
            move |name: &str| match name {
                "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
                "AWS_ACCESS_KEY_ID" => Some("key".to_owned()),
                "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
                _ => None,
            }
        };
        if port == second {
            // Create the bucket.
            let made = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            write!(&made, "PUT /bucket HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            std::io::copy(&mut &made, &mut std::io::sink()).unwrap();
        }
        let backend = open_backend("s3://bucket/pre/fix", &variables("secret")).unwrap().unwrap();
        contract(backend.as_ref(), "s3");
        let bare = open_backend("s3://bucket", &variables("secret")).unwrap().unwrap();
        assert_eq!(bare.list_objects("pre/fix/nx1-test/s3-a").unwrap().len(), 1);
        if port == first {
            let wrong = open_backend("s3://bucket", &variables("wrong")).unwrap().unwrap();
            assert!(matches!(wrong.get_range("a", 0..1), Err(BackendError::Refused(_))));
            // A refused key is not retried.
            assert!(wrong.get_range("a", 0..1).unwrap_err().to_string().contains("refused"));
        }
    }
}

/// The version 2 service as its client expects it: its API, and blob storage with blocks.
#[derive(Default)]
struct Hub {
    entries: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    blocks: BTreeMap<String, Vec<u8>>,
    /// The signed URL of a container on a real server, if blobs are not stored here.
    container: Option<String>,
}

impl Hub {
    /// The signed address of a blob.
    fn signed(&self, host: &str, key: &str) -> String {
        match self.container.as_deref().map(|url| url.split_once('?').unwrap()) {
            Some((container, signature)) => format!("{container}/{key}?{signature}"),
            None => format!("{host}/blob/{key}?sig=a%2Bb"),
        }
    }

    fn respond(&mut self, request: &HttpRequest) -> HttpResponse {
        let host = format!("http://{}", request.headers["host"]);
        if let Some(method) = request.path.strip_prefix("/twirp/github.actions.results.api.v1.CacheService/") {
            assert_eq!(request.headers["authorization"], "Bearer token");
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let key = body["key"].as_str().unwrap().to_owned();
            assert_eq!(body["version"].as_str().unwrap().len(), 64);
            let response = match method {
                "CreateCacheEntry" if self.entries.contains_key(&key) => json!({ "ok": false, "message": "exists" }),
                "CreateCacheEntry" if key.is_empty() => json!({ "ok": false, "message": "cache write denied: empty" }),
                "CreateCacheEntry" => {
                    json!({ "ok": true, "signed_upload_url": self.signed(&host, &key) })
                }
                "FinalizeCacheEntryUpload" => {
                    let blob = self.blobs.get(&key).cloned().unwrap_or_default();
                    assert!(self.container.is_some() || body["size_bytes"] == json!(blob.len().to_string()));
                    self.entries.insert(key, blob);
                    json!({ "ok": true, "entryId": "1" })
                }
                "GetCacheEntryDownloadURL" => {
                    let prefixes = body["restore_keys"].as_array().unwrap();
                    let prefix = prefixes.first().and_then(Value::as_str);
                    let found = self
                        .entries
                        .keys()
                        .rev()
                        .find(|known| **known == key || prefix.is_some_and(|p| known.starts_with(p)));
                    match found {
                        Some(found) => {
                            json!({ "ok": true, "signedDownloadUrl": self.signed(&host, found), "matchedKey": found })
                        }
                        None => json!({ "ok": false }),
                    }
                }
                other => panic!("{other}"),
            };
            return HttpResponse::new(200, response.to_string());
        }
        let (path, query) = request.path.split_once('?').unwrap();
        assert!(query.starts_with("sig=a%2Bb"), "a signature is sent as it came: {query}");
        let key = path.strip_prefix("/blob/").unwrap().to_owned();
        match (request.method.as_str(), query.split_once("blockid=")) {
            ("GET", _) => HttpResponse::ranged(request, &self.entries[&key]),
            (_, Some((_, id))) => {
                self.blocks.insert(id.to_owned(), request.body.clone());
                HttpResponse::new(201, "")
            }
            _ if query.ends_with("comp=blocklist") => {
                let list = String::from_utf8(request.body.clone()).unwrap();
                let ids = list.split("<Latest>").skip(1).map(|rest| rest.split('<').next().unwrap());
                let blob = ids.flat_map(|id| self.blocks[id].clone()).collect();
                self.blobs.insert(key, blob);
                HttpResponse::new(201, "")
            }
            _ => {
                assert_eq!(request.headers["x-ms-blob-type"], "BlockBlob");
                self.blobs.insert(key, request.body.clone());
                HttpResponse::new(201, "")
            }
        }
    }
}

#[test]
fn version_2_of_the_actions_service() {
    let hub = Arc::new(Mutex::new(Hub::default()));
    let server = HttpServer::new(move |request| hub.lock().unwrap().respond(request));
    let results = format!("{}/some/path/", server.base);
    contract(&ActionsCacheV2::new(client(), &results, "token", AccessMode::ReadWrite), "v2");
    let reader = ActionsCacheV2::new(client(), &results, "token", AccessMode::ReadOnly);
    assert!(matches!(reader.put_object("a", RequestBody::Bytes(b"x")), Err(BackendError::Unsupported(_))));
    let writer = ActionsCacheV2::new(client(), &results, "token", AccessMode::WriteOnly);
    assert!(matches!(writer.get_range("a", 0..1), Err(BackendError::Unsupported(_))));
}

/// Azurite with its client library, as npm has them.
const AZURITE: [&str; 2] = ["azurite@3.37.0", "@azure/storage-blob@12.34.0"];

/// Creates a container and prints its URL, signed for reading, adding, creating and writing.
const SIGN: &str = r#"
import { BlobServiceClient, ContainerSASPermissions, StorageSharedKeyCredential } from "@azure/storage-blob";
const service = new BlobServiceClient(process.argv[1], new StorageSharedKeyCredential("own", "c2VjcmV0"));
const container = service.getContainerClient("cache");
await container.createIfNotExists();
const permissions = ContainerSASPermissions.parse("racw");
console.log(await container.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3600000) }));
"#;

#[test]
fn version_2_with_the_blobs_of_azure() {
    if Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs node for Azurite");
        return;
    }
    let kit = build_once("azurite", |dir| {
        let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run_checked(Command::new("npm").args(quiet).arg(dir).args(AZURITE));
    });
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let (location, shown) = (directory.path().display().to_string(), port.to_string());
    let flags = ["--blobPort", &shown, "--location", &location, "--silent", "--skipApiVersionCheck"];
    let program = kit.join("node_modules/.bin/azurite-blob").display().to_string();
    let _azurite = ServerProgram::start(&program, &flags, &[("AZURITE_ACCOUNTS", "own:c2VjcmV0")], port);
    let endpoint = format!("http://127.0.0.1:{port}/own");
    let mut sign = Command::new("node");
    let container =
        run_checked(sign.current_dir(&kit).args(["--input-type=module", "-e", SIGN, &endpoint])).trim().to_owned();
    let hub = Mutex::new(Hub { container: Some(container), ..Hub::default() });
    let server = HttpServer::new(move |request| hub.lock().unwrap().respond(request));
    contract(&ActionsCacheV2::new(client(), &server.base, "token", AccessMode::ReadWrite), "azure");
}
