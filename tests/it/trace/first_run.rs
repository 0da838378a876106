//! The first run of a noxfile that was never traced: as nox runs it, one session after the other, or named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use noxide::record::{NeedOrigin, Outcome};

use super::corpus::{directory, static_program};
use crate::support::{CommandDeadline as _, NoxideRun, Project, noxide_in, rounds_from, run_checked, venv};

const HEAD: &str =
    "import nox, os, pathlib, subprocess, time\nnox.options.default_venv_backend = 'none'\nP = pathlib.Path\n";

fn project(body: &str) -> Project {
    Project::new(&format!("{HEAD}{body}"))
}

/// Removes the files that sessions made: nothing is left but the noxfile and what noxide knows.
fn remove_files(project: &Project) {
    for path in files(project).into_keys().rev() {
        let path = project.root().join(path);
        let is_directory = fs_err::symlink_metadata(&path).unwrap().is_dir();
        if is_directory { fs_err::remove_dir(path) } else { fs_err::remove_file(path) }.unwrap();
    }
}

/// The files of a project, except those of nox and noxide, with their content; links and directories by name.
fn files(project: &Project) -> BTreeMap<PathBuf, Vec<u8>> {
    let private = ["noxfile.py", ".nox", ".noxide", "__pycache__"];
    let walk = walkdir::WalkDir::new(project.root()).min_depth(1).into_iter();
    let walk = walk.filter_entry(|entry| !private.iter().any(|name| entry.file_name() == *name));
    let mut found = BTreeMap::new();
    for entry in walk.map(Result::unwrap) {
        let content = match entry.file_type() {
            kind if kind.is_symlink() => fs_err::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes(),
            kind if kind.is_file() => fs_err::read(entry.path()).unwrap(),
            _ => Vec::new(),
        };
        found.insert(entry.path().strip_prefix(project.root()).unwrap().to_path_buf(), content);
    }
    found
}

fn is_traced(project: &Project) -> bool {
    project.newest_run_dir().join("accesses").exists()
}

/// A case of the race corpus whose first session starts late, so that the second overtakes it.
fn overtaken(case: &Path) -> String {
    let text = fs_err::read_to_string(case).unwrap();
    text.replacen("def one(session):\n", "def one(session):\n    __import__('time').sleep(0.4)\n", 1)
}

/// Cases of sessions that add to what they find, so that running one again cannot give the files of one run. The run
/// names both sessions.
const NOT_REPEATABLE: [&str; 2] = ["append", "sqlite_wal"];

/// What is wrong with a first run of a case.
fn problems_of(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let prepared = || {
        let project = Project::new(text);
        let outside = project.outer_dir().join("outside");
        fs_err::create_dir(&outside).unwrap();
        (project, outside)
    };
    let environment = |command: &mut Command, outside: &Path| {
        command.env("CORPUS_STATIC", static_program()).env("CORPUS_OUTSIDE", outside).env("CORPUS_SERVICE", "9");
    };
    let (expected, outside) = prepared();
    let mut nox = expected.command(venv().join("bin/nox"));
    environment(&mut nox, &outside);
    let passes = nox.finish().status.success();
    let (learned, outside) = prepared();
    for run in ["first", "second"] {
        let mut command = noxide_in(learned.root(), &["run", "-j2"]);
        environment(&mut command, &outside);
        let ran = NoxideRun::finish(&mut command);
        let notices = ran.record().notices.join("\n");
        if (ran.exit == Some(0)) != passes {
            problems.push(format!("{name}, {run}: exit {:?}, nox passes: {passes}\n{}", ran.exit, ran.text));
        }
        let has_right_files = || files(&learned) == files(&expected);
        if run == "second" {
            if is_traced(&learned) {
                problems.push(format!("{name}: the second run is traced too: {notices}"));
            }
            let (one, two) = (ran.times("one"), ran.times("two"));
            if one.0 < two.1 && two.0 < one.1 {
                problems.push(format!("{name}: the second run does not keep them apart"));
            }
        } else if !NOT_REPEATABLE.contains(&name) && !has_right_files() {
            problems.push(format!("{name}: {:?} instead of {:?}\n{notices}", files(&learned), files(&expected)));
        } else if !(notices.contains("one") && notices.contains("two")) {
            problems.push(format!("{name}: the sessions are not named: {notices}"));
        }
        remove_files(&learned);
        let entries = fs_err::read_dir(&outside).unwrap();
        entries.for_each(|entry| fs_err::remove_file(entry.unwrap().path()).unwrap());
    }
    problems
}

#[test]
fn every_race_of_the_corpus_ends_as_in_nox_or_is_named() {
    static_program();
    let races = |case: &PathBuf| fs_err::read_to_string(case).unwrap().contains("\n# race: ");
    let entries = fs_err::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let cases: Vec<PathBuf> = entries.filter(races).collect();
    assert!(cases.len() >= 25);
    let problems = Mutex::new(BTreeSet::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let total = cases.len() * rounds_from("NOXIDE_TEST_RACES", 1, 4) as usize;
    std::thread::scope(|scope| {
        // Most of the time sessions sleep: two at once leave two CPUs idle.
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= total {
                        return;
                    }
                    let case = &cases[number % cases.len()];
                    let name = case.file_stem().unwrap().to_str().unwrap();
                    problems.lock().unwrap().extend(problems_of(name, &overtaken(case)));
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.into_iter().collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn sessions_that_do_not_race_run_once() {
    for name in ["clean_readers", "clean_own_temporary", "clean_caches", "clean_required"] {
        let text = fs_err::read_to_string(directory().join(format!("{name}.py"))).unwrap();
        let project = Project::new(&text);
        let ran = project.noxide(&["run", "-j2"]);
        assert_eq!(ran.exit, Some(0), "{name}: {}", ran.text);
        for session in &ran.record().sessions {
            assert_eq!(session.result.as_ref().unwrap().attempts.len(), 1, "{name}: {:?}", ran.record().notices);
        }
        assert!(is_traced(&project));
        assert_eq!(project.noxide(&["run", "-j2"]).exit, Some(0));
        assert!(!is_traced(&project), "{name}: later runs cost nothing");
    }
}

/// A session that overlaps with an earlier one, but uses their common file only after the end of that one, ran in order.
#[test]
fn sessions_that_use_a_file_one_after_the_other_run_once() {
    let noxfile = |one: &str, two: &str| {
        format!(
            "import nox, pathlib, time\n@nox.session(venv_backend='none')\ndef one(session):\n    time.sleep({one})\n    \
             pathlib.Path('report.xml').write_text('one')\n@nox.session(venv_backend='none')\ndef two(session):\n    {two}\n    \
             pathlib.Path('report.xml').write_text('two')\n"
        )
    };
    let wait_for_one =
        "while not list(pathlib.Path().glob('.nox/.noxide/runs/*/logs/*one*')): time.sleep(0.05)\n    time.sleep(3)";
    for (noxfile, attempts) in [(noxfile("0.2", wait_for_one), 1), (noxfile("3", "time.sleep(0.1)"), 2)] {
        let project = Project::new(&noxfile);
        let ran = project.noxide(&["run", "-j2"]);
        assert_eq!((ran.exit, ran.session("two").attempts.len()), (Some(0), attempts), "{}", ran.text);
        assert_eq!(fs_err::read_to_string(project.root().join("report.xml")).unwrap(), "two");
        let ran = project.noxide(&["run", "-j2"]);
        let (one, two) = (ran.times("one"), ran.times("two"));
        assert!(one.1 <= two.0 || two.1 <= one.0, "the second run keeps them apart: {}", ran.text);
    }
}

/// Two sessions that overlap and write the same bytes, also into a file that did not exist: the second found what the first
/// had written.
#[test]
fn sessions_that_write_the_same_bytes_run_once_and_in_parallel() {
    let project = project(
        "
def wait(path):
    until = time.monotonic() + 60
    while not P('.nox', path).exists():
        assert time.monotonic() < until
        time.sleep(0.01)

def write(own):
    P('made').mkdir(exist_ok=True)
    P('made/.gitignore').write_text('*')
    P('made', own).write_text('x')
    os.replace(P('made', own), 'made/replaced')

@nox.session
def one(session):
    write('one.new')
    P('.nox/one').touch()
    wait('two')

@nox.session
def two(session):
    wait('one')
    write('two.new')
    P('.nox/two').touch()
",
    );
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    for session in ["one", "two"] {
        assert_eq!(ran.session(session).attempts.len(), 1, "{:?}", ran.record().notices);
    }
    let learned: serde_json::Value = serde_json::from_str(&project.read(".nox/.noxide/trace/conflicts.json")).unwrap();
    assert_eq!(learned["conflicts"], serde_json::json!([]), "{learned}");
}

/// When a directory was listed is unknown: a file in it that is read later proves nothing.
#[test]
fn a_session_that_listed_the_directory_of_a_common_file_runs_again() {
    let project = Project::new(
        "import nox, pathlib, os, time\n@nox.session(venv_backend='none')\ndef one(session):\n    \
         while not os.path.exists('listed'): time.sleep(0.02)\n    pathlib.Path('d/x.txt').write_text('x')\n\
         @nox.session(venv_backend='none')\ndef two(session):\n    names = sorted(os.listdir('d'))\n    \
         pathlib.Path('listed').write_text('x')\n    time.sleep(3)\n    \
         if os.path.exists('d/x.txt'): open('d/x.txt').read()\n    pathlib.Path('names').write_text(','.join(names))\n",
    );
    project.write("d/keep.txt", "");
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!((ran.exit, ran.session("two").attempts.len()), (Some(0), 2), "{}", ran.text);
    assert_eq!(fs_err::read_to_string(project.root().join("names")).unwrap(), "keep.txt,x.txt");
}

#[test]
fn a_listing_that_does_not_matter_separates_no_sessions() {
    let project = Project::new(&overtaken(&directory().join("clean_selective_listing.py")));
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!((ran.exit, ran.session("two").attempts.len()), (Some(0), 2), "it may have missed a file: {}", ran.text);
    let ran = project.noxide(&["run", "-j2"]);
    let (one, two) = (ran.times("one"), ran.times("two"));
    assert!(one.0 < two.1 && two.0 < one.1, "they run in parallel: {}", ran.text);
}

/// `check` reads what `build` writes without saying so; `count` passes with any number of files.
const FILE_ORDER: &str = "
@nox.session
def build(session):
    time.sleep(0.5)
    P('dist').mkdir(exist_ok=True)
    P('dist/a.whl').write_text('wheel')

@nox.session
def check(session):
    assert P('dist/a.whl').read_text() == 'wheel'

@nox.session(requires=['check'])
def publish(session):
    P('published').write_text(P('dist/a.whl').read_text())

@nox.session
def count(session):
    P('count').write_text(str(len(list(P('.').glob('dist/*')))))

@nox.session(requires=['count'])
def report(session):
    P('report').write_text(P('count').read_text())
";

#[test]
fn sessions_that_rely_on_file_order_are_right_on_the_first_run() {
    for flags in [&["-j4"] as &[&str], &["-j4", "-x"], &["-j4", "--flaky-result", "fail"]] {
        let project = project(FILE_ORDER);
        let ran = project.noxide(&[&["run"], flags].concat());
        assert_eq!(ran.exit, Some(0), "{flags:?}: {}", ran.text);
        assert!(ran.outcomes().iter().all(|(_, outcome)| *outcome == Some(Outcome::Passed)), "{:?}", ran.outcomes());
        assert_eq!(
            (project.read("published"), project.read("count"), project.read("report")),
            ("wheel".into(), "1".into(), "1".into())
        );
        let (check, count) = (ran.session("check"), ran.session("count"));
        assert!(check.flaky && check.attempts.len() == 2 && check.reason.contains("dist"), "{check:?}");
        assert!(!count.flaky && count.attempts.len() == 2 && count.reason.contains("build"), "{count:?}");
        assert!(ran.session("report").attempts.len() == 2, "it read what count wrote first");
        assert_eq!(ran.session("build").attempts.len(), 1);
        // What was learned keeps their order in an untraced run from the same state.
        remove_files(&project);
        let ran = project.noxide(&["run", "-j4"]);
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        assert!(!is_traced(&project) && ran.record().notices.is_empty(), "{:?}", ran.record().notices);
        assert_eq!((project.read("published"), project.read("report")), ("wheel".into(), "1".into()));
        assert!(ran.record().sessions.iter().all(|session| session.result.as_ref().unwrap().attempts.len() == 1));
    }
}

#[test]
fn a_session_that_may_have_read_later_work_is_named() {
    let project = project(
        "
@nox.session
def early(session):
    time.sleep(0.5)
    print(P('later.txt').exists())

@nox.session
def late(session):
    P('later.txt').write_text('x')
",
    );
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    let notices = ran.record().notices.join("\n");
    assert!(notices.contains("early may have used what late wrote") && notices.contains("later.txt"), "{notices}");
    assert!(ran.text.contains("early may have used what late wrote"), "{}", ran.text);
    assert_eq!(ran.session("late").attempts.len(), 1, "nothing that it used was written by early");
    assert_eq!(project.noxide(&["run", "-j2"]).record().notices, Vec::<String>::new(), "they are kept apart now");
}

#[test]
fn a_session_that_fails_when_it_runs_again_aborts_what_requires_it() {
    let project = project(
        "
@nox.session
def early(session):
    time.sleep(0.5)
    P('bad').write_text('x')

@nox.session
def late(session):
    assert not P('bad').exists()

@nox.session(requires=['late'])
def dependent(session):
    pass
",
    );
    let ran = project.noxide(&["run", "-j3"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.text);
    assert_eq!((ran.outcome("late"), ran.outcome("dependent")), (Outcome::Failed, Outcome::Aborted), "as in nox");
}

#[test]
fn a_failure_with_another_cause_is_reported_after_the_sessions_before_it() {
    let project = project(
        "
@nox.session
def long(session):
    time.sleep(0.5)

@nox.session
def wrong(session):
    session.error('its own fault')

@nox.session(requires=['wrong'])
def dependent(session):
    pass
",
    );
    let ran = project.noxide(&["run", "-j3"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.text);
    let wrong = ran.session("wrong");
    assert_eq!(
        (wrong.outcome, wrong.attempts.len(), ran.outcome("dependent")),
        (Outcome::Aborted, 1, Outcome::Aborted)
    );
    assert!(ran.text.contains("its result waits for long"), "{}", ran.text);
    let ran = project.noxide(&["run", "-j3", "--trace", "never"]);
    assert_eq!((ran.exit, ran.record().notices.len()), (Some(1), 0), "{}", ran.text);
}

#[test]
fn modes_of_the_setting() {
    let project = project(FILE_ORDER);
    project.write("noxide.toml", "trace = 'never'\n");
    assert_eq!(project.noxide(&["run", "-j4"]).exit, Some(1), "nothing is traced");
    assert!(!is_traced(&project));
    let alone = project.noxide(&["run", "-s", "build", "--trace", "auto"]);
    assert!(alone.exit == Some(0) && !is_traced(&project), "a session alone races with nothing");
    let ran = project.noxide(&["run", "-v", "-s", "build", "check", "--trace", "auto"]);
    assert!(is_traced(&project), "{}", ran.text);
    assert!(ran.text.contains("tracing sessions for the first time: build, check"), "{}", ran.text);
}

#[test]
fn without_tracing_a_run_says_so_only_when_asked() {
    let inner = project(FILE_ORDER);
    let body = "
@nox.session
def outer(session):
    for flags, said in (([], 0), (['-v'], 1)):
        done = subprocess.run([os.environ['NOXIDE'], 'run', '-j1', *flags], cwd=os.environ['INNER'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout)
        assert done.returncode == 0 and done.stdout.count('sessions are not traced') == said
";
    let outer = project(body);
    let mut command = noxide_in(outer.root(), &["trace"]);
    command.env("NOXIDE", env!("CARGO_BIN_EXE_noxide")).env("INNER", inner.root());
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn a_noxfile_that_leaves_a_thread_is_said_to_be_imported_again() {
    let thread = "import threading\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n";
    let project = project(&format!("{thread}{FILE_ORDER}"));
    let ran = project.noxide(&["run", "-j1"]);
    let notices = ran.record().notices.join("\n");
    assert!(notices.contains("leaves threads running") && notices.contains("once for each session"), "{notices}");
}

#[test]
fn a_fresh_ci_checkout_knows_what_another_one_learned() {
    let noxfile = "
import nox, pathlib, time
nox.options.default_venv_backend = 'virtualenv'

@nox.session
def build(session):
    session.install('--help')
    time.sleep(0.5)
    pathlib.Path('dist').mkdir(exist_ok=True)
    pathlib.Path('dist/a.whl').write_text('wheel')

@nox.session
def check(session):
    session.install('--help')
    assert pathlib.Path('dist/a.whl').exists()
";
    let home = tempfile::tempdir().unwrap();
    let run = || {
        let project = Project::new(noxfile);
        project.write("pyproject.toml", "[project]\nname = 'travels'\nversion = '1'\n");
        let mut command = noxide_in(project.root(), &["run", "-j2"]);
        let ran = NoxideRun::finish(command.env("CI", "1").env("NOXIDE_CACHE_DIR", home.path()));
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        (project, ran)
    };
    let (first, ran) = run();
    assert!(is_traced(&first) && ran.session("check").attempts.len() == 2, "{}", ran.text);
    let (second, ran) = run();
    assert!(!is_traced(&second) && ran.session("check").attempts.len() == 1, "{}", ran.text);
    assert!(ran.times("build").1 <= ran.times("check").0, "{}", ran.text);
    let need = &ran.record().sessions[1].spec.needs[0];
    assert!(matches!(&need.origin, NeedOrigin::Trace { path } if path.starts_with("dist")), "{need:?}");
}

/// A program that changes its user, as `sudo` does, fails where its setuid bit has no effect.
#[test]
fn a_session_that_needs_a_setuid_program_runs_untraced_and_is_remembered() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tried: only root can make such a program");
        return;
    }
    let project = project(
        "
@nox.session
def privileged(session):
    session.run('../elevate', external=True)

@nox.session
def plain(session):
    P('plain.txt').write_text('x')
",
    );
    let source = project.outer_dir().join("elevate.c");
    fs_err::write(&source, "#include <unistd.h>\nint main(void) { return geteuid() == 0 ? 0 : 3; }\n").unwrap();
    let program = project.outer_dir().join("elevate");
    run_checked(Command::new("cc").arg("-o").arg(&program).arg(&source));
    fs_err::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs_err::set_permissions(project.root(), everyone).unwrap();
    let home = project.outer_dir().join("home");
    fs_err::create_dir(&home).unwrap();
    fs_err::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let run = |flags: &[&str]| {
        let noxide = noxide_in(project.root(), &[&["run", "-j2"], flags].concat());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(noxide.get_program()).args(noxide.get_args()).current_dir(project.root());
        for (name, value) in noxide.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("HOME", &home).env("NOXIDE_CACHE_DIR", home.join("cache")).env("TMPDIR", &home);
        NoxideRun::finish(&mut command)
    };
    let untraced = run(&["--trace", "never"]);
    if untraced.exit != Some(0) {
        eprintln!("not tried: another user cannot run the tests' tools here: {}", untraced.text);
        return;
    }
    let first = run(&["--flaky-result", "fail"]);
    assert_eq!(first.exit, Some(0), "{}", first.text);
    let privileged = first.session("privileged");
    assert!(!privileged.flaky && privileged.attempts.len() == 2, "{privileged:?}");
    assert!(
        privileged.reason.contains("elevate, whose setuid bit or capabilities have no effect while it is traced"),
        "{privileged:?}"
    );
    for flags in [&[] as &[&str], &["--trace", "always"]] {
        let next = run(flags);
        assert_eq!((next.exit, next.session("privileged").attempts.len()), (Some(0), 1), "{}", next.text);
    }
}
