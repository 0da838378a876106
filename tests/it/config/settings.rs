//! Settings files, variables and flags: what is read, what is rejected, what has precedence.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use noxide::cli::settings_diagnostics;
use noxide::config::{JobCount, SettingOrigin, Settings, SettingsError, SettingsFile, SettingsFlags, load_settings};
use noxide::output::OutputTheme;
use noxide::provision::CacheMode;
use noxide::run::{FlakyMode, OutputStyle, RetryBackoff, RetryPolicy, RunOptions};
use noxide::trace::TraceMode;
use tempfile::TempDir;

/// A project with settings files of these texts.
pub(crate) fn project(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(directory.path().join(name), text).unwrap();
    }
    directory
}

pub(crate) fn read(text: &str) -> Result<SettingsFile, Vec<SettingsError>> {
    load_settings(project(&[("noxide.toml", text)]).path())
}

fn nothing(_: &str) -> Option<OsString> {
    None
}

pub(crate) fn resolved(text: &str) -> Settings {
    Settings::resolve(&SettingsFlags::default(), &nothing, read(text).unwrap()).unwrap()
}

/// Errors as a plain renderer would show them, without the directory's name.
pub(crate) fn shown(errors: &[SettingsError]) -> String {
    let mut text = String::new();
    for error in errors {
        match error.location() {
            Some(spot) => {
                assert_eq!(spot.text(), &spot.source.text[spot.span.clone()]);
                writeln!(
                    text,
                    "{}:{}:{} ‹{}› {}",
                    spot.source.name,
                    spot.line(),
                    spot.column(),
                    spot.text(),
                    error.message()
                )
            }
            None => writeln!(text, "{}", error.message()),
        }
        .unwrap();
        if let Some(hint) = error.hint() {
            writeln!(text, "    {hint}").unwrap();
        }
    }
    text
}

pub(crate) fn wrong(text: &str) -> String {
    shown(&read(text).unwrap_err())
}

const EVERYTHING: &str = r#"
jobs = 3
fail-fast = "kill"
timeout = "1h 30m"
idle-timeout = 600
leak-timeout = "1s"
grace-period = "5s"
load-timeout = "30s"
retries = { count = 2, delay = "3s", backoff = "exponential" }
flaky-result = "fail"
trace = "always"
output = "labelled"
keep-runs = 7
secrets = ["PYPI_*"]
logs = "build"
log-name = "nox-{session}-output.log"
install = "noxide==0.2.0"

[cache]
mode = "require"
locked = true
max-age = "1h"
max-size = "1GB"
max-unused = "8w"
directories = ["~/.cache/pyright-python"]

[sessions.unit_tests]
after = ["lint"]
locks = ["template-db"]
exclusive = true
cpus = "all"
memory = "1.5GB"
timeout = "20m"
idle-timeout = 0
retries = 1
env = { DB = "test", "A.B" = "" }
artifacts = ["build/*.xml"]

[sessions."tests-*"]
cpus = 2
memory = "800MiB"
"#;

#[test]
fn every_key_is_read() {
    insta::assert_debug_snapshot!(resolved(EVERYTHING).run_options());
}

#[test]
fn a_byte_order_mark_is_accepted() {
    assert_eq!(resolved("\u{feff}jobs = 2\n").jobs.origin, SettingOrigin::File("noxide.toml:1".to_owned()));
    assert!(wrong("\u{feff}job = 2\n").starts_with("noxide.toml:1:"));
}

#[test]
fn without_settings_defaults_apply() {
    for files in [&[][..], &[("pyproject.toml", "[project]\nname = 'x'\n[tool.other]\n")], &[("noxide.toml", "")]] {
        let file = load_settings(project(files).path()).unwrap();
        let settings = Settings::resolve(&SettingsFlags::default(), &nothing, file).unwrap();
        assert_eq!(settings.run_options(), RunOptions::default());
        assert_eq!(settings.jobs.origin, SettingOrigin::Default);
    }
}

#[test]
fn the_example_has_locks_and_an_exclusive_session() {
    let file = load_settings(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/parcelbook")).unwrap();
    let options = Settings::resolve(&SettingsFlags::default(), &nothing, file).unwrap().run_options();
    for session in ["unit_tests", "integration_tests"] {
        assert_eq!(options.session_options(session, &[]).locks, ["template-db"]);
    }
    assert_eq!(options.session_options("benchmark", &[]).exclusive, Some(true));
}

#[test]
fn a_table_in_pyproject_is_read_the_same() {
    let text = "[project]\nname = 'x'\n\n[tool.noxide]\njobs = 2\n\n[tool.noxide.sessions.lint]\ncpus = 1\n";
    let file = load_settings(project(&[("pyproject.toml", text)]).path()).unwrap();
    let settings = Settings::resolve(&SettingsFlags::default(), &nothing, file).unwrap();
    assert_eq!(settings.jobs.value, JobCount::Count(NonZeroUsize::new(2).unwrap()));
    assert_eq!(settings.jobs.origin.to_string(), "pyproject.toml:5");
    assert_eq!(settings.session_overrides()[0].location, "pyproject.toml:7");
}

#[test]
fn all_errors_are_reported_at_once() {
    insta::assert_snapshot!(
        "unknown_keys",
        wrong(
            "job = 2\nidle_timeout = 1\nlocks = ['a']\nzebra = 1\n[session.a]\n[sessions.a]\nlokcs = []\njobs = 1\nsessions = 1\n[sessions.b.retries]\ncount = 1\ncont = 2\n"
        )
    );
    insta::assert_snapshot!(
        "wrong_kinds",
        wrong(concat!(
            "jobs = true\nfail-fast = 3\ntimeout = 1.5\nretries = 'two'\nflaky-result = false\nkeep-runs = 'all'\nsecrets = 'A'\n",
            "logs = 1979-05-27\nlog-name = 3\n[sessions]\na = 1\n[sessions.b]\nafter = 'lint'\nlocks = [1, 'x', true]\n",
            "exclusive = 'yes'\ncpus = []\nmemory = 800\nenv = ['A']\nretries = { count = '1', delay = {} }\n",
            "[sessions.c.env]\nPORT = 8080\n",
        ))
    );
    insta::assert_snapshot!(
        "wrong_values",
        wrong(concat!(
            "jobs = 'all'\nfail-fast = 'soon'\ntimeout = 'soon'\nidle-timeout = -1\ngrace-period = '-5s'\nretries = -1\n",
            "flaky-result = 'maybe'\noutput = 'loud'\nkeep-runs = 0\nlog-name = 'all.log'\n[sessions.a]\ncpus = 0\n",
            "memory = '1 GX'\ntimeout = '5 parsecs'\nretries = { backoff = 'wild', count = -1 }\nartifacts = ['../x', '/y']\n",
            "env = { 'A=B' = 'x' }\n[sessions.b]\nretries = { delay = '1s' }\ncpus = '4'\nmemory = '0B'\n",
            "timeout = 0xffffffffffffffffffff\n",
        ))
    );
    insta::assert_snapshot!("syntax", wrong("jobs = \n[sessions.tests\ncpus = 1\n"));
    insta::assert_snapshot!("twice", wrong("jobs = 1\njobs = 2\n"));
}

#[test]
fn locations_in_pyproject_have_full_keys() {
    let text = "[tool.noxide]\njobs = '4'\ncpus = 2\n[tool.noxide.sessions.tests]\noutput = 'quiet'\n";
    let errors = load_settings(project(&[("pyproject.toml", text)]).path()).unwrap_err();
    insta::assert_snapshot!("in_pyproject", shown(&errors));
    assert_eq!(errors[1].to_string(), "pyproject.toml:3:1: unknown key `cpus`");
}

/// All diagnostics as rendered, separated by blank lines.
fn drawn(errors: &[SettingsError], color: bool, unicode: bool) -> String {
    let shown =
        settings_diagnostics(errors).into_iter().map(|mistake| mistake.render(OutputTheme { color, unicode }, None));
    shown.collect::<Vec<_>>().join("\n")
}

/// Diagnostics on a terminal with and without Unicode; colours only on request.
#[test]
fn diagnostics_show_the_line_with_a_marker() {
    let text = "jobs = 2\n\n[sessions.\"größe-3.12\"]\nlokcs = ['db']\nretries = {\n  delay = 1,\n}\ncpus =\n";
    let mut errors = read(&text.replace("cpus =\n", "")).unwrap_err();
    errors.extend(read(text).unwrap_err());
    errors.extend(resolved("[sessions.\"größe-3.12\"]\n").validate_session_names(&["größe-3.13"]));
    let table = "[tool.noxide]\n";
    errors.extend(load_settings(project(&[("noxide.toml", ""), ("pyproject.toml", table)]).path()).unwrap_err());
    insta::assert_snapshot!("seen", format!("{}\n{}", drawn(&errors, false, true), drawn(&errors[..1], false, false)));
    assert!(drawn(&errors, true, true).contains("\u{1b}["));
}

#[test]
fn wide_characters_and_carriage_returns_have_visible_columns() {
    let text = wrong("# grün\r\nflaky-result = 'ü'\r\n[sessions.'prüfung']\r\nretries = 1 # ß\r\n'größe' = 1\r\n");
    insta::assert_snapshot!("wide", text);
}

#[test]
fn settings_in_two_files_are_an_error() {
    let tables = "[project]\n\n[tool.noxide]\njobs = 1\n";
    let both = project(&[("noxide.toml", "jobs = 2\n"), ("pyproject.toml", tables)]);
    insta::assert_snapshot!("two_files", shown(&load_settings(both.path()).unwrap_err()));
    // No table, no contradiction.
    let one = project(&[("noxide.toml", "jobs = 2\n"), ("pyproject.toml", "[project]\n")]);
    assert!(load_settings(one.path()).is_ok());
}

#[test]
fn unreadable_files_are_reported() {
    let directory = project(&[]);
    fs_err::write(directory.path().join("noxide.toml"), b"jobs = 1 # \xff\n").unwrap();
    let text = shown(&load_settings(directory.path()).unwrap_err())
        .replace(&directory.path().display().to_string(), "PROJECT");
    insta::assert_snapshot!("not_utf8", text);
    let directory = project(&[("pyproject.toml", "tool = 3\n")]);
    insta::assert_snapshot!("tool_is_no_table", shown(&load_settings(directory.path()).unwrap_err()));
    let directory = project(&[("pyproject.toml", "[tool]\nnoxide = []\n")]);
    insta::assert_snapshot!("noxide_is_no_table", shown(&load_settings(directory.path()).unwrap_err()));
    let directory = project(&[("pyproject.toml", "[project\n")]);
    insta::assert_snapshot!("pyproject_is_no_toml", shown(&load_settings(directory.path()).unwrap_err()));
}

#[test]
fn wrong_variables_are_reported_even_under_a_flag() {
    let variables = |name: &str| -> Option<OsString> {
        match name {
            "NOXIDE_JOBS" => Some("many".into()),
            "NOX_PARALLEL" => Some("0".into()),
            "NOXIDE_OUTPUT" => Some("loud".into()),
            "NOXIDE_COLOR" => Some("pink".into()),
            "NOXIDE_TIMEOUT" => Some("-3".into()),
            "NOXIDE_GRACE_PERIOD" => Some("".into()),
            #[cfg(unix)]
            "NOXIDE_LOGS" => Some(std::os::unix::ffi::OsStringExt::from_vec(b"l\xffgs".to_vec())),
            _ => None,
        }
    };
    let flags = SettingsFlags { timeout: Some(Duration::from_secs(1)), ..SettingsFlags::default() };
    let errors = Settings::resolve(&flags, &variables, SettingsFile::default()).unwrap_err();
    insta::assert_snapshot!("variables", shown(&errors));
    assert!(errors.iter().all(|error| error.hint().is_none()));
}

#[test]
fn unknown_sessions_in_settings_suggest_the_nearest() {
    let settings = resolved(concat!(
        "[sessions.unit_test]\nafter = ['lint', 'lnit', 'build*']\n[sessions.'tests-*']\n[sessions.'test-*']\n",
        "[sessions.zebra]\n[sessions.\"tests-3.12(db='pg')\"]\n",
    ));
    let names = ["lint", "unit_tests", "tests", "tests-3.12(db='pg')", "tests-3.12"];
    insta::assert_snapshot!("unknown_sessions", shown(&settings.validate_session_names(&names)));
    assert_eq!(
        settings.validate_session_names(&[
            "lint",
            "unit_test",
            "lnit",
            "build_docs",
            "tests-3.12(db='pg')",
            "test-1",
            "zebra"
        ]),
        []
    );
}

/// One setting at all four levels, with the value that must win.
#[test]
fn flag_over_variable_over_file_over_default() {
    let file = || read(EVERYTHING).unwrap();
    let flags = SettingsFlags {
        jobs: Some(JobCount::Auto),
        fail_fast: Some(None),
        timeout: Some(Duration::ZERO),
        idle_timeout: Some(Duration::from_secs(1)),
        leak_timeout: Some(Duration::from_secs(2)),
        load_timeout: Some(Duration::from_secs(3)),
        retries: Some(9),
        flaky_result: Some(FlakyMode::Pass),
        trace: Some(TraceMode::Never),
        output: Some(OutputStyle::Quiet),
        logs: Some("other".into()),
        log_name: Some("{session}".to_owned()),
        nox: Some("/opt/nox".into()),
        cache: Some(CacheMode::Off),
        locked: Some(false),
        max_age: Some(Duration::ZERO),
    };
    let variables = |name: &str| -> Option<OsString> {
        let text = match name {
            "NOXIDE_JOBS" => "5",
            "NOX_PARALLEL" => "6",
            "NOXIDE_FAIL_FAST" => "wait",
            "NOXIDE_TIMEOUT" => "7m",
            "NOXIDE_IDLE_TIMEOUT" => "8m",
            "NOXIDE_LEAK_TIMEOUT" => "9s",
            "NOXIDE_GRACE_PERIOD" => "10",
            "NOXIDE_LOAD_TIMEOUT" => "11s",
            "NOXIDE_RETRIES" => "12",
            "NOXIDE_FLAKY_RESULT" => "pass",
            "NOXIDE_TRACE" => "auto",
            "NOXIDE_OUTPUT" => "stream",
            "NOXIDE_KEEP_RUNS" => "13",
            "NOXIDE_LOGS" => "var",
            "NOXIDE_LOG_NAME" => "{session}.txt",
            "NOXIDE_NOX" => "/usr/bin/nox",
            "NOXIDE_COLOR" => "never",
            _ => return None,
        };
        Some(text.into())
    };
    let table = |settings: &Settings| {
        let mut text = String::new();
        macro_rules! row {
            ($($field:ident)*) => {$(
                let (value, origin) = (&settings.$field.value, &settings.$field.origin);
                writeln!(text, "{:14} {value:?} · {origin}", stringify!($field)).unwrap();
            )*};
        }
        row!(jobs fail_fast timeout idle_timeout leak_timeout grace_period load_timeout retries flaky_result trace output keep_runs logs log_name nox);
        text
    };
    let resolve = |flags: &SettingsFlags, variables: &dyn Fn(&str) -> Option<OsString>, file: SettingsFile| {
        table(&Settings::resolve(flags, variables, file).unwrap())
    };
    let none = SettingsFlags::default();
    insta::assert_snapshot!("flags_win", resolve(&flags, &variables, file()));
    insta::assert_snapshot!("variables_win", resolve(&none, &variables, file()));
    insta::assert_snapshot!("file_wins", resolve(&none, &nothing, file()));
    insta::assert_snapshot!("default_remains", resolve(&none, &nothing, SettingsFile::default()));
}

#[test]
fn nox_parallel_is_used_only_without_other_settings() {
    let variables = |name: &str| (name == "NOX_PARALLEL").then(|| OsString::from("4"));
    let resolve = |file| Settings::resolve(&SettingsFlags::default(), &variables, file).unwrap().jobs;
    let resolved_jobs = resolve(SettingsFile::default());
    assert_eq!(
        (resolved_jobs.value.count(), resolved_jobs.origin),
        (NonZeroUsize::new(4), SettingOrigin::Variable("NOX_PARALLEL".to_owned()))
    );
    assert_eq!(resolve(read("jobs = 2").unwrap()).value.count(), NonZeroUsize::new(2));
    assert_eq!(resolve(read("jobs = 'auto'").unwrap()).value.count(), None);
}

#[test]
fn a_flag_overrides_the_settings_of_single_sessions() {
    let file = read(
        "timeout = '1h'\n[sessions.slow]\ntimeout = '2h'\nidle-timeout = '3m'\nretries = { count = 1, delay = '5s' }\n",
    )
    .unwrap();
    let slow = |flags: &SettingsFlags| {
        Settings::resolve(flags, &nothing, file.clone()).unwrap().run_options().session_options("slow", &[])
    };
    let by_file = slow(&SettingsFlags::default());
    assert_eq!(by_file.timeout, Some(Duration::from_hours(2)));
    assert_eq!(by_file.idle_timeout, Some(Duration::from_mins(3)));
    let minute = Some(Duration::from_mins(1));
    let by_flag =
        slow(&SettingsFlags { timeout: minute, idle_timeout: minute, retries: Some(4), ..SettingsFlags::default() });
    assert_eq!((by_flag.timeout, by_flag.idle_timeout), (minute, minute));
    // The delay between attempts still comes from the file.
    let retries = RetryPolicy { count: 4, delay: Duration::from_secs(5), backoff: RetryBackoff::Fixed };
    assert_eq!(by_flag.retries, retries);
}

#[test]
fn rules_fold_in_file_order() {
    let options = resolved(concat!(
        "timeout = '1h'\nretries = 1\n",
        "[sessions.tests]\nlocks = ['db']\nafter = ['lint']\ncpus = 2\nenv = { A = '1', B = '1' }\ntimeout = 0\nartifacts = ['a']\n",
        "[sessions.'tests-*']\nlocks = ['db', 'net']\nafter = ['lint', 'build']\nexclusive = true\nenv = { A = '2' }\nmemory = '1GB'\n",
        "[sessions.\"tests-3.12(db='pg')\"]\nexclusive = false\ncpus = 'all'\nretries = 0\nartifacts = ['a', 'b']\n",
    ))
    .run_options();
    let signatures = ["tests-3.12(db='pg')".to_owned(), "tests-3.12".to_owned()];
    insta::assert_debug_snapshot!("folded", options.session_options("tests", &signatures));
    let other = options.session_options("docs", &["docs".to_owned()]);
    assert_eq!(other.timeout, Some(Duration::from_hours(1)));
    assert_eq!(other.retries.count, 1);
    assert_eq!(options.overrides_for("tests", &[]).count(), 1);
    assert_eq!(options.overrides_for("tests", &signatures).count(), 3);
}
