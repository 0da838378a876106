//! Mutated inputs: every reader of untrusted files and messages gets changed bytes of its seeds. None may panic or hang.
//!
//! Each reader is tried for a second, for five seconds in `.ci/run`, and for `NOXIDE_FUZZ_SECONDS`. The seed is printed, and
//! `NOXIDE_TEST_SEED` repeats it. The seeds are small files of each format, here and in tests/fixtures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use noxide::audit::options::AuditOptions;
use noxide::audit::project::AuditProject;
use noxide::audit::project_files::ProjectFiles;
use noxide::audit::rule_runner::run_audit;
use noxide::audit::source::SourceFile;
use noxide::cache::remote::{CacheScopes, DownloadPlan, PackFrame, RemoteCache, RemoteManifest};
use noxide::cache::store::EntryId;
use noxide::cache::{DirectoryBackend, NoProgress, PackageSelection, Store, StoreOptions};
use noxide::fs::{Sha256Digest, encode_base64_url};
use noxide::project::{HostMessage, NoxfileManifest};
use noxide::record::{RunRecord, read_events};
use noxide::report::build_junit_report;

use crate::support::{Random, rounds};

/// No input may take longer, on a machine that runs other tests too.
const MAX_TIME: Duration = Duration::from_secs(20);

fn fixture(path: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)).unwrap()
}

/// Pieces that are inserted: syntax, escapes, extreme numbers, invalid UTF-8.
const PIECES: [&[u8]; 28] = [
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\n",
    b"\r",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"null",
    b"\xff\xfe",
    b"\xe2\x80\xa8",
    b"\x1b[2J",
    b"../",
    b"/",
    b"&a ",
    b"*a",
    b"<!DOCTYPE x>",
    b"<a:b/>",
    b"&#0;",
    b"]]>",
    b"'",
    b"\\",
    b"\t",
];

/// Returns a seed with up to eight changes.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random, count: usize| usize::try_from(random.below(count as u64)).unwrap();
    let mut bytes = seeds[pick(random, seeds.len())].clone();
    for _ in 0..=random.below(8) {
        let at = pick(random, bytes.len() + 1);
        let end = (at + pick(random, 40)).min(bytes.len());
        match random.below(7) {
            0 => drop(bytes.splice(at..at, PIECES[pick(random, PIECES.len())].iter().copied())),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.truncate(at),
            3 => {
                let part = bytes[at..end].to_vec();
                for _ in 0..random.below(30) {
                    bytes.splice(at..at, part.iter().copied());
                }
            }
            4 => {
                let other = &seeds[pick(random, seeds.len())];
                let from = pick(random, other.len() + 1);
                bytes.splice(at..end, other[from..(from + 60).min(other.len())].iter().copied());
            }
            _ => {
                let bit = u8::try_from(random.below(8)).unwrap();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
        }
        bytes.truncate(200_000);
    }
    bytes
}

/// Feeds a reader with mutated seeds.
#[allow(clippy::print_stdout)] // the seed and what came of it
fn try_reader(name: &str, seeds: &[Vec<u8>], read: &mut dyn FnMut(&[u8])) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var("NOXIDE_TEST_SEED").map_or(now.as_secs(), |seed| seed.parse().unwrap());
    let seconds = std::env::var("NOXIDE_FUZZ_SECONDS").map_or(u64::from(rounds(1, 5)), |text| text.parse().unwrap());
    println!("{name}: NOXIDE_TEST_SEED={seed}");
    let (mut random, until, mut count) = (Random::new(seed), Instant::now() + Duration::from_secs(seconds), 0);
    seeds.iter().for_each(|seed| read(seed));
    while Instant::now() < until {
        let bytes = mutate(seeds, &mut random);
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        if outcome.is_err() || started.elapsed() > MAX_TIME {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutated-{name}"));
            fs_err::write(&path, &bytes).unwrap();
            panic!("{name}, input {count}, in {}: {:?}", path.display(), started.elapsed());
        }
        count += 1;
    }
    println!("{name}: {count} inputs");
}

#[test]
fn records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.json");
    try_reader("record", &[fixture("run-3/record.json")], &mut |bytes| {
        fs_err::write(&path, bytes).unwrap();
        if let Ok(record) = RunRecord::read(&path) {
            let _ = build_junit_report(&record, directory.path(), &str::to_owned);
        }
    });
}

#[test]
fn events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.jsonl");
    try_reader("events", &[fixture("run-3/events.jsonl")], &mut |bytes| {
        fs_err::write(&path, bytes).unwrap();
        if let Ok(events) = read_events(&path) {
            let _ = RunRecord::from_events(&events, noxide::record::Machine::detect());
        }
    });
}

#[test]
fn junit_files() {
    let record: RunRecord = serde_json::from_slice(&fixture("run-3/record.json")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let artifacts = directory.path().join("artifacts/tests");
    fs_err::create_dir_all(artifacts.join("files")).unwrap();
    let list = serde_json::json!({
        "version": 2, "session": "tests",
        "files": [{ "path": "j.xml", "bytes": 1, "digest": null, "mode": 420, "link_target": null }],
    });
    fs_err::write(artifacts.join("artifacts.json"), list.to_string()).unwrap();
    let seed = b"<?xml version='1.0'?><testsuites xmlns:x='u'><testsuite name='a' tests='1'><properties><property name='p' \
                 value='1&#10;'/></properties><testcase name='t' time='0.1'><failure message='a &lt; b'>x <![CDATA[<raw>]]>\
                 </failure><x:y x:z='1'/></testcase></testsuite></testsuites>"
        .to_vec();
    try_reader("junit", &[seed], &mut |bytes| {
        fs_err::write(artifacts.join("files/j.xml"), bytes).unwrap();
        let xml = build_junit_report(&record, directory.path(), &str::to_owned).xml;
        // Whatever is merged, the report is well-formed.
        let text = String::from_utf8(xml).unwrap();
        let mut reader = quick_xml::NsReader::from_str(&text);
        loop {
            match reader.read_resolved_event().unwrap() {
                (_, quick_xml::events::Event::Eof) => break,
                (quick_xml::name::ResolveResult::Unknown(prefix), _) => panic!("undeclared {prefix:?}"),
                _ => {}
            }
        }
    });
}

#[test]
fn workflows() {
    let workflow = fixture_workflow();
    try_reader("workflow", &[workflow], &mut |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let options = AuditOptions { pedantic: true, ..AuditOptions::default() };
        let files = ProjectFiles { has_pyproject: true, ..ProjectFiles::default() };
        let source = SourceFile::new(".github/workflows/ci.yml", &text);
        let _ = run_audit(&AuditProject::from_sources(".".as_ref(), vec![source], None, files, options));
    });
}

fn fixture_workflow() -> Vec<u8> {
    b"on: [push, pull_request]\nenv: &e {A: '1'}\njobs:\n  lint:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix: {v: \
      [1, 2]}\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/cache@v4\n        with:\n          path: \
      ~/.cache/uv\n          key: k-${{ hashFiles('uv.lock') }}\n      - run: |\n          pip install nox\n          nox -s \
      lint tests | tee log\n  gate:\n    needs: [lint]\n    if: always()\n    env: *e\n    runs-on: ubuntu-latest\n    steps: \
      [{run: 'true'}]\n"
        .to_vec()
}

#[test]
fn messages_of_the_host() {
    let seeds = [
        &br#"{"message": "finished", "id": 0, "status": "SUCCESS", "reason": "no", "installs": {"wall": 1.5, "commands": 1}}"#[..],
        br#"{"message": "notify", "id": 1, "session": "b", "posargs": ["x"]}"#,
        br#"{"sessions": [{"name": "a", "func": "a", "python": null, "requires": []}], "queue": [0], "root": "/x"}"#,
    ];
    try_reader("host-message", &seeds.map(<[u8]>::to_vec), &mut |bytes| {
        let _ = serde_json::from_slice::<HostMessage>(bytes);
        let _ = serde_json::from_slice::<NoxfileManifest>(bytes);
    });
}

#[test]
fn lock_files() {
    let seed = b"version = 1\nrequires-python = \">=3.11\"\n\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = { registry = \
                 \"https://example.org/simple\" }\ndependencies = [{ name = \"b\", marker = \"sys_platform == 'linux' and \
                 python_full_version < '3.13'\" }]\nwheels = [{ url = \"https://example.org/a.whl\", hash = \
                 \"sha256:00000000000000000000000000000000000000000000000000000000000000aa\", size = 1 }]\n\n[[package]]\n\
                 name = \"b\"\nversion = \"2.0\"\nsource = { virtual = \".\" }\n\n[package.optional-dependencies]\nx = [{ name = \
                 \"a\" }]\n"
        .to_vec();
    try_reader("uv-lock", &[seed], &mut |bytes| {
        let _ = PackageSelection::from_uv_lock(&String::from_utf8_lossy(bytes));
    });
}

fn temporary_store(directory: &Path) -> Store {
    let options =
        StoreOptions { dir: Some(directory.join("store")), max_entry_size: 1 << 20, ..StoreOptions::default() };
    Store::open(&options).unwrap()
}

#[test]
fn records_of_wheels() {
    let directory = tempfile::tempdir().unwrap();
    let store = temporary_store(directory.path());
    let digest = encode_base64_url(&Sha256Digest::hash_bytes(b"A = 1\n").0);
    let seed =
        format!("a.py,sha256={digest},6\n\"q \"\"x\"\".py\",sha512={digest},6\na-1.dist-info/RECORD,,\n").into_bytes();
    let id = EntryId::for_wheel(Sha256Digest::hash_bytes(b"a wheel"));
    try_reader("wheel-record", &[seed], &mut |bytes| {
        let mut staged = store.stage_entry(&id, "a 1").unwrap();
        staged.add_file("a.py", false, 6, &mut &b"A = 1\n"[..]).unwrap();
        staged.add_file("a-1.dist-info/RECORD", false, bytes.len() as u64, &mut &bytes[..]).unwrap();
        let _ = staged.publish(None);
        fs_err::remove_dir_all(store.root().join("entries")).ok();
    });
}

fn scopes() -> CacheScopes {
    CacheScopes::from_environment("linux-x86_64", "root", &|_| None)
}

fn manifest_text() -> Vec<u8> {
    br#"{"version": 2, "frames": [{"entry": "wheel/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "name": "a 1",
        "pack": "nx2/r/p-1", "offset": 0, "length": 10, "uncompressed_length": 20,
        "frame_digest": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "tree_digest": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", "buckets": ["wheels-v5"],
        "last_used_day": 1}], "packs": {"nx2/r/p-1": 5}, "replaces": ["x"], "environments": {"lint": ["wheel/aaa"]},
        "checkout": {"checkout_id": "a", "run_id": "1", "is_stable": true}}"#
        .to_vec()
}

#[test]
fn manifests() {
    // Both what is compressed and the compressed bytes.
    try_reader("manifest", &[manifest_text()], &mut |bytes| {
        let packed = zstd::encode_all(bytes, 1).unwrap();
        let _ = RemoteManifest::from_bytes(&[b"nxm2 -\n", packed.as_slice()].concat(), None);
    });
    let packed = [b"nxm2 -\n", zstd::encode_all(manifest_text().as_slice(), 1).unwrap().as_slice()].concat();
    try_reader("packed-manifest", &[packed], &mut |bytes| drop(RemoteManifest::from_bytes(bytes, None)));
}

/// A frame of a small directory, as the header and the content of its files.
fn frame_content(id: &str) -> Vec<u8> {
    let header = format!(
        r#"{{"entry": "{id}", "name": "d", "uv_placements": [], "nodes": [{{"file": ["a", 3, false]}}, {{"symlink": ["l", "a"]}}, {{"empty-dir": "e"}}]}}"#
    );
    [b"nxe2\n", (header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), b"abc"].concat()
}

#[test]
fn frames() {
    let directory = tempfile::tempdir().unwrap();
    let (store, volume) = (temporary_store(directory.path()), directory.path().join("volume"));
    let id = "directory/some-directory.5";
    let pack = "pack/p-1";
    let path: PathBuf = volume.join(pack);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let remote = RemoteCache {
        backend: Box::new(DirectoryBackend::new(&volume)),
        scopes: scopes(),
        signing_key: None,
        checksums: None,
    };
    let import = |packed: &[u8], uncompressed: u64| {
        fs_err::write(&path, packed).unwrap();
        let frame = PackFrame {
            entry: id.to_owned(),
            name: "d".to_owned(),
            pack: pack.to_owned(),
            offset: 0,
            length: packed.len() as u64,
            uncompressed_length: uncompressed,
            frame_digest: blake3::hash(packed).to_hex().to_string(),
            tree_digest: "0".repeat(64),
            buckets: Vec::new(),
            last_used_day: 0,
        };
        if !packed.is_empty() {
            remote.download(&DownloadPlan::new([frame]), &store, &NoProgress);
        }
        // The digest of the tree is never right, so nothing is published, and nothing is written outside the store.
        assert!(store.entry_ids().is_empty());
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 2);
    };
    try_reader("frame", &[frame_content(id)], &mut |bytes| {
        import(&zstd::encode_all(bytes, 1).unwrap(), bytes.len() as u64);
    });
    let packed = zstd::encode_all(frame_content(id).as_slice(), 1).unwrap();
    try_reader("packed-frame", &[packed], &mut |bytes| import(bytes, 10_000));
}
