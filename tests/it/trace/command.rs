//! `noxide trace` and `noxide run --trace`: races reported, written as settings, separated, and retried alone.

use std::process::Command;

use noxide::record::Outcome;

use crate::support::{NoxideRun, Project, noxide_in};

const HEAD: &str =
    "import nox, os, pathlib, subprocess, time\nnox.options.default_venv_backend = 'none'\nP = pathlib.Path\n";

/// Two sessions that append to one file, one that reads a file of the first, one that does nothing.
const RACERS: &str = "
@nox.session
def unit(session):
    open('log.txt', 'a').write('unit')
    P('made.txt').write_text(str(time.time()))

@nox.session
def integration(session):
    open('log.txt', 'a').write('integration')

@nox.session
def report(session):
    print(P('made.txt').read_text())

@nox.session
def benchmark(session):
    pass
";

fn project(body: &str) -> Project {
    Project::new(&format!("{HEAD}{body}"))
}

#[test]
fn advice_is_written_into_the_settings_file_and_verified() {
    let project = project(RACERS);
    let before = "# ours\n[tool.ruff]\nline-length = 100   # odd\n\n[tool.noxide]\njobs = 2\n";
    project.write("pyproject.toml", before);
    let ran = project.noxide(&["trace", "--check"]);
    assert_eq!(ran.exit, Some(1), "{}\n{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.stdout, @r#"
    unit and integration
      write–write: log.txt
        unit creates (python), integration writes (python)

    unit and report
      read–write: made.txt
        unit creates (python), report reads

    Add to pyproject.toml, or run `noxide trace --apply`:

        [tool.noxide.sessions.unit]
        locks = ["log-txt"]

        [tool.noxide.sessions.integration]
        locks = ["log-txt"]

        [tool.noxide.sessions.report]
        after = ["unit"]

        [tool.noxide.sessions.benchmark]
        exclusive = true

    Or declare in the noxfile which sessions need the output of others:

        report: requires=["unit"]  # made.txt

    4 sessions traced: 2 conflicts
    "#);
    assert_eq!(project.read("pyproject.toml"), before, "--check writes nothing");
    let graph = project.noxide(&["graph"]);
    assert!(
        graph.stdout.contains("lock trace log.txt") && graph.stdout.contains("trace: made.txt"),
        "{}",
        graph.stdout
    );
    let never = project.noxide(&["run", "--dry-run", "--trace", "never", "--format", "json"]);
    assert!(!never.stdout.contains("log.txt"), "{}", never.stdout);
    let ran = project.noxide(&["trace", "--apply"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let after = project.read("pyproject.toml");
    assert!(after.starts_with(before), "{after}");
    for line in ["[tool.noxide.sessions.unit]", "locks = [\"log-txt\"]", "after = [\"unit\"]", "exclusive = true"] {
        assert!(after.contains(line), "{line}: {after}");
    }
    let ran = project.noxide(&["trace", "--check"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("unit and integration  (lock log-txt)"), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("4 sessions traced: no new conflicts; 1 conflict is already prevented\n"),
        "{}",
        ran.stdout
    );
    let again = project.noxide(&["trace", "--apply", "-v"]);
    assert!(again.stderr.contains("no settings to write"), "{}", again.stderr);
    assert_eq!(project.read("pyproject.toml"), after);
}

#[test]
fn a_settings_file_is_created_unless_existing_settings_are_invalid() {
    let own = project(RACERS);
    let ran = own.noxide(&["trace", "--apply", "-s", "unit", "integration"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(own.read("noxide.toml").starts_with("[sessions.unit]\nlocks = [\"log-txt\"]\n"));
    let odd = project(RACERS);
    odd.write("pyproject.toml", "tool = {}\n");
    let ran = odd.noxide(&["trace", "--apply", "-s", "unit", "integration"]);
    assert!(ran.exit == Some(0) && odd.read("pyproject.toml").contains("log-txt"), "{}", odd.read("pyproject.toml"));
    let ran = own.noxide(&["trace", "-k", "nothing and fits"]);
    assert_ne!(ran.exit, Some(0), "{}", ran.stderr);
}

#[test]
fn a_failed_session_and_an_incomplete_trace_are_reported() {
    let blind = "
@nox.session
def blind(session):
    import ctypes
    ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(256))
";
    let project =
        project(&format!("{blind}\n@nox.session(default=False)\ndef bad(session):\n    session.error('no')\n"));
    let ran = project.noxide(&["trace", "--check"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("the trace of blind is incomplete\n  it uses io_uring"), "{}", ran.stdout);
    assert_eq!(project.noxide(&["trace"]).exit, Some(0));
    assert_eq!(project.noxide(&["trace", "-s", "bad"]).exit, Some(1));
    let learned: serde_json::Value = serde_json::from_str(&project.read(".nox/.noxide/trace/conflicts.json")).unwrap();
    let known: Vec<&String> = learned["session_digests"].as_object().unwrap().keys().collect();
    assert_eq!(known, ["blind"], "a session that failed is traced again");
}

/// Each writes its name; the first fails where the second wrote meanwhile, which it cannot when it runs alone.
const RACE: &str = "
def wait(path):
    until = time.monotonic() + 60
    while not P(path).exists():
        assert time.monotonic() < until
        time.sleep(0.01)

@nox.session
def one(session):
    P('value').write_text('one')
    P('one.ready').touch()
    wait('two.ready')
    assert P('value').read_text() == 'one'

@nox.session
def two(session):
    wait('one.ready')
    P('value').write_text('two')
    P('two.ready').touch()
";

#[test]
fn a_racing_session_is_retried_alone_and_named() {
    let project = project(RACE);
    let ran = project.noxide(&["run", "-j2", "--trace", "always", "--flaky-result", "fail"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let record = ran.record();
    let one = record.sessions[0].result.as_ref().unwrap();
    assert_eq!((one.outcome, one.attempts.len(), one.flaky), (Outcome::Passed, 2, true));
    assert!(one.reason.contains("raced with two on ") && one.reason.contains("ran alone"), "{}", one.reason);
    assert!(record.notices.iter().any(|notice| notice.contains("one failed and raced with two")), "{record:?}");
    let graph = project.noxide(&["graph"]);
    assert!(graph.stdout.contains("lock trace "), "{}", graph.stdout);
    // The learned conflict keeps them apart in an untraced run.
    for name in ["one.ready", "two.ready"] {
        project.write(name, "");
    }
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.times("one").1 <= ran.times("two").0 || ran.times("two").1 <= ran.times("one").0);
    let directory = project.root().join(".nox/.noxide/runs").join(&ran.record().run_id);
    assert!(!directory.join("accesses").exists(), "an untraced run");
}

#[test]
fn changed_sessions_are_traced_again() {
    let project = project(RACERS);
    assert_eq!(project.noxide(&["trace"]).exit, Some(0));
    let text = project.read("noxfile.py").replace("write('integration')", "write('more')");
    project.write("noxfile.py", text);
    let ran = project.noxide(&["run"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let notices = |ran: &NoxideRun| ran.record().notices.join("\n");
    assert!(
        notices(&ran).contains("tracing sessions that changed since their last trace: integration"),
        "{}",
        notices(&ran)
    );
    let ran = project.noxide(&["run"]);
    assert_eq!(notices(&ran), "", "it is known again");
    let ran = project.noxide(&["run", "-s", "unit", "report", "--", "argument"]);
    assert!(notices(&ran).contains("tracing sessions that changed"), "{}", notices(&ran));
}

#[test]
fn a_trace_inside_a_trace_says_that_it_cannot() {
    let inner = project(RACERS);
    let body = "
@nox.session
def outer(session):
    done = subprocess.run([os.environ['NOXIDE'], 'trace'], cwd=os.environ['INNER'], capture_output=True, text=True)
    print(done.stderr)
    assert done.returncode == 3 and 'seccomp listener' in done.stderr
    done = subprocess.run([os.environ['NOXIDE'], 'run', '--trace', 'always', '-s', 'unit'], cwd=os.environ['INNER'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0 and 'sessions are not traced' in done.stdout
";
    let outer = project(body);
    let mut command = noxide_in(outer.root(), &["trace"]);
    command.env("NOXIDE", env!("CARGO_BIN_EXE_noxide")).env("INNER", inner.root());
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn sessions_in_processes_of_their_own_are_traced() {
    let thread = "import threading\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n";
    let project = project(&format!("{thread}{RACERS}"));
    let ran = project.noxide(&["trace", "--check", "-s", "unit", "integration"]);
    assert_eq!(ran.exit, Some(1), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("write–write: log.txt") && !ran.stdout.contains("incomplete"), "{}", ran.stdout);
}

#[test]
fn tracing_needs_no_root() {
    if !rustix::process::getuid().is_root() {
        return; // all other tests of this file ran without
    }
    let project = project(RACERS);
    let noxide = noxide_in(project.root(), &["trace", "--check", "-s", "unit", "integration"]);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]);
    command.arg(noxide.get_program()).args(noxide.get_args()).current_dir(project.root());
    for (name, value) in noxide.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(1), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("write–write: log.txt") && !ran.stdout.contains("incomplete"), "{}", ran.stdout);
}
