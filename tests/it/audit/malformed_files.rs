//! Hostile files: a clear finding within a second, whatever they contain.

use std::time::{Duration, Instant};

use super::audit_project::{directory, find};
use crate::support::CommandDeadline as _;

#[test]
fn malformed_files_are_reported_within_a_second() {
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let alias = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(", "))
    });
    for (text, expected) in [
        ("a: ".to_owned() + &"[".repeat(1_000_000), "nesting is deeper"),
        ("{a: ".repeat(300_000), "nesting is deeper"),
        ("? ".repeat(500_000), "nesting is deeper"),
        (bomb, "aliases"),
        ("on: push\n".to_owned() + &"# x\n".repeat(2_700_000), "larger than"),
        ("on: \0push".to_owned(), "NUL"),
        ("\u{feff}on: push".to_owned(), "byte order mark"),
        ("on: push\n---\non: push\n".to_owned(), "second YAML document"),
        ("on: [push\njobs: x".to_owned(), ""),
        (String::new(), "empty"),
    ] {
        let root = directory(&[(".forgejo/workflows/ci.yml", &text)]);
        let start = Instant::now();
        let found = find(root.path(), true);
        let head: String = text.chars().take(20).collect();
        // More than linear time would take minutes; a busy machine takes seconds.
        assert!(start.elapsed() < Duration::from_secs(60), "{head}: {:?}", start.elapsed());
        assert!(found.len() == 1 && found[0].rule.id == "NX001", "{head}");
        assert!(found[0].message.contains(expected), "{head}: {}", found[0].message);
    }
}

#[test]
fn invalid_utf8_is_reported_and_never_written_back() {
    let root = directory(&[(".forgejo/workflows/ci.yml", "")]);
    let path = root.path().join(".forgejo/workflows/ci.yml");
    let bytes = b"on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo \xff'}]}}\n";
    fs_err::write(&path, bytes).unwrap();
    let found = find(root.path(), true);
    assert!(found.len() == 1 && found[0].message.contains("not valid UTF-8"), "{found:?}");
    let mut fix = std::process::Command::new(env!("CARGO_BIN_EXE_noxide"));
    let output = fix.args(["audit", "--fix", "--unsafe-fixes"]).current_dir(root.path()).finish();
    assert!(String::from_utf8_lossy(&output.stderr).contains("applied 0 fixes to 0 files"), "{output:?}");
    assert_eq!(fs_err::read(&path).unwrap(), bytes);
}

#[test]
fn many_keys_and_long_lines_take_no_longer() {
    let keys: String = (0..20_000).map(|n| format!("  k{n}: v\n")).collect();
    let steps: String = (0..2_000).map(|n| format!("      - run: nox -s a{n} b | tee x{n}.log\n")).collect();
    for text in [
        format!("on: push\nenv:\n{keys}jobs: {{}}\n"),
        format!("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n{steps}"),
        format!("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: {}\n", "nox -s a; ".repeat(20_000)),
        format!(
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: {}\n",
            "nox -s ${{ A.x }}; ".repeat(20_000)
        ),
    ] {
        let root = directory(&[(".forgejo/workflows/ci.yml", &text)]);
        let start = Instant::now();
        find(root.path(), true);
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }
}

#[test]
fn binary_content_does_not_panic() {
    let root = directory(&[]);
    let path = root.path().join(".forgejo/workflows");
    fs_err::create_dir_all(&path).unwrap();
    fs_err::write(path.join("ci.yml"), b"on: push # \xff\xfe\njobs: {}\n").unwrap();
    find(root.path(), true);
}
