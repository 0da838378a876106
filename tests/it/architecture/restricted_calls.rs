//! Calls that follow symbolic links, or run a shell, outside the files that may use them.

use std::collections::BTreeSet;
use std::path::Path;

use super::modules::files_below;

/// A call and the files that may use it.
struct RestrictedCall {
    /// The call as in the source.
    call: &'static str,
    /// What to use instead.
    instead: &'static str,
    /// Files that may use it, because the path is not chosen by others or a link to a file is what a user wants.
    files: &'static [&'static str],
    /// Directories in which it is restricted; empty for all.
    dirs: &'static [&'static str],
}

/// Where untrusted documents are read: records and stores.
const DOCUMENT_DIRS: &[&str] = &["src/cache/", "src/record/"];

const RESTRICTED_CALLS: &[RestrictedCall] = &[
    RestrictedCall { call: "remove_dir_all(", instead: "`fs::remove_dir_tree`", files: &[], dirs: &[] },
    RestrictedCall {
        call: "fs_err::copy(",
        instead: "`RootDir::copy_tree`",
        files: &["src/report/bench/checkout_copy.rs", "src/run/coverage_files.rs", "src/run/session_cleanup.rs"],
        dirs: &[],
    },
    RestrictedCall { call: "fs::copy(", instead: "`RootDir::copy_tree`", files: &[], dirs: &[] },
    RestrictedCall {
        call: "File::create(",
        instead: "`fs::write_atomic`",
        files: &[
            "src/cli/run.rs",
            "src/project/nox/find.rs",
            "src/record/recorder.rs",
            "src/report/bench/runner.rs",
            "src/run/artifact_collector.rs",
            "src/run/dispatcher/start.rs",
            "src/run/process/log_writer.rs",
        ],
        dirs: &[],
    },
    RestrictedCall {
        call: "set_permissions(",
        instead: "the mode when creating the file",
        files: &["src/cache/backends/directory.rs", "src/cache/store/staging.rs", "src/fs/atomic.rs", "src/fs/link.rs"],
        dirs: &[],
    },
    RestrictedCall {
        call: "fs::read(",
        instead: "`fs::read_regular_file`, which has a limit and opens no pipe",
        files: &["src/cache/keys/inputs.rs", "src/cache/uv/probe.rs"],
        dirs: DOCUMENT_DIRS,
    },
    RestrictedCall {
        call: "fs_err::read(",
        instead: "`fs::read_regular_file`, which has a limit and opens no pipe",
        files: &["src/cache/http/client.rs"],
        dirs: DOCUMENT_DIRS,
    },
    RestrictedCall {
        call: "read_to_string(",
        instead: "`fs::read_regular_file` or `fs::read_project_text`",
        files: &[],
        dirs: DOCUMENT_DIRS,
    },
    RestrictedCall {
        call: "File::open(",
        instead: "`fs::open_regular_file`",
        files: &["src/cache/store/environment_restore.rs"],
        dirs: DOCUMENT_DIRS,
    },
    RestrictedCall { call: "Command::new(\"sh\")", instead: "the program itself", files: &[], dirs: &[] },
    RestrictedCall { call: "Command::new(\"/bin/sh\")", instead: "the program itself", files: &[], dirs: &[] },
    RestrictedCall { call: "Command::new(\"bash\")", instead: "the program itself", files: &[], dirs: &[] },
];

/// Returns all calls outside the files that may use them, and the files that need no exception any more, unsorted.
fn violations(root: &Path, calls: &[RestrictedCall]) -> Vec<String> {
    let (mut found, mut used) = (Vec::new(), BTreeSet::new());
    let mut files = Vec::new();
    files_below(&root.join("src"), "rs", &mut files);
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let name = file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        let text = fs_err::read_to_string(file).expect("source is UTF-8");
        // Unit tests are at the end of a file.
        let code = text.split("\nmod tests {").next().unwrap_or_default();
        for (index, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let is_here =
                |known: &RestrictedCall| known.dirs.is_empty() || known.dirs.iter().any(|dir| name.starts_with(dir));
            let restricted_here = calls.iter().enumerate().filter(|(_, known)| is_here(known));
            for (number, restricted) in restricted_here.filter(|(_, known)| line.contains(known.call)) {
                if restricted.files.contains(&name.as_str()) {
                    used.insert((number, name.clone()));
                } else {
                    let call = restricted.call.trim_end_matches('(');
                    found.push(format!("{name}:{}: `{call}`: use {}", index + 1, restricted.instead));
                }
            }
        }
    }
    for (number, restricted) in calls.iter().enumerate() {
        let unused = restricted.files.iter().filter(|file| !used.contains(&(number, (**file).to_owned())));
        found.extend(unused.map(|file| format!("{file} does not use `{}`: remove the exception", restricted.call)));
    }
    found
}

#[test]
fn restricted_calls_are_only_in_the_files_that_may_use_them() {
    let found = violations(Path::new(env!("CARGO_MANIFEST_DIR")), RESTRICTED_CALLS);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_call_in_another_file_and_an_unused_exception_are_found() {
    let root = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(root.path().join("src/run")).unwrap();
    let write = |name: &str, text: &str| fs_err::write(root.path().join("src/run").join(name), text).unwrap();
    write("a.rs", "// fs::copy(a, b)\nfn a() {\n    fs_err::copy(a, b);\n}\n");
    write("b.rs", "fn b() {\n    std::fs::copy(a, b);\n}\n");
    write("c.rs", "fn c() {}\n\n#[cfg(test)]\nmod tests {\n    fn d() { fs::copy(a, b); }\n}\n");
    write("tests.rs", "fn e() { fs::copy(a, b); }\n");
    let files: &[&str] = &["src/run/b.rs", "src/run/c.rs"];
    let in_other_dir = RestrictedCall { call: "fn ", instead: "y", files: &[], dirs: &["src/other/"] };
    let calls = [RestrictedCall { call: "::copy(", instead: "x", files, dirs: &[] }, in_other_dir];
    let expected = ["src/run/a.rs:3: `::copy`: use x", "src/run/c.rs does not use `::copy(`: remove the exception"];
    assert_eq!(violations(root.path(), &calls), expected);
}
