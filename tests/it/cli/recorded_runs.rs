//! `noxide runs`, `logs`, `replay` and `report --open` on runs of a real project, and a log that is followed.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{ChildDeadline as _, NoxideRun, Project, RunningNoxide, noxide_command, run, write_script};

const SESSIONS: &str = "
@nox.session
def lint(session): print('all good')
@nox.session
@nox.parametrize('n', [1, 2])
def tests(session, n):
    '''Runs the tests.

    With many words.
    '''
    print('number', n)
    if n == 2: session.error('two is wrong')
";

fn noxide(project: &Project, arguments: &str) -> NoxideRun {
    NoxideRun::finish(&mut noxide_command(project, arguments))
}

#[test]
fn runs_and_their_logs_are_listed_and_printed() {
    let project = Project::with_sessions(SESSIONS);
    let none = noxide(&project, "logs");
    assert_eq!((none.code(), none.text.contains("no run is recorded in")), (2, true), "{}", none.text);
    let first = run(&project, "");
    assert_eq!(first.code(), 1);
    let first = first.record().run_id.clone();
    assert!(noxide(&project, "run lint").text.contains("1 session: 1 passed"));

    let list = noxide(&project, "runs");
    let rows: Vec<&str> = list.stdout.lines().collect();
    assert!(rows.len() == 3 && rows[1].starts_with(&first), "{}", list.stdout);
    assert!(
        rows[1].ends_with("1 of 3 did not pass: tests(n=2)") && rows[2].ends_with("passed, 1 session"),
        "{}",
        list.stdout
    );
    let document: Value = serde_json::from_str(&noxide(&project, "runs -n 1 --format json").stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 1);
    assert_eq!(document["runs"][0]["exit_code"], 0);

    let logs = noxide(&project, &format!("logs --run {}", &first[..20]));
    assert_eq!(logs.stdout.lines().count(), 3, "{}", logs.stdout);
    let path = logs.stdout.lines().last().unwrap().split_whitespace().last().unwrap();
    assert!(project.read(path).contains("number 2"), "{path}");
    assert!(noxide(&project, "logs lint").stdout.contains("all good\n"));
    let both = noxide(&project, &format!("logs tests --run {first}"));
    assert!(
        both.stdout.contains("tests(n=1)") && both.stdout.contains("number 1\n") && both.stdout.contains("number 2\n")
    );
    let failed = noxide(&project, &format!("logs --failed --run {first}"));
    assert!(failed.stdout.contains("number 2\n") && !failed.stdout.contains("number 1\n"), "{}", failed.stdout);
    let passed = noxide(&project, "logs --failed");
    assert!(passed.stdout.is_empty() && passed.stderr.contains("no session failed"), "{}", passed.text);
    let unknown = noxide(&project, "logs lnit");
    assert_eq!(unknown.code(), 2);
    assert!(unknown.stderr.contains("did you mean `lint`?"), "{}", unknown.stderr);
    assert!(noxide(&project, "replay").stdout.contains("1 session: 1 passed"));
}

#[test]
fn a_failed_run_ends_with_the_paths_of_its_logs() {
    let project = Project::with_sessions(SESSIONS);
    let failed = run(&project, "");
    let line = failed
        .stdout
        .lines()
        .find(|line| line.starts_with("aborted tests(n=2): "))
        .unwrap_or_else(|| panic!("no path of a log: {}", failed.stdout));
    assert!(project.read(line.rsplit(": ").next().unwrap()).contains("two is wrong"));
    assert_eq!(failed.stdout.matches("number 2").count(), 1, "the log is printed once: {}", failed.stdout);
}

#[test]
fn a_log_is_followed_until_its_session_ends() {
    let project = Project::with_sessions(
        "@nox.session\ndef slow(session):\n    print('first', flush=True)\n    pathlib.Path('up').write_text('x')\n    \
         while not os.path.exists('go'): time.sleep(0.01)\n    print('second', flush=True)\n\
         @nox.session(requires=['slow'])\ndef later(session): print('third')\n",
    );
    let running = RunningNoxide::start(&project, &[]);
    running.wait_for_file("up");
    let mut command = noxide_command(&project, "logs slow --follow");
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap() == "first"));
    let mut all = noxide_command(&project, "logs --follow").stdout(Stdio::piped()).spawn().unwrap();
    project.write("go", "");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.contains(&"second".to_owned()) && !rest.contains(&"third".to_owned()), "{rest:?}");
    assert_eq!(following.wait_for_end().code(), Some(0));
    let all_lines: Vec<String> = BufReader::new(all.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(all_lines.iter().any(|line| line.starts_with("later") && line.ends_with("| third")), "{all_lines:?}");
    all.wait_for_end();
    assert_eq!(running.finish().code(), 0);
    let over = noxide(&project, "logs slow -f");
    assert!(
        over.code() == 0 && over.stdout.contains("second"),
        "a run that is over is shown to its end: {}",
        over.text
    );
}

#[test]
fn the_page_is_opened_in_a_browser() {
    let project = Project::with_sessions(SESSIONS);
    run(&project, "");
    let browser = project.outer_dir().join("browser");
    write_script(&browser, "#!/bin/sh\necho \"$1\" > \"$0.opened\"\n");
    let opened = NoxideRun::finish(noxide_command(&project, "report --open").env("BROWSER", &browser));
    assert_eq!(opened.code(), 0, "{}", opened.text);
    let page = fs_err::read_to_string(project.outer_dir().join("browser.opened")).unwrap();
    assert!(page.trim().ends_with(".nox/.noxide/report.html"), "{page}");
    write_script(&browser, "#!/bin/sh\nexit 1\n");
    let refused = NoxideRun::finish(noxide_command(&project, "report --open").env("BROWSER", &browser).env("PATH", ""));
    assert_eq!(refused.code(), 3, "{}", refused.text);
    assert!(refused.stderr.contains("report.html yourself"), "{}", refused.stderr);
    assert_eq!(noxide(&project, "report --open --format text").code(), 2);
}

#[test]
fn usage_is_what_nox_prints() {
    let project = Project::with_sessions(SESSIONS);
    let usage = noxide(&project, "run --usage tests");
    assert_eq!(usage.code(), 0, "{}", usage.text);
    assert!(usage.stdout.contains("Runs the tests.") && usage.stdout.contains("With many words."), "{}", usage.stdout);
    assert_eq!(noxide(&project, "run --usage lint").code(), 1, "as nox: it has no docstring");
    assert!(project.find_newest_record().is_none(), "nothing was run");
}

#[test]
fn completions_and_manual_pages_know_every_subcommand() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = noxide(&project, &format!("completions {shell}")).stdout;
        assert!(script.contains("--fail-fast") || script.contains("fail-fast"), "{shell}");
        assert!(["logs", "runs", "gate", "completions"].iter().all(|name| script.contains(name)), "{shell}");
    }
    assert_eq!(noxide(&project, "man pages").code(), 0);
    let page = project.read("pages/noxide-run.1");
    assert!(page.starts_with(".ie") && page.contains("rerun") && page.contains("SELECTION"), "{page}");
    assert!(project.root().join("pages/noxide-cache-key.1").exists());
}
