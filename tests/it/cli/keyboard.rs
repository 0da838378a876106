//! Keys on the board, typed into a real terminal: they show the status, and the terminal is restored.

use crate::support::{Project, type_keys};

const WAITS: &str = "@nox.session\ndef works(session):\n    print('stdin', sys.stdin.read() == '', flush=True)\n    \
                     while not os.path.exists('over'): time.sleep(0.01)\n";

#[test]
fn a_key_press_shows_the_status_and_the_terminal_is_restored() {
    let project = Project::with_sessions(WAITS);
    let output = type_keys(
        &project,
        &["run"],
        "wait stdin True;until raw silent;key x;key t;wait 1 running, 0 done;key \\n;wait 1 running, 0 done;touch over",
    );
    assert_eq!(output, "before line echo\nmodes raw silent\nafter line echo 0\n");
}

#[test]
fn an_interrupt_restores_the_terminal() {
    let project = Project::with_sessions(WAITS);
    let output = type_keys(&project, &["run"], "wait stdin True;until raw silent;key \\x03");
    assert_eq!(output, "before line echo\nmodes raw silent\nafter line echo 130\n");
}

#[test]
fn a_stopped_noxide_restores_the_terminal() {
    let project = Project::with_sessions(WAITS);
    let steps =
        "wait stdin True;until raw silent;key \\x1a;stopped;continue;until raw silent;key t;wait 1 running;touch over";
    let output = type_keys(&project, &["run"], steps);
    assert_eq!(output, "before line echo\nmodes raw silent\nstopped line echo\nmodes raw silent\nafter line echo 0\n");
}
