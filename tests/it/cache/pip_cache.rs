//! pip's cache in the store: a run on another machine uses what an earlier run downloaded and built.

use super::fixture::{Fixture, ended};
use crate::support::{NoxideRun, noxide_in, run_checked};

/// Bytes of package files that the index has sent so far.
fn bytes_sent(fixture: &Fixture) -> u64 {
    let code = "import json, sys, urllib.request\n\
        sent = json.load(urllib.request.urlopen(sys.argv[1] + '/sent'))\n\
        print(sum(count for path, count in sent.items() if path.startswith('/files/')))\n";
    let mut python = std::process::Command::new(crate::support::python());
    run_checked(python.args(["-c", code, &fixture._index.url])).trim().parse().unwrap()
}

/// A run on a machine with its own pip cache, and the fixture's store.
fn run(fixture: &Fixture, pip: &str, arguments: &[&str]) -> (NoxideRun, String) {
    std::fs::remove_dir_all(fixture.project.root().join(".nox")).ok();
    let mut command = noxide_in(fixture.project.root(), &["run"]);
    command
        .args(arguments)
        .env("PIP_CACHE_DIR", fixture.cache_dir(pip))
        .env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let run = &ran.record().run_id;
    let log = fixture.project.read(&format!(".nox/.noxide/runs/{run}/logs/tests.log"));
    (ran, log)
}

#[test]
fn the_pip_cache_is_restored_on_the_next_machine() {
    let fixture = Fixture::new();
    let noxfile = |what: &str| {
        let index = format!("{}/simple", fixture._index.url);
        // pip caches nothing of a host without TLS unless the host is trusted.
        let install = format!("'--trusted-host', '127.0.0.1', '--index-url', {index:?}, {what}, silent=False");
        let session =
            format!("@nox.session(venv_backend='venv')\ndef tests(session):\n    session.install({install})\n");
        fixture.project.write("noxfile.py", format!("import nox\n{session}"));
    };
    noxfile("'alpha', 'source'");
    let (_, log) = run(&fixture, "pip-1", &[]);
    assert!(log.contains("Building wheel for source"), "{log}");
    let entries = || -> Vec<String> {
        let store = fixture.store();
        store
            .entry_ids()
            .iter()
            .map(|id| format!("{} {}", id.kind.as_str(), store.entry_meta(id).unwrap().name))
            .collect()
    };
    assert_eq!(entries(), ["directory pip's cache"]);

    // Another machine: nothing is built again and no file is fetched.
    let before = bytes_sent(&fixture);
    let (_, log) = run(&fixture, "pip-2", &[]);
    assert!(!log.contains("Building wheel for source") && log.contains("Successfully installed"), "{log}");
    assert_eq!(bytes_sent(&fixture), before, "{log}");
    assert_eq!(entries(), ["directory pip's cache"], "nothing new: nothing written");

    // Other installs have another key; the cache of the same interpreter is used for them.
    noxfile("'alpha', 'source', 'many'");
    let (_, log) = run(&fixture, "pip-3", &[]);
    assert!(!log.contains("Building wheel for source"), "{log}");
    assert_eq!(entries(), ["directory pip's cache", "directory pip's cache"]);
    // Without the cache, pip does everything itself.
    let (_, log) = run(&fixture, "pip-4", &["--cache", "off"]);
    assert!(log.contains("Building wheel for source"), "{log}");

    // Also with `noxide cache`.
    let (code, out, err) =
        ended(fixture.noxide("none", &["restore", "-s", "tests"]).env("PIP_CACHE_DIR", fixture.cache_dir("pip-5")));
    assert_eq!(code, 0, "{out}{err}");
    assert!(fixture.cache_dir("pip-5").join("wheels").is_dir());
}
