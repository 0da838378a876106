//! `noxide ci`: packages of one run are restored in the next on any machine, and the cache never fails a run.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cache::fixture::Fixture;
use crate::support::{HttpResponse, HttpServer, NoxideRun, noxide_in, run_checked};

const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'uv'\n\
    @nox.session\ndef one(session):\n    session.install('alpha')\n    session.run('python', '-c', 'import alpha, beta')\n\
    @nox.session\ndef two(session):\n    session.install('many')\n    session.run('python', '-c', 'import many')\n    session.log('two ran')\n\
    @nox.session(default=False)\ndef bad(session):\n    session.install('beta')\n    session.error('found something')\n";

/// A run of a branch.
const FORGE: [(&str, &str); 3] = [("CI", "true"), ("GITHUB_REPOSITORY", "org/repo"), ("GITHUB_REF", "refs/heads/main")];

pub(super) struct Machine<'a> {
    pub(super) fixture: &'a Fixture,
    pub(super) name: &'static str,
}

impl Machine<'_> {
    /// A run on a machine of that name, with its own cache and store and without environments.
    pub(super) fn ci(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (NoxideRun, Value) {
        self.ci_at(self.fixture.project.root(), arguments, variables)
    }

    /// Like `new`, for a checkout of the project at this path.
    fn ci_at(&self, root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (NoxideRun, Value) {
        let project = &self.fixture.project;
        let all: Vec<&str> = ["ci"].iter().chain(arguments).copied().collect();
        let mut command: Command = noxide_in(root, &all);
        command.env("UV_CACHE_DIR", project.outer_dir().join(self.name).join("uv"));
        command.env("NOXIDE_CACHE_DIR", project.outer_dir().join(self.name).join("store"));
        command.env_remove("NOXIDE_REMOTE").envs(variables.iter().copied());
        remove_environments(root);
        let ran = NoxideRun::finish(&mut command);
        let path = root.join("noxide-ci/cache.json");
        let document = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        (ran, document.unwrap_or_default())
    }
}

/// Removes the environments of a project, but not its run data beside them.
fn remove_environments(root: &Path) {
    let entries = std::fs::read_dir(root.join(".nox")).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name() != ".noxide" && entry.path().is_dir()) {
        std::fs::remove_dir_all(entry.path()).unwrap();
    }
}

pub(super) fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn one_step_restores_runs_saves_and_collects() {
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE);
    let remote_dir = fixture.project.outer_dir().join("remote").display().to_string();
    let remote = ["--remote", remote_dir.as_str()];
    let first = Machine { fixture: &fixture, name: "first-machine" };
    let (ran, cache) = first.ci(&remote, &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(names(&cache["uploaded"]["packages"]), ["alpha 1.0", "beta 2.0", "many 1.5"], "{cache:#}");
    assert!(
        ran.stdout.contains("cache: downloaded 0 of 0 packages") && ran.stdout.contains("cache: uploaded 3 packages"),
        "{}",
        ran.stdout
    );
    for file in ["record.json", "events.jsonl", "logs/two.log", "junit.xml", ".gitignore"] {
        assert!(fixture.project.root().join("noxide-ci").join(file).exists(), "{file}");
    }
    assert!(fixture.project.read("noxide-ci/logs/two.log").contains("two ran"));

    // Another machine runs one session: it downloads only its packages and uploads nothing.
    let second = Machine { fixture: &fixture, name: "second-machine" };
    let (ran, cache) = second.ci(&["--remote", &remote_dir, "-s", "one"], &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(names(&cache["downloaded"]["packages"]), ["alpha 1.0", "beta 2.0"], "{cache:#}");
    assert_eq!((&cache["uploaded"]["bytes"], &cache["saved"]), (&0.into(), &0.into()), "{cache:#}");
    assert!(ran.stdout.contains("cache: uploaded nothing: nothing is new"), "{}", ran.stdout);
    assert!(!fixture.project.root().join("noxide-ci/logs/two.log").exists(), "the directory is this run's");

    // Packages of a failed run are saved too.
    let fresh = fixture.project.outer_dir().join("fresh").display().to_string();
    let third = Machine { fixture: &fixture, name: "third-machine" };
    let (ran, cache) = third.ci(&["--remote", &fresh, "-s", "bad", "--format", "json"], &[]);
    assert_eq!(ran.exit, Some(1));
    assert_eq!(names(&cache["uploaded"]["packages"]), ["beta 2.0"], "{cache:#}");
    let document: Value = serde_json::from_str(&ran.stdout).expect("one document and nothing else");
    assert_eq!(document["version"], 2);

    // The second step on the same machine finds everything present.
    let (_, cache) = first.ci(&["--remote", "off", "-s", "two", "--write-sums"], &[]);
    assert_eq!(cache["remote"], Value::Null);
    assert!(fixture.project.read("noxide.sums").contains("many 1.5"), "{}", fixture.project.read("noxide.sums"));
    // Only listed packages are downloaded now.
    let fourth = Machine { fixture: &fixture, name: "fourth-machine" };
    let (ran, cache) = fourth.ci(&remote, &[]);
    assert_eq!((ran.exit, names(&cache["downloaded"]["packages"])), (Some(0), vec!["many 1.5"]), "{cache:#}");
    assert!(ran.stdout.contains("warning: alpha 1.0 is not used: it is not in noxide.sums"), "{}", ran.stdout);
}

#[test]
fn a_failing_cache_fails_no_run() {
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE);
    let machine = Machine { fixture: &fixture, name: "machine" };
    let down = HttpServer::new(|_| HttpResponse::new(500, "down"));
    let base = format!("{}/", down.base);
    let forge = [("ACTIONS_CACHE_URL", base.as_str()), ("GITHUB_SERVER_URL", "https://forge.example.org")];
    let (ran, cache) = machine.ci(&["-s", "one"], &forge);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("warning: 127.0.0.1") && ran.stdout.contains("answered 500: down"), "{}", ran.stdout);
    assert_eq!(cache["saved"], 2, "{cache:#}");
    // Without a remote there is only the local store.
    let (ran, cache) = machine.ci(&["-s", "one"], &[]);
    assert_eq!((ran.exit, &cache["remote"], &cache["warnings"]), (Some(0), &Value::Null, &serde_json::json!([])));
    // An invalid remote and a malformed list of checksums: the run has no cache and says so.
    let (ran, _) = machine.ci(&["-s", "one", "--remote", "ftp://x"], &[]);
    assert!(
        ran.exit == Some(0) && ran.stdout.contains("note: the cache is not used: `ftp://x` is not a remote cache"),
        "{ran:?}"
    );
    fixture.project.write("noxide.sums", "nonsense\n");
    let (ran, _) = machine.ci(&["-s", "one"], &[]);
    assert!(ran.exit == Some(0) && ran.stdout.contains("noxide.sums:1:"), "{ran:?}");
    let (ran, _) = machine.ci(&["-s", "nothing"], &[]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
}

#[test]
fn a_ci_service_that_names_no_branch_shares_no_remote_cache() {
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", NOXFILE);
    let dir = fixture.project.outer_dir().join("remote");
    let flags = ["-s", "one", "--remote", dir.to_str().unwrap()];
    let machine = Machine { fixture: &fixture, name: "machine" };
    let pull_request = [("CI", "true"), ("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_IID", "12")];
    let (ran, cache) = machine.ci(&flags, &pull_request);
    assert_eq!((ran.exit, &cache["remote"], &cache["saved"]), (Some(0), &Value::Null, &2.into()), "{ran:?}");
    let note = "is not used: this CI service does not tell noxide which branch or pull request it runs";
    assert!(ran.text.contains(note) && ran.text.contains("set GITHUB_REPOSITORY and GITHUB_REF"), "{}", ran.text);
    assert!(!dir.exists(), "nothing is written");
    let (ran, _) = machine.ci(&[&flags[..], &["--cache", "require"]].concat(), &pull_request);
    assert!(ran.exit == Some(3) && ran.text.contains(note), "{ran:?}");
    let named = [&pull_request[..], &FORGE].concat();
    let (_, cache) = machine.ci(&flags, &named);
    assert_eq!(names(&cache["uploaded"]["packages"]), ["alpha 1.0", "beta 2.0"], "{cache:#}");
}

#[test]
fn coverage_is_held_to_its_floor() {
    let fixture = Fixture::new();
    let json = r#"{\"meta\": {\"software\": \"slipcover\"}, \"files\": {\"a.py\": {\"executed_lines\": [1, 2, 3], \"missing_lines\": [4]}}}"#;
    fixture.project.write(
        "noxfile.py",
        format!("import nox\n@nox.session(venv_backend='none')\ndef tests(session):\n    open('cov.json', 'w').write(\"{json}\")\n"),
    );
    let machine = Machine { fixture: &fixture, name: "machine" };
    let (ran, _) = machine.ci(&["--coverage", "--fail-under", "75"], &[]);
    assert!(ran.exit == Some(0) && ran.stdout.contains("coverage: 75.00 % (slipcover, 1 data file)"), "{ran:?}");
    assert!(fixture.project.read("noxide-ci/coverage.json").contains("percent_covered"));
    let (ran, _) = machine.ci(&["--coverage", "--fail-under", "76", "--dir", "other"], &[]);
    assert!(ran.exit == Some(1) && ran.stdout.contains("below the required 76 %"), "{ran:?}");
}

const STATES: &str = "import nox, pathlib\nnox.options.default_venv_backend = 'uv'\nnox.options.reuse_existing_virtualenvs = True\n\
    @nox.session\ndef one(session):\n    session.install('alpha', 'many')\n    session.run('python', '-c', 'import alpha')\n    \
    tool = pathlib.Path(TOOL)\n    session.log('tool was there: %s', tool.exists())\n    tool.exists() or (tool.parent.mkdir(exist_ok=True), tool.write_text('x'))\n";

#[test]
fn environments_bytecode_and_directories_go_with_the_packages() {
    let fixture = Fixture::new();
    let directory = fixture.project.outer_dir().join("tool");
    let tool = directory.join("file");
    let write = |noxfile: &str| {
        fixture.project.write("noxfile.py", noxfile.replace("TOOL", &format!("{:?}", tool.display().to_string())));
    };
    write(STATES);
    fixture.project.write("noxide.toml", format!("[cache]\ndirectories = [{:?}]\n", directory.display().to_string()));
    let remote_dir = fixture.project.outer_dir().join("remote").display().to_string();
    let remote = ["--remote", remote_dir.as_str(), "--max-age", "1h", "--output", "stream"];
    let run = |name: &'static str, arguments: &[&str]| {
        std::fs::remove_dir_all(&directory).ok();
        let machine = Machine { fixture: &fixture, name };
        let (ran, cache) =
            machine.ci(&[&remote, arguments].concat(), &[&FORGE[..], &[("PYTHONDONTWRITEBYTECODE", "")]].concat());
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        (ran, cache)
    };
    let (ran, cache) = run("first-machine", &[]);
    assert!(ran.stdout.contains("tool was there: False"), "{}", ran.stdout);
    // An environment, bytecode, a directory, and the session's packages.
    assert_eq!(
        (&cache["uploaded"]["other_entries"], &cache["downloaded"]["other_entries"]),
        (&4.into(), &0.into()),
        "{cache:#}"
    );

    let (ran, cache) = run("second-machine", &[]);
    for expected in ["tool was there: True", "environment of one restored", "Skipped the install of alpha many"] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(
        (&cache["downloaded"]["other_entries"], &cache["uploaded"]["bytes"]),
        (&3.into(), &0.into()),
        "{cache:#}"
    );
    let site = std::fs::read_dir(fixture.project.root().join(".nox/one/lib")).unwrap().next().unwrap().unwrap();
    let lying = std::fs::read_dir(site.path().join("site-packages/alpha/__pycache__")).unwrap();
    let flags: Vec<u8> = lying.map(|file| std::fs::read(file.unwrap().path()).unwrap()[4]).collect();
    assert_eq!(flags, [1], "bytecode comes apart from the environment, in a form that needs no time of its source");

    // Another install: another environment, and of the old one only shared files are used.
    write(&STATES.replace("'many')", "'many', 'beta')"));
    let (ran, cache) = run("third-machine", &[]);
    assert!(!ran.stdout.contains("environment of one restored"), "{}", ran.stdout);
    assert_eq!(
        (&cache["downloaded"]["other_entries"], &cache["uploaded"]["other_entries"]),
        (&2.into(), &1.into()),
        "{cache:#}"
    );
    // With checksums, only entries that are in them are used.
    let (_, cache) = run("third-machine", &["--write-sums"]);
    assert_eq!(&cache["uploaded"]["bytes"], &0, "{cache:#}");
    let (ran, cache) = run("fourth-machine", &[]);
    assert!(!ran.stdout.contains("environment of one restored"), "{}", ran.stdout);
    assert_eq!(&cache["downloaded"]["other_entries"], &0, "{cache:#}");
    assert_eq!(names(&cache["downloaded"]["packages"]), ["alpha 1.0", "beta 2.0", "many 1.5"]);
}

/// A fresh checkout of a project: its files, and nothing that a run created.
fn checkout(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    run_checked(Command::new("cp").arg("-a").arg(from).arg(to));
    for made in [".nox", "noxide-ci"] {
        std::fs::remove_dir_all(to.join(made)).ok();
    }
}

#[test]
fn a_fresh_checkout_at_another_path_knows_the_packages_of_sessions_and_uploads_no_environment() {
    let fixture = Fixture::new();
    let noxfile = STATES
        .replace("TOOL", "'tool/file'")
        .replace("session.log(", "__import__('time').sleep(0.3)\n    session.log(");
    fixture.project.write("noxfile.py", &noxfile);
    let remote_dir = fixture.project.outer_dir().join("remote").display().to_string();
    let flags = ["--remote", remote_dir.as_str(), "--max-age", "1h", "--events", "events.jsonl"];
    let other = fixture.project.outer_dir().join("other");
    let run = |name: &'static str, root: &Path| {
        let (ran, cache) = Machine { fixture: &fixture, name }.ci_at(root, &flags, &FORGE);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        (ran, cache)
    };
    let sent = |cache: &Value| cache["uploaded"]["other_entries"].as_u64().unwrap();
    let (ran, cache) = run("first-machine", fixture.project.root());
    assert!(ran.stdout.contains("1 session on") && !ran.stdout.contains("about"), "nobody knows yet: {}", ran.stdout);
    let all = sent(&cache);
    // The checkout has moved: the next one may be at another path again.
    checkout(fixture.project.root(), &other);
    let (ran, cache) = run("second-machine", &other);
    assert!(ran.stdout.contains("usually"), "{}", ran.stdout);
    assert!(other.join(".nox/.noxide/restored").is_dir());
    assert_eq!((&cache["uploaded"]["bytes"], ran.stdout.contains("not restored")), (&0.into(), false), "{cache:#}");
    // Everything else that is new is uploaded, with the path of the project.
    fs_err::write(other.join("noxfile.py"), noxfile.replace("'many')", "'many', 'source')")).unwrap();
    let (_, cache) = run("third-machine", &other);
    assert!(sent(&cache) < all && names(&cache["uploaded"]["packages"]) == ["source 0.3"], "{cache:#}");
    // It has the same path again, so the next one may have it too.
    let (_, cache) = run("fourth-machine", &other);
    assert_eq!(sent(&cache), 1, "the environment: {cache:#}");
    let (ran, cache) = run("fifth-machine", &other);
    assert!(
        ran.stdout.contains("environment of one restored") && cache["uploaded"]["bytes"] == 0,
        "{} {cache:#}",
        ran.stdout
    );
}

#[test]
fn without_install_arguments_a_session_restores_the_packages_it_held() {
    let fixture = Fixture::new();
    let noxfile = "import nox\nnox.options.default_venv_backend = 'uv'\nWORDS = 'beta'.split()\n\
        @nox.session\ndef vague(session):\n    session.install(*WORDS)\n    session.run('python', '-c', 'import beta')\n\
        @nox.session\ndef clear(session):\n    session.install('alpha', 'many')\n";
    fixture.project.write("noxfile.py", noxfile);
    let remote_dir = fixture.project.outer_dir().join("remote").display().to_string();
    let run = |name: &'static str, more: &[&str]| {
        let machine = Machine { fixture: &fixture, name };
        let (ran, cache) = machine.ci(&[&["--remote", &remote_dir, "--locked"], more].concat(), &[]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        (ran, cache)
    };
    let uses = |ran: &NoxideRun| {
        let record = ran.record();
        let vague = record.sessions.iter().find(|session| session.spec.name.as_str() == "vague").unwrap();
        let cache = vague.result.as_ref().unwrap().cache.clone().unwrap();
        (cache.hits, cache.misses)
    };
    let (ran, cache) = run("first-machine", &[]);
    assert_eq!(names(&cache["uploaded"]["packages"]), ["alpha 1.0", "beta 2.0", "many 1.5"], "{cache:#}");
    assert_eq!(uses(&ran), (0, 4), "anything of the lock may be meant");
    let (ran, cache) = run("second-machine", &["-s", "vague"]);
    assert_eq!(names(&cache["downloaded"]["packages"]), ["beta 2.0"], "{cache:#}");
    assert_eq!(uses(&ran), (1, 0));
    // Another install: the names come from the last environment, the versions from the lock file.
    fixture.project.write("noxfile.py", noxfile.replace("*WORDS)", "*WORDS, 'beta')"));
    let (ran, _) = run("second-machine", &["-s", "vague"]);
    assert_eq!(uses(&ran), (1, 0));
}
