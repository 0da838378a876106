//! Hostile files of a checkout that `noxide audit` reads: each has limits, and no other file of the machine is shown.

use std::os::unix::fs::symlink;

use crate::support::{NoxideRun, Project, type_keys};

const NOXFILE: &str = "@nox.session(venv_backend='none')\ndef one(session): pass\n";
const WORKFLOW: &str = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: ";

/// The result of an audit of a step with this script, and of a noxfile with one session.
fn audit(project: &Project, script: &str) -> NoxideRun {
    project.write(".github/workflows/a.yml", format!("{WORKFLOW}|\n          {script}\n"));
    project.noxide(&["audit", "--fail-on", "never"])
}

#[test]
fn a_step_with_too_many_commands_or_words_is_a_finding_and_not_audited() {
    let project = Project::with_sessions(NOXFILE);
    let ran = audit(&project, &"x; ".repeat(2_001));
    assert!(ran.exit == Some(0) && ran.text.contains("more than 2000 commands"), "{}", ran.text);
    let ran = audit(&project, &"nox; ".repeat(501));
    assert!(ran.text.contains("more than 500 calls of nox"), "{}", ran.text);
    let ran = audit(&project, &format!("nox -s {}", "a ".repeat(10_000)));
    assert!(ran.text.contains("a job has more than 10000 words"), "{}", ran.text);
    let job = |number| format!("  j{number}:\n    runs-on: x\n    steps:\n      - run: x {}\n", "a ".repeat(9_000));
    project.write(".github/workflows/a.yml", format!("on: push\njobs:\n{}", (0..12).map(job).collect::<String>()));
    let ran = project.noxide(&["audit", "--fail-on", "never"]);
    assert!(ran.text.contains("the workflow has more than 100000 words"), "{}", ran.text);
}

#[test]
fn a_command_with_many_prefixes_does_not_end_an_audit() {
    let project = Project::with_sessions(NOXFILE);
    let ran = audit(&project, &format!("{}nox -s one", "env ".repeat(100_000)));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
    let ran = audit(&project, &format!("{}nox", "{ ".repeat(200_000)));
    assert_eq!(ran.exit, Some(0), "{}", ran.text);
}

#[test]
fn a_text_that_many_aliases_repeat_has_a_limit() {
    let project = Project::with_sessions(NOXFILE);
    let steps = "      - run: *x\n".repeat(99);
    project.write(".github/workflows/a.yml", format!("{WORKFLOW}&x '{}'\n{steps}", "a".repeat(100_000)));
    let ran = project.noxide(&["audit", "--fail-on", "never"]);
    assert!(ran.exit == Some(0) && ran.text.contains("bytes of text, that of expanded aliases"), "{}", ran.text);
}

#[test]
fn the_answer_for_a_noxfile_with_a_long_constant_has_a_limit() {
    let project = Project::empty();
    let noxfile = |uses: usize| {
        let text = format!("import nox\nX = '{}'\n@nox.session\ndef one(s):\n", "a".repeat(1_000_000));
        project.write("noxfile.py", text + &"    s.run(X)\n".repeat(uses) + "@nox.session\ndef two(s): pass\n");
    };
    let is_read = || {
        project.write(".github/workflows/a.yml", format!("{WORKFLOW}nox -s one\n      - run: nox -s two\n"));
        project.noxide(&["audit", "--inventory", "--format", "json"]).text.len()
    };
    noxfile(1);
    let known = is_read();
    noxfile(99);
    assert!(is_read() < known, "the noxfile is not known");
}

#[test]
fn a_settings_file_that_does_not_end_is_refused() {
    let project = Project::with_sessions(NOXFILE);
    project.write(".github/workflows/a.yml", format!("{WORKFLOW}nox\n"));
    for file in ["noxide.toml", "pyproject.toml"] {
        // A regular file without a size. The limit on memory is for a noxide that reads it to its end.
        symlink("/proc/self/pagemap", project.root().join(file)).unwrap();
        for command in ["audit", "list"] {
            let mut shell = project.command("sh");
            shell.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$1\"", env!("CARGO_BIN_EXE_noxide"), command]);
            let ran = NoxideRun::finish(&mut shell);
            assert!(ran.exit == Some(2) && ran.text.contains("cannot read"), "{command}, {file}: {}", ran.text);
            assert!(!ran.text.contains("memory"), "{command}, {file}: {}", ran.text);
        }
        fs_err::remove_file(project.root().join(file)).unwrap();
    }
}

#[test]
fn errors_of_settings_beyond_the_first_are_counted() {
    let project = Project::with_sessions(NOXFILE);
    project.write("noxide.toml", (0..500).map(|key| format!("key{key} = 1\n")).collect::<String>());
    let ran = project.noxide(&["list"]);
    assert_eq!((ran.exit, ran.text.matches("unknown key").count()), (Some(2), 50), "{}", ran.text);
    assert!(ran.text.contains("noxide.toml has 450 more errors"), "{}", ran.text);
    project.write("noxide.toml", "# x\n".repeat(1 << 20) + "\n");
    let ran = project.noxide(&["list"]);
    assert!(ran.exit == Some(2) && ran.text.contains("more than 4194304 bytes"), "{}", ran.text);
}

#[test]
fn a_diff_on_a_terminal_has_no_control_sequences() {
    let project = Project::with_sessions(NOXFILE);
    let comment = "      # be\x1b]0;title\x07fo\x1b[2Jre\n";
    let steps =
        "      - uses: actions/checkout@v6\n      - run: nox -s one\n      - uses: actions/upload-artifact@v3\n";
    let job = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n";
    project.write(".github/workflows/a.yml", format!("{job}{comment}{steps}"));
    let arguments = ["audit", "--diff", "--unsafe-fixes", "--fail-on", "never"];
    assert!(project.noxide(&arguments).text.contains("be\x1b]0;title\x07fo"), "a pipe gets the bytes of the file");
    let shown = type_keys(&project, &arguments, "wait # before");
    assert!(shown.contains("after"), "{shown}");
}

#[test]
fn a_baseline_of_the_settings_is_read_in_the_project_only() {
    let project = Project::with_sessions(NOXFILE);
    project.write(".github/workflows/a.yml", format!("{WORKFLOW}nox\n"));
    fs_err::create_dir(project.root().join(".git")).unwrap();
    for text in
        ["\"SECRET\"", "{\"SECRET\": 1}", "{\"version\": \"SECRET\"}", "{\"version\": 81234567, \"findings\": {}}"]
    {
        let outside = project.outer_dir().join("credentials.json");
        fs_err::write(&outside, text).unwrap();
        symlink(&outside, project.root().join("link.json")).unwrap();
        project.write("own.json", text);
        for path in [outside.to_str().unwrap(), "../credentials.json", "link.json", "../missing.json", "own.json"] {
            project.write("noxide.toml", format!("[audit]\nbaseline = '{path}'\n"));
            for arguments in [&["audit"][..], &["audit", "--diff"]] {
                let ran = project.noxide(arguments);
                let is_refused = ran.text.contains("is outside of the project") || path == "own.json";
                assert!(is_refused && ran.exit != Some(0), "{path}: {}", ran.text);
                assert!(!ran.text.contains("SECRET"), "{path}: {}", ran.text);
                assert!(!ran.text.contains("81234567") || path == "own.json", "{path}: {}", ran.text);
            }
        }
        fs_err::remove_file(project.root().join("link.json")).unwrap();
    }
    // One that the user names.
    let ran = project.noxide(&["audit", "--baseline", "../credentials.json"]);
    assert!(ran.text.contains("format version 81234567"), "{}", ran.text);
}
