//! Written files: those that a session writes anew, and those whose content it keeps.

use serde_json::Value;

use crate::support::Project;

const NOXFILE: &str = "
import nox, os, pathlib, shutil, time
nox.options.default_venv_backend = 'none'
P = pathlib.Path

@nox.session
def writes(session):
    P('truncated').write_text('new')
    with open('truncated', 'a') as file:
        file.write('more')
    with open('emptied', 'w+') as file:
        file.write('new')
    P('emptied').read_text()
    os.truncate('cut', 0)
    with open('cut', 'a') as file:
        file.write('new')
    P('replacement').write_text('new')
    os.replace('replacement', 'replaced')
    os.remove('removed')
    with open('removed', 'a') as file:
        file.write('new')
    os.chmod('mode', 0o755)
    P('touched').touch()
    os.link('truncated', 'linked')
    P('only-seen').stat()
    P('only-seen').write_text('new')
    with open('new', 'x') as file:
        file.write('new')

    with open('appended', 'a') as file:
        file.write('more')
    with open('appended-new', 'a') as file:
        file.write('first')
    with open('in-place', 'r+') as file:
        file.write('N')
    P('counter').write_text(str(int(P('counter').read_text()) + 1))
    text = P('swapped').read_text()
    P('next').write_text(text + text)
    os.replace('next', 'swapped')
";

#[test]
fn files_that_are_not_written_anew_are_marked() {
    let project = Project::new(NOXFILE);
    for name in
        ["truncated", "emptied", "cut", "replaced", "removed", "mode", "only-seen", "appended", "in-place", "swapped"]
    {
        project.write(name, "old");
    }
    project.write("counter", "1");
    let ran = project.noxide(&["trace"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let directory = project.root().join(".nox/.noxide/trace/sessions");
    let file = fs_err::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let accesses: Value = serde_json::from_slice(&fs_err::read(file).unwrap()).unwrap();
    let changes = accesses["changes"].as_object().unwrap();
    let kept = |(path, effect): (&String, &Value)| (effect["keeps_content"] == true).then(|| path.clone());
    let kept: Vec<String> = changes.iter().filter_map(kept).collect();
    assert_eq!(kept, ["appended", "appended-new", "counter", "in-place", "swapped"], "{accesses:#}");
    for name in ["truncated", "emptied", "cut", "replaced", "removed", "mode", "touched", "linked", "only-seen", "new"]
    {
        assert!(changes.contains_key(name), "{name} in {accesses:#}");
    }
}

/// A session that runs again appends again: the notice names the file.
#[test]
fn the_notice_of_a_rerun_names_what_the_session_adds_to() {
    let project = Project::new(
        "
import nox, os, pathlib, time
nox.options.default_venv_backend = 'none'
P = pathlib.Path

def wait(path):
    until = time.monotonic() + 60
    while not P('.nox', path).exists():
        assert time.monotonic() < until
        time.sleep(0.01)

@nox.session
def one(session):
    wait('two')
    P('shared.txt').write_text('one')

@nox.session
def two(session):
    P('shared.txt').write_text('two')
    with open('log.txt', 'a') as file:
        file.write('two')
    P('.nox/two').touch()
",
    );
    let ran = project.noxide(&["run", "-j2"]);
    assert_eq!((ran.exit, ran.session("two").attempts.len()), (Some(0), 2), "{}", ran.text);
    assert_eq!(project.read("log.txt"), "twotwo");
    let notices = ran.record().notices.join("\n");
    let expected = "Running it again alone; it starts from what is in log.txt, which it does not write anew";
    assert!(notices.contains(expected), "{notices}");
}
