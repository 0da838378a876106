//! Programs with the preload library: as much is traced as by stopping each call, and nothing else changes.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::support::Project;

const NOXFILE: &str = "
import nox, os
nox.options.default_venv_backend = 'none'

@nox.session
def looks(session):
    session.run('python', 'look.py', external=True)
    print('asan', os.environ.get('ASAN_OPTIONS'))
";

/// Accesses of every kind, more than the ring buffer can hold, in an order that matters.
const LOOK: &str = r#"
import ctypes, os, pathlib, subprocess, sys, threading

P = pathlib.Path
libc = ctypes.CDLL(None, use_errno=True)
kept = ctypes.create_string_buffer(4096)
here = os.open(".", os.O_RDONLY)

def tell(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    errno = ctypes.get_errno()
    if name.startswith(("open", "__open")) and result >= 0:
        os.close(result)
        result = "open"
    print(name, *[argument for argument in arguments if isinstance(argument, (bytes, int))], result, errno)

for path in (b"data/1", b"nowhere", b"data/1/below", b"link", b"gone", b"", None, os.path.abspath("data/2").encode(), b"x" * 600):
    for name in ("open", "open64", "__open_2", "__open64_2"):
        tell(name, path, os.O_RDONLY)
    for name in ("stat", "stat64", "lstat", "lstat64"):
        tell(name, path, kept)
    for name in ("fstatat", "fstatat64"):
        tell(name, -100, path, kept, 0)
        tell(name, here, path, kept, 0x100)
    for name in ("openat", "openat64", "__openat_2", "__openat64_2"):
        tell(name, here, path, os.O_RDONLY)
    tell("statx", -100, path, 0, 0x7ff, kept)
    tell("statx", here, path, 0x100, 0x7ff, kept)
    tell("access", path, os.R_OK)
    tell("readlink", path, kept, 4096)
tell("fstatat", here, b"", kept, 0x1000)
tell("open", b"/proc/self/status", os.O_RDONLY)
tell("open", b"made.txt", os.O_RDWR | os.O_CREAT, 0o640)
print(oct(os.stat("made.txt").st_mode))
os.close(os.open(".", os.O_RDWR | os.O_TMPFILE, 0o600))

# A link that exists only until the notes are read.
os.symlink("data/3", "by-the-way")
P("by-the-way").read_bytes()
os.remove("by-the-way")
os.symlink("data/4", "by-the-way")
P("by-the-way").read_bytes()
os.remove("by-the-way")

# What was not there, made after somebody looked.
print(P("later.txt").exists())
P("later.txt").write_text("x")

# What each process has for itself, by ways around.
os.dup2(os.open("data", os.O_PATH), 99)
tell("open", b"/dev/shm/../fd/99/7", os.O_RDONLY)
tell("open", b"../../../../../../../../proc/self/fd/99/8", os.O_RDONLY)

for number in range(5, 3000):
    os.stat(f"data/{number}")
for _ in range(3000):
    os.stat("data/5")
threads = [threading.Thread(target=lambda at=at: [os.path.exists(f"no/{at}/{n}") for n in range(400)]) for at in range(4)]
for each in threads: each.start()
for each in threads: each.join()
if os.fork() == 0:
    os.chdir("data")
    os.stat("../of-a-child")  if os.path.exists("../of-a-child") else None
    os._exit(0)
os.wait()
subprocess.run([sys.executable, "-c", "import os; os.path.exists('of-another')"], check=True)
subprocess.run(["env", "-i", sys.executable, "-c", "import os; os.path.exists('of-a-bare-one')"], check=True)
"#;

/// Returns the accesses and the output of a traced session that has these settings.
fn looked(settings: &str) -> (Value, String) {
    let project = Project::new(NOXFILE);
    project.write("look.py", LOOK);
    project.write("noxide.toml", settings);
    for number in 0..3000 {
        project.write(&format!("data/{number}"), "");
    }
    std::os::unix::fs::symlink("data/2", project.root().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.root().join("gone")).unwrap();
    let ran = project.noxide(&["trace", "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let directory = project.root().join(".nox/.noxide/trace/sessions");
    let file = fs_err::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let accesses = serde_json::from_slice(&fs_err::read(file).unwrap()).unwrap();
    let run = fs_err::read_dir(project.root().join(".nox/.noxide/runs")).unwrap().next().unwrap().unwrap().path();
    let is_preload_line = project.root().display().to_string();
    let log = fs_err::read_dir(run.join("logs")).unwrap().next().unwrap().unwrap().path();
    (accesses, fs_err::read_to_string(log).unwrap().replace(&is_preload_line, "ROOT"))
}

#[test]
fn preloaded_and_stopped_calls_are_traced_alike() {
    let (mut noted, log) = looked("");
    let (mut stopped, said_plainly) = looked("[sessions.looks.env]\nLD_PRELOAD = \"\"\n");
    let calls = |accesses: &mut Value| {
        let object = accesses.as_object_mut().unwrap();
        object.remove("session_digest");
        object.remove("traced_calls").and_then(|calls| calls.as_u64()).unwrap()
    };
    let (few, many) = (calls(&mut noted), calls(&mut stopped));
    for (key, value) in noted.as_object().unwrap() {
        let words = |value: &Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().map(ToString::to_string).collect()
        };
        let (ours, theirs) = (words(value), words(&stopped[key]));
        assert_eq!(ours.symmetric_difference(&theirs).collect::<Vec<_>>(), Vec::<&String>::new(), "{key}");
    }
    assert_eq!(noted, stopped);
    let read = &noted["read"];
    for path in ["data/3", "data/4", "data/7", "data/8", "data/2999"] {
        assert!(read.as_array().unwrap().iter().any(|known| known == path), "{path} in {read}");
    }
    let absent = noted["absent"].to_string();
    for path in ["nowhere", "later.txt", "no/3/399", "of-a-child", "of-another", "of-a-bare-one"] {
        assert!(absent.contains(&format!("\"{path}\"")), "{path} in {absent}");
    }
    assert!(log.contains("data/1' 0 open 0"), "{}", without_times(&log).join("\n"));
    let plain = log.replace("asan verify_asan_link_order=0", "asan None");
    assert_eq!(without_times(&plain), without_times(&said_plainly));
    if cfg!(target_arch = "x86_64") {
        assert!(log.contains("asan verify_asan_link_order=0"), "the sanitizer accepts the library");
        assert!(few + 2500 < many, "{few} calls where looks are noted, {many} where they are not");
    }
}

/// Returns the lines that the session itself printed.
fn without_times(log: &str) -> Vec<&str> {
    let is_preload_line =
        |line: &&str| line.contains("open") || line.contains("stat") || line.contains("asan") || line.starts_with("0o");
    log.lines().filter(is_preload_line).collect()
}

/// Projects can be in `/dev/shm`, though other paths below `/dev` are not traced by the library.
#[test]
fn accesses_below_dev_shm_are_traced() {
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
    fs_err::write(directory.path().join("there"), "").unwrap();
    let project = Project::new(
        "import nox, os\n\n@nox.session(venv_backend='none')\ndef looks(session):\n    session.run('python', 'look.py', os.environ['THERE'], external=True)\n",
    );
    project.write(
        "look.py",
        "import os, sys\nfor _ in range(5000):\n    os.stat(sys.argv[1] + '/there')\nos.chdir(sys.argv[1])\nfor _ in range(5000):\n    os.stat('there')\n",
    );
    project
        .write("noxide.toml", format!("[sessions.looks.env]\nTHERE = {:?}\n", directory.path().display().to_string()));
    let ran = project.noxide(&["trace", "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let calls = report["sessions"][0]["traced_calls"].as_u64().unwrap();
    let most = if cfg!(target_arch = "x86_64") { 5000 } else { u64::MAX };
    assert!(calls > 2 && calls < most, "{calls} calls in {}", ran.stdout);
}

/// AddressSanitizer ends programs that load another library first, unless its options allow it.
#[test]
fn sanitized_programs_run() {
    let project = Project::new(
        "import nox\n\n@nox.session(venv_backend='none')\ndef sanitized(session):\n    session.run('./look', external=True)\n",
    );
    project.write("look.c", "#include <sys/stat.h>\nint main(void) { struct stat s; return stat(\"look.c\", &s); }\n");
    let built =
        Command::new("cc").args(["-fsanitize=address", "-o", "look", "look.c"]).current_dir(project.root()).status();
    if !built.is_ok_and(|built| built.success()) {
        eprintln!("not tried: this compiler has no AddressSanitizer");
        return;
    }
    let ran = project.noxide(&["trace"]);
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stdout, ran.stderr);
}
