//! `.ci/slow-tests.txt` names tests that exist.

use std::process::Command;

use crate::support::run_checked;

#[test]
fn slow_tests_exist() {
    let names = run_checked(Command::new(std::env::current_exe().unwrap()).arg("--list"));
    let list = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/slow-tests.txt")).unwrap();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (name, when) = line.split_once("  ").unwrap_or_else(|| panic!("not two blanks: {line}"));
        assert!(names.contains(name), "no test is named {name}");
        assert!(["fast", "all"].contains(&when), "{line}");
    }
}
