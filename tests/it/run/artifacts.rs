//! Files that `artifacts` names: collected after each session, on failure too, before dependent sessions start.

use std::process::Stdio;

use noxide::record::ArtifactList;

use crate::support::{ChildDeadline as _, Project, noxide_command, run, send_signal, wait_until};

fn gathered(project: &Project, session: &str) -> (Vec<String>, std::path::PathBuf) {
    let dir = ArtifactList::session_dir(&project.newest_run_dir(), session);
    let artifacts = ArtifactList::read(&dir).unwrap();
    assert_eq!((artifacts.version, artifacts.session.as_str()), (2, session));
    (artifacts.files.iter().map(|file| file.path.display().to_string()).collect(), dir.join("files"))
}

const WRITES: &str = "def write(name, text):\n    path = pathlib.Path(name)\n    path.parent.mkdir(parents=True, exist_ok=True)\n    \
                      path.write_text(text)\n";

#[test]
fn artifacts_survive_deletion_by_the_next_session() {
    let project = Project::with_sessions(&format!(
        "{WRITES}@nox.session\ndef tests(session):\n    write('build/report.xml', '<r/>' * 100000)\n    write('build/html/index.html', 'x')\n\
         @nox.session(requires=['tests'])\ndef cleans(session): shutil.rmtree('build'); print('gone')\n"
    ));
    project.write("noxide.toml", "[sessions.tests]\nartifacts = ['build/*.xml', 'build/html']\n");
    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert!(project.session_log("cleans").contains("gone") && !project.root().join("build").exists());
    let (files, dir) = gathered(&project, "tests");
    assert_eq!(files, ["build/html/index.html", "build/report.xml"]);
    assert_eq!(fs_err::metadata(dir.join("build/report.xml")).unwrap().len(), 400_000);
    assert!(!ArtifactList::session_dir(&project.newest_run_dir(), "cleans").exists(), "it has no artifacts");
}

#[test]
fn artifacts_of_a_failed_session_come_from_the_last_attempt() {
    let project = Project::with_sessions(&format!(
        "{WRITES}@nox.session\ndef tests(session):\n    write('out.txt', 'attempt ' + str(len(list(pathlib.Path('.').glob('tries*')))))\n    \
         write('tries%d' % len(list(pathlib.Path('.').glob('tries*'))), '')\n    session.error('no')\n\
         @nox.session\ndef skips(session): session.skip('not here')\n"
    ));
    project.write(
        "noxide.toml",
        "[sessions.tests]\nretries = 1\nartifacts = ['out.txt', 'missing-*']\n[sessions.skips]\nartifacts = ['out.txt']\n",
    );
    let ran = run(&project, "");
    assert_eq!(ran.code(), 1, "{}", ran.text);
    assert!(ran.text.contains("artifacts of tests: missing-* matches nothing"), "{}", ran.text);
    let (files, dir) = gathered(&project, "tests");
    assert_eq!(files, ["out.txt"]);
    assert_eq!(fs_err::read_to_string(dir.join("out.txt")).unwrap(), "attempt 1");
    assert!(!ArtifactList::session_dir(&project.newest_run_dir(), "skips").exists());
}

#[test]
fn artifacts_of_a_timed_out_session_are_collected() {
    let project = Project::with_sessions(&format!(
        "{WRITES}@nox.session\ndef tests(session):\n    write('build/part.txt', 'half')\n    print('before', flush=True)\n    time.sleep(1000)\n"
    ));
    project.write("noxide.toml", "grace-period = '100ms'\n[sessions.tests]\ntimeout = '1s'\nartifacts = ['build']\n");
    assert_eq!(run(&project, "").code(), 1);
    assert_eq!(gathered(&project, "tests").0, ["build/part.txt"]);
}

const SCRIPTS: &str = "--logs build --log-name nox-{session}-output.log";

#[test]
fn copied_logs_are_written_live_and_survive_deletion_of_their_directory() {
    let project = Project::with_sessions(
        "@nox.session\ndef reads(session):\n    print('so far', flush=True)\n    log = pathlib.Path('build/nox-reads-output.log')\n    \
         until = time.time() + 20\n    while 'so far' not in log.read_text() and time.time() < until: time.sleep(0.01)\n    \
         assert 'so far' in log.read_text()\n    print('read itself')\n\
         @nox.session(requires=['reads'])\ndef deletes(session):\n    shutil.rmtree('build')\n    print('deleted')\n\
         @nox.session(requires=['deletes'])\ndef after(session):\n    print('names', sorted(os.listdir('build')))\n    \
         os.remove('build/nox-after-output.log')\n",
    );
    let ran = run(&project, SCRIPTS);
    assert_eq!(ran.code(), 0, "{}\n{:?}", ran.text, project.outcomes());
    assert!(project.session_log("after").contains("names ['nox-after-output.log', 'nox-deletes-output.log']"));
    for session in ["reads", "deletes", "after"] {
        let copy = project.read(&format!("build/nox-{session}-output.log"));
        assert_eq!(copy, project.session_log(session), "{session}");
    }
    assert!(!ran.text.contains("warning"), "{}", ran.text);
}

#[test]
fn copied_logs_have_valid_file_names() {
    let project = Project::with_sessions(
        "@nox.session\n@nox.parametrize('db', ['pg', 'a/b'])\ndef tests(session, db): print(db)\n",
    );
    assert_eq!(run(&project, SCRIPTS).code(), 0);
    assert!(project.read("build/nox-tests-db-pg-output.log").contains("pg"));
    assert!(project.read("build/nox-tests-db-a-b-output.log").contains("a/b"));
}

#[test]
fn a_log_directory_that_became_a_file_fails_no_session() {
    let project = Project::with_sessions(
        "@nox.session\ndef one(session):\n    shutil.rmtree('build')\n    pathlib.Path('build').write_text('mine')\n\
         @nox.session(requires=['one'])\ndef two(session): pass\n",
    );
    let ran = run(&project, SCRIPTS);
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert_eq!(project.read("build"), "mine");
    assert!(ran.text.contains("could not copy a log"), "{}", ran.text);
}

#[test]
fn a_second_interrupt_skips_artifacts() {
    let project = Project::with_sessions(
        "@nox.session\ndef tests(session):\n    pathlib.Path('out').write_text('x')\n    \
         session.run('sh', '-c', 'trap \"\" INT; touch up; sleep 1000', external=True)\n",
    );
    project.write("noxide.toml", "[sessions.tests]\nartifacts = ['out']\n");
    let mut command = noxide_command(&project, "run");
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("session", || project.root().join("up").exists().then_some(()));
    let events =
        || fs_err::read_to_string(directory_of_the_only_run(&project).join("events.jsonl")).unwrap_or_default();
    let interrupt = || send_signal("INT", &running.id().to_string());
    interrupt();
    wait_until("interrupt in the events", || events().contains("run-interrupted").then_some(()));
    interrupt();
    assert_eq!(running.wait_for_end().code(), Some(130));
    assert!(gathered(&project, "tests").0.is_empty());
    assert!(events().contains("out and later files were not copied: the run was interrupted"), "{}", events());
}

fn directory_of_the_only_run(project: &Project) -> std::path::PathBuf {
    fs_err::read_dir(project.root().join(".nox/.noxide/runs")).unwrap().next().unwrap().unwrap().path()
}
