//! Disks that are full or read-only, streams that are closed, and sessions that print too much.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};

use noxide::record::{Outcome, RunStore};

use crate::support::{
    ChildDeadline as _, CommandDeadline as _, Project, RunningNoxide, rounds, run_flags, shell_session,
};

/// Maximum resident set of noxide, in KiB.
const MOST_MEMORY: u64 = 60 << 10;

/// A file system in memory, unmounted on drop; `None` if mounting is not permitted.
pub(crate) struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    pub(crate) fn new(dir: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(dir).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"], dir).then_some(Self(dir))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).finish_status();
    }
}

#[allow(clippy::print_stdout)] // who reads the log should know
pub(crate) fn mount(words: &[&str], dir: &Path) -> bool {
    let done = Command::new("mount").args(words).arg(dir).stderr(Stdio::null()).status();
    let mounted = done.is_ok_and(|status| status.success());
    if !mounted {
        println!("not tried: nothing may be mounted here");
    }
    mounted
}

/// Runs with a temporary directory outside the project, the last resort for records.
fn with_tmp(project: &Project, flags: &[&str]) -> crate::support::NoxideRun {
    let tmp = project.outer_dir().join("tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let mut command = run_flags(project, flags);
    command.env("TMPDIR", &tmp);
    RunningNoxide::from_command(project, command).finish()
}

fn recorded_below_temp_dir(project: &Project) -> bool {
    let entries = walkdir::WalkDir::new(project.outer_dir().join("tmp")).into_iter().flatten();
    let stores = entries.filter_map(|entry| RunStore::open_existing(entry.into_path()));
    stores.flat_map(|store| store.newest_records(1)).any(|record| record.exit_code == Some(0))
}

const LOUD: &str = "yes 'a line of some length, many times' | head -c 3000000";

#[test]
fn a_file_size_limit_loses_the_log_but_not_the_session() {
    let project = Project::with_grace("500ms", &(shell_session("loud", LOUD) + &shell_session("fails", "exit 4")));
    let mut command = project.command("sh");
    command.args(["-c", "ulimit -f 200; exec \"$0\" run --idle-timeout 20s", env!("CARGO_BIN_EXE_noxide")]);
    let over = RunningNoxide::from_command(&project, command).finish();
    assert_eq!(over.code(), 1, "{}", over.text);
    assert_eq!((over.outcome("loud"), over.outcome("fails")), (Outcome::Passed, Outcome::Failed), "{}", over.text);
    assert!(over.text.contains("the log of loud is incomplete"), "{}", over.text);
}

#[test]
fn a_full_disk_fails_no_session() {
    let project = Project::with_grace("500ms", &(shell_session("loud", LOUD) + &shell_session("quiet", "true")));
    let dir = project.root().join(".nox/.noxide");
    let Some(_mounted) = Mounted::new(&dir, "300k") else { return };
    let over = with_tmp(&project, &["-j2"]);
    assert_eq!(over.code(), 0, "{}", over.text);
    assert!(over.text.contains("2 passed") && over.text.contains("the log of loud is incomplete"), "{}", over.text);
    // Now not even a directory can be created: the record is written to the temporary directory, or reported as missing.
    fs_err::write(dir.join("ballast"), vec![0; 1 << 20]).unwrap_err();
    let result = with_tmp(&project, &["-j2"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.text.contains("2 passed"), "{}", result.text);
    assert!(result.text.contains("warning: ") || recorded_below_temp_dir(&project), "{}", result.text);
}

#[test]
fn a_run_works_in_a_read_only_tree() {
    let project = Project::with_grace("500ms", &shell_session("one", "true"));
    let dir = project.root().join(".nox/.noxide");
    fs_err::create_dir(dir.parent().unwrap()).unwrap();
    fs_err::write(&dir, "in the way").unwrap();
    let result = with_tmp(&project, &[]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.text.contains("records are written to ") && recorded_below_temp_dir(&project), "{}", result.text);
    std::fs::remove_file(&dir).unwrap();
    std::fs::remove_dir_all(project.outer_dir().join("tmp")).unwrap();
    let Some(_mounted) = Mounted::new(&dir, "10m") else { return };
    std::fs::create_dir(dir.join("runs")).unwrap();
    fs_err::write(dir.join(".gitignore"), "*\n").unwrap();
    assert!(mount(&["-o", "remount,ro"], &dir));
    let result = with_tmp(&project, &[]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.text.contains("records are written to ") && recorded_below_temp_dir(&project), "{}", result.text);
}

#[test]
fn a_session_that_cleans_the_tree_breaks_no_other() {
    let sweep = "rm -rf .nox/.noxide; echo swept > swept";
    let project = Project::with_grace(
        "500ms",
        &(shell_session("sweeps", sweep) + &shell_session("after", "test -s swept && echo still here")),
    );
    let result = RunningNoxide::run(&project, &["-j1"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    assert!(result.text.contains("2 passed"), "{}", result.text);
    let record = result.record();
    assert_eq!(record.sessions.len(), 2, "the record is there all the same");
    assert!(String::from_utf8_lossy(&result.log("after", 1)).contains("still here"));
}

#[test]
fn a_closed_output_pipe_ends_no_run() {
    let project = Project::with_grace(
        "500ms",
        &(shell_session("one", LOUD)
            + &shell_session("two", LOUD)
            + &shell_session("three", "sleep 0.2; echo done > done")),
    );
    for style in ["grouped", "labelled"] {
        let mut command = run_flags(&project, &["-j1", "--output", style]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let line = child.first_line();
        assert!(line.contains("3 sessions"), "{line}");
        let done = child.finish_output();
        assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""), "{style}");
        assert_eq!(project.newest_record().count_outcome(Outcome::Passed), 3);
    }
    let mut command = project.command("sh");
    command.args(["-c", "exec \"$0\" run >&- 2>&-", env!("CARGO_BIN_EXE_noxide")]);
    assert_eq!(command.finish_status().code(), Some(0));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let done = run_flags(&project, &[]).stdout(full).stderr(Stdio::piped()).spawn().unwrap().finish_output();
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: cannot write output: ") && stderr.lines().count() == 1, "{stderr}");
}

/// Prints so many megabytes in lines of a hundred bytes.
fn megabytes(count: u32, end: &str) -> String {
    format!(
        "@nox.session\ndef huge(session):\n    code = 'import sys\\nfor n in range({count}):\\n    \
         sys.stdout.write((\"%06d \" % n + \"x\" * 92 + \"\\\\n\") * 10000)'\n    \
         session.run('python3', '-c', code, external=True)\n    {end}\n"
    )
}

#[test]
fn a_huge_log_is_complete_on_disk_and_small_in_memory() {
    let size = rounds(80, 400);
    for (end, flags) in [("pass", &["--output", "labelled"][..]), ("raise ValueError('no')", &[][..])] {
        let project = Project::with_grace("500ms", &megabytes(size, end));
        let result = RunningNoxide::run(&project, flags);
        assert_eq!(result.code(), i32::from(flags.is_empty()), "{}", result.text);
        let log = result.session("huge").attempts[0].log_bytes;
        assert!(log > u64::from(size) * 1_000_000, "{log}");
        println!("{size} MB: {} KiB at most, {:?}", result.peak_memory_kib, result.elapsed);
        assert!((1..MOST_MEMORY).contains(&result.peak_memory_kib), "{} KiB", result.peak_memory_kib);
    }
}

const CROWD: &str = r#"
def prints(number):
    def run(session):
        code = '''
import sys, time
until = time.monotonic()
for n in range(10000):
    sys.stdout.write("%s line %d of many\\n" % (sys.argv[1], n))
    if n % 100 == 99:
        sys.stdout.flush()
        until += 0.01
        time.sleep(max(0, until - time.monotonic()))
'''
        session.run("python3", "-c", code, str(number), external=True, log=False)
    nox.session(run, name="s%d" % number)

for number in range(8):
    prints(number)
"#;

#[test]
fn eight_sessions_at_ten_thousand_lines_a_second_lose_none() {
    let project = Project::with_grace("500ms", CROWD);
    let result = RunningNoxide::run(&project, &["-j8", "--output", "labelled"]);
    assert_eq!(result.code(), 0, "{}", result.text);
    for number in 0..8 {
        let expected: String = (0..10_000).map(|n| format!("{number} line {n} of many\n")).collect();
        let log = result.log(&format!("s{number}"), 1);
        assert!(String::from_utf8(log).unwrap().contains(&expected), "s{number} lost lines");
        assert_eq!(result.text.matches(&format!("| {number} line ")).count(), 10_000, "on screen");
    }
    println!("{} KiB at most, {:?}", result.peak_memory_kib, result.elapsed);
    assert!((1..MOST_MEMORY).contains(&result.peak_memory_kib), "{} KiB", result.peak_memory_kib);
}

const ODD: &str = r#"
@nox.session
def odd(session):
    code = '''
import sys
out = sys.stdout.buffer
out.write(bytes(range(256)) * 8)
for n in range(100):
    out.write(b"\\r%3d %%" % n)
out.write(b"\\n\\xff\\xfe\\xc3 no text\\n\\x1b[2J\\x1b]0;title\\x07 no end")
'''
    session.run("python3", "-c", code, external=True)
"#;

#[test]
fn odd_bytes_are_raw_on_disk_and_harmless_on_screen() {
    let project = Project::with_grace("500ms", ODD);
    for style in ["grouped", "labelled", "stream"] {
        let result = RunningNoxide::run(&project, &["--output", style, "-v"]);
        assert_eq!(result.code(), 0, "{}", result.text);
        let mut expected: Vec<u8> = (0..8).flat_map(|_| 0..=255_u8).collect();
        (0..100).for_each(|n| expected.extend(format!("\r{n:3} %").into_bytes()));
        expected.extend(b"\n\xff\xfe\xc3 no text\n\x1b[2J\x1b]0;title\x07 no end");
        let log = result.log("odd", 1);
        assert!(log.windows(expected.len()).any(|window| window == expected), "{style}");
        let harmful = |sign: char| sign.is_control() && !"\n\t\r".contains(sign);
        assert!(!result.text.contains(harmful), "{style}: {:?}", result.text);
        assert!(result.text.contains("no text") && result.text.contains(" 99 %"), "{style}: {}", result.text);
    }
}
