//! Memory that sessions share under nox: environment and global variables, handed on to the sessions that come after.

use std::collections::BTreeMap;

use crate::support::{CommandDeadline as _, NoxideRun, Project, python, run};

/// What each session logged about the variables that it sees, in nox's own run.
fn seen_by_nox(project: &Project) -> BTreeMap<String, Vec<String>> {
    let mut command = project.command("sh");
    let ran = command.args(["-c", "exec \"$0\" -m nox 2>&1"]).arg(python()).finish();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut session = String::new();
    for line in text.lines() {
        if let Some((_, name)) = line.split_once("Running session ") {
            session = name.to_owned();
        }
        if let Some((_, value)) = line.split_once("sees ") {
            seen.entry(session.clone()).or_default().push(value.to_owned());
        }
    }
    assert!(!seen.is_empty(), "{text}");
    seen
}

/// The same in a run of noxide.
fn seen_by_noxide(ran: &NoxideRun) -> BTreeMap<String, Vec<String>> {
    let logs = ran.outcomes().into_iter().map(|(name, _)| (name.clone(), ran.log(&name, 1)));
    let lines = logs.map(|(name, log)| {
        let text = String::from_utf8_lossy(&log).into_owned();
        (name, text.lines().filter_map(|line| Some(line.split_once("sees ")?.1.to_owned())).collect::<Vec<_>>())
    });
    lines.filter(|(_, seen)| !seen.is_empty()).collect()
}

const HEAD: &str = "import os, sys, threading, time, nox\nsys.path.insert(0, os.getcwd())\nimport shared\nnox.options.default_venv_backend = 'none'\n\
    VERSION, SETTINGS, LOCK, RESULTS = None, {}, None, []\n";

fn project(sessions: &str) -> Project {
    let project = Project::new(&format!("{HEAD}{sessions}"));
    project.write("shared.py", "TOKEN = None\n");
    project
}

/// Sessions that need others, directly or not, and tell what they see of what those changed.
const BY_NEED: &str = r#"
class Release:
    def __init__(self, name):
        self.name = name

def helper():
    pass

@nox.session
def build(session):
    global VERSION, RELEASE
    VERSION = "1.2"
    RELEASE = Release("autumn")
    SETTINGS["flags"] = [1]
    shared.TOKEN = "t"
    helper.calls = 3
    os.environ["BUILD_ID"] = "7"
    os.environ.pop("REMOVED", None)

@nox.session(requires=["build"])
def publish(session):
    session.log("sees %s %s %s %s %s", VERSION, SETTINGS, shared.TOKEN, RELEASE.name, helper.calls)
    session.log("sees %s %s", os.environ.get("BUILD_ID"), os.environ.get("REMOVED"))
    session.run("sh", "-c", "echo sees $BUILD_ID", external=True)
    SETTINGS["flags"].append(2)

@nox.session(default=False)
def late(session):
    session.log("sees %s %s", os.environ.get("BUILD_ID"), os.environ.get("ANNOUNCED"))

@nox.session(requires=["publish"])
def announce(session):
    session.notify("late")
    os.environ["ANNOUNCED"] = "yes"
    session.log("sees %s %s %s", VERSION, SETTINGS, os.environ.get("BUILD_ID"))
"#;

#[test]
fn changed_variables_are_handed_on_along_needs() {
    for threads in ["", "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"] {
        let project = project(&format!("{threads}os.environ['REMOVED'] = 'not yet'\n{BY_NEED}"));
        let ran = run(&project, "-j 4");
        assert_eq!(ran.code(), 0, "{}", ran.text);
        assert_eq!(seen_by_noxide(&ran), seen_by_nox(&project), "{}", ran.text);
        assert!(!ran.text.contains("cannot be copied"), "{}", ran.text);
    }
}

#[test]
fn what_cannot_be_handed_on_is_named() {
    let project = project(
        "@nox.session\ndef build(session):\n    global LOCK\n    LOCK = threading.Lock()\n\
         @nox.session(requires=['build'])\ndef publish(session):\n    session.log('sees %s', LOCK)\n",
    );
    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    let said = "build changed LOCK, which publish does not see: it cannot be copied to another process";
    assert!(ran.record().notices.iter().any(|notice| notice == said), "{:?}", ran.record().notices);
    assert!(ran.text.contains(said), "{}", ran.text);
}

#[test]
fn sessions_that_share_variables_run_in_the_order_of_nox() {
    let project = project(
        r#"
@nox.session
def early(session):
    session.log("sees %s", VERSION)

@nox.session
def one(session):
    time.sleep(0.3)
    RESULTS.append("one")

@nox.session
def two(session):
    RESULTS.append("two")

@nox.session
def build(session):
    global VERSION
    time.sleep(0.3)
    VERSION = "1.2"
    os.environ["BUILD_ID"] = "7"

@nox.session
def summary(session):
    session.log("sees %s %s %s", RESULTS, VERSION, os.environ.get("BUILD_ID"))

@nox.session
def other(session):
    RESULTS_OF_MINE = []
    RESULTS_OF_MINE.append(1)
    session.log("sees %s", RESULTS_OF_MINE)
"#,
    );
    let ran = run(&project, "-j 4");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert_eq!(seen_by_noxide(&ran), seen_by_nox(&project), "{}", ran.text);
    let needs = |name: &str| -> Vec<String> {
        let session = ran.record().sessions.iter().find(|session| session.spec.name.as_str() == name).unwrap();
        session.spec.needs.iter().map(|need| need.session.to_string()).collect()
    };
    assert_eq!(needs("two"), ["one"], "both change what summary reads");
    assert_eq!((needs("early").len(), needs("build").len(), needs("other").len()), (0, 0, 0));
    let graph = project.noxide(&["graph", "--format", "text"]).text;
    assert!(graph.contains("shared variable"), "{graph}");
}

#[test]
fn sessions_that_each_set_a_variable_for_themselves_run_in_parallel() {
    let project = project(
        r#"
CACHE = {}

def cached(name):
    if name not in CACHE:
        CACHE[name] = name.upper()
    return CACHE[name]

@nox.session
@nox.parametrize("n", [1, 2, 3])
def tests(session, n):
    os.environ["TEST_MODE"] = "1"
    assert os.environ["TEST_MODE"] == "1" and cached("a") == "A"
"#,
    );
    let ran = run(&project, "-j 3");
    assert_eq!(ran.code(), 0, "{}", ran.text);
    assert!(ran.record().sessions.iter().all(|session| session.spec.needs.is_empty()));
    assert!(ran.record().notices.is_empty(), "{:?}", ran.record().notices);
}

#[test]
fn changes_that_later_sessions_do_not_see_are_named() {
    let project = project(
        "def change(session):\n    for name in ['MODE', 'DEPTH']:\n        os.environ[name] = 'x'\n\
         @nox.session\ndef first(session):\n    change(session)\n\
         @nox.session\ndef second(session):\n    session.log(os.environ.get('MODE'))\n\
         @nox.session\ndef third(session):\n    pass\n",
    );
    let notices = run(&project, "").record().notices.clone();
    let has = |words: &str| notices.iter().any(|notice| notice.contains(words));
    assert!(has("first changed os.environ[MODE], which second reads but does not see"), "{notices:?}");
    assert!(has("add requires=['first'] to it"), "{notices:?}");
    assert!(has("os.environ[DEPTH]") && has("nox passes that to all later sessions"), "{notices:?}");
}
