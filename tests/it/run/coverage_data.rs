//! Coverage data of sessions that run at the same time: equal to what sequential nox measures and leaves.

use std::path::Path;
use std::process::Command;

use crate::support::{CommandDeadline as _, NoxideRun, Project, noxide_command, venv};

/// Programs of ten lines of which each session runs another number, and a way to meet.
const HEAD: &str = "import json
P = pathlib.Path
def wait(name):
    until = time.monotonic() + 60
    while not P(name).exists():
        assert time.monotonic() < until, name
        time.sleep(0.02)
def meet(name, *others):
    P(name).touch()
    for other in others: wait(other)
def total(session):
    return session.run('coverage', 'report', '--format=total', external=True, silent=True).split()[-1]
";

fn project(sessions: &str) -> Project {
    let project = Project::with_sessions(&format!("{HEAD}{sessions}"));
    let lines: String = (1..10).map(|number| format!("if sys.argv[1] > '{number}':\n    print({number})\n")).collect();
    project.write("work.py", format!("import sys\n{lines}"));
    project.write("pyproject.toml", "[tool.coverage.run]\nbranch = false\n");
    project
}

fn run(project: &Project, arguments: &str) -> NoxideRun {
    let ran = NoxideRun::finish(&mut noxide_command(project, &format!("run --trace never {arguments}")));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    ran
}

/// The coverage files in a directory, and the percentage of the data in `.coverage`.
fn left(root: &Path) -> (Vec<String>, String) {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".coverage"))
        .collect();
    names.sort();
    let output =
        Command::new(venv().join("bin/coverage")).args(["report", "--format=total"]).current_dir(root).finish();
    (names, String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn nox(project: &Project) {
    let output = project.command(venv().join("bin/nox")).finish();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Deletes what a run left, so that the next one starts from a clean tree.
fn clean(project: &Project) {
    for entry in std::fs::read_dir(project.root()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(".coverage") && name != ".coveragerc" || name.starts_with("at-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn session(name: &str, body: &str) -> String {
    format!("@nox.session\ndef {name}(session):\n    {}\n", body.trim().replace('\n', "\n    "))
}

#[test]
fn sessions_that_measure_and_report_run_at_once_with_right_totals() {
    let names = ["a", "b", "c", "d"];
    let sessions: String = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let others: Vec<String> = names.iter().map(|other| format!("'at-{other}'")).collect();
            let body = format!(
                "session.run('coverage', 'run', 'work.py', '{index}', external=True, silent=True)\n\
                 if os.environ.get('NOXIDE_RUN') and not session.posargs: meet('at-{name}', {})\n\
                 print('total', total(session))",
                others.join(", ")
            );
            session(name, &body)
        })
        .collect();
    let project = project(&sessions);
    nox(&project);
    let sequential = left(project.root());
    clean(&project);
    run(&project, "-j 4");
    assert_eq!(left(project.root()), sequential, "the last session in nox's order leaves its data");
    let totals = names.map(|name| {
        let log = project.session_log(name);
        log.lines().find_map(|line| line.strip_prefix("total ")).unwrap_or_else(|| panic!("{log}")).to_owned()
    });
    assert_eq!(totals, ["53", "53", "58", "63"].map(str::to_owned));
    let graph = NoxideRun::finish(&mut noxide_command(&project, "graph"));
    assert!(!graph.stdout.contains("lock"), "{}", graph.stdout);
    // Sessions that end in the opposite order leave the same.
    clean(&project);
    run(&project, "-j 1 -- alone");
    assert_eq!(left(project.root()), sequential);
}

#[test]
fn sessions_that_do_not_measure_without_arguments_overlap() {
    let body = |name: &str, other: &str| {
        format!(
            "if session.posargs and session.posargs[0] == 'coverage':\n    \
             session.run('coverage', 'run', 'work.py', '5', external=True)\n\
             else:\n    session.run('python', 'work.py', '5', external=True)\n    meet('at-{name}', 'at-{other}')"
        )
    };
    let project = project(&(session("one", &body("one", "two")) + &session("two", &body("two", "one"))));
    run(&project, "-j 2");
    let graph = NoxideRun::finish(&mut noxide_command(&project, "graph"));
    assert!(!graph.stdout.contains("lock"), "{}", graph.stdout);
    assert_eq!(left(project.root()).0, Vec::<String>::new());
    run(&project, "-j 2 -- coverage");
    assert_eq!(left(project.root()), (vec![".coverage".to_owned()], "74".to_owned()));
}

#[test]
fn a_session_that_combines_finds_the_data_of_all_others() {
    let write = |name: &str, number: u32, other: &str| {
        session(
            name,
            &format!(
                "session.run('coverage', 'run', '-p', 'work.py', '{number}', external=True)\n\
                 if os.environ.get('NOXIDE_RUN'): meet('at-{name}', 'at-{other}')"
            ),
        )
    };
    let report = "assert len(list(P().glob('.coverage.*'))) == 2\n\
                  print(session.run('coverage', 'combine', external=True, silent=True))\nprint('total', total(session))";
    let project = project(&(write("one", 2, "two") + &write("two", 5, "one") + &session("report", report)));
    nox(&project);
    let sequential = left(project.root());
    clean(&project);
    run(&project, "-j 2");
    let log = project.session_log("report");
    assert!(log.contains("Combined 2 files"), "{log}");
    assert_eq!(left(project.root()), sequential);
}

#[test]
fn each_session_may_combine_its_own_files() {
    let body = |name: &str, number: u32, other: &str| {
        format!(
            "session.run('coverage', 'erase', external=True)\n\
             session.run('coverage', 'run', '-p', 'work.py', '{number}', external=True)\n\
             session.run('coverage', 'run', '-p', 'work.py', '{number}', external=True)\n\
             if os.environ.get('NOXIDE_RUN'): meet('at-{name}', 'at-{other}')\n\
             print(session.run('coverage', 'combine', external=True, silent=True))\nprint('total', total(session))"
        )
    };
    let project = project(&(session("one", &body("one", 2, "two")) + &session("two", &body("two", 7, "one"))));
    nox(&project);
    let sequential = left(project.root());
    clean(&project);
    run(&project, "-j 2");
    assert_eq!(left(project.root()), sequential);
    for (name, total) in [("one", "total 58"), ("two", "total 84")] {
        let log = project.session_log(name);
        assert!(log.contains(total), "{log}");
    }
}

#[test]
fn a_file_that_someone_chose_is_used() {
    let body = |name: &str| {
        format!(
            "session.run('coverage', 'run', 'work.py', '3', external=True, env={{'COVERAGE_FILE': '.coverage.{name}'}})\n\
             assert P('.coverage.{name}').exists()\nsession.run('coverage', 'run', '--data-file=.coverage.x{name}', 'work.py', '1', external=True)\n\
             assert P('.coverage.x{name}').exists()"
        )
    };
    let project = project(&(session("one", &body("one")) + &session("two", &body("two"))));
    run(&project, "-j 2");
    let varying = session(
        "three",
        "session.run('coverage', 'run', '--rcfile=varies.ini', 'work.py', '3', external=True, env={'NAME': 'own'})\n\
         assert P('.coverage.own').exists()",
    );
    let moving = session(
        "four",
        "session.run('coverage', 'run', 'work.py', '3', external=True)\n\
         session.run('mv', '.coverage', '.coverage.moved', external=True)\nassert P('.coverage.moved').exists()",
    );
    let reading = session(
        "five",
        "session.run('coverage', 'run', 'work.py', '3', external=True)\nassert P('.coverage').stat().st_size > 0\n\
         os.rename('.coverage', '.coverage.renamed')",
    );
    let other = self::project(&format!("{varying}{moving}{reading}"));
    other.write("varies.ini", "[run]\ndata_file = .coverage.${NAME}\n");
    run(&other, "-j 3");
    let names = [".coverage.moved", ".coverage.own", ".coverage.renamed"].map(str::to_owned);
    assert_eq!(left(other.root()).0, names);
}

#[test]
fn a_session_that_adds_to_the_data_of_others_gets_it() {
    let first = session("first", "session.run('coverage', 'run', 'work.py', '2', external=True)");
    let add = |name: &str, number: u32| {
        session(name, &format!("session.run('coverage', 'run', '--append', 'work.py', '{number}', external=True)"))
    };
    let report = session("report", "print('total', total(session))");
    let project = project(&format!("{first}{}{}{report}", add("second", 5), add("third", 7)));
    nox(&project);
    let sequential = left(project.root());
    clean(&project);
    // Nobody knows yet that the sessions depend on each other; the second run does.
    NoxideRun::finish(&mut noxide_command(&project, "run -j 4"));
    clean(&project);
    run(&project, "-j 4");
    assert_eq!(left(project.root()), sequential);
    assert!(project.session_log("report").contains(&format!("total {}", sequential.1)));
    let graph = NoxideRun::finish(&mut noxide_command(&project, "graph"));
    let expected = "lock coverage data .coverage (ran coverage run --append work.py 5)";
    assert!(graph.stdout.contains(expected), "{}", graph.stdout);
}

#[test]
fn data_of_a_failed_session_is_left_too() {
    let fails = session("fails", "session.run('coverage', 'run', 'work.py', '4', external=True)\nsession.error('no')");
    let project = project(&fails);
    let ran = NoxideRun::finish(&mut noxide_command(&project, "run -j 2"));
    assert_eq!(ran.exit, Some(1), "{}", ran.text);
    assert_eq!(left(project.root()), (vec![".coverage".to_owned()], "68".to_owned()));
}
