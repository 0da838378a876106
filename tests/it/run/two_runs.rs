//! Two runs at once in one project: they take turns with the environments.

use std::process::{Child, Stdio};

use noxide::record::Outcome;

use crate::support::{ChildDeadline as _, Project, noxide_command, send_signal, wait_until};

/// Two sessions with environments of their own; the first stays in its one while the file `hold` exists.
const SESSIONS: &str = "import nox, os, pathlib, time\n\
    nox.options.default_venv_backend = 'uv'\n\
    @nox.session\ndef one(session):\n    \
    marker = pathlib.Path(session.virtualenv.location, 'marker')\n    \
    assert not marker.exists(), 'used by two'\n    \
    marker.touch()\n    \
    pathlib.Path('inside').touch()\n    \
    while os.path.exists('hold'): time.sleep(0.05)\n    \
    assert marker.exists(), 'made again'\n    \
    marker.unlink()\n\
    @nox.session\ndef other(session):\n    \
    session.run('python', '-c', 'pass')\n    \
    pathlib.Path('other').touch()\n";

/// Starts a run that writes its output to a file.
fn start(project: &Project, output: &str, flags: &str) -> Child {
    let mut command = noxide_command(project, &format!("run -j2 {flags}"));
    let file =
        || Stdio::from(std::fs::File::options().create(true).append(true).open(project.root().join(output)).unwrap());
    command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap()
}

#[test]
fn two_runs_take_turns_with_an_environment() {
    let project = Project::new(SESSIONS);
    project.write("hold", "");
    let mut first = start(&project, "first", "-s one");
    wait_until("session", || project.root().join("inside").exists().then_some(()));
    let mut second = start(&project, "second", "-s one other");
    let waits = || project.read("second").contains("one waits for its environment").then_some(());
    wait_until("message", waits);
    let run = std::fs::read_dir(project.root().join(".nox/.noxide/runs")).unwrap();
    let mut runs: Vec<String> = run.map(|run| run.unwrap().file_name().into_string().unwrap()).collect();
    runs.sort_unstable();
    let said = project.read("second");
    assert!(said.contains(".nox/one, which another noxide is using") && said.contains(&runs[0]), "{said}");
    wait_until("the other session", || project.root().join("other").exists().then_some(()));
    std::fs::remove_file(project.root().join("hold")).unwrap();
    for (run, output) in [(&mut first, "first"), (&mut second, "second")] {
        assert!(run.wait_for_end().success(), "{}", project.read(output));
    }
}

#[test]
fn a_run_that_waits_for_an_environment_can_be_interrupted() {
    let project = Project::new(SESSIONS);
    project.write("hold", "");
    let mut first = start(&project, "first", "-s one");
    wait_until("session", || project.root().join("inside").exists().then_some(()));
    let mut second = start(&project, "second", "-s one");
    wait_until("message", || project.read("second").contains("one waits for").then_some(()));
    send_signal("INT", &second.id().to_string());
    assert_eq!(second.wait_for_end().code(), Some(130), "{}", project.read("second"));
    assert_eq!(project.outcomes(), [("one".to_owned(), Some(Outcome::Aborted))]);
    std::fs::remove_file(project.root().join("hold")).unwrap();
    assert!(first.wait_for_end().success(), "{}", project.read("first"));
}

#[test]
fn runs_at_once_in_a_fresh_checkout_pass() {
    for backend in ["uv", "virtualenv"] {
        let sessions = "@nox.session(venv_backend=BACKEND)\ndef NAME(session):\n    \
                        session.run('python', '-c', 'import sys, sysconfig; assert sys.prefix != sys.base_prefix')\n";
        let sessions: String = ["a", "b", "c"].map(|name| sessions.replace("NAME", name)).concat();
        let project = Project::new(&format!("import nox\nBACKEND = '{backend}'\n{sessions}"));
        for reuse in ["", "-r"] {
            let mut runs: Vec<Child> = (0..3).map(|run| start(&project, &format!("run-{run}"), reuse)).collect();
            for (run, child) in runs.iter_mut().enumerate() {
                assert!(child.wait_for_end().success(), "{backend}: {}", project.read(&format!("run-{run}")));
            }
        }
    }
}
