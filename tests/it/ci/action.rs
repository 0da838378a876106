//! The action of this repository, run by act with its cache: the second run, on an empty machine, restores.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::act_run::run_act;
use super::backends::acttools;
use crate::cache::fixture::Fixture;
use crate::repository::wheel::{index_program_wheel, path_of};
use crate::support::{CommandDeadline as _, Project, run_checked, venv, write_script};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

const WORKFLOW: &str = "on: push\njobs:\n  check:\n    runs-on: docker\n    steps:\n      - uses: actions/checkout@v4\n      \
    - uses: noxide/noxide@v1\n        with:\n          binary: BINARY\n          sessions: \"one 'two words'\"\n          args: -j 2\n      \
    - if: always()\n        run: cat noxide-ci/cache.json noxide-ci/logs/one.log\n";

#[test]
fn two_machines_one_cache() {
    let fixture = Fixture::new();
    let project = &fixture.project;
    project.write(
        "noxfile.py",
        "import nox\nnox.options.default_venv_backend = 'uv'\n\
         @nox.session\ndef one(session):\n    session.install('alpha')\n    session.run('python', '-c', 'import beta')\n\
         @nox.session(name='two words', venv_backend='none')\ndef two(session): session.log('two ran')\n",
    );
    project.write(".forgejo/workflows/ci.yml", WORKFLOW.replace("BINARY", env!("CARGO_BIN_EXE_noxide")));
    project.write(".gitignore", "uv.lock\n.venv\n");
    let git = |words: &[&str]| run_checked(project.command("git").args(words));
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x"]);
    let action = project.outer_dir().join("action");
    fs_err::create_dir_all(action.join("scripts")).unwrap();
    for file in ["action.yml", "scripts/action.sh"] {
        fs_err::copy(repository().join(file), action.join(file)).unwrap();
    }

    // Another cache server than that of the other tests.
    let work = acttools("acttools-action");
    let map = format!("noxide/noxide={}", action.display());
    let run = |more: &str| run_act(&work, project.root(), &["--map", &map, more]).log;
    let cold = run("--cold");
    assert!(cold.contains("cache: uploaded 2 packages") && cold.contains("two ran"), "{cold}");
    let warm = run("--fresh-home");
    assert!(warm.contains("cache: downloaded 2 of 2 packages") && warm.contains("the Actions cache (v1)"), "{warm}");
    assert!(warm.contains("cache: uploaded nothing: nothing is new"), "{warm}");
}

/// The action's script in a project, without a noxide on PATH, and with a tool cache of the test.
fn action_script(project: &Project) -> Command {
    let mut command = Command::new("sh");
    command.arg(repository().join("scripts/action.sh")).current_dir(project.root());
    for name in ["UV_CACHE_DIR", "NOXIDE_CACHE_DIR", "GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITHUB_STEP_SUMMARY"] {
        command.env_remove(name);
    }
    command
        .env("PATH", path_of(&[&venv().join("bin")]))
        .env("HOME", project.outer_dir().join("home"))
        .env("CI", "true");
    command.env("RUNNER_TOOL_CACHE", project.outer_dir().join("tools")).env("RUNNER_TEMP", project.outer_dir());
    command.env("NOXIDE_ACTION_PATH", repository()).env("NOXIDE_ACTION_DIR", "noxide-ci").env("NOXIDE_REMOTE", "off");
    command
}

#[test]
fn the_action_installs_a_release_once() {
    let fixture = Fixture::new();
    let project = &fixture.project;
    project.write("noxfile.py", "import nox\n@nox.session(venv_backend='none')\ndef one(s): s.log('one ran')\n");
    let version = index_program_wheel(&project.outer_dir().join("index"));
    let installed = |index: &str| {
        let mut command = action_script(project);
        command
            .env("NOXIDE_ACTION_INSTALL", format!("noxide=={version}"))
            // The index of the fixture's pyproject.toml is the only one there, and has no nox.
            .env("UV_NO_CONFIG", "1")
            .env(index, format!("{}/simple", fixture._index.url));
        run_checked(&mut command)
    };
    let first = installed("UV_EXTRA_INDEX_URL");
    assert!(first.contains(&format!("installing noxide=={version}")) && first.contains("1 passed"), "{first}");
    // The fixture's index alone has no nox: nothing can be installed.
    let second = installed("UV_DEFAULT_INDEX");
    assert!(!second.contains("installing") && second.contains("1 passed"), "{second}");
}

#[test]
fn files_of_the_checkout_do_not_decide_what_the_action_installs() {
    let project = Project::empty();
    let outer = project.outer_dir().to_owned();
    let programs = outer.join("programs");
    fs_err::create_dir(&programs).unwrap();
    let log = outer.join("started");
    // They report how they are started, and install a noxide that does the same.
    let report = format!(
        "for name in ACTIONS_RUNTIME_TOKEN ACTIONS_CACHE_URL NOXIDE_S3_SECRET_ACCESS_KEY NOXIDE_CACHE_SIGNING_KEY \
         UV_PROJECT PIP_CONSTRAINT UV_FIND_LINKS PYTHONPATH; do\n\
         eval \"value=\\${{$name:-}}\"; [ -z \"$value\" ] || has=\"${{has:-}} $name\"; done\n\
         echo \"${{0##*/}}:$PWD:${{has:-}}:$*\" >> '{}'\n",
        log.display()
    );
    let noxide = outer.join("noxide");
    write_script(&noxide, &format!("#!/bin/sh\n{report}"));
    let installer = format!(
        "#!/bin/sh\n{report}[ \"$1\" != --version ] || exit 0\nfor directory; do case $directory in */noxide-action.*) break ;; esac; done\n\
         directory=${{directory%/bin/python}}; mkdir -p \"$directory/bin\"\n\
         cp '{}' \"$directory/bin/noxide\"; cp \"$0\" \"$directory/bin/python\"\n",
        noxide.display()
    );
    let secrets =
        ["ACTIONS_RUNTIME_TOKEN", "ACTIONS_CACHE_URL", "NOXIDE_S3_SECRET_ACCESS_KEY", "NOXIDE_CACHE_SIGNING_KEY"];
    for installs_with in ["uv", "python3"] {
        fs_err::remove_file(&log).ok();
        fs_err::remove_file(programs.join("uv")).ok();
        write_script(&programs.join(installs_with), &installer);
        let mut command = action_script(&project);
        for name in secrets {
            command.env(name, "secret");
        }
        command.env("UV_PROJECT", ".").env("PIP_CONSTRAINT", "c.txt").env("UV_FIND_LINKS", "wheels");
        command.env("PYTHONPATH", "src").env("RUNNER_TOOL_CACHE", outer.join(installs_with));
        command.env("NOXIDE_ACTION_INSTALL", "dist/noxide-0.2.0-py3-none-any.whl").env("RUNNER_TEMP", &outer);
        command.env("PATH", path_of(&[&programs]));
        run_checked(&mut command);
        let started = fs_err::read_to_string(&log).unwrap();
        let (installs, runs): (Vec<&str>, Vec<&str>) = started.lines().partition(|line| !line.starts_with("noxide:"));
        // A program that chooses the interpreter may read files of the working directory, also for `--version`.
        assert!(installs.iter().all(|line| line.split(':').nth(1) == Some("/")), "{started}");
        assert!(installs.iter().all(|line| line.split(':').nth(2) == Some("")), "{started}");
        let installs: Vec<&&str> = installs.iter().filter(|line| !line.ends_with(":--version")).collect();
        assert!(installs.len() == 2 && runs.len() == 1, "{started}");
        if installs_with == "python3" {
            assert!(installs.iter().all(|line| line.contains(":-I -m ")), "{started}");
        }
        let wheel = format!("{}/dist/noxide-0.2.0-py3-none-any.whl", project.root().display());
        assert!(installs[1].ends_with(&wheel), "{started}");
        assert!(secrets.iter().all(|name| runs[0].contains(name)), "noxide itself gets them: {started}");
    }
}

#[test]
fn an_action_between_releases_says_what_to_set() {
    let project = Project::empty();
    let action = project.outer_dir().join("action");
    fs_err::create_dir_all(&action).unwrap();
    fs_err::write(action.join("Cargo.toml"), "[package]\nname = \"noxide\"\nversion = \"0.2.0-dev\"\n").unwrap();
    let output = action_script(&project).env("NOXIDE_ACTION_PATH", action).finish();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && errors.contains("set the input `install`"), "{errors}");
}

#[test]
fn the_action_for_github_hands_the_cache_on() {
    if Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs node");
        return;
    }
    let project = Project::empty();
    let program = project.outer_dir().join("noxide");
    write_script(&program, "#!/bin/sh\nenv | sort\necho \"arguments: $*\"\nexit 7\n");
    let mut command = Command::new("node");
    command.arg(repository().join("github/main.js")).current_dir(project.root());
    command.env("INPUT_BINARY", &program).env("INPUT_SESSIONS", "one two").env("INPUT_DIR", "out");
    command
        .env("INPUT_REMOTE", "auto")
        .env("ACTIONS_RESULTS_URL", "http://cache")
        .env("ACTIONS_RUNTIME_TOKEN", "token");
    let output = command.finish();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{text}");
    for line in [
        "ACTIONS_RESULTS_URL=http://cache",
        "ACTIONS_RUNTIME_TOKEN=token",
        "NOXIDE_ACTION_SESSIONS=one two",
        "NOXIDE_REMOTE=auto",
        "arguments: ci --dir out",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert!(!text.contains("INPUT_"), "{text}");
}
