//! Environments of sessions with real nox and uv: restored only where nox would reuse one.

use std::path::Path;
use std::process::Command;

use noxide::record::InstallStats;

use super::fixture::Fixture;
use crate::support::{CommandDeadline as _, NoxideRun, noxide_command};

const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv'\n\
    @nox.session(reuse_venv=REUSE)\ndef one(session):\n    session.install('alpha', 'many')\n    \
    session.run('python', '-c', 'import alpha, many; print(\"found\", alpha.VERSION, many.VERSION)')\n";

/// A project of one session that reuses its environment.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE.replace("REUSE", "True"));
    fixture
}

fn command(fixture: &Fixture, arguments: &str) -> Command {
    // Without a lock file, an environment is restored only with `--max-age`.
    let aged = if arguments.contains("--max-age") { "" } else { "--max-age 1h" };
    let mut command = noxide_command(&fixture.project, &format!("run --output stream {aged} {arguments}"));
    command.env("UV_CACHE_DIR", fixture.cache_dir("first")).env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    command
}

/// Runs the session; returns the run and the numbers of installs that ran and were skipped.
fn run(fixture: &Fixture, arguments: &str) -> (NoxideRun, (u32, u32)) {
    let ran = NoxideRun::finish(&mut command(fixture, arguments));
    assert!(ran.code() == 0 && ran.text.contains("found 1.0 1.5"), "{}", ran.text);
    let install: InstallStats = fixture.project.newest_record().sessions[0].result.as_ref().unwrap().install.unwrap();
    (ran, (install.commands, install.skipped))
}

fn remove_environments(fixture: &Fixture) {
    std::fs::remove_dir_all(fixture.project.root().join(".nox")).unwrap();
}

const RESTORED: &str = "environment of one restored";

#[test]
fn nox_reuses_the_restored_environment() {
    let fixture = fixture();
    let (ran, counts) = run(&fixture, "");
    assert!(counts == (1, 0) && !ran.text.contains(RESTORED), "{}", ran.text);
    remove_environments(&fixture);
    let (ran, counts) = run(&fixture, "");
    assert!(ran.text.contains(RESTORED) && ran.text.contains("Skipped the install of alpha many"), "{}", ran.text);
    assert_eq!(counts, (0, 1));
    assert!(
        fixture.project.newest_record().sessions[0]
            .result
            .as_ref()
            .unwrap()
            .cache
            .as_ref()
            .is_some_and(|cache| cache.restored_bytes > 0)
    );
    assert_eq!(run(&fixture, "-R").1, (1, 0), "one that is there is left as it is");

    // Where nox would make a new one, it gets a new one.
    for (arguments, variable) in [
        ("--reuse-venv never", None),
        ("--cache off", None),
        // nox skips installs only in an environment of an earlier run; a session may do more in them.
        ("-R", None),
        ("", Some("UV_PRERELEASE")),
    ] {
        remove_environments(&fixture);
        let mut command = command(&fixture, arguments);
        if let Some(name) = variable {
            command.env(name, "allow");
        }
        let ran = NoxideRun::finish(&mut command);
        assert!(ran.code() == 0 && !ran.text.contains(RESTORED), "{arguments}: {}", ran.text);
        assert!(ran.text.contains("Creating virtual environment"), "{arguments}: {}", ran.text);
    }
    remove_environments(&fixture);
    fixture.project.write("noxfile.py", NOXFILE.replace("REUSE", "False"));
    assert!(!run(&fixture, "").0.text.contains(RESTORED));
    remove_environments(&fixture);
    assert!(
        run(&fixture, "--reuse-venv always").0.text.contains(RESTORED),
        "`--reuse-venv always` overrides the noxfile"
    );
    remove_environments(&fixture);
    fixture.project.write("noxfile.py", NOXFILE.replace("REUSE", "True").replace("'many'", "'many>1'"));
    assert_eq!(run(&fixture, "").1, (1, 0), "another install, another environment");
    remove_environments(&fixture);
    fixture.project.write("noxfile.py", NOXFILE.replace("REUSE", "True, venv_params=['--prompt', 'x']"));
    assert!(!run(&fixture, "").0.text.contains(RESTORED), "created in another way, another environment");
}

#[test]
fn without_a_lock_environments_are_restored_up_to_max_age() {
    let fixture = fixture();
    run(&fixture, "");
    remove_environments(&fixture);
    let mut plain = noxide_command(&fixture.project, "run --output stream");
    plain.env("UV_CACHE_DIR", fixture.cache_dir("first")).env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    let ran = NoxideRun::finish(&mut plain);
    assert!(ran.code() == 0 && !ran.text.contains("environment of one"), "as plain nox creates it again: {}", ran.text);
    remove_environments(&fixture);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let (ran, counts) = run(&fixture, "--max-age 1s");
    assert!(ran.text.contains("environment of one not restored: it is older than max-age"), "{}", ran.text);
    assert_eq!(counts, (1, 0));
    remove_environments(&fixture);
    assert!(run(&fixture, "--max-age 1h").0.text.contains(RESTORED));
}

#[test]
fn an_environment_at_another_path_or_with_more_packages_is_not_restored() {
    let fixture = fixture();
    // An environment from before may have more packages than requested: it is not saved.
    let mut wide = command(&fixture, "--cache off");
    assert_eq!(wide.finish().status.code(), Some(0));
    run(&fixture, "");
    remove_environments(&fixture);
    assert!(!run(&fixture, "").0.text.contains(RESTORED));
    // The same project at another path needs another environment: its scripts name their interpreter.
    let other = fixture.project.outer_dir().join("other");
    copy(fixture.project.root(), &other);
    let mut there = command(&fixture, "");
    let text = String::from_utf8_lossy(&there.current_dir(&other).finish().stdout).into_owned();
    assert!(text.contains("found 1.0 1.5") && !text.contains(RESTORED), "{text}");
    // A damaged entry is reported and costs one install.
    remove_environments(&fixture);
    let store = fixture.store();
    let ids = store.entry_ids().into_iter().filter(|id| id.kind == noxide::cache::store::EntryKind::Environment);
    for entry in ids.map(|id| store.open_entry(&id).unwrap().unwrap()) {
        fs_err::write(entry.tree_path().join("pyvenv.cfg"), "uv = 1\n").unwrap();
    }
    let (ran, counts) = run(&fixture, "");
    let notice = "environment of one not restored: damaged and quarantined: pyvenv.cfg:";
    assert!(ran.text.contains(notice) && counts == (1, 0), "{}", ran.text);
    remove_environments(&fixture);
    assert!(run(&fixture, "").0.text.contains(RESTORED), "saved again");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["noxfile.py", "pyproject.toml", "uv.lock"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Checks every line of every RECORD, and that a script runs in its own environment.
const CHECK: &str = "import base64, hashlib, importlib.metadata as m, subprocess, sys\n\
for dist in m.distributions():\n    for file in dist.files or []:\n        if file.hash and file.locate().exists():\n            \
digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, file.read_binary()).digest()).rstrip(b'=').decode()\n            \
assert digest == file.hash.value, file\n\
said = subprocess.run([sys.prefix + '/bin/alpha'], capture_output=True, text=True).stdout.strip()\n\
assert said == sys.prefix, said\nprint('sound')\n";

#[test]
fn sessions_that_install_the_same_share_one_build() {
    let fixture = Fixture::with(&serde_json::json!([
        {"name": "alpha", "version": "1.0", "files": {
            "alpha/cli.py": "import sys\ndef main(): print(sys.prefix)\n",
            "alpha-1.0.dist-info/entry_points.txt": "[console_scripts]\nalpha = alpha.cli:main\n",
        }},
        {"name": "many", "version": "1.5", "many": 700},
    ]));
    let noxfile = |second: &str| {
        fixture.project.write("check.py", CHECK);
        fixture.project.write(
            "noxfile.py",
            format!(
                "import glob, nox, os\nnox.options.default_venv_backend = 'uv'\n\
                 @nox.session\ndef one(session):\n    session.install('alpha', 'many')\n    \
                 session.run('python', 'check.py')\n    touched = os.environ.get('TOUCH')\n    \
                 [os.utime(path) for path in glob.glob(session.virtualenv.location + '/lib/*/*/alpha-*') if touched]\n\
                 @nox.session(requires=['one'])\ndef two(session):\n    session.install({second})\n    \
                 session.run('python', 'check.py')\n"
            ),
        );
    };
    let counts = |touch: bool| {
        remove_environments_if_any(&fixture);
        let mut command = command(&fixture, "");
        if touch {
            command.env("TOUCH", "1");
        }
        let ran = NoxideRun::finish(&mut command);
        assert!(ran.code() == 0 && ran.text.matches("sound").count() == 2, "{}", ran.text);
        let installs = fixture.project.newest_record().sessions[1].result.as_ref().unwrap().install.unwrap();
        assert_eq!(ran.text.contains("Linked the install of alpha many from session one"), installs.skipped == 1);
        (installs.commands, installs.skipped)
    };
    noxfile("'alpha', 'many'");
    assert_eq!(counts(false), (0, 1));
    let metadata = |session: &str| {
        let lib = fixture.project.root().join(".nox").join(session).join("lib");
        let python = std::fs::read_dir(lib).unwrap().next().unwrap().unwrap().path();
        std::fs::metadata(python.join("site-packages/many/data/0/0.txt")).unwrap()
    };
    let links = std::os::unix::fs::MetadataExt::nlink(&metadata("one")) > 1;
    assert!(
        !links
            || std::os::unix::fs::MetadataExt::ino(&metadata("one"))
                == std::os::unix::fs::MetadataExt::ino(&metadata("two"))
    );
    assert_eq!(counts(true), (1, 0), "an environment that was changed afterwards is not linked from");
    noxfile("'alpha', 'many>1'");
    assert_eq!(counts(false), (1, 0), "another install");
}

fn remove_environments_if_any(fixture: &Fixture) {
    std::fs::remove_dir_all(fixture.project.root().join(".nox")).ok();
}

/// Sessions that install by `uv sync`, in nox's two ways of running it.
fn syncing(fixture: &Fixture, flags: &str, first: &str) {
    fixture.project.write(
        "noxfile.py",
        format!(
            "import nox\nnox.options.default_venv_backend = 'uv'\nnox.options.reuse_existing_virtualenvs = True\n\
             def sync(session, run, place=None):\n    \
             where = {{'UV_PROJECT_ENVIRONMENT': place or session.virtualenv.location}}\n    \
             run('uv', 'sync', {flags}, env=where, external=True)\n    \
             session.run('python', '-c', 'import alpha; print(\"has\", alpha.VERSION)')\n\
             @nox.session\ndef one(session):\n    sync(session, session.run_install)\n\
             @nox.session(requires=['one'])\ndef two(session):\n    {first}sync(session, session.run)\n"
        ),
    );
}

#[test]
fn an_environment_synced_to_the_lock_is_not_synced_again() {
    let fixture = Fixture::new();
    let counts = || {
        let ran = NoxideRun::finish(&mut command(&fixture, ""));
        assert!(ran.code() == 0 && ran.text.matches("has 1.0").count() == 2, "{}", ran.text);
        let installs =
            fixture.project.newest_record().sessions.into_iter().map(|session| session.result.unwrap().install);
        let counts: Vec<(u32, u32)> = installs.map(|it| it.map_or((9, 9), |it| (it.commands, it.skipped))).collect();
        (ran.text, counts)
    };
    let frozen = "'--frozen', '--quiet'";
    syncing(&fixture, frozen, "");
    // nox skips `session.run` here, so its installs are missing.
    assert_eq!(NoxideRun::finish(&mut command(&fixture, "-s two --no-dependencies --install-only")).code(), 0);
    assert_eq!(counts().1, [(1, 0), (1, 0)]);
    let (text, found) = counts();
    assert!(text.contains("Skipped the install of uv sync --frozen --quiet: this environment is up to date"), "{text}");
    assert_eq!(found, [(0, 1), (0, 1)]);
    // Another lock file needs another environment; likewise when uv could update the lock file or does not report its state.
    let lock = fixture.project.read("uv.lock");
    fixture.project.write("uv.lock", format!("{lock}\n# changed\n"));
    assert_eq!(counts().1, [(1, 0), (1, 0)]);
    for flags in ["'--quiet'", "'--frozen', '--no-build-isolation'"] {
        remove_environments(&fixture);
        syncing(&fixture, flags, "");
        assert_eq!(counts().1, [(1, 0), (1, 0)], "{flags}");
    }
    // The earlier install used the same lock file: both built the environment.
    remove_environments(&fixture);
    syncing(&fixture, frozen, "session.install('many')\n    ");
    assert_eq!(counts().1, [(1, 0), (2, 0)]);
    assert_eq!(counts().1, [(0, 1), (0, 2)]);
    // An install into another environment does not affect that of the session.
    remove_environments(&fixture);
    syncing(&fixture, &format!("{frozen}, '--directory', '.'"), "");
    assert_eq!(counts().1, [(1, 0), (1, 0)]);
}
