//! `noxide run`: order, selection, reports, exit codes, and errors for bad input.

use noxide::record::{NeedOrigin, Outcome};

use crate::support::{CommandDeadline as _, NoxideRun, Project, noxide_in};

const HEAD: &str = "import nox\nnox.options.default_venv_backend = 'none'\n";

fn project(body: &str) -> Project {
    Project::new(&format!("{HEAD}{body}"))
}

fn sh(name: &str, script: &str) -> String {
    format!("@nox.session\ndef {name}(session):\n    session.run('sh', '-c', '''{script}''', external=True)\n")
}

fn outcomes(ran: &NoxideRun) -> Vec<(String, Outcome)> {
    ran.outcomes().into_iter().map(|(name, outcome)| (name, outcome.unwrap())).collect()
}

fn is(name: &str, outcome: Outcome) -> (String, Outcome) {
    (name.to_owned(), outcome)
}

#[test]
fn sessions_run_in_parallel_unless_ordered() {
    // Both wait for each other's file: only sessions that overlap pass.
    let meet = |mine: &str, other: &str| {
        sh(
            mine,
            &format!(
                "touch {mine}.here; for i in $(seq 600); do test -e {other}.here && exit 0; sleep 0.05; done; exit 1"
            ),
        )
    };
    let last = "@nox.session(requires=['left', 'right'])\ndef last(session):\n    session.log('last')\n";
    let project = project(&format!("{}{}{last}", meet("left", "right"), meet("right", "left")));
    // Traced, `right` would run again because it looks for what `left` writes.
    let ran = project.noxide(&["run", "-j2", "--trace", "never"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        outcomes(&ran),
        [is("left", Outcome::Passed), is("right", Outcome::Passed), is("last", Outcome::Passed)]
    );
    assert!(ran.times("last").0 >= ran.times("left").1.max(ran.times("right").1));
    let record = ran.record();
    assert_eq!((record.slots, record.exit_code), (2, Some(0)));
    assert_eq!(record.sessions[2].spec.needs[0].origin, NeedOrigin::Requires);
    let attempt = &record.sessions[0].result.as_ref().unwrap().attempts[0];
    assert!(attempt.cpu_ms.is_some() && attempt.peak_memory.is_some_and(|bytes| bytes > 1 << 20));
    let log = project.read(&format!(".nox/.noxide/runs/{}/logs/last.log", record.run_id));
    assert!(log.contains("nox > last") && log.contains("Session last was successful"), "{log}");
}

#[test]
fn a_failure_aborts_only_the_sessions_that_require_it() {
    let needs = |name: &str, on: &str| {
        format!("@nox.session(requires=['{on}'])\ndef {name}(session):\n    session.log('{name} ran')\n")
    };
    let project = project(&format!(
        "{}{}{}{}",
        sh("bad", "echo the reason; exit 7"),
        needs("second", "bad"),
        needs("third", "second"),
        sh("other", "echo other")
    ));
    let ran = project.noxide(&["run"]);
    assert_eq!(ran.exit, Some(1));
    let expected = [
        is("bad", Outcome::Failed),
        is("second", Outcome::Aborted),
        is("third", Outcome::Aborted),
        is("other", Outcome::Passed),
    ];
    assert_eq!(outcomes(&ran), expected);
    assert!(ran.stdout.contains("the reason") && !ran.stdout.contains("second ran"), "{}", ran.stdout);
    let record = ran.record();
    let reason = |at: usize| record.sessions[at].result.as_ref().unwrap().reason.clone();
    assert!(reason(0).contains("failed with exit code 7"), "{}", reason(0));
    assert_eq!(reason(1), "requires bad (failed)");
    assert_eq!(reason(2), "requires second (aborted)");
}

#[test]
fn a_notified_session_runs_once_and_last_with_its_arguments() {
    let body = "
@nox.session
def first(session):
    session.notify('late', posargs=['from', 'first'])
@nox.session
def second(session):
    session.run('sleep', '0.3', external=True)
    session.notify('late', posargs=['from', 'second'])
@nox.session(default=False)
def late(session):
    session.log(f'late with {session.posargs}')
";
    let project = project(body);
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.outcomes().len(), 3);
    assert!(ran.times("late").0 >= ran.times("second").1);
    let log = project.read(&format!(".nox/.noxide/runs/{}/logs/late.log", ran.record().run_id));
    assert!(log.contains("late with ['from', 'first']"), "{log}");
    // Selected first, it waits for neither: nox runs sessions in the order of selection, and ignores the calls.
    let ran = project.noxide(&["run", "-j2", "-s", "late", "first", "second"]);
    assert_eq!((ran.exit, ran.outcomes().len()), (Some(0), 3));
    assert_eq!(ran.record().sessions[0].spec.name.as_str(), "late");
    assert_eq!(ran.record().sessions[0].spec.needs, []);
    let log = project.read(&format!(".nox/.noxide/runs/{}/logs/late.log", ran.record().run_id));
    assert!(log.contains("late with []"), "{log}");
}

#[test]
fn a_notified_selected_session_waits_only_for_its_notifier() {
    // `lint` ends once `coverage` has run, which waits for `tests` only. `report` waits for nobody.
    let body = "
@nox.session
def tests(session):
    session.notify('coverage')
    session.notify('re' + 'port')
    session.run('sleep', '0.3', external=True)
@nox.session
def lint(session):
    session.run('sh', '-c', 'i=0; until [ -e reported ]; do sleep 0.05; i=$((i+1)); [ $i -lt 600 ] || exit 1; done', external=True)
@nox.session
def coverage(session):
    session.run('touch', 'covered', external=True)
@nox.session
def report(session):
    session.run('touch', 'reported', external=True)
";
    let project = project(body);
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.times("coverage").0 >= ran.times("tests").1 && ran.times("coverage").1 <= ran.times("lint").1);
    let needs = |name: &str| {
        let session = ran.record().sessions.iter().find(|session| session.spec.name.as_str() == name).unwrap();
        session.spec.needs.iter().map(|need| need.session.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((needs("coverage"), needs("report")), (vec!["tests".to_owned()], vec![]));
}

#[test]
fn odd_names_break_no_row() {
    let body = "
@nox.session(name='two\\nlines \\x1b[31mred')
def odd(session):
    pass
@nox.session(name='x' * 300)
def long(session):
    pass
@nox.session
def short(session):
    pass
";
    let project = project(body);
    for arguments in
        [&["run"][..], &["run", "--output", "labelled", "-v"], &["list"], &["graph"], &["run", "--dry-run"]]
    {
        let ran = project.noxide(arguments);
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        assert!(!ran.text.contains("\x1b"), "{:?}", ran.text);
        assert!(ran.text.contains(r"two\nlines \x1b[31mred"), "{}", ran.text);
        let widest = ran.text.lines().filter(|line| !line.contains("xxx")).map(|line| line.chars().count()).max();
        assert!(widest < Some(150), "{}", ran.text);
    }
    let ran = project.noxide(&["run", "-s", "two\nlines \x1b[31mred"]);
    assert_eq!((ran.exit, ran.outcomes().len()), (Some(0), 1), "{}", ran.text);
}

#[test]
fn many_slots_are_used_or_refused() {
    let project = project(&sh("one", "true"));
    project.write("noxide.toml", "[sessions.one]\ncpus = 'all'\n");
    let ran = project.noxide(&["run", "-j", "10000"]);
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    let refused = project.noxide(&["run", "-j", "1000000000"]);
    assert_eq!(refused.exit, Some(2), "{}", refused.text);
    assert!(refused.text.contains("must be a number from 1 to 10000, or `auto`"), "{}", refused.text);
}

#[test]
fn settings_order_lock_and_isolate_sessions() {
    let names = ["a", "b", "c", "d"];
    let body: String = names.iter().map(|name| sh(name, "echo $ONLY; sleep 0.2")).collect();
    let project = project(&body);
    project.write(
        "noxide.toml",
        "[sessions.a]\nlocks = ['db']\nenv = {ONLY = 'for a'}\n[sessions.b]\nlocks = ['db']\n[sessions.c]\nexclusive = true\n\
         [sessions.d]\nafter = ['a']\n",
    );
    let ran = project.noxide(&["run", "-j4"]);
    assert_eq!(ran.exit, Some(0), "{}{}", ran.stdout, ran.stderr);
    let times: Vec<(u64, u64)> = names.iter().map(|name| ran.times(name)).collect();
    let apart = |x: usize, y: usize| times[x].1 <= times[y].0 || times[y].1 <= times[x].0;
    assert!(apart(0, 1), "one lock: {times:?}");
    assert!([0, 1, 3].into_iter().all(|other| apart(2, other)), "exclusive: {times:?}");
    assert!(times[3].0 >= times[0].1, "after: {times:?}");
    let run = &ran.record().run_id;
    assert!(project.read(&format!(".nox/.noxide/runs/{run}/logs/a.log")).contains("for a"));
    let graph = project.noxide(&["graph"]).stdout;
    assert!(graph.contains("lock db") && graph.contains("noxide.toml:8") && graph.contains("exclusive"), "{graph}");
}

#[test]
fn nox_command_lines_work_unchanged() {
    let body = "
@nox.session(tags=['quick'])
def lint(session):
    session.log(f'posargs {session.posargs}')
@nox.session(python=False)
@nox.parametrize('n', [1, 2])
def tests(session, n):
    session.log(f'posargs {session.posargs}')
@nox.session(default=False)
def extra(session):
    pass
";
    let project = project(body);
    let names = |arguments: &[&str]| {
        let ran = project.noxide(arguments);
        assert_eq!(ran.exit, Some(0), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.outcomes().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["run", "-s", "lint", "tests", "--", "-x"]), ["lint", "tests(n=1)", "tests(n=2)"]);
    let ran = project.noxide(&["run", "-s", "lint", "--", "-x", "a b"]);
    let run = &ran.record().run_id;
    assert!(project.read(&format!(".nox/.noxide/runs/{run}/logs/lint.log")).contains("posargs ['-x', 'a b']"));
    assert_eq!(names(&["run", "-t", "quick"]), ["lint"]);
    assert_eq!(names(&["run", "-k", "tests and not lint"]), ["tests(n=1)", "tests(n=2)"]);
    assert_eq!(names(&["run", "-s", "tests(n=2)"]), ["tests(n=2)"]);
    assert_eq!(names(&["run", "-e", "extra"]), ["extra"]);
    let ran = NoxideRun::finish(noxide_in(project.root(), &["run"]).env("NOXSESSION", "extra"));
    assert_eq!(ran.outcomes().len(), 1);
    let listed = project.noxide(&["run", "-l"]).stdout;
    assert!(listed.contains("* lint") && listed.contains("- extra"), "{listed}");
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let project = project(&format!("{}{}", sh("a", "touch ran"), sh("b", "touch ran")));
    let ran = project.noxide(&["run", "--dry-run", "-j1"]);
    assert_eq!(ran.exit, Some(0));
    assert!(ran.stdout.starts_with("would run 2 sessions on 1 slot, in this order:\n  a\n  b\n"), "{}", ran.stdout);
    let shown: serde_json::Value =
        serde_json::from_str(&project.noxide(&["run", "--dry-run", "--format", "json"]).stdout).unwrap();
    assert_eq!((&shown["version"], &shown["sessions"][1]["name"]), (&serde_json::json!(2), &serde_json::json!("b")));
    assert!(!project.root().join("ran").exists() && !project.root().join(".nox/.noxide").exists());
}

#[test]
fn json_documents_and_events_are_written() {
    let project = project(&format!("{}{}", sh("good", "true"), sh("bad", "exit 1")));
    let ran = project.noxide(&["run", "--format", "json", "--events", "events.jsonl", "--report", "report.json"]);
    assert_eq!(ran.exit, Some(1));
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 2);
    assert_eq!(document["sessions"].as_array().unwrap().len(), 2);
    let events = project.read("events.jsonl");
    let kinds: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((kinds[0].as_str(), kinds.last().unwrap().as_str()), ("run-started", "run-finished"));
    // nox's own report of the same sessions is the same except for times.
    let sequential = project.command("nox").args(["--report", "nox.json"]).finish();
    assert_eq!(sequential.status.code(), Some(1));
    let without_times = |name: &str| {
        let mut report: serde_json::Value = serde_json::from_str(&project.read(name)).unwrap();
        for session in report["sessions"].as_array_mut().unwrap() {
            let session = session.as_object_mut().unwrap();
            assert!(session.remove("duration").unwrap().is_number());
            session.remove("reason");
        }
        report
    };
    assert_eq!(without_times("report.json"), without_times("nox.json"));
    let replayed = project.noxide(&["replay", "last"]);
    assert_eq!(replayed.exit, Some(1));
    assert!(replayed.stdout.contains("2 sessions: 1 passed, 1 failed"), "{}", replayed.stdout);
    let prefix = &ran.record().run_id[..4];
    assert_eq!(project.noxide(&["replay", prefix]).exit, Some(1));
    assert_eq!(project.noxide(&["replay", "nope"]).exit, Some(2));
}

#[test]
fn bad_input_gets_one_message_and_its_exit_code() {
    let good = project(&sh("lint", "true"));
    let cycle =
        "@nox.session(requires=['b'])\ndef a(session): pass\n@nox.session(requires=['a'])\ndef b(session): pass\n";
    let cases: Vec<(Project, Vec<&str>, i32, Vec<&str>)> = vec![
        (Project::empty(), vec!["run"], 3, vec!["noxfile.py"]),
        (Project::new("def broken(:\n"), vec!["run"], 3, vec!["SyntaxError", "def broken(:"]),
        (
            project("def check():\n    raise ValueError('no')\ncheck()\n"),
            vec!["run"],
            3,
            vec!["ValueError: no", "in check"],
        ),
        (project("import sys\nsys.exit(5)\n"), vec!["run"], 3, vec!["sys.exit"]),
        (project("import time\ntime.sleep(60)\n"), vec!["run", "--load-timeout", "5s"], 3, vec!["hangs at", "line 4"]),
        (project("print('x' * 5_000_000)\nraise OSError('late')\n"), vec!["run"], 3, vec!["OSError: late"]),
        (project(cycle), vec!["run"], 2, vec!["a", "b"]),
        (project(&sh("lint", "true")), vec!["run", "-s", "lnit"], 2, vec!["did you mean `lint`"]),
        (
            project("@nox.session(default=False)\ndef a(session): pass\n"),
            vec!["run"],
            4,
            vec!["no session is selected"],
        ),
        // nox's own sentences are not searched for names: `by` is not a misspelt session.
        (project(&sh("b", "true")), vec!["run", "-k", "zzz"], 4, vec!["filtering by keyword", "`noxide list`"]),
        (project(&sh("be", "true")), vec!["list", "-k", "zzz"], 4, vec!["filtering by keyword", "`noxide list`"]),
        (project(&sh("b", "true")), vec!["run", "-t", "zzz"], 4, vec!["Tag selection", "`noxide list`"]),
        (project(&sh("b", "true")), vec!["run", "-p", "3.1"], 4, vec!["Python version selection", "`noxide list`"]),
        (project(&sh("b", "true")), vec!["run", "-k", "not ("], 2, vec!["must be a Python expression"]),
        (project(""), vec!["run"], 4, vec!["No sessions found"]),
        (project(&sh("lint", "true")), vec!["run", "--no-such-flag"], 2, vec!["--no-such-flag"]),
        (project(&sh("lint", "true")), vec!["-C", "nowhere", "run"], 2, vec!["nowhere"]),
        (project(&sh("lint", "true")), vec!["run", "--nox", "/bin/true"], 2, vec!["neither a nox command"]),
        (project(&sh("lint", "true")), vec!["run", "--rerun", "failed"], 2, vec!["no run is recorded"]),
        (project(&sh("lint", "true")), vec!["replay", "x"], 2, vec!["no run is recorded"]),
    ];
    for (project, arguments, exit, expected) in cases {
        let ran = project.noxide(&arguments);
        assert_eq!(ran.exit, Some(exit), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        for words in expected {
            assert!(ran.stderr.contains(words), "{arguments:?}: {words} is not in\n{}", ran.stderr);
        }
        let is_misspelt = arguments.contains(&"lnit");
        assert_eq!(ran.stderr.contains("did you mean"), is_misspelt, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.len() < 6_000, "{arguments:?}: {} bytes", ran.stderr.len());
        assert!(!ran.stderr.contains("nox/"), "nox's own frames are left out: {}", ran.stderr);
    }
    good.write("noxide.toml", "[sessions.lnit]\nlokcs = ['a']\n");
    let ran = good.noxide(&["run"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("noxide.toml:2:1") && ran.stderr.contains("did you mean `locks`"), "{}", ran.stderr);
    good.write("noxide.toml", "[sessions.lnit]\nlocks = ['a']\n");
    let ran = good.noxide(&["list", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit, &document["version"]), (Some(2), &serde_json::json!(2)));
    assert_eq!(document["errors"][0]["locations"][0]["line"], 1);
}

#[test]
fn a_cycle_in_settings_is_rejected_with_its_location() {
    let project = project(&format!("{}{}", sh("a", "true"), sh("b", "true")));
    project.write("noxide.toml", "[sessions.a]\nafter = ['b']\n[sessions.b]\nafter = ['a']\n");
    let ran = project.noxide(&["run"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("a waits for b (after at noxide.toml:"), "{}", ran.stderr);
}

#[test]
fn a_missing_interpreter_is_skipped_here_and_an_error_in_ci() {
    let project = Project::new(
        "import nox\nnox.options.default_venv_backend = 'uv'\n@nox.session(python='3.99')\ndef tests(session):\n    pass\n",
    );
    let ran = project.noxide(&["run"]);
    assert_eq!((ran.exit, outcomes(&ran)), (Some(0), vec![is("tests", Outcome::Skipped)]));
    assert!(ran.stdout.contains("1 skipped") && !ran.stdout.contains("1 passed"), "{}", ran.stdout);
    let in_ci = NoxideRun::finish(noxide_in(project.root(), &["run"]).env("CI", "1"));
    assert_eq!((in_ci.exit, outcomes(&in_ci)), (Some(1), vec![is("tests", Outcome::Failed)]));
}

#[test]
fn history_yields_durations_and_the_longest_starts_first() {
    let short: String = (0..3).map(|n| sh(&format!("short{n}"), "sleep 0.1")).collect();
    let project = project(&format!("{short}{}", sh("long", "sleep 0.6")));
    project.noxide(&["run", "-j2"]);
    let ran = project.noxide(&["run", "-j2"]);
    assert!(ran.times("long").0 <= ran.times("short2").0, "{:?}", ran.record());
    assert!(project.noxide(&["graph"]).stdout.contains("longest chain: long"));
    let usual = ran.record().sessions[3].spec.usual_ms;
    assert!(usual.is_some_and(|usual| usual >= 600), "{usual:?}");
}

#[test]
fn five_hundred_sessions_in_spaces_and_odd_locales() {
    let project = project("@nox.session\n@nox.parametrize('n', range(500))\ndef many(session, n):\n    pass\n");
    let ran =
        NoxideRun::finish(noxide_in(project.root(), &["run", "-j2", "-q"]).env("LC_ALL", "C").env("PYTHONUTF8", "0"));
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    assert!(ran.outcomes().iter().all(|(_, outcome)| *outcome == Some(Outcome::Passed)));
    assert_eq!(ran.outcomes().len(), 500);
}

#[test]
fn certificates_and_the_rest_of_the_environment_reach_sessions() {
    let project = project(&sh("env", "echo $SSL_CERT_FILE $MY_OWN"));
    let ran =
        NoxideRun::finish(noxide_in(project.root(), &["run"]).env("SSL_CERT_FILE", "/certs.pem").env("MY_OWN", "kept"));
    let run = &ran.record().run_id;
    assert!(project.read(&format!(".nox/.noxide/runs/{run}/logs/env.log")).contains("/certs.pem kept"));
}

#[test]
fn secrets_reach_neither_logs_nor_output() {
    let project = project(&sh("leak", "echo token is $DEPLOY_TOKEN; exit 1"));
    let ran = NoxideRun::finish(noxide_in(project.root(), &["run"]).env("DEPLOY_TOKEN", "hunter2-hunter2"));
    let log = project.read(&format!(".nox/.noxide/runs/{}/logs/leak.log", ran.record().run_id));
    assert!(log.contains("token is ***") && ran.stdout.contains("token is ***"), "{log}");
    assert!(![&log, &ran.stdout, &ran.stderr].into_iter().any(|text| text.contains("hunter2")));
}

/// The arguments of a failed command and the text of an exception are in nox's reason, which goes to every report.
#[test]
fn secrets_in_the_reason_of_a_failure_are_redacted_everywhere() {
    let project = Project::empty();
    project.write(
        "noxfile.py",
        "import nox, os\nTOKEN = os.environ['DEPLOY_TOKEN']\n\
         @nox.session(venv_backend='none')\ndef arguments(session): session.run('false', TOKEN, external=True)\n\
         @nox.session(venv_backend='none')\ndef error(session): session.error(f'no access with {TOKEN}')\n\
         @nox.session(venv_backend='none')\ndef exception(session): raise ValueError(TOKEN)\n",
    );
    let reports = project.outer_dir();
    let junit = reports.join("junit.xml");
    let nox_report = reports.join("report.json");
    let summary = reports.join("summary.md");
    let mut command = noxide_in(project.root(), &["run", "--junit"]);
    command.arg(&junit).arg("--report").arg(&nox_report).env("DEPLOY_TOKEN", "hunter2-hunter2");
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    let run = project.root().join(".nox/.noxide/runs").join(&ran.record().run_id);
    let page = noxide_in(project.root(), &["report", "--format", "html"]).finish();
    let mut texts = vec![ran.stdout.clone(), ran.stderr.clone(), String::from_utf8(page.stdout).unwrap()];
    for path in [junit, nox_report, summary, run.join("record.json"), run.join("events.jsonl")] {
        texts.push(fs_err::read_to_string(path).unwrap());
    }
    for text in texts.iter().filter(|text| !text.is_empty()) {
        assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn credentials_of_noxide_reach_no_session() {
    let names =
        ["NOXIDE_CACHE_SIGNING_KEY", "NOXIDE_FORGE_TOKEN", "ACTIONS_RUNTIME_TOKEN", "NOXIDE_S3_SECRET_ACCESS_KEY"];
    let project = project(&sh("env", "env | sed 's/=.*//' | sort; echo key is sign-with-this"));
    let mut command = noxide_in(project.root(), &["run"]);
    command.envs(names.map(|name| (name, "sign-with-this"))).env("AWS_SECRET_ACCESS_KEY", "of-the-tests");
    let ran = NoxideRun::finish(&mut command);
    let log = project.read(&format!(".nox/.noxide/runs/{}/logs/env.log", ran.record().run_id));
    assert!(names.iter().all(|name| !log.contains(name)) && log.contains("AWS_SECRET_ACCESS_KEY"), "{log}");
    assert!(log.contains("key is ***"), "{log}");
}
