//! Hostile names of sessions, jobs, files and packages: on no output do they become a command, markup or a control sequence.

use serde_json::json;

use crate::support::{NoxideRun, Project, noxide_command, noxide_in};

/// What a name contains that must not reach any output as it is.
const HOSTILE: &str =
    "\n::add-path::/evil\r\n##[add-path]/evil\u{1b}]0;title\u{7}\u{1b}[2J<img src=x onerror=alert(1)>";

/// A noxfile whose names, parameters, docstrings, reasons and logs are hostile.
fn noxfile() -> String {
    let hostile = json!(HOSTILE);
    format!(
        r###"
HOSTILE = {hostile}

@nox.session(name="first" + HOSTILE)
def first(session):
    print(HOSTILE)

first.__doc__ = "Description" + HOSTILE

@nox.session(name="second" + HOSTILE, requires=["first" + HOSTILE])
@nox.parametrize("value", [nox.param("p" + HOSTILE, id="id" + HOSTILE)])
def second(session, value):
    print(HOSTILE)
    session.error("reason" + HOSTILE)

@nox.session(name="::add-path::/evil")
def third(session):
    session.run("sh", "-c", "echo '::add-path::/evil'; exit 3", external=True)

@nox.session(name="##[add-path]/evil")
def fourth(session):
    raise RuntimeError(HOSTILE)
"###
    )
}

/// Checks text that a runner or a terminal reads. Between `stop-commands` and its token, a runner reads no commands.
fn assert_safe_text(what: &str, text: &str) {
    let mut token: Option<String> = None;
    for line in text.lines() {
        let control = line.chars().find(|c| c.is_control() && *c != '\t');
        assert_eq!(control, None, "{what}: {line:?}");
        let command = line.trim_start();
        match &token {
            Some(end) if command == format!("::{end}::") => token = None,
            Some(_) => {}
            None => {
                if let Some(stop) = command.strip_prefix("::stop-commands::") {
                    token = Some(stop.to_owned());
                    continue;
                }
                let is_own = ["::group::", "::endgroup::", "::error ", "::warning ", "::notice "];
                let is_command = command.starts_with("::") && !is_own.iter().any(|own| command.starts_with(own));
                assert!(!is_command && !line.contains("##["), "{what}: {line:?}");
            }
        }
    }
    assert_eq!(token, None, "{what}");
}

/// Checks a document for a program: escapes are its own, but no control character is in it.
fn assert_safe_document(what: &str, text: &str) {
    let control = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(control, None, "{what}");
    let has_command = |line: &str| line.trim_start().starts_with("::add-path") || line.contains("##[");
    assert!(!text.lines().any(has_command), "{what}: {text}");
}

fn assert_safe_markup(what: &str, text: &str) {
    assert_safe_document(what, text);
    assert!(!text.contains("<img src=x"), "{what}: {text}");
}

#[test]
fn names_of_sessions_are_harmless_on_every_output() {
    let project = Project::with_sessions(&noxfile());
    for forge in ["GITHUB_ACTIONS", "FORGEJO_ACTIONS", ""] {
        for flags in ["", "-v --color never", "--output labelled", "-q"] {
            let summary = project.outer_dir().join("summary.md");
            fs_err::write(&summary, "").unwrap();
            let mut command = noxide_command(&project, &format!("run --junit junit.xml {flags}"));
            if !forge.is_empty() {
                command.env(forge, "true").env("CI", "true").env("GITHUB_STEP_SUMMARY", &summary);
            }
            let ran = NoxideRun::finish(&mut command);
            let what = format!("run {flags}, {forge}");
            assert_eq!(ran.exit, Some(1), "{what}: {}", ran.text);
            if forge.is_empty() {
                // No runner reads this: logs are shown as they are, without control sequences.
                assert!(!ran.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{what}: {}", ran.text);
            } else {
                assert_safe_text(&what, &ran.stdout);
                assert_safe_text(&what, &ran.stderr);
                assert_safe_markup(&what, &fenced_blocks_removed(&fs_err::read_to_string(&summary).unwrap()));
            }
            let junit = project.read("junit.xml");
            assert_safe_markup(&what, &junit.replace("::add-path", "").replace("##[", ""));
        }
    }
    for command in [
        "list",
        "graph",
        "run --dry-run",
        "report --format text",
        "replay last",
        "matrix --shards 2",
        "trace",
        "run -s unknown",
        "cache key",
        "merge .",
    ] {
        let mut noxide = noxide_command(&project, command);
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true").env("CI", "true"));
        assert_safe_text(command, &ran.stdout);
        assert_safe_text(command, &ran.stderr);
    }
    for command in ["list --format json", "graph --format json", "report --format json -o -"] {
        assert_safe_document(command, &NoxideRun::finish(&mut noxide_command(&project, command)).stdout);
    }
    for command in ["graph --format mermaid", "report --format markdown -o -", "report --format html -o -"] {
        let ran = NoxideRun::finish(&mut noxide_command(&project, command));
        // Nobody reads a page as a log.
        let text = if command.contains("html") {
            ran.stdout.replace("##[", "").replace("::add-path", "")
        } else {
            ran.stdout.clone()
        };
        assert_safe_markup(command, &fenced_blocks_removed(&text));
    }
}

/// Logs are in fenced blocks, in which nothing is markup.
fn fenced_blocks_removed(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

#[test]
fn names_of_jobs_are_harmless_on_every_output() {
    let project = Project::empty();
    let needs = json!({ "good": { "result": "success" }, HOSTILE: { "result": HOSTILE }, "::add-path::/evil": { "result": "failure" } });
    for format in ["text", "json"] {
        let arguments = ["gate", "--needs", &needs.to_string(), "--expect", HOSTILE, "--format", format];
        let ran = NoxideRun::finish(noxide_in(project.root(), &arguments).env("GITHUB_ACTIONS", "true"));
        assert_eq!(ran.exit, Some(1), "{}", ran.text);
        assert_safe_text("gate", &ran.stdout);
        assert_safe_text("gate", &ran.stderr);
    }
}

#[test]
fn names_in_workflows_are_harmless_on_every_output() {
    let project = Project::with_sessions("@nox.session\ndef lint(session): session.install('ruff')\n");
    let job = json!(format!("job{HOSTILE}"));
    let workflow = format!(
        "name: {job}\non: push\njobs:\n  {job}:\n    name: {job}\n    runs-on: ubuntu-latest\n    needs: [{job}, missing]\n    \
         {job}: 1\n    steps:\n      - name: {job}\n        uses: actions/cache@v1\n        with: {{path: {job}, key: {job}}}\n      \
         - run: nox -s lint {job}\n"
    );
    let path = project.root().join(".github/workflows");
    fs_err::create_dir_all(&path).unwrap();
    fs_err::write(path.join("ci.yml"), &workflow).unwrap();
    fs_err::write(path.join("::add-path::\u{1b}[2J\n##[x]<img src=x>.yml"), &workflow).unwrap();
    for format in ["text", "github", "forgejo", "markdown", "json", "sarif"] {
        let command = format!("audit --forge github --pedantic --format {format}");
        let mut noxide = noxide_command(&project, &command);
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true"));
        match format {
            "json" | "sarif" => assert_safe_document(&command, &ran.stdout),
            "markdown" => assert_safe_markup(&command, &ran.stdout),
            _ => assert_safe_text(&command, &ran.stdout),
        }
        assert_safe_text(&command, &ran.stderr);
        assert!(!ran.stdout.is_empty(), "{}", ran.text);
    }
    for command in ["audit --inventory", "audit --inventory --format markdown"] {
        let ran = NoxideRun::finish(&mut noxide_command(&project, command));
        assert_safe_text(command, &ran.stdout);
    }
}

#[test]
fn inputs_of_the_action_are_harmless_in_messages() {
    let project = Project::with_sessions("@nox.session\ndef lint(session): pass\n");
    for (variable, input) in [
        ("NOXIDE_ACTION_SESSIONS", "run \"tests\n::add-path::/evil\r\n##[add-path]/evil"),
        ("NOXIDE_ACTION_SESSIONS", "'-s\n::add-path::/evil'"),
        ("NOXIDE_ACTION_ARGS", "'--jobs=x\n::add-path::/evil'"),
    ] {
        let mut noxide = noxide_command(&project, "ci");
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true").env(variable, input));
        assert!(ran.exit == Some(2) && ran.stderr.contains("add-path"), "{}", ran.text);
        assert_safe_text(input, &ran.stderr);
    }
}

/// A directory whose name is a diff of the noxfile.
#[test]
fn names_of_files_cannot_forge_a_diff_or_a_summary() {
    let project = Project::with_sessions("@nox.session\ndef lint(session): pass\n");
    let workflow = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: nox -s lint\n";
    project.write(".forgejo/workflows/x\n+import evil\n.yml", workflow);
    let name = "x\n--- a/noxfile.py\n+++ b/noxfile.py\n@@ -1,1 +1,2 @@\n import nox\n+import evil";
    let directory = project.root().join(".github/actions").join(name);
    fs_err::create_dir_all(&directory).unwrap();
    let action = "runs:\n  using: composite\n  steps:\n    - run: python -m pip install --upgrade pip\n      shell: bash\n    \
                  - run: pip install nox\n      shell: bash\n    - run: nox -s lint\n      shell: bash\n";
    fs_err::write(directory.join("action.yml"), action).unwrap();
    for arguments in [
        &["audit", "--pedantic"][..],
        &["audit", "--inventory"],
        &["audit", "--diff", "--unsafe-fixes"],
        &["audit", "--fix", "--unsafe-fixes"],
    ] {
        let ran = project.noxide(arguments);
        assert!(ran.text.contains("import evil"), "{arguments:?}: {}", ran.text);
        let forged = ["+import evil", "--- a/noxfile.py", "+++ b/noxfile.py", " import nox", "@@ -1,1 +1,2 @@"];
        for line in ran.text.lines() {
            assert!(!forged.iter().any(|start| line.starts_with(start)), "{arguments:?}: {}", ran.text);
        }
        if arguments.contains(&"--diff") {
            assert!(ran.stdout.contains(r#"+++ "b/.forgejo/workflows/x\n+import evil\n.yml""#), "{}", ran.stdout);
        }
    }
}

#[test]
fn names_of_files_are_harmless_in_messages() {
    let project = Project::with_sessions("@nox.session\ndef lint(session): pass\n");
    let name = "x\n::add-path::/evil\u{1b}[2J";
    for arguments in [
        vec!["report", name],
        vec!["replay", name],
        vec!["merge", name],
        vec!["history", "import", name],
        vec!["audit", name],
        vec!["audit", "--explain", name],
        vec!["run", "-s", name],
        vec!["run", "-k", name],
        vec!["-C", name, "run"],
        vec!["run", "-f", name],
        vec!["cache", "restore", "--uv-cache", name],
        vec!["gate", "--needs", name],
        vec!["run", "--jobs", name],
        vec!["audit", "--format", name],
        vec!["merge", "--fail-under", name],
        vec![name],
        vec!["run", "--\n::add-path::/evil"],
    ] {
        let ran = NoxideRun::finish(noxide_in(project.root(), &arguments).env("GITHUB_ACTIONS", "true"));
        assert_safe_text(&format!("{arguments:?}"), &ran.stderr);
        assert_safe_text(&format!("{arguments:?}"), &ran.stdout);
    }
}
