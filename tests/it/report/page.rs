//! The page of `noxide report`, opened and used in a real Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

use noxide::project::SessionName;
use noxide::record::{NeedOrigin, Outcome};
use serde_json::{Value, json};

use super::generated_runs::{Shaped, many, record, session, write_run};
use crate::support::{CommandDeadline as _, python, run_checked};

/// Chromium; `None` if it is not installed, which is an error in CI.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|program| program.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI tests pages in Chromium: install it");
    found
}

fn report(root: &Path) -> String {
    run_checked(Command::new(env!("CARGO_BIN_EXE_noxide")).arg("-C").arg(root).arg("report"));
    fs_err::read_to_string(root.join(".nox/.noxide/report.html")).unwrap()
}

/// A run with every outcome and with hostile names and logs, after five runs that passed.
fn story(root: &Path) {
    let sessions = || {
        let mut build = session("build", 8_010, 9_000, 0).needs("tests", NeedOrigin::Requires);
        build.spec.cpus = 2;
        build.result.as_mut().unwrap().attempts[0].slots = vec![0, 1];
        vec![
            session("lint", 0, 2_000, 0).installed(800, 16, 0),
            session("tests", 2_050, 5_900, 0).locks("template-db"),
            session("<img src=x onerror=alert(1)>", 0, 3_000, 1),
            session("docs", 3_000, 2_000, 1)
                .needs("lint", NeedOrigin::Settings { location: "pyproject.toml:4".to_owned() }),
            build,
            session("bench", 17_020, 1_000, 1).alone(),
        ]
    };
    for number in 0..5 {
        write_run(root, &record(number, 2, sessions()));
    }
    let mut last = sessions();
    last[1] = last[1].clone().retried();
    last[2] = last[2].clone().ended(Outcome::Failed, "exit code 1 </script><script>alert(2)</script>");
    last[3] = last[3].clone().never(Outcome::Skipped, "no python 3.14");
    let last = record(5, 2, last);
    let directory = write_run(root, &last);
    let log = "one\n\x1b[31mAssertionError\x1b[0m: 3 != 4 </pre></script><script>alert(3)</script>\n";
    let stem = SessionName::new("<img src=x onerror=alert(1)>").slug();
    fs_err::write(directory.join(format!("logs/{stem}.log")), log).unwrap();
}

#[test]
fn the_page_filters_sorts_opens_and_prints_without_errors() {
    let root = tempfile::tempdir().unwrap();
    story(root.path());
    let page = report(root.path());
    assert!(!page.contains("<script>alert") && !page.contains("<img"), "nothing of a run becomes markup");
    assert!(!page.contains("\u{1b}") && page.contains("</span>: 3 != 4 &lt;/pre&gt;&lt;/script&gt;"), "logs are text");
    assert!(page.contains("<span class=\"c1\">AssertionError</span>"), "with their colors");
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("id=\"failures\"") < at("id=\"critical-path\""), "failures come first");
    for address in ["http:", "https:", "url(", "@import"] {
        let own = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!own.contains(address), "the page needs nothing else: {address}");
    }
    let Some(chromium) = chromium() else { return eprintln!("skipped: no Chromium") };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.py");
    let mut command = Command::new(python());
    command
        .arg(script)
        .arg(chromium)
        .arg(root.path().join(".nox/.noxide/report.html"))
        .arg("template-db")
        .arg(root.path());
    let done = command.finish();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&seen["complaints"], &seen["requests"]), (&json!([]), &json!([])), "console and network stay silent");
    assert_eq!(seen["ready"], "yes");
    assert_eq!(seen["rows"], 6);
    assert_eq!(seen["slash_focuses"], "query");
    assert_eq!((&seen["filtered"], &seen["count"]), (&json!(["s1"]), &json!("1 of 6 sessions")));
    assert_eq!((&seen["none"], &seen["cleared"]), (&json!(true), &json!(6)));
    assert_eq!((&seen["failed"], &seen["escaped"]), (&json!(["s2"]), &json!(6)));
    assert_eq!((&seen["slowest"], &seen["sorted"]), (&json!("s4"), &json!("descending")));
    let detail = seen["detail"].as_str().unwrap();
    assert!(detail.contains("tests (requires)") && detail.contains("waited for"), "{detail}");
    assert_eq!((&seen["hash"], &seen["closed"]), (&json!("#s4"), &json!(true)));
    for by_keys in ["arrow_moves", "focus_returns"] {
        assert_eq!(seen[by_keys], true, "{by_keys}");
    }
    assert_eq!((&seen["enter_opens"], &seen["theme"]), (&json!("detail"), &json!("Theme: light")));
    assert_eq!(seen["overflows"], json!({"1300": 0, "700": 0, "400": 0}));
    assert_eq!(seen["pdf"], "%PDF-");
    for picture in ["light.png", "dark.png", "narrow.png", "detail.png"] {
        assert!(fs_err::metadata(root.path().join(picture)).unwrap().len() > 10_000, "{picture}");
    }
}

#[test]
fn a_first_run_that_was_stopped_has_no_empty_columns_and_counts_agree() {
    let root = tempfile::tempdir().unwrap();
    let never = |name: &str| session(name, 0, 0, 0).never(Outcome::Aborted, "interrupted by SIGINT");
    let mut sessions = vec![session("lint", 0, 2_000, 0), session("tests", 0, 900, 1).ended(Outcome::Failed, "")];
    sessions.extend([never("docs"), never("build")]);
    for result in sessions.iter_mut().filter_map(|session| session.result.as_mut()) {
        result.attempts.iter_mut().for_each(|attempt| attempt.cpu_ms = None);
    }
    let mut stopped = record(0, 2, sessions);
    (stopped.exit_code, stopped.interrupt_cause) = (Some(130), Some("SIGINT".to_owned()));
    write_run(root.path(), &stopped);
    let page = report(root.path());
    let head = page.split("<thead>").nth(1).unwrap().split("</thead>").next().unwrap();
    for column in ["vs usual", "waited", "install", "CPUs", "past runs"] {
        assert!(!head.contains(column), "{column}: {head}");
    }
    assert!(page.contains("4 sessions: 1 passed, 1 failed, 2 aborted"));
    assert!(page.contains("✗ failed <small>1</small>") && page.contains("■ cancelled or aborted <small>2</small>"));
    assert!(page.contains("sum of sessions 2.9s<") && !page.contains("id=\"runs\""), "no factor, no history");
}

#[test]
fn a_page_of_500_sessions_and_100_runs_fits_in_a_megabyte() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..100 {
        write_run(root.path(), &many(number, 500, 8));
    }
    let page = report(root.path());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert_eq!(page.matches("<tr id=\"s").count(), 500);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["sessions"][499]["history_centis"].as_array().unwrap().len(), 100);
}
