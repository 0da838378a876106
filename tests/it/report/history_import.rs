//! `noxide history import`: responses of three forges over HTTP, commit statuses, logs of nox, malformed input.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use noxide::project::SessionName;
use noxide::project::default_run_data_dir;
use noxide::record::{ImportedRuns, RunStore};
use noxide::report::parse_import;
use serde_json::{Value, json};

use crate::support::{ChildDeadline as _, CommandDeadline as _, Project, python};

fn shapes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/history")
}

fn noxide(project: &Project, arguments: &[&str]) -> Output {
    project.command(env!("CARGO_BIN_EXE_noxide")).args(["history", "import"]).args(arguments).finish()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn imported(project: &Project) -> ImportedRuns {
    ImportedRuns::read(&project.root().join(".nox/.noxide")).unwrap()
}

/// A forge that serves recorded responses.
struct Forge {
    child: Child,
    address: String,
}

impl Forge {
    fn serve() -> Self {
        let mut child =
            Command::new(python()).arg(shapes().join("forge.py")).arg(shapes()).stdout(Stdio::piped()).spawn().unwrap();
        let line = child.first_line();
        Self { child, address: format!("http://127.0.0.1:{}", line.trim()) }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait_for_end();
    }
}

/// Name, seconds, passed.
fn jobs(import: &ImportedRuns) -> Vec<(String, Option<u64>, bool)> {
    let all = import.runs.iter().flat_map(|run| &run.jobs);
    all.map(|job| (job.name.clone(), job.wall_ms.map(|ms| ms / 1_000), job.passed)).collect()
}

#[test]
fn runs_and_jobs_of_three_forges_come_page_by_page() {
    let forge = Forge::serve();
    let project = Project::empty();
    for (file, source, walls) in [
        ("github-runs.json", "github", vec![Some(310_000), Some(95_000)]),
        ("gitea-runs.json", "gitea", vec![Some(185_000)]),
        ("forgejo-runs.json", "forgejo", vec![Some(305_000), Some(61_000)]),
    ] {
        let project = Project::empty();
        let output = noxide(&project, &[&forge.at(file), "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", err(&output));
        let kept = imported(&project);
        assert!(kept.runs.iter().all(|run| run.source == source), "{kept:?}");
        assert_eq!(kept.runs.iter().map(|run| run.wall_ms).collect::<Vec<_>>(), walls, "{file}");
        assert_eq!(kept.runs[0].commit.as_deref().map(str::len), Some(40));
    }
    for file in ["github-jobs.json", "gitea-jobs.json", "forgejo-tasks.json", "forgejo-jobs.json"] {
        let project = Project::empty();
        let output = noxide(&project, &[&forge.at(file)]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", err(&output));
        let kept = imported(&project);
        let expected =
            [("lint", Some(26), true), ("unit_tests", Some(305), true), ("integration_tests", Some(265), false)];
        let expected: Vec<_> = expected.map(|(name, wall, passed)| (name.to_owned(), wall, passed)).into();
        assert_eq!(jobs(&kept), expected, "{file}");
        assert!(kept.runs.iter().all(|run| run.passed == Some(false) || run.jobs.len() == 1), "{file}: {kept:?}");
    }
    let both = noxide(&project, &[&forge.at("github-runs.json"), &forge.at("paged?page=1"), "--format", "json"]);
    let output: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!(output, json!({"version": 1, "runs": 5, "jobs": 3, "added": 5, "skipped_entries": 1, "total_runs": 5}));
    let again = noxide(&project, &[&forge.at("github-runs.json")]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 of them new; 5 stored"), "the same runs are the same");
}

#[test]
fn statuses_and_logs_of_nox_from_2022_to_now() {
    let project = Project::empty();
    let file = |name: &str| shapes().join(name).to_str().unwrap().to_owned();
    noxide(&project, &[&file("statuses.json")]);
    let expected = [("lint", Some(26), true), ("unit_tests", Some(305), true), ("integration_tests", Some(265), false)];
    let expected: Vec<_> = expected.map(|(name, wall, passed)| (name.to_owned(), wall, passed)).into();
    assert_eq!(jobs(&imported(&project)), expected, "the newest of each context");
    for (name, expected) in [
        (
            "nox-2022-github.log",
            vec![("lint", Some(3), true), ("tests-3.10", Some(62), true), ("docs", Some(7), false)],
        ),
        (
            "nox-2025.log",
            vec![("lint", Some(3), true), ("tests-3.12(db='pg')", Some(120), true), ("docs", Some(5), false)],
        ),
        ("nox-2026-parallel.log", vec![("b", Some(2), true), ("a", Some(60), true), ("quick", None, true)]),
        ("checks.txt", vec![("lint", Some(26), true), ("coverage", Some(907), true), ("e2e_tests", Some(265), false)]),
    ] {
        let project = Project::empty();
        let output = noxide(&project, &[&file(name)]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", err(&output));
        let expected: Vec<_> =
            expected.into_iter().map(|(name, wall, passed): (&str, _, _)| (name.to_owned(), wall, passed)).collect();
        assert_eq!(jobs(&imported(&project)), expected, "{name}");
    }
}

#[test]
fn imported_runs_yield_durations_and_a_baseline() {
    let project = Project::new(
        "import nox\nnox.options.default_venv_backend = 'none'\n@nox.session\ndef unit_tests(session): pass\n",
    );
    let log = "nox > Session Unit-Tests was successful in 50 seconds.\n";
    for number in 0..3 {
        project.write("a.log", format!("{log}nox > Ran 1 session in 51 seconds:\n# {number}\n"));
        assert_eq!(noxide(&project, &["a.log"]).status.code(), Some(0));
    }
    let list = project.command(env!("CARGO_BIN_EXE_noxide")).arg("list").finish();
    assert!(String::from_utf8_lossy(&list.stdout).contains("~50.0s"), "{}", String::from_utf8_lossy(&list.stdout));
    let directory = RunStore::open_existing(default_run_data_dir(project.root())).unwrap();
    assert_eq!(directory.load_history().usual_stats(&SessionName::new("unit_tests")).unwrap().wall_ms, 50_000);
    assert_eq!(directory.load_history().usual_stats(&SessionName::new("other")), None);
    let compare = |arguments: &[&str]| {
        let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
        command.args(["report", "--compare"]).args(arguments).finish()
    };
    let both = compare(&["imported", "imported", "--format", "json"]);
    let output: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!((&output["total"]["before"]["median"], &output["before"]["run_count"]), (&51.0.into(), &3.into()));
    fs_err::write(directory.path().join("imported.json"), "{\"version\": 1}").unwrap();
    assert!(err(&compare(&["imported", "imported"])).contains("not version 1"));
    assert!(err(&noxide(&project, &["a.log"])).contains("imported.json"), "what is there is not lost");
    assert_eq!(directory.load_history().usual_stats(&SessionName::new("unit_tests")), None, "a damaged import is none");
    fs_err::remove_file(directory.path().join("imported.json")).unwrap();
    assert!(err(&compare(&["imported", "imported"])).contains("no runs were imported"));
}

#[test]
fn malformed_imports_are_rejected_with_their_location() {
    let parse_error = |text: &str| parse_import("answer", text.as_bytes()).unwrap_err().to_string();
    for (text, output) in [
        ("", "no durations found"),
        ("words\n", "no durations found"),
        ("<!DOCTYPE html><title>Sign in</title>", "web page"),
        ("<html>", "web page"),
        ("{\"jobs\": [", "not valid JSON"),
        ("{\"message\": \"404 page not found\"}", "the forge reports: 404 page not found"),
        ("{\"runs\": []}", "neither `workflow_runs` nor `jobs`"),
        ("{\"jobs\": 3}", "jobs is a number, not a list"),
        (
            "{\"jobs\": [{\"name\": \"a\", \"status\": \"success\", \"run_id\": 1}, 7]}",
            "jobs[1] is a number, not an object",
        ),
        ("{\"jobs\": [{\"id\": 1, \"status\": \"success\"}]}", "jobs[0].name is missing"),
        ("{\"jobs\": [{\"name\": {}, \"status\": \"success\"}]}", "jobs[0].name is an object, not text"),
        ("{\"jobs\": [{\"name\": \"a\", \"status\": \"melted\"}]}", "jobs[0].status has the unknown value `melted`"),
        ("{\"jobs\": [{\"name\": \"a\", \"status\": \"success\"}]}", "jobs[0].id is missing"),
        (
            "{\"workflow_runs\": [{\"status\": \"success\", \"conclusion\": \"success\"}]}",
            "workflow_runs[0].id is missing",
        ),
        ("{\"workflow_runs\": [{\"id\": [], \"conclusion\": \"success\"}]}", "workflow_runs[0].id is a list"),
        ("{\"statuses\": [{\"description\": \"Successful in 5s\"}]}", "statuses[0].context is missing"),
        ("[{\"a\": 1}]", "neither runs nor jobs nor statuses"),
        ("[true]", "response[0] is true or false"),
        (&"[".repeat(100_000), "not valid JSON"),
    ] {
        assert!(
            parse_error(text).contains(output) && parse_error(text).starts_with("answer: "),
            "{text:.60}: {}",
            parse_error(text)
        );
    }
    let odd = json!({"jobs": [{"name": "a\u{1b}[31m\n".to_owned() + &"x".repeat(9_000), "id": 1, "status": "success",
        "started_at": "2026-11-01T10:00:00Z", "completed_at": "0001-01-01T00:00:00Z"}]});
    let import = parse_import("answer", odd.to_string().as_bytes()).unwrap();
    let job = &import.runs[0].jobs[0];
    assert!(job.name.len() <= 200 && !job.name.contains(char::is_control) && job.wall_ms.is_none());
    assert_eq!(parse_import("a", b"[]").unwrap().runs, []);
    assert_eq!(parse_import("a", b"{\"jobs\": null}").unwrap().runs, []);
    let single = json!({"id": 7, "name": "lint", "status": "success", "run_id": 1,
        "started": "2026-11-01T10:00:00Z", "stopped": "2026-11-01T10:00:05Z"});
    assert_eq!(parse_import("a", single.to_string().as_bytes()).unwrap().runs[0].jobs[0].wall_ms, Some(5_000));
}

#[test]
fn import_failures_are_reported_and_import_nothing() {
    let forge = Forge::serve();
    let project = Project::empty();
    project.write("good.log", "nox > Session a was successful in 5 seconds.\n");
    let code = |arguments: &[&str], parse_error: &str| {
        let output = noxide(&project, arguments);
        assert!(err(&output).contains(parse_error), "{}", err(&output));
        assert_eq!(output.status.code(), Some(3));
    };
    code(&["good.log", "missing.log"], "error: no such file: missing.log");
    code(&["."], "not a file");
    code(&[&forge.at("nothing")], "the forge returned HTTP status 404: no such page");
    code(&[&forge.at("cut")], "/cut: ");
    code(&[&forge.at("secret")], "the forge returned HTTP status 401");
    code(&["http://127.0.0.1:1/x"], "http://127.0.0.1:1/x: ");
    assert!(!project.root().join(".nox/.noxide").exists(), "nothing was taken in");
    let import_with_token = |token: &str| {
        let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
        command.args(["history", "import", &forge.at("secret")]).env("NOXIDE_FORGE_TOKEN", token);
        command.env("SSL_CERT_FILE", shapes().join("forge.py")).finish()
    };
    assert_eq!(import_with_token("sesame").status.code(), Some(0), "{}", err(&import_with_token("sesame")));
    let large = project.root().join("large.log");
    fs_err::File::create(&large).unwrap().set_len(65 << 20).unwrap();
    code(&["large.log"], "more than 64 MiB");
    let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
    let output = command.args(["history", "import", "https://127.0.0.1:1/"]).env("SSL_CERT_FILE", "/no/such").output();
    assert!(err(&output.unwrap()).contains("SSL_CERT_FILE"));
}
