//! Sessions whose output is a terminal: it looks like one, no prompt waits for an answer, and grace periods are kept.

use crate::support::{HttpResponse, HttpServer, Project, type_keys};

/// What programs ask on a terminal: each must end, and say that it got no answer.
const PROMPTS: &str = "
import getpass, json
def is_refused(ask):
    try:
        return repr(ask())
    except (EOFError, OSError) as error:
        return type(error).__name__
@nox.session
def asks(session):
    answers = {
        'is a terminal': sys.stdout.isatty() and sys.stderr.isatty() and os.get_terminal_size().columns > 0,
        'interactive': session.interactive,
        'getpass': is_refused(getpass.getpass),
        'input': is_refused(input),
        '/dev/tty': is_refused(lambda: os.open('/dev/tty', os.O_RDWR)),
        'stdout': is_refused(lambda: os.read(1, 1)),
    }
    print('answers', json.dumps(answers), flush=True)
@nox.session
def asks_by_program(session):
    for words in (
        ['sh', '-c', 'read answer < /dev/tty'],
        ['python3', '-c', 'import getpass; getpass.getpass()'],
        ['git', '-c', 'credential.helper=', 'ls-remote', os.environ['REMOTE']],
        ['sh', '-c', 'yes | head -n 1000 | ${PAGER:-more}; git var GIT_PAGER; exit 3'],
    ):
        try:
            session.run(*words, external=True)
        except nox.command.CommandFailed:
            print(words[0], 'got no answer', flush=True)
";

#[test]
fn a_prompt_fails_at_once() {
    let server = HttpServer::new(|_| {
        let mut refused = HttpResponse::new(401, "");
        refused.headers.push(("www-authenticate", "Basic realm=\"test\"".to_owned()));
        refused
    });
    let project = Project::with_sessions(PROMPTS);
    project.write("noxide.toml", format!("[sessions.asks_by_program]\nenv = {{REMOTE = '{}/a.git'}}\n", server.base));
    let said = type_keys(&project, &["run", "--timeout", "50s"], "");
    assert!(said.ends_with("after line echo 0\n"), "{said}: {}", project.session_log("asks_by_program"));
    let log = project.session_log("asks");
    let answers = log.split_once("answers ").and_then(|(_, rest)| rest.lines().next()).unwrap();
    assert_eq!(
        answers.trim(),
        "{\"is a terminal\": true, \"interactive\": false, \"getpass\": \"EOFError\", \"input\": \"EOFError\", \
         \"/dev/tty\": \"OSError\", \"stdout\": \"OSError\"}"
    );
    let log = project.session_log("asks_by_program");
    assert_eq!(log.matches("got no answer").count(), 4, "{log}");
    assert!(log.contains("could not read Username"), "{log}");
    assert!(log.contains("\ncat\n"), "git needs no key to show more than a page");
}

#[test]
fn a_prompt_of_the_noxfile_fails_at_once() {
    let project = Project::new("import getpass\ngetpass.getpass()\n");
    let said = type_keys(&project, &["run"], "wait EOFError");
    assert!(said.ends_with("after line echo 3\n"), "{said}");
}

/// A session whose process ends at the first signal; its server saves its data at SIGTERM.
const SERVES: &str = "
SERVER = '''trap '' INT; trap 'sleep 1; echo saved > saved; exit' TERM; echo up > up; while :; do sleep 0.05; done'''
@nox.session
def serves(session):
    subprocess.Popen(['sh', '-c', SERVER])
    while not os.path.exists('up'): time.sleep(0.01)
    print('is up', sys.stdout.isatty(), flush=True)
    pathlib.Path('printed').touch()
    time.sleep(618.18)
";

#[test]
fn the_grace_period_is_the_same_on_a_terminal() {
    for (arguments, is_terminal) in [(&["run"][..], "True"), (&["run", "--format", "json"][..], "False")] {
        let project = Project::with_grace("3s", SERVES);
        let steps = match is_terminal {
            "True" => "wait is up True;key \\x03".to_owned(),
            _ => format!("exists {};key \\x03", project.root().join("printed").display()),
        };
        let said = type_keys(&project, arguments, &steps);
        assert!(said.ends_with("after line echo 130\n"), "{said}");
        assert!(project.session_log("serves").contains(&format!("is up {is_terminal}")));
        assert_eq!(project.read("saved").trim(), "saved", "on a terminal: {is_terminal}");
    }
}
