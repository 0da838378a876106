//! `noxide merge --coverage`: data of the real coverage.py and slipcover, combined and held to a minimum.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{CommandDeadline as _, Project, python, run_checked, venv};

const SOURCE: &str = "import sys\ndef f(x):\n    if x:\n        return 1\n    return 2\nf(int(sys.argv[1]))\n";

/// A project with data of two runs, each of which covers another half of its function.
fn measured(arguments: &dyn Fn(&str) -> Vec<String>) -> Project {
    let project = Project::empty();
    project.write("app.py", SOURCE);
    for half in ["0", "1"] {
        run_checked(project.command(python()).args(arguments(half)).arg("app.py").arg(half));
    }
    project
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn slipcover_merges_as_its_own_command() {
    for branch in ["", " --branch"] {
        let project = measured(&|half| words(&format!("-m slipcover --json --out cov-{half}.json{branch}")));
        let expected = "-m slipcover --json --out merged.json --merge cov-0.json cov-1.json";
        run_checked(project.command(python()).args(words(&format!("{expected}{branch}"))));
        let expected: Value = serde_json::from_str(&project.read("merged.json")).unwrap();
        std::fs::remove_file(project.root().join("merged.json")).unwrap();
        let ran = project.noxide(&["merge", "--coverage", "--dir", "out", "--fail-under", "100"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(
            ran.stdout.starts_with("coverage 100.00 % (slipcover, 2 data files), required 100 %"),
            "{}",
            ran.stdout
        );
        let combined: Value = serde_json::from_str(&project.read("out/coverage.json")).unwrap();
        assert_eq!((&combined["files"], &combined["summary"]), (&expected["files"], &expected["summary"]));
        // The combined file is not taken for data the next time.
        assert_eq!(
            project.noxide(&["merge", "--coverage", "--dir", "out"]).stdout,
            ran.stdout.replace(", required 100 %", "")
        );
        std::fs::remove_file(project.root().join("cov-1.json")).unwrap();
        let ran = project.noxide(&["merge", "--coverage", "--dir", "out", "--fail-under", "97.5"]);
        assert!(ran.exit == Some(1) && ran.stdout.contains("1 data file), below the required 97.5 %"), "{ran:?}");
    }
}

#[test]
fn coverage_py_combines_its_own_files() {
    let project = measured(&|half| words(&format!("-m coverage run --data-file=.coverage.{half}")));
    project.write(".coverage.odd", "no database");
    let ran = project.noxide(&["merge", "--coverage", "--fail-under", "100", "--format", "json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["coverage"][0]["percent"], json!(100.0), "{document:#}");
    assert_eq!(document["coverage"][0]["files"], 2);
    assert!(
        project.root().join(".coverage.0").exists() && project.root().join(".nox/.noxide/coverage/.coverage").exists()
    );
    std::fs::remove_file(project.root().join(".coverage.1")).unwrap();
    let ran = project.noxide(&["merge", "--coverage", "--fail-under", "97"]);
    assert!(
        ran.exit == Some(1) && ran.stdout.starts_with("coverage 83.33 % (coverage.py, 1 data file), below"),
        "{ran:?}"
    );
}

#[test]
fn shards_of_other_checkouts_add_up() {
    let project = Project::empty();
    let mut directories: Vec<PathBuf> = Vec::new();
    for half in ["0", "1"] {
        let checkout = project.outer_dir().join(half);
        std::fs::create_dir(&checkout).unwrap();
        let checkout = project.below(&checkout);
        checkout.write("app.py", SOURCE);
        checkout.write("noxide.toml", "[sessions.tests]\nartifacts = ['cov.json']\n");
        let app = checkout.root().join("app.py");
        let run = format!("'-m', 'slipcover', '--json', '--out', 'cov.json', {:?}, '{half}'", app.to_string_lossy());
        checkout.write("noxfile.py", format!(
            "import nox\nnox.options.default_venv_backend = 'none'\n@nox.session\ndef tests(session): session.run({:?}, {run}, external=True)\n",
            python().to_string_lossy()
        ));
        assert_eq!(checkout.noxide(&["run"]).exit, Some(0));
        // Only data in the record counts, as when its directory alone was uploaded.
        std::fs::remove_file(checkout.root().join("cov.json")).unwrap();
        directories.push(checkout.root().join(".nox/.noxide"));
    }
    let directories: Vec<&str> = directories.iter().map(|directory| directory.to_str().unwrap()).collect();
    let ran =
        project.noxide(&["merge", directories[0], directories[1], "--coverage", "--fail-under", "100", "--dir", "all"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("coverage 100.00 % (slipcover, 2 data files"), "{}", ran.stdout);
    assert!(Path::new(&project.root().join("all/record.json")).exists());
}

#[test]
fn incompatible_coverage_data_is_reported() {
    let project = Project::empty();
    let none = project.noxide(&["merge", "--coverage"]);
    assert!(none.exit == Some(2) && none.stderr.contains("no coverage data found"), "{none:?}");
    project.write("cov-1.json", r#"{"meta": {"software": "slipcover", "branch_coverage": true}, "files": {}}"#);
    project.write("cov-2.json", r#"{"meta": {"software": "slipcover"}, "files": {}}"#);
    let mixed = project.noxide(&["merge", "--coverage"]);
    assert!(mixed.exit == Some(2) && mixed.stderr.contains("measure all files the same way"), "{mixed:?}");
    let project = Project::empty();
    project.write(".coverage", "SQLite format 3\0 and no more");
    let broken = project.noxide(&["merge", "--coverage"]);
    assert!(broken.exit == Some(3) && broken.stderr.contains("`coverage combine` failed"), "{broken:?}");
    let mut command: Command = crate::support::noxide_in(project.root(), &["merge", "--coverage"]);
    let without = command.env("PATH", "/nonexistent").env_remove("VIRTUAL_ENV").finish();
    assert!(String::from_utf8_lossy(&without.stderr).contains("coverage.py is not installed"), "{without:?}");
    assert!(venv().join("bin/coverage").exists(), ".ci/tools.txt has it");
}

#[test]
fn data_without_lines_and_too_much_data_are_refused() {
    let project = Project::empty();
    let empty = r#"{"meta": {"software": "slipcover"}, "files": {}}"#;
    project.write("cov-1.json", empty);
    let merge = || project.noxide(&["merge", "--coverage", "--fail-under", "97"]);
    let ran = merge();
    assert!(ran.exit == Some(2) && ran.stderr.contains("(1 file) has no lines"), "{ran:?}");
    // With lines in another file it is no error: a session may measure nothing.
    project.write("cov-2.json", empty.replace("{}", r#"{"a.py": {"executed_lines": [1], "missing_lines": []}}"#));
    let ran = merge();
    assert!(ran.exit == Some(0) && ran.stdout.contains("100.00 % (slipcover, 2 data files)"), "{ran:?}");
    // A large document of another tool is left out, one of slipcover is not.
    let large = |start: &str| {
        let path = project.write("cov-3.json", start);
        fs_err::OpenOptions::new().append(true).open(path).unwrap().set_len(40 << 20).unwrap();
    };
    large("{\"meta\": {\"format\": 3},");
    assert_eq!(merge().stdout, ran.stdout);
    large("{\"meta\": {\"software\": \"slipcover\"},");
    let ran = merge();
    assert!(ran.exit == Some(2) && ran.stderr.contains("there are more than 32 MiB"), "{ran:?}");
    std::fs::remove_file(project.root().join("cov-3.json")).unwrap();
    for number in 0..=10_000 {
        project.write(&format!("many/.coverage.{number}"), "");
    }
    let ran = merge();
    assert!(ran.exit == Some(2) && ran.stderr.contains("more than 10000 data files"), "{ran:?}");
}
