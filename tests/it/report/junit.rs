//! `--junit`: sessions as test cases, with the JUnit files of their tests, read by Python's XML parser.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{ChildDeadline as _, Project, noxide_command, python, run, run_checked, send_signal, wait_until};

/// The report as Python reads it.
fn read(project: &Project) -> Value {
    let script = "import json, sys, xml.etree.ElementTree as tree\n\
                  def element(e): return {'tag': e.tag, 'at': e.attrib, 'text': e.text or '', 'in': [element(c) for c in e]}\n\
                  print(json.dumps(element(tree.parse(sys.argv[1]).getroot())))";
    serde_json::from_str(&run_checked(Command::new(python()).args(["-c", script]).arg(project.root().join("j.xml"))))
        .unwrap()
}

fn below<'a>(element: &'a Value, tag: &str) -> Vec<&'a Value> {
    element["in"].as_array().unwrap().iter().filter(|child| child["tag"] == tag).collect()
}

fn named<'a>(suite: &'a Value, name: &str) -> &'a Value {
    below(suite, "testcase").into_iter().find(|case| case["at"]["name"] == name).unwrap_or_else(|| panic!("{suite:#}"))
}

fn properties(case: &Value) -> Vec<(&str, &str)> {
    let all = below(case, "properties").into_iter().flat_map(|properties| below(properties, "property"));
    all.map(|p| (p["at"]["name"].as_str().unwrap(), p["at"]["value"].as_str().unwrap())).collect()
}

const SESSIONS: &str = r#"
@nox.session
def good(session):
    "Passes"
    pathlib.Path('good.xml').write_text('<testsuites><testsuite name="pytest"><testcase name="a"/>'
        '<testcase name="b"><failure message="x &lt; y">why</failure></testcase></testsuite></testsuites>')
    pathlib.Path('coverage.xml').write_text('<coverage/>')
    pathlib.Path('torn.xml').write_text('<testsuite><testcase')
@nox.session
def bad(session):
    for n in range(20000): print('line', n)
    sys.stdout.flush()
    os.write(1, b'\x00\x1b[31mred\x1b[0m \xff\xfe \xef\xbf\xbf \xef\xbf\xbe \x08 ]]> <&> \xed\xa0\x80 \xf0\x9f\x90\x8d\n')
    session.error('it is <bad> & "worse" \uffff')
@nox.session
def flaky(session):
    if not os.path.exists('second'):
        open('second', 'w').close()
        print('first try')
        session.error('once')
@nox.session
def skips(session): session.skip('no database')
@nox.session(requires=['bad'])
def waits(session): pass
@nox.session
def leaks(session):
    if os.fork() == 0:
        time.sleep(1000)
"#;

#[test]
fn sessions_are_cases_and_their_own_reports_are_merged() {
    let project = Project::with_sessions(SESSIONS);
    let settings = "leak-timeout = '20ms'\n[sessions.flaky]\nretries = 2\n[sessions.good]\nartifacts = ['*.xml']\n";
    project.write("noxide.toml", settings);
    let ran = run(&project, "--junit j.xml");
    assert_eq!(ran.code(), 1, "{}", ran.text);
    assert!(
        ran.text.contains("warning: torn.xml of good is not in the JUnit report: it is not valid XML"),
        "{}",
        ran.text
    );
    assert!(!ran.text.contains("coverage.xml"), "{}", ran.text);
    let report = read(&project);
    let suites = below(&report, "testsuite");
    assert_eq!(suites.len(), 2);
    let sessions = suites[0];
    assert!(properties(sessions).iter().any(|(name, _)| *name == "nox"));
    assert_eq!(below(sessions, "testcase").len(), 6);

    let good = named(sessions, "good");
    assert!(good["at"]["time"].as_str().unwrap().parse::<f64>().unwrap() > 0.0);
    let found = properties(good);
    assert!(found.contains(&("description", "Passes")) && found.contains(&("log", "logs/good.log")), "{found:?}");
    assert!(found.iter().any(|(name, _)| *name == "cpu-seconds"), "{found:?}");
    assert!(below(good, "failure").is_empty() && below(good, "error").is_empty());

    let bad = named(sessions, "bad");
    let failure = below(bad, "failure")[0];
    assert!(failure["at"]["message"].as_str().unwrap().contains("it is <bad> & \"worse\""), "{failure:#}");
    let text = failure["text"].as_str().unwrap();
    assert!(text.len() < 40_000 && text.starts_with('(') && text.contains("line 19999\nred "), "{text:.200}");
    assert!(text.contains("]]> <&>") && text.contains('🐍') && !text.contains('\u{ffff}'), "{text}");

    let flaky = named(sessions, "flaky");
    let tag = flaky["in"].as_array().unwrap().iter().find(|e| e["tag"].as_str().unwrap().starts_with("flaky")).unwrap();
    assert!(tag["text"].as_str().unwrap().contains("first try"), "{flaky:#}");
    assert!(properties(flaky).contains(&("attempts", "2")));

    assert_eq!(below(named(sessions, "skips"), "skipped")[0]["at"]["message"], "no database");
    let waits = &below(named(sessions, "waits"), "error")[0]["at"];
    assert_eq!(waits["type"], "aborted");
    assert!(waits["message"].as_str().unwrap().contains("requires bad"));
    assert!(properties(named(sessions, "leaks")).iter().any(|(name, _)| *name == "leaky"));

    assert_eq!(suites[1]["at"]["name"], "good/pytest");
    assert_eq!(below(named(suites[1], "b"), "failure")[0]["at"]["message"], "x < y");
    assert_eq!((&report["at"]["tests"], &report["at"]["skipped"]), (&Value::from("8"), &Value::from("1")));
}

#[test]
fn a_flaky_pass_that_counts_as_failed_is_marked() {
    let project = Project::with_sessions(SESSIONS);
    assert_eq!(run(&project, "-s flaky --retries 1 --flaky-result fail --junit deep/../j.xml").code(), 1);
    let report = read(&project);
    let suites = below(&report, "testsuite");
    let flaky = named(suites[0], "flaky");
    assert!(below(flaky, "failure")[0]["at"]["message"].as_str().unwrap().starts_with("flaky: passed on attempt 2"));
    assert!(flaky["in"].as_array().unwrap().iter().any(|e| e["tag"].as_str().unwrap().starts_with("flaky")));
}

#[test]
fn an_interrupted_run_has_its_report() {
    let project = Project::with_sessions(
        "@nox.session\ndef one(session):\n    pathlib.Path('up').touch()\n    time.sleep(1000)\n@nox.session(requires=['one'])\ndef two(session): pass\n",
    );
    let mut command = noxide_command(&project, "run --junit j.xml");
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("session", || project.root().join("up").exists().then_some(()));
    send_signal("INT", &running.id().to_string());
    assert_eq!(running.wait_for_end().code(), Some(130));
    let report = read(&project);
    let suites = below(&report, "testsuite");
    assert!(properties(suites[0]).contains(&("interrupted", "SIGINT")));
    assert_eq!(below(named(suites[0], "one"), "error")[0]["at"]["type"], "cancelled");
    assert_eq!(below(named(suites[0], "two"), "error")[0]["at"]["type"], "aborted");
}

#[test]
fn an_unwritable_junit_path_is_an_error() {
    let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
    project.write("file", "");
    let ran = run(&project, "--junit file/j.xml");
    assert_eq!(ran.code(), 3);
    assert!(ran.text.contains("warning: cannot write the JUnit report: "), "{}", ran.text);
}

#[test]
fn a_session_of_a_killed_noxide_is_reported_as_unfinished() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-3");
    let mut record: noxide::record::RunRecord =
        serde_json::from_slice(&fs_err::read(fixture.join("record.json")).unwrap()).unwrap();
    record.sessions[0].result = None;
    let junit = noxide::report::build_junit_report(&record, &fixture, &str::to_owned);
    let xml = String::from_utf8(junit.xml).unwrap();
    assert!(
        xml.contains("<error message=\"noxide was killed before the session ended\" type=\"unfinished\"/>"),
        "{xml}"
    );
    assert_eq!(junit.skipped_files.len(), 1, "the file is not in the fixture");
}
