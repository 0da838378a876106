//! Hostile files of a project, a cache or another runner: every command ends, and no runner reads a log as commands.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use rustix::process::Signal;

use crate::support::{NoxideRun, Project, RunningNoxide, noxide_command, python, run_checked};

const TWO: &str = "@nox.session(venv_backend='none')\ndef one(session): pass\n\
                   @nox.session(venv_backend='none')\ndef two(session): pass\n";

/// Results of traces come from a cache, which may contain anything.
#[test]
fn learned_conflicts_never_make_a_run_wait_for_itself() {
    let project = Project::with_sessions(TWO);
    assert_eq!(project.noxide(&["run", "-j2", "--trace", "always"]).exit, Some(0));
    let path = project.root().join(".nox/.noxide/trace/conflicts.json");
    let known: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    for pairs in [vec![("one", "one")], vec![("two", "one")], vec![("one", "two"), ("two", "one")], vec![("x", "one")]]
    {
        for separation in ["order", "lock"] {
            let conflict = |(first, second): &(&str, &str)| serde_json::json!({ "first": first, "second": second, "separation": separation, "path": "x" });
            let mut document = known.clone();
            document["conflicts"] = pairs.iter().map(conflict).collect();
            fs_err::write(&path, document.to_string()).unwrap();
            let ran = project.noxide(&["run", "-j2"]);
            assert_eq!(ran.exit, Some(0), "{pairs:?} {separation}: {}", ran.text);
        }
    }
    // A link to a device without an end.
    fs_err::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(project.noxide(&["run", "-j2"]).exit, Some(0));
}

#[test]
fn logs_and_reports_reach_a_runner_without_commands() {
    let project = Project::with_sessions(
        "@nox.session(venv_backend='none')\ndef bad(session):\n    \
         print('::add-path::/evil\\n##[add-path]/evil\\n  ::set-env name=A::b', flush=True)\n    session.error('no')\n",
    );
    assert_eq!(project.noxide(&["run"]).exit, Some(1));
    for command in [
        "logs --failed",
        "logs bad",
        "logs bad --follow",
        "report --format markdown",
        "report --format text",
        "report --format html -o -",
    ] {
        let mut noxide = noxide_command(&project, command);
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true"));
        let mut are_stopped = false;
        for line in ran.stdout.lines() {
            are_stopped |= line.starts_with("::stop-commands::");
            let is_command = line.trim_start().starts_with("::add-path") || line.trim_start().starts_with("::set-env");
            assert!(!is_command || are_stopped, "{command}: {}", ran.stdout);
            assert!(!line.starts_with("##["), "{command}: {}", ran.stdout);
        }
        assert!(ran.stdout.contains("evil") || command.ends_with("text"), "{command}: {}", ran.stdout);
    }
}

const WORKFLOW: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    timeout-minutes: 9\n    steps:\n      \
                        - uses: actions/checkout@v6\n      - run: pipx run nox==2026.1.1 -s one\n";

#[test]
fn an_audit_of_special_files_and_endless_noxfiles_ends() {
    let project = Project::with_sessions(TWO);
    project.write(".github/workflows/ci.yml", WORKFLOW);
    let audit = || project.noxide(&["audit", "--fail-on", "never"]);
    assert_eq!(audit().exit, Some(0));
    for name in ["uv.toml", ".pre-commit-config.yaml"] {
        let path = project.root().join(name);
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(audit().exit, Some(0), "{name}");
        fs_err::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert_eq!(audit().exit, Some(0), "{name}");
        fs_err::remove_file(&path).unwrap();
    }
    // A directory outside of the project.
    fs_err::create_dir_all(project.root().join(".github/actions")).unwrap();
    symlink("/", project.root().join(".github/actions/root")).unwrap();
    assert_eq!(audit().exit, Some(0));
    // Functions that call each other 2^40 times.
    let mut functions = String::from("import nox\n");
    for number in 0..40 {
        functions += &format!("def f{number}(s):\n    f{0}(s)\n    f{0}(s)\n", number + 1);
    }
    functions += "def f40(s): s.run('x')\n@nox.session\ndef one(session): f0(session)\n";
    project.write("noxfile.py", &functions);
    assert_eq!(audit().exit, Some(0));
}

#[test]
fn init_writes_through_no_link_out_of_the_project() {
    let project = Project::with_sessions(TWO);
    let outside = project.outer_dir().join("outside");
    fs_err::create_dir_all(&outside).unwrap();
    symlink(&outside, project.root().join(".forgejo")).unwrap();
    let ran = project.noxide(&["init", "--new", "--forge", "forgejo", "--install", "noxide==1.0.0"]);
    assert!(ran.exit == Some(3) && ran.text.contains("leads out of the project"), "{}", ran.text);
    let files = walkdir::WalkDir::new(&outside).into_iter().map(Result::unwrap);
    assert_eq!(files.filter(|entry| entry.file_type().is_file()).count(), 0);
}

/// Compiled code of the host in a cache that another user can write to.
#[test]
fn code_that_another_user_could_have_written_is_not_executed() {
    let project = Project::with_sessions(TWO);
    let cache = project.outer_dir().join("cache");
    let list = |umask: &str| {
        let noxide = noxide_command(&project, "list");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" list"), env!("CARGO_BIN_EXE_noxide")]);
        for (name, value) in noxide.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let ran = NoxideRun::finish(shell.current_dir(project.root()).env("NOXIDE_CACHE_DIR", &cache));
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
    };
    let mode = |path: &std::path::Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    list("000");
    let code = fs_err::read_dir(cache.join("host")).unwrap().next().unwrap().unwrap().path();
    assert_eq!([&cache, &cache.join("host"), &code].map(|path| mode(path) & 0o022), [0; 3], "the umask is 000");
    // Valid code with a valid checksum, as another user could write it.
    let marker = project.outer_dir().join("executed");
    let script = "import _imp, marshal, sys; data = marshal.dumps(compile('open(%r, \"w\")' % sys.argv[2], 'x', 'exec')); \
                  open(sys.argv[1], 'wb').write(_imp.source_hash(0, data) + data)";
    run_checked(std::process::Command::new(python()).args(["-c", script]).arg(&code).arg(&marker));
    for path in [&cache, &cache.join("host"), &code] {
        let before = fs_err::metadata(path).unwrap().permissions();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode(path) | 0o020)).unwrap();
        let hostile = fs_err::read(&code).unwrap();
        list("022");
        assert!(!marker.exists(), "{}", path.display());
        fs_err::write(&code, hostile).unwrap();
        fs_err::set_permissions(path, before).unwrap();
    }
}

#[test]
fn a_killed_run_is_not_merged_as_the_run_before_it() {
    let project = Project::with_sessions(
        "@nox.session(venv_backend='none')\ndef one(session):\n    if os.path.exists('wait'):\n        \
         pathlib.Path('up').write_text('x')\n        time.sleep(60)\n",
    );
    assert_eq!(project.noxide(&["run"]).exit, Some(0));
    project.write("wait", "");
    let run = RunningNoxide::start(&project, &[]);
    run.wait_for_file("up");
    let target = project.outer_dir().join("merged");
    let merge = || project.noxide(&["merge", ".nox/.noxide", "download", "--dir", target.to_str().unwrap()]);
    project.write("download/readme", "");
    let merged = merge();
    assert_eq!(merged.exit, Some(0), "noxide still runs the newest one: {}", merged.text);
    run.signal(Signal::KILL);
    run.finish();
    // Files of that name that are no run.
    project.write("download/logs/events.jsonl", "{\"event\": \"login\"}\n");
    project.write("download/events.jsonl", "");
    let merged = merge();
    assert_eq!(merged.exit, Some(1), "{}", merged.text);
    // The next run ends what is left of it.
    fs_err::remove_file(project.root().join("wait")).unwrap();
    assert_eq!(project.noxide(&["run"]).exit, Some(0));
}

#[test]
fn names_and_shared_resources_of_a_record_have_limits() {
    let project = Project::with_sessions(TWO);
    assert_eq!(project.noxide(&["run"]).exit, Some(0));
    let run = project.newest_run_dir();
    let record: serde_json::Value = serde_json::from_slice(&fs_err::read(run.join("record.json")).unwrap()).unwrap();
    let path = project.outer_dir().join("record.json");
    let report = |document: &serde_json::Value| {
        fs_err::write(&path, document.to_string()).unwrap();
        project.noxide(&["report", path.to_str().unwrap(), "--format", "text"])
    };
    assert_eq!(report(&record).exit, Some(0));
    let mut long = record.clone();
    long["root"] = "x".repeat(70_000).into();
    let ran = report(&long);
    assert!(ran.exit == Some(2) && ran.text.contains("a name has 70000 bytes"), "{}", ran.text);
    let mut many = record;
    let used = serde_json::json!({
        "kind": "port", "target": "1", "mode": "exclusive", "key": "", "until_end": false, "command": "x"
    });
    let uses: Vec<_> = (0..100_001).map(|_| used.clone()).collect();
    many["sessions"][0]["result"]["resources"] = serde_json::json!({ "definition": "x", "uses": uses });
    let ran = report(&many);
    assert!(ran.exit == Some(2) && ran.text.contains("resources.uses have 100001 items"), "{}", ran.text);
}

#[test]
fn a_junit_file_that_is_listed_often_is_merged_once() {
    let project = Project::with_sessions(
        "@nox.session(venv_backend='none')\ndef one(session):\n    \
         pathlib.Path('a.xml').write_text(\"<testsuite name='s'><testcase name='a'/></testsuite>\")\n",
    );
    project.write("noxide.toml", "[sessions.one]\nartifacts = ['*.xml']\n");
    assert_eq!(project.noxide(&["run"]).exit, Some(0));
    let lists = walkdir::WalkDir::new(project.newest_run_dir()).into_iter().map(Result::unwrap);
    let list = lists.map(|entry| entry.path().to_owned()).find(|path| path.ends_with("artifacts.json")).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&fs_err::read(&list).unwrap()).unwrap();
    let files = document["files"].as_array_mut().unwrap();
    files.extend(vec![files[0].clone(); 999]);
    fs_err::write(&list, document.to_string()).unwrap();
    let (target, junit) = (project.outer_dir().join("merged"), project.outer_dir().join("junit.xml"));
    let [target, report] = [&target, &junit].map(|path| path.to_str().unwrap());
    let ran = project.noxide(&["merge", ".nox/.noxide", "--dir", target, "--junit", report]);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    assert_eq!(fs_err::read_to_string(junit).unwrap().matches("<testcase name=\"a\"").count(), 1);
}

/// The run that is replayed may be that of another runner, whose sessions knew its identifier.
#[test]
fn a_replayed_log_ends_no_section_of_stopped_commands() {
    let project = Project::with_sessions(
        "@nox.session(venv_backend='none')\ndef bad(session):\n    run = os.environ['NOXIDE_RUN']\n    \
         print(f'::{run}::\\n::add-path::/evil\\n::add-mask::success\\n::error::no', flush=True)\n    session.error('no')\n",
    );
    assert_eq!(project.noxide(&["run"]).exit, Some(1));
    let target = project.outer_dir().join("merged");
    let merge = format!("merge .nox/.noxide --dir {}", target.display());
    for command in ["replay", "replay --output stream", "replay --output labelled", "logs bad", &merge] {
        let mut noxide = noxide_command(&project, command);
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true"));
        let mut end = None;
        for line in ran.stdout.lines() {
            if let Some(token) = line.strip_prefix("::stop-commands::") {
                end = Some(format!("::{token}::"));
            } else if end.as_deref() == Some(line) {
                end = None;
            }
            let is_command = ["::add-path", "::add-mask", "::error::no"].iter().any(|start| line.starts_with(start));
            assert!(!is_command || end.is_some(), "{command}: {}", ran.stdout);
        }
    }
}

/// A link in a directory in which everyone can create files may be that of another user, as may a directory.
#[test]
fn a_cache_directory_that_may_belong_to_another_user_is_not_used() {
    let project = Project::with_sessions(TWO);
    let (shared, other) = (project.outer_dir().join("shared"), project.outer_dir().join("other"));
    fs_err::create_dir_all(&shared).unwrap();
    fs_err::create_dir_all(other.join("nox")).unwrap();
    fs_err::set_permissions(&shared, std::fs::Permissions::from_mode(0o1777)).unwrap();
    symlink(&other, shared.join("cache")).unwrap();
    let run = |cache: &std::path::Path, command: &str| {
        NoxideRun::finish(noxide_command(&project, command).env("NOXIDE_CACHE_DIR", cache))
    };
    for cache in [shared.join("cache"), shared.join("cache/nox")] {
        assert_eq!(run(&cache, "list").exit, Some(0));
        let status = run(&cache, "cache status");
        assert!(status.exit == Some(3) && status.text.contains("may belong to another user"), "{}", status.text);
    }
    assert_eq!(walkdir::WalkDir::new(&other).into_iter().count(), 2, "nothing was written through the link");
    // One of this user's own is used.
    assert_eq!(run(&shared.join("own"), "cache status").exit, Some(0));
    assert!(shared.join("own/store").is_dir());
}

/// A pull request can contain links to any file of the machine that audits it.
#[test]
fn an_audit_prints_no_line_of_a_file_outside_of_the_project() {
    let project = Project::with_sessions(TWO);
    run_checked(project.command("git").args(["init", "-q"]));
    let git_config = project.root().join(".git/config");
    fs_err::write(&git_config, "[http]\n\textraheader = SECRET\n").unwrap();
    let mut targets = vec![git_config];
    for (name, text) in [("credentials", "[default]\nkey = SECRET\n"), ("hosts.yml", "host:\n  SECRET: SECRET\n")] {
        let path = project.outer_dir().join(name);
        fs_err::write(&path, text).unwrap();
        targets.push(path);
    }
    project.write(".github/workflows/a.yml", WORKFLOW);
    let noxfile = project.read("noxfile.py");
    for target in &targets {
        for file in [".github/workflows/b.yml", "action.yml", "noxfile.py", "noxide.toml", "pyproject.toml"] {
            fs_err::remove_file(project.root().join(file)).ok();
            symlink(target, project.root().join(file)).unwrap();
            for arguments in
                ["audit --pedantic", "audit --diff --unsafe-fixes", "audit .github/workflows", "run --dry-run"]
            {
                // A run executes the noxfile and shows its errors.
                if arguments.starts_with("run") && !file.ends_with(".toml") {
                    continue;
                }
                let ran = NoxideRun::finish(&mut noxide_command(&project, arguments));
                assert!(!ran.text.contains("SECRET"), "{arguments} with {file}: {}", ran.text);
                let is_workflow = file.ends_with(".yml") && arguments == "audit --pedantic";
                let is_named = ran.text.contains("is a link out of the project");
                assert!(is_named || !(file.ends_with(".toml") || is_workflow), "{arguments}, {file}: {}", ran.text);
            }
            fs_err::remove_file(project.root().join(file)).unwrap();
        }
        project.write("noxfile.py", &noxfile);
    }
    // A link within the repository is read.
    project.write("shared/a.yml", WORKFLOW);
    symlink("../../shared/a.yml", project.root().join(".github/workflows/c.yml")).unwrap();
    let ran = project.noxide(&["audit", "--pedantic"]);
    assert!(ran.text.contains(".github/workflows/c.yml:") && !ran.text.contains("out of the project"), "{}", ran.text);
}

#[test]
fn no_value_of_settings_behind_a_link_out_of_the_project_is_shown() {
    let project = Project::with_sessions(TWO);
    project.write(".github/workflows/a.yml", WORKFLOW);
    let target = project.outer_dir().join("settings.toml");
    symlink(&target, project.root().join("noxide.toml")).unwrap();
    for (text, arguments, problem) in [
        ("[audit.rules.SECRET]\ndisable = true\n", "audit", "noxide.toml is a link out of the project"),
        ("[audit]\nbaseline = \"SECRET.json\"\n", "audit", "the baseline of the settings"),
        ("[audit]\nbaseline = \"../SECRET.json\"\n", "audit --fix", "the baseline of the settings"),
        ("[audit]\nbaseline = \"SECRET/a.json\"\n", "audit --write-baseline", "the baseline of the settings"),
    ] {
        fs_err::write(&target, text).unwrap();
        let ran = NoxideRun::finish(&mut noxide_command(&project, arguments));
        assert!(ran.text.contains(problem) && !ran.text.contains("SECRET"), "{arguments}, {text}: {}", ran.text);
    }
}

#[test]
fn a_baseline_of_the_settings_is_written_in_the_project_only() {
    let project = Project::with_sessions(TWO);
    project.write(".github/workflows/a.yml", WORKFLOW);
    let outside = project.outer_dir().join("profile");
    fs_err::write(&outside, "precious").unwrap();
    run_checked(project.command("git").args(["init", "-q"]));
    symlink(project.outer_dir(), project.root().join("link")).unwrap();
    for path in [outside.to_str().unwrap(), "../profile", "new/../../profile", "link/profile"] {
        project.write("noxide.toml", format!("[audit]\nbaseline = '{path}'\n"));
        let ran = project.noxide(&["audit", "--write-baseline"]);
        assert!(ran.exit == Some(3) && ran.text.contains("is outside of the project"), "{path}: {}", ran.text);
        assert_eq!(fs_err::read_to_string(&outside).unwrap(), "precious", "{path}");
    }
    project.write("noxide.toml", "[audit]\nbaseline = 'baseline.json'\n");
    assert_eq!(project.noxide(&["audit", "--write-baseline"]).exit, Some(0));
    assert_eq!(project.noxide(&["audit", "--write-baseline", "--baseline", "../new.json"]).exit, Some(0));
    assert!(project.root().join("baseline.json").exists() && project.outer_dir().join("new.json").exists());
}

#[test]
fn an_audit_of_many_jobs_ends() {
    let project = Project::with_sessions(TWO);
    let workflow = |jobs: usize, needs: &dyn Fn(usize) -> std::ops::Range<usize>| {
        let job = |number: usize| {
            let needs: Vec<String> = needs(number).map(|need| format!("j{need}")).collect();
            format!(
                "  j{number}:\n    needs: [{}]\n    runs-on: x\n    steps: [{{run: nox -s one}}]\n",
                needs.join(", ")
            )
        };
        let jobs: String = (0..jobs).map(job).collect();
        project.write(".github/workflows/a.yml", format!("on: push\njobs:\n{jobs}"));
    };
    workflow(200, &|number| number.saturating_sub(30)..number);
    for arguments in [&["audit"][..], &["audit", "--inventory"]] {
        let ran = project.noxide(arguments);
        assert!(matches!(ran.exit, Some(0 | 1)), "{}", ran.text);
    }
    workflow(25, &|number| 0..number);
    assert!(matches!(project.noxide(&["audit", "--diff", "--unsafe-fixes"]).exit, Some(0 | 1)));
    workflow(501, &|_| 0..0);
    let ran = project.noxide(&["audit"]);
    assert!(ran.exit == Some(1) && ran.text.contains("more than 500 jobs"), "{}", ran.text);
}
