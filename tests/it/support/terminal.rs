//! A terminal on which noxide runs, with keys typed into it.

use std::process::Command;

use super::{Project, python, run_checked, tool_path};

/// Runs noxide on a new terminal, follows the steps, and prints what the test checks.
///
/// `wait TEXT` until the screen shows it, `key K` types, `signal S` signals noxide's group, `modes` prints the
/// terminal's, `touch F`, `exists F` waits for a file.
const TYPIST: &str = r#"
import fcntl, os, pty, select, signal, sys, termios, time
program, arguments = sys.argv[1], sys.argv[3:]
steps = [step for step in sys.argv[2].split(';') if step]
screen, other = pty.openpty()  # we hold both ends, so that its modes can be seen to the last
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(other, termios.TIOCSCTTY, 0)
    for standard in range(3): os.dup2(other, standard)
    os.closerange(3, 99)
    os.environ['TERM'] = 'xterm'
    os.execv(program, [program] + arguments)
shown = b''
def look(seconds):
    global shown
    if select.select([screen], [], [], seconds)[0]:
        try: got = os.read(screen, 65536)
        except OSError: got = b''
        shown += got
        return bool(got)
    return True
def modes():
    flags = termios.tcgetattr(screen)[3]
    return ('raw' if not flags & termios.ICANON else 'line') + (' silent' if not flags & termios.ECHO else ' echo')
print('before', modes())
for step in steps:
    word, _, rest = step.partition(' ')
    until = time.time() + 60
    if word == 'wait':
        while rest.encode() not in shown:
            assert time.time() < until, (rest, shown)
            look(0.05)
        shown = shown.split(rest.encode(), 1)[1]
    elif word == 'until':
        while modes() != rest:
            assert time.time() < until, (rest, modes(), shown)
            look(0.01)
        print('modes', modes())
    elif word == 'key': os.write(screen, rest.encode().decode('unicode_escape').encode())
    elif word == 'exists':
        while not os.path.exists(rest):
            assert time.time() < until, (rest, shown)
            look(0.01)
    elif word == 'touch': open(rest, 'w').close()
    elif word == 'stopped':
        while os.waitpid(pid, os.WUNTRACED | os.WNOHANG)[0] == 0:
            assert time.time() < until, shown
            look(0.01)
        print('stopped', modes())
    elif word == 'continue': os.kill(pid, signal.SIGCONT)
until = time.time() + 60
while True:
    look(0.01)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done: break
    assert time.time() < until, shown
print('after', modes(), os.waitstatus_to_exitcode(status))
"#;

/// Runs noxide with these arguments on a terminal of its own and types; returns what the steps printed, the terminal's
/// modes before and after, and the exit code.
pub(crate) fn type_keys(project: &Project, arguments: &[&str], steps: &str) -> String {
    let mut command = Command::new(python());
    command.args(["-c", TYPIST, env!("CARGO_BIN_EXE_noxide"), steps]).args(arguments).current_dir(project.root());
    command.env("PATH", tool_path()).env("NOX_DOWNLOAD_PYTHON", "never").env("UV_PYTHON_DOWNLOADS", "never");
    for name in ["CI", "NO_COLOR", "GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITEA_ACTIONS", "NOXSESSION"] {
        command.env_remove(name);
    }
    run_checked(&mut command)
}
