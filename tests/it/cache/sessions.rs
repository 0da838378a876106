//! `noxide cache restore -s` and `save -s`, and the cache statistics of each session in the record of a run.

use noxide::cache::NoProgress;
use serde_json::Value;

use super::fixture::{Fixture, ended};
use crate::support::{NoxideRun, noxide_in};

/// Three sessions whose packages are not in the lock file; one notifies another, one does not use uv.
const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv'\nnox.options.sessions = ['one', 'two', 'plain']\n\
    @nox.session\ndef one(session):\n    session.install('alpha')\n    session.notify('later')\n\
    @nox.session\ndef two(session):\n    session.install('many')\n\
    @nox.session\ndef later(session):\n    session.install('source')\n\
    @nox.session(venv_backend='none')\ndef plain(session):\n    session.log('plain')\n";

fn project() -> Fixture {
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE);
    fixture
}

/// A run with the fixture's store and the uv cache of that name, in fresh environments.
fn run(fixture: &Fixture, cache: &str, arguments: &[&str]) -> NoxideRun {
    std::fs::remove_dir_all(fixture.project.root().join(".nox")).ok();
    let mut command = noxide_in(fixture.project.root(), &["run"]);
    command.args(arguments).env("UV_CACHE_DIR", fixture.cache_dir(cache));
    command.env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    ran
}

/// The cache figures of a session: hits, misses, whether bytes were restored, and the reason.
fn used(ran: &NoxideRun, name: &str) -> Option<(u32, u32, bool, String)> {
    let sessions = &ran.record().sessions;
    let found = sessions.iter().find(|session| session.spec.name.as_str() == name).unwrap();
    let cache = found.result.as_ref().unwrap().cache.as_ref()?;
    Some((cache.hits, cache.misses, cache.restored_bytes > 0, cache.miss_reason.clone()))
}

#[test]
fn each_session_restores_its_packages_and_so_does_a_notified_one() {
    let fixture = project();
    let first = run(&fixture, "first", &[]);
    // Their packages are in the lock file and in uv's cache.
    for (name, hits) in [("one", 2), ("two", 1), ("later", 1)] {
        assert_eq!(
            used(&first, name),
            Some((hits, 0, false, "no earlier install on this machine".to_owned())),
            "{name}"
        );
    }
    assert_eq!(used(&first, "plain"), None);

    // Another machine that has the store and no uv cache: all is restored, each for its own session.
    let second = run(&fixture, "second", &[]);
    assert_eq!(used(&second, "one"), Some((2, 0, true, String::new())), "alpha and beta");
    assert_eq!(used(&second, "two"), Some((1, 0, true, String::new())));
    assert_eq!(used(&second, "later"), Some((1, 0, true, String::new())), "notified while the run went on");
    assert!(second.stdout.contains("restored for two in "), "{}", second.stdout);
    // Nothing is missing: nothing is restored or printed.
    let third = run(&fixture, "second", &["-s", "one"]);
    assert_eq!(used(&third, "one"), Some((2, 0, false, String::new())));
    assert!(!third.stdout.contains("restored for"), "{}", third.stdout);
}

/// A session that runs until the store has the packages it fetched.
const WAITS: &str = "import nox, os, pathlib, time\nnox.options.default_venv_backend = 'uv'\n\
    @nox.session\ndef one(session):\n    session.install('alpha')\n    \
    entries = pathlib.Path(os.environ['NOXIDE_CACHE_DIR'], 'store', 'entries')\n    until = time.monotonic() + 60\n    \
    while not (entries.is_dir() and any(entries.rglob('RECORD'))):\n        \
    assert time.monotonic() < until, 'nothing is kept'\n        time.sleep(0.05)\n";

#[test]
fn packages_are_saved_while_the_session_runs() {
    let fixture = project();
    fixture.project.write("noxfile.py", WAITS);
    let ran = run(&fixture, "cold", &[]);
    assert_eq!(used(&ran, "one").map(|(hits, misses, ..)| (hits, misses)), Some((0, 2)), "alpha and beta");
    assert_eq!(fixture.store().entry_ids().len(), 2);
}

/// A session that installs through a function, so that its arguments name no group.
const HELPED: &str = "import nox\nnox.options.default_venv_backend = 'uv'\n\
    def use(session, *what):\n    where = {'UV_PROJECT_ENVIRONMENT': session.virtualenv.location}\n    \
    session.run_install('uv', 'sync', '--frozen', *what, env=where, external=True)\n\
    @nox.session\ndef lint(session):\n    use(session, '--only-group', 'lint')\n";

#[test]
fn the_last_install_gives_packages_that_arguments_do_not_name() {
    let fixture = project();
    let settings = fixture.project.read("pyproject.toml");
    fixture.project.write("pyproject.toml", format!("{settings}[dependency-groups]\nlint = [\"beta\"]\n"));
    fixture.uv("first", &["lock", "--quiet"]);
    fixture.project.write("noxfile.py", HELPED);
    let first = run(&fixture, "first", &[]);
    assert_eq!(used(&first, "lint").map(|(hits, ..)| hits), Some(4), "all of the lock may be meant");
    let second = run(&fixture, "second", &[]);
    assert_eq!(used(&second, "lint"), Some((1, 0, true, String::new())), "beta was all that it held");
}

#[test]
fn sessions_are_restored_and_saved_by_name() {
    let fixture = project();
    run(&fixture, "first", &["--cache", "off"]);
    assert!(fixture.store().entry_ids().is_empty());
    let cache = |cache: &str, arguments: &[&str]| {
        let (code, out, err) = ended(&mut fixture.noxide(cache, arguments));
        (code, out, err)
    };
    // The two of the four wheels in uv's cache that are installed in this session's environment.
    let (code, out, err) = cache("first", &["save", "-s", "one"]);
    assert!(code == 0 && out.starts_with("saved 2 wheels: "), "{out}{err}");
    let (_, out, _) = cache("first", &["save", "-s", "one"]);
    assert!(out.starts_with("nothing new: 2 wheels already stored"), "{out}");
    let (code, out, _) = cache("first", &["save", "--sessions", "two", "--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["version"], &document["saved"][0]["name"]), (0, &2.into(), &"many 1.5".into()));

    let (_, out, _) = cache("second", &["restore", "-s", "one", "--dry-run"]);
    assert!(out.starts_with("would restore 2 wheels: "), "{out}");
    assert!(!fixture.cache_dir("second").exists());
    let (code, out, err) = cache("second", &["restore", "-s", "one", "plain", "--require"]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}{err}");
    assert!(out.starts_with("one  2 of 2 packages cached, ") && out.contains(" restored in "), "{out}");
    let (_, out, _) = cache("second", &["restore", "-k", "two", "--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["sessions"][0]["session"], "two");
    assert_eq!((&document["sessions"][0]["hits"], &document["restored"][0]["name"]), (&1.into(), &"many 1.5".into()));
    let (_, out, _) = cache("second", &["restore", "-s", "one", "two"]);
    assert_eq!(out, "one  2 of 2 packages cached\ntwo  1 of 1 package cached\n");

    // A session that was never saved, and one whose wheel is missing.
    let (code, out, _) = cache("second", &["restore", "-s", "later", "--require"]);
    let expected =
        "later  0 of 1 package cached; no earlier install on this machine; missing: source 0.3 (not in the store)\n";
    assert_eq!((code, out.as_str()), (1, expected));
    let store = fixture.store();
    let many = store.entry_ids().into_iter().find(|id| store.entry_meta(id).unwrap().name == "many 1.5").unwrap();
    let kept = walkdir::WalkDir::new(store.root()).into_iter().flatten();
    let kept = kept.into_iter().find(|entry| entry.path().ends_with(many.id())).unwrap();
    std::fs::remove_dir_all(kept.path()).unwrap();
    let (code, out, _) = cache("third", &["restore", "-s", "two", "--require"]);
    assert!(code == 1 && out.contains("0 of 1 package cached; missing: many 1.5 (not in the store)"), "{out}");
    let (code, out, _) = cache("third", &["restore", "-s", "plain"]);
    assert!(code == 0 && out.starts_with("nothing to restore"), "{out}");
    assert_eq!(cache("third", &["restore", "-s", "unknown"]).0, 2);
    assert!(store.verify_entries(&NoProgress).is_clean());
}
