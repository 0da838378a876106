//! Secrets of the environment: in no record, event, trace, report or error, however a session used them.
#![cfg(target_os = "linux")]

use std::path::Path;

use crate::support::{HttpResponse, HttpServer, NoxideRun, Project, noxide_command};

const TOKEN: &str = "Zq7SECRETvalueZq7";
/// The secret part of the address of a cache.
const ADDRESS_TOKEN: &str = "3f9a1c77d0aa42e1";

/// A session that passes the token to a command and looks for a file of that name, and one that writes it to a report.
const SESSIONS: &str = r#"
@nox.session(venv_backend="none")
def measure(session):
    """Measure coverage."""
    token = os.environ["MY_TOKEN"]
    session.run("coverage", "run", "app.py", "--api-token", token, external=True)
    pathlib.Path("deploy-" + token).exists()

@nox.session(venv_backend="none")
def report(session):
    token = os.environ["MY_TOKEN"]
    pathlib.Path("build").mkdir(exist_ok=True)
    pathlib.Path("build/j.xml").write_text(
        f"<testsuite name='s {token}'><testcase name='{token}'><failure message='m {token}'>t {token}"
        f"<![CDATA[{token}]]></failure></testcase></testsuite>"
    )
"#;

/// Returns the files below a directory that contain the token, or whose path does, apart from copies of artifacts.
fn files_with_token(directory: &Path) -> Vec<String> {
    files_with_text(directory, TOKEN)
}

fn files_with_text(directory: &Path, text: &str) -> Vec<String> {
    let entries = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_owned());
    let has_token = |path: &Path| {
        let content = fs_err::read(path).unwrap();
        path.to_string_lossy().contains(text) || content.windows(text.len()).any(|part| part == text.as_bytes())
    };
    let found = files.filter(|path| !path.to_string_lossy().contains("/files/build/") && has_token(path));
    found.map(|path| path.display().to_string()).collect()
}

#[test]
fn secrets_are_in_no_record_trace_or_report() {
    let project = Project::with_sessions(SESSIONS);
    project.write("app.py", "print('done')\n");
    project.write("noxide.toml", "[sessions.report]\nartifacts = ['build/*.xml']\n");
    let out = project.outer_dir().join("out");
    fs_err::create_dir_all(&out).unwrap();
    let file = |name: &str| out.join(name).display().to_string();
    let flags = format!(
        "run -j2 --trace always --junit {} --events {} --report {}",
        file("junit.xml"),
        file("events.jsonl"),
        file("report.json")
    );
    let mut command = noxide_command(&project, &flags);
    let ran = NoxideRun::finish(command.env("MY_TOKEN", TOKEN));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    assert!(!ran.text.contains(TOKEN), "{}", ran.text);
    let uses = &ran.session("measure").resources.as_ref().unwrap().uses;
    assert!(uses.iter().any(|found| found.command.contains("--api-token ***")), "{uses:?}");
    let trace = fs_err::read_dir(project.root().join(".nox/.noxide/trace/sessions")).unwrap();
    let traces: String = trace.map(|entry| fs_err::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert!(traces.contains("deploy-***"), "the path is in the trace");
    let junit = fs_err::read_to_string(out.join("junit.xml")).unwrap();
    assert_eq!(junit.matches("***").count(), 5, "{junit}");
    assert_eq!(files_with_token(&project.root().join(".nox")), [""; 0]);
    assert_eq!(files_with_token(&out), [""; 0]);
}

/// A path is recorded without empty components and with the missing directories above it: a secret with slashes is no longer
/// in it as it was written.
#[test]
fn secrets_that_are_looked_up_as_paths_are_in_no_trace() {
    let sessions = r#"
@nox.session(venv_backend="none")
def notify(session):
    pathlib.Path(os.environ["CHAT_WEBHOOK_URL"]).exists()
    session.run("cat", "https:/" + os.environ["CHAT_WEBHOOK_URL"][7:], success_codes=[0, 1], external=True)

@nox.session(venv_backend="none")
def deploy(session):
    pathlib.Path(os.environ["STORE_SECRET_ACCESS_KEY"]).exists()
    session.run("sh", "-c", 'test -e "--key=$STORE_SECRET_ACCESS_KEY/x" || touch other', external=True)
"#;
    let variables = [
        ("CHAT_WEBHOOK_URL", "https://chat.example/services/T02/aBcDeF"),
        ("STORE_SECRET_ACCESS_KEY", "wJalrX/K7MDENG/bPxRfiCY"),
    ];
    let project = Project::with_sessions(sessions);
    let mut command = noxide_command(&project, "run -j2 --trace always --cache off");
    let ran = NoxideRun::finish(command.envs(variables));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    for part in ["services/T02", "aBcDeF", "wJalrX", "K7MDENG", "bPxRfiCY"] {
        assert_eq!(files_with_text(&project.root().join(".nox/.noxide"), part), [""; 0], "{part}");
    }
    let traces = fs_err::read_dir(project.root().join(".nox/.noxide/trace/sessions")).unwrap();
    let traces: String = traces.map(|entry| fs_err::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert!(traces.contains("--key=***/x"), "{traces}");
}

/// nox does not print commands with `log=False`: their words may be secrets that no variable contains.
#[test]
fn words_of_commands_that_are_not_logged_are_in_no_record_and_no_trace() {
    let sessions = r#"
WORD = pathlib.Path("../vault").read_text()

@nox.session(venv_backend="none")
def deploy(session):
    session.run("sh", "-c", "true", external=True)
    session.run("twine", "upload", "-u", "x", "--password", WORD, "dist/*", success_codes=[0, 1, 2], external=True, log=False)

@nox.session(venv_backend="none")
def other(session):
    session.run("twine", "check", "dist/*", success_codes=[0, 1, 2], external=True)
"#;
    let project = Project::empty();
    fs_err::write(project.outer_dir().join("vault"), "vault-Zq7word").unwrap();
    project.write("noxfile.py", format!("import os, pathlib, sys\nimport nox\n{sessions}"));
    let programs = project.outer_dir().join("programs");
    crate::support::write_script(&programs.join("twine"), "#!/bin/sh\nexit 0\n");
    let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&crate::support::tool_path())));
    let mut command = noxide_command(&project, "run -j2 --trace always --cache off");
    let ran = NoxideRun::finish(command.env("PATH", path.unwrap()));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    assert_eq!(files_with_text(&project.root().join(".nox/.noxide"), "vault-Zq7word"), [""; 0]);
    let uses = &ran.session("deploy").resources.as_ref().unwrap().uses;
    assert!(uses.iter().any(|found| found.command == "twine"), "{uses:?}");
}

#[test]
fn a_secret_with_blanks_is_masked_in_the_command_of_a_timeout() {
    let sessions = "@nox.session(venv_backend='none')\ndef slow(session):\n    session.run('sh', '-c', 'exec sleep 60', \
                    os.environ['MY_PASSPHRASE'], external=True)\n";
    let project = Project::with_sessions(sessions);
    let mut command = noxide_command(&project, "run --timeout 1s --cache off");
    let ran = NoxideRun::finish(command.env("MY_PASSPHRASE", "correct  horse\tbattery  staple"));
    assert_eq!(ran.exit, Some(1), "{}", ran.text);
    assert!(!ran.text.contains("horse"), "{}", ran.text);
    assert_eq!(files_with_text(&project.root().join(".nox/.noxide"), "battery"), [""; 0]);
}

/// A token of which a message may show at most five characters at a cut.
const LONG_TOKEN: &str = "tok_Zq8xWv7yUu6zTt5aSs4bRr3cQq2dPp1e";

#[test]
fn no_part_of_a_secret_is_left_where_a_text_was_shortened_or_colored() {
    let long = "x".repeat(175);
    let sessions = format!(
        "@nox.session\ndef fails(session):\n    session.run('false', '{long}', os.environ['MY_TOKEN'], '{long}', external=True)\n\
         @nox.session\ndef colors(session):\n    token = os.environ['MY_TOKEN']\n    print(token[:12] + '\\x1b[01;31m\\x1b[K' + token[12:] + '\\x1b[m')\n    session.error('stopped')\n"
    );
    let project = Project::with_sessions(&sessions);
    let junit = project.outer_dir().join("junit.xml");
    let mut command = noxide_command(&project, &format!("run -j1 --junit {}", junit.display()));
    let ran = NoxideRun::finish(command.env("MY_TOKEN", LONG_TOKEN));
    assert_eq!(ran.exit, Some(1), "{}", ran.text);
    assert!(ran.session("fails").reason.contains("***"), "{}", ran.session("fails").reason);
    let logs = String::from_utf8([ran.log("fails", 1), ran.log("colors", 1)].concat()).unwrap();
    let junit = fs_err::read_to_string(junit).unwrap();
    for text in [&ran.text, &junit, &logs, &format!("{:?}", ran.record())] {
        for part in [&LONG_TOKEN[..6], &LONG_TOKEN[LONG_TOKEN.len() - 6..], &LONG_TOKEN[12..18]] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
}

/// A server that repeats the request in its error message, as debug servers do.
#[test]
fn credentials_in_answers_of_a_server_are_masked() {
    let project = Project::new("import nox\n@nox.session(venv_backend='uv')\ndef one(session): pass\n");
    let server = HttpServer::new(|request| {
        let token = request.headers.get("authorization").cloned().unwrap_or_default();
        HttpResponse::new(401, format!("bad token: {token} at {}", request.path))
    });
    // The path is a secret too, and noxide still knows it.
    let base = format!("{}/{ADDRESS_TOKEN}/", server.base);
    let mut import = noxide_command(&project, &format!("history import {base}runs"));
    let ran = NoxideRun::finish(import.env("NOXIDE_FORGE_TOKEN", TOKEN));
    assert!(ran.text.contains("bad token") && !ran.text.contains(TOKEN), "{}", ran.text);
    let mut ci = noxide_command(&project, "ci --cache auto");
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "a/b"),
        ("GITHUB_REF", "refs/heads/a"),
        ("GITHUB_EVENT_NAME", "push"),
        ("ACTIONS_RUNTIME_TOKEN", TOKEN),
    ];
    let ran = NoxideRun::finish(ci.envs(variables).env("ACTIONS_CACHE_URL", base));
    assert!(ran.text.contains("bad token") && !ran.text.contains(TOKEN), "{}", ran.text);
    assert!(ran.text.contains("at /***/") && !ran.text.contains(ADDRESS_TOKEN), "{}", ran.text);
    assert_eq!(files_with_token(&project.root().join("noxide-ci")), [""; 0]);
}

#[test]
fn secrets_are_not_in_errors_of_the_noxfile() {
    let project = Project::with_sessions("raise RuntimeError('boom ' + os.environ['MY_TOKEN'])\n");
    for command in ["run", "list", "graph", "matrix --shards 2", "cache key"] {
        let mut command = noxide_command(&project, command);
        let ran = NoxideRun::finish(command.env("MY_TOKEN", TOKEN));
        assert!(ran.text.contains("boom ***") && !ran.text.contains(TOKEN), "{}", ran.text);
    }
}

#[test]
fn secrets_are_not_in_errors_of_the_command_line() {
    let project = Project::with_sessions("");
    let secret = "hunter2's-secret-value";
    for arguments in [&["run", "--timeout", secret][..], &[secret], &["run", "--nothing", secret], &["ci"]] {
        let mut command = noxide_command(&project, "");
        let input = format!("-- --token={secret}");
        command.args(arguments).env("DEPLOY_TOKEN", secret).env("NOXIDE_ACTION_ARGS", input);
        let ran = NoxideRun::finish(&mut command);
        assert!(ran.exit == Some(2) && !ran.text.contains(secret), "{arguments:?}: {}", ran.text);
        assert!(ran.text.contains("***") || arguments.contains(&"--nothing"), "{arguments:?}: {}", ran.text);
    }
}

/// Reasons and commands are shortened in the middle of a secret.
#[test]
fn no_part_of_a_secret_remains_where_a_text_is_shortened() {
    let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyzA";
    let project = Project::with_sessions(
        "T = os.environ['MY_TOKEN']\n@nox.session(venv_backend='none')\ndef error(session):\n    \
         raise RuntimeError('request failed: ' + 'x' * 126 + '&token=' + T + '&y=' + 'z' * 120)\n\
         @nox.session(venv_backend='none')\ndef colored(session):\n    \
         print(T.replace('456', '\\x1b[31m456\\x1b[0m\\x1b[K'), flush=True)\n    session.error('no')\n\
         @nox.session(venv_backend='none')\ndef slow(session):\n    \
         session.run(sys.executable, '-c', 'import time; time.sleep(600)', 'x' * 10, '--token=' + T, 'y' * 99, external=True)\n",
    );
    project.write("noxide.toml", "[sessions.slow]\ntimeout = '2s'\n");
    let out = project.outer_dir().join("out");
    let mut command = noxide_command(&project, &format!("ci -j3 --dir {}", out.display()));
    let ran = NoxideRun::finish(command.env("MY_TOKEN", token));
    assert!(
        ran.exit == Some(1) && ran.text.contains("--token=*** yy") && ran.text.contains("running: "),
        "{}",
        ran.text
    );
    let mut texts = vec![ran.text];
    for entry in walkdir::WalkDir::new(&out).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file())
    {
        texts.push(String::from_utf8_lossy(&fs_err::read(entry.path()).unwrap()).into_owned());
    }
    for text in texts {
        assert!(!text.contains(&token[..10]) && !text.contains(&token[token.len() - 10..]), "{text}");
    }
}

#[test]
fn a_secret_that_is_not_utf8_is_masked() {
    use std::os::unix::ffi::OsStringExt as _;
    let session = "@nox.session(venv_backend='none')\ndef one(session):\n    \
                   sys.stdout.buffer.write(os.fsencode(os.environ['MY_TOKEN']) + b'\\n')\n    print(ascii(os.environ['MY_TOKEN']))\n";
    let project = Project::with_sessions(&format!("import sys\n{session}"));
    let mut command = noxide_command(&project, "run -v");
    let secret = std::ffi::OsString::from_vec(b"byte\xff-secret-z".to_vec());
    let ran = NoxideRun::finish(command.env("MY_TOKEN", secret));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    assert!(!ran.text.contains("-secret-z") && !project.session_log("one").contains("-secret-z"), "{}", ran.text);
    assert!(project.session_log("one").contains("***"), "{}", ran.text);
}
