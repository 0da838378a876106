//! The command line: spellings of nox, flags passed on to nox, flags of noxide, errors.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::error::ErrorKind;
use noxide::cli::{Cli, CliCommand, OutputFormat, RerunFilter, RunArgs};
use noxide::config::{ColorMode, JobCount};
use noxide::output::GraphFormat;
use noxide::run::{FailFast, FlakyMode, OutputStyle};

use crate::support::ChildDeadline as _;

/// Parses a command line; arguments are separated by spaces, and `␣` is a space inside one.
fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::parse_args(format!("noxide {line}").split_whitespace().map(|word| OsString::from(word.replace('␣', " "))))
}

fn run(flags: &str) -> RunArgs {
    match read(&format!("run {flags}")).unwrap().command {
        CliCommand::Run(run) => *run,
        other => panic!("not a run: {other:?}"),
    }
}

/// Returns the flags for nox, then the arguments for sessions.
fn nox_args(run: &RunArgs) -> Vec<OsString> {
    let mut argv = run.nox_flags();
    if !run.posargs.is_empty() {
        argv.push("--".into());
        argv.extend_from_slice(&run.posargs);
    }
    argv
}

/// Returns the flags that nox in the host gets for flags of `noxide run`.
fn forwarded(flags: &str) -> String {
    let argv = nox_args(&run(flags));
    argv.iter().map(|argument| argument.to_string_lossy().replace(' ', "␣")).collect::<Vec<_>>().join(" ")
}

/// Flags of `noxide run`, and the flags that nox gets: canonical, and only those that were given.
const SPELLINGS: &[(&str, &str)] = &[
    ("", ""),
    // Sessions
    ("-s lint tests", "--sessions lint tests"),
    ("-e lint", "--sessions=lint"),
    ("--session lint", "--sessions=lint"),
    ("--sessions lint tests", "--sessions lint tests"),
    ("--sessions=lint", "--sessions=lint"),
    ("-slint", "--sessions=lint"),
    ("-s=lint", "--sessions=lint"),
    ("-s tests-3.12(db='pg',␣n=1)", "--sessions=tests-3.12(db='pg',␣n=1)"),
    // The last one counts, a comma is part of a name, and a flag without names selects none.
    ("-s a -s b c", "--sessions b c"),
    ("-s a,b", "--sessions=a,b"),
    ("-s a -s", "--sessions"),
    ("--session=-odd", "--sessions=-odd"),
    ("-k not␣slow", "--keywords=not␣slow"),
    ("--keywords lint", "--keywords=lint"),
    ("-k a -k b", "--keywords=b"),
    ("-t fast style", "--tags fast style"),
    ("--tags fast", "--tags=fast"),
    ("--no-dependencies", "--no-dependencies"),
    // Interpreters
    ("-p 3.12 3.13", "--pythons 3.12 3.13"),
    ("--python 3.12", "--pythons=3.12"),
    ("--pythons 3.12", "--pythons=3.12"),
    ("-P 3.12", "--force-pythons=3.12"),
    ("--force-python 3.12", "--force-pythons=3.12"),
    ("--force-pythons 3.12 3.13", "--force-pythons 3.12 3.13"),
    ("--extra-python 3.12", "--extra-pythons=3.12"),
    ("--extra-pythons 3.12 3.13", "--extra-pythons 3.12 3.13"),
    ("--download-python never", "--download-python=never"),
    // Environments
    ("-r", "--reuse-existing-virtualenvs"),
    ("--reuse-existing-virtualenvs", "--reuse-existing-virtualenvs"),
    ("-N", "--no-reuse-existing-virtualenvs"),
    ("--no-reuse-existing-virtualenvs", "--no-reuse-existing-virtualenvs"),
    ("-r -N", "--no-reuse-existing-virtualenvs"),
    ("-N -r", "--reuse-existing-virtualenvs"),
    ("-R", "-R"),
    ("--reuse-venv always", "--reuse-venv=always"),
    ("-r --reuse-venv=no", "--reuse-existing-virtualenvs --reuse-venv=no"),
    ("--no-install", "--no-install"),
    ("--install-only", "--install-only"),
    ("-db uv", "--default-venv-backend=uv"),
    ("-db=uv", "--default-venv-backend=uv"),
    ("--default-venv-backend uv", "--default-venv-backend=uv"),
    ("-fb none", "--force-venv-backend=none"),
    ("-fb=none", "--force-venv-backend=none"),
    ("--force-venv-backend uv", "--force-venv-backend=uv"),
    ("--no-venv", "--no-venv"),
    ("--no-venv -fb none", "--force-venv-backend=none --no-venv"),
    ("--envdir env␣dir", "--envdir=env␣dir"),
    ("-f other.py", "--noxfile=other.py"),
    ("--noxfile=other.py", "--noxfile=other.py"),
    ("--script-mode fresh", "--script-mode=fresh"),
    ("--script-venv-backend uv", "--script-venv-backend=uv"),
    // How sessions run
    ("--error-on-missing-interpreters", "--error-on-missing-interpreters"),
    ("--no-error-on-missing-interpreters", "--no-error-on-missing-interpreters"),
    ("--error-on-missing-interpreters --no-error-on-missing-interpreters", "--no-error-on-missing-interpreters"),
    ("--error-on-external-run", "--error-on-external-run"),
    ("--no-error-on-external-run --error-on-external-run", "--error-on-external-run"),
    ("--no-error-on-external-run", "--no-error-on-external-run"),
    ("--non-interactive", "--non-interactive"),
    ("--allow-parallel", "--allow-parallel"),
    ("--no-allow-parallel", "--no-allow-parallel"),
    // What is printed
    ("-v", "--verbose"),
    ("--verbose", "--verbose"),
    ("--no-verbose", "--no-verbose"),
    ("-ts", "--add-timestamp"),
    ("--add-timestamp", "--add-timestamp"),
    ("-tsv", "--tags=sv"),
    ("--forcecolor", "--forcecolor"),
    ("--force-color", "--forcecolor"),
    ("--nocolor", "--nocolor"),
    ("--no-color", "--nocolor"),
    // Combined short flags, and arguments after `--`
    ("-rxvs lint", "--sessions=lint --reuse-existing-virtualenvs --verbose"),
    ("-s lint tests -- -x", "--sessions lint tests -- -x"),
    // Names without a flag are names of sessions.
    ("lint", "--sessions=lint"),
    ("lint tests -x -- -k", "--sessions lint tests -- -k"),
    ("-s a -x b", "--sessions a b"),
    ("lint -k fast", "--sessions=lint --keywords=fast"),
    ("-- -db uv -- -ts", "-- -db uv -- -ts"),
    ("-s lint --", "--sessions=lint"),
];

/// Those of them that nox does not accept.
const POSITIONAL_NAMES: &[&str] = &["lint", "lint tests -x -- -k", "-s a -x b", "lint -k fast"];

#[test]
fn each_spelling_of_nox_is_passed_on() {
    for (typed, expected) in SPELLINGS {
        assert_eq!(forwarded(typed), *expected, "noxide run {typed}");
    }
}

/// nox parses the typed and the passed-on arguments alike, except `-x`, which noxide handles.
#[test]
fn nox_reads_both_spellings_alike() {
    let script = r#"
import attrs, json, sys
from nox import _options
pairs = json.load(sys.stdin)
def read(argv):
    values = attrs.asdict(_options.options.parse_args(argv))
    return {key: value for key, value in values.items() if key not in ("_provenance", "stop_on_first_error")}
print(json.dumps([pair for pair in pairs if read(pair[0]) != read(pair[1])]))
"#;
    let words = |line: &str| line.split_whitespace().map(|word| word.replace('␣', " ")).collect::<Vec<_>>();
    // nox itself takes no names without a flag.
    let has_flag = |(typed, _): &&(&str, &str)| !POSITIONAL_NAMES.contains(typed);
    let pairs: Vec<_> =
        SPELLINGS.iter().filter(has_flag).map(|(typed, forwarded)| (words(typed), words(forwarded))).collect();
    let mut python = std::process::Command::new(crate::support::python());
    python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in crate::support::test_environment() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let mut python = python.spawn().unwrap();
    serde_json::to_writer(python.stdin.take().unwrap(), &pairs).unwrap();
    let done = python.finish_output();
    assert!(done.status.success());
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "[]");
}

#[test]
fn flags_of_noxide_are_not_passed_to_nox() {
    let all = concat!(
        "-x -j 4 --report r.json --timeout 10m --idle-timeout 90 --retries 2 --flaky-result fail --leak-timeout 1s ",
        "--load-timeout 5s --junit j.xml --logs build --log-name nox-{session}.log --rerun failed --events e.jsonl ",
        "--nox /opt/nox --output labelled --dry-run --format json",
    );
    assert_eq!(forwarded(all), "");
    let run = run(&format!("{all} -v -- posarg"));
    assert_eq!(run.nox_flags(), ["--verbose"]);
    let flags = run.settings_flags();
    assert_eq!(flags.jobs.and_then(JobCount::count).map(usize::from), Some(4));
    assert_eq!(flags.fail_fast, Some(Some(FailFast::Wait)));
    assert_eq!(flags.timeout, Some(Duration::from_mins(10)));
    assert_eq!(flags.idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!(flags.leak_timeout, Some(Duration::from_secs(1)));
    assert_eq!(flags.load_timeout, Some(Duration::from_secs(5)));
    assert_eq!(flags.retries, Some(2));
    assert_eq!(flags.flaky_result, Some(FlakyMode::Fail));
    assert_eq!(flags.output, Some(OutputStyle::Labelled));
    assert_eq!(flags.logs, Some(PathBuf::from("build")));
    assert_eq!(flags.log_name.as_deref(), Some("nox-{session}.log"));
    assert_eq!(flags.nox, Some(PathBuf::from("/opt/nox")));
    assert_eq!(run.rerun, Some(RerunFilter::Failed));
    assert!(run.execution.dry_run);
    assert_eq!(run.output.format, OutputFormat::Json);
    assert_eq!(run.output.report, Some(PathBuf::from("r.json")));
    assert_eq!(run.output.junit, Some(PathBuf::from("j.xml")));
    assert_eq!(run.output.events, Some(PathBuf::from("e.jsonl")));
}

#[test]
fn jobs_in_three_spellings() {
    for flags in ["-j 2", "-j2", "--jobs 2", "--parallel=2"] {
        assert_eq!(run(flags).settings_flags().jobs.and_then(JobCount::count).map(usize::from), Some(2), "{flags}");
    }
    assert_eq!(run("-j auto").settings_flags().jobs, Some(JobCount::Auto));
    assert_eq!(run("").settings_flags().jobs, None);
}

#[test]
fn the_last_failure_flag_counts() {
    let (wait, kill, go_on) = (Some(Some(FailFast::Wait)), Some(Some(FailFast::Kill)), Some(None));
    for (flags, expected) in [
        ("", None),
        ("-x", wait),
        ("--stop-on-first-error", wait),
        ("--fail-fast", wait),
        ("--fail-fast=wait", wait),
        ("--fail-fast=kill", kill),
        ("--keep-going", go_on),
        ("--no-stop-on-first-error", go_on),
        ("-x --fail-fast=kill", kill),
        ("--fail-fast=kill -x", wait),
        ("-x --keep-going", go_on),
        ("--keep-going --fail-fast=kill", kill),
        ("-x --no-stop-on-first-error", go_on),
        ("--no-stop-on-first-error -x", wait),
    ] {
        assert_eq!(run(flags).settings_flags().fail_fast, expected, "{flags}");
    }
    // The value needs `=`, so that a session's name is not taken as the value.
    assert_eq!(forwarded("--fail-fast -s kill"), "--sessions=kill");
}

#[test]
fn color_flags_of_nox_and_noxide() {
    let colour = |line: &str| read(line).unwrap().global.color;
    assert_eq!(colour("run"), None);
    assert_eq!(colour("run --forcecolor"), Some(ColorMode::Always));
    assert_eq!(colour("run --no-color"), Some(ColorMode::Never));
    assert_eq!(colour("run --no-color --color always"), Some(ColorMode::Always));
    assert_eq!(colour("--color never list"), Some(ColorMode::Never));
}

#[test]
fn global_flags_come_before_or_after_the_subcommand() {
    for line in ["-C there -vv list", "list -C there -v -v"] {
        let cli = read(line).unwrap();
        assert_eq!(cli.global.directory, Some(PathBuf::from("there")));
        assert_eq!(cli.global.verbose, 2);
    }
    assert_eq!(read("graph -qq").unwrap().global.quiet, 2);
}

#[test]
fn list_and_graph_select_like_run() {
    let CliCommand::List(list) = read("list -s a b -k c --format json").unwrap().command else { panic!("no list") };
    assert_eq!(list.load.selection.nox_flags(), ["--sessions", "a", "b", "--keywords=c"]);
    assert_eq!(list.format, OutputFormat::Json);
    let CliCommand::Graph(graph) = read("graph -t x --format mermaid --nox n --load-timeout 3").unwrap().command else {
        panic!("no graph")
    };
    assert_eq!(graph.load.selection.nox_flags(), ["--tags=x"]);
    assert_eq!(graph.format, GraphFormat::Mermaid);
    assert_eq!(graph.load.host.settings_flags().nox, Some(PathBuf::from("n")));
    assert_eq!(graph.load.host.settings_flags().load_timeout, Some(Duration::from_secs(3)));
    let CliCommand::Replay(replay) = read("replay last --output stream").unwrap().command else { panic!("no replay") };
    assert_eq!((replay.run.as_str(), replay.output), ("last", Some(OutputStyle::Stream)));
    assert_eq!(read("schema").unwrap().command, CliCommand::Schema);
}

#[test]
fn run_dash_l_is_list() {
    for (line, format) in [
        ("run -l -s a", OutputFormat::Text),
        ("run --list -s a", OutputFormat::Text),
        ("run --list-sessions --json -s a", OutputFormat::Json),
        ("run -l --format json -s a", OutputFormat::Json),
    ] {
        let CliCommand::List(list) = read(line).unwrap().command else { panic!("{line} is no list") };
        assert_eq!(
            (list.load.selection.nox_flags(), list.format),
            (vec![OsString::from("--sessions=a")], format),
            "{line}"
        );
    }
}

#[test]
fn wrong_usage_has_exit_code_2() {
    for (line, kind) in [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("run --sess a", ErrorKind::UnknownArgument),
        ("run -dbuv", ErrorKind::UnknownArgument),
        ("run -k", ErrorKind::InvalidValue),
        ("run -j 0", ErrorKind::ValueValidation),
        ("run --timeout=-5s", ErrorKind::ValueValidation),
        ("run --log-name all.log", ErrorKind::ValueValidation),
        ("run --fail-fast=soon", ErrorKind::InvalidValue),
        ("run --reuse-venv maybe", ErrorKind::InvalidValue),
        ("run --no-venv -fb uv", ErrorKind::ArgumentConflict),
        ("run --nocolor --forcecolor", ErrorKind::ArgumentConflict),
        ("run --json", ErrorKind::MissingRequiredArgument),
        ("-v -q list", ErrorKind::ArgumentConflict),
        ("list --format dot", ErrorKind::InvalidValue),
        ("completions tcsh", ErrorKind::InvalidValue),
        ("run --rerun=passed", ErrorKind::InvalidValue),
        ("logs a --failed", ErrorKind::ArgumentConflict),
        ("walk", ErrorKind::InvalidSubcommand),
    ] {
        let error = read(line).unwrap_err();
        assert_eq!(error.kind(), kind, "noxide {line}: {error}");
        assert_eq!(error.exit_code(), 2, "noxide {line}");
    }
    assert_eq!(read("--version").unwrap_err().exit_code(), 0);
}

#[test]
fn rerun_has_an_optional_value_and_two_aliases() {
    for flags in ["--rerun", "--rerun failed", "--rerun=failed", "--failed", "--lf"] {
        assert_eq!(run(flags).rerun, Some(RerunFilter::Failed), "{flags}");
        assert_eq!(forwarded(flags), "", "{flags}");
    }
    assert_eq!(forwarded("--rerun lint"), "--sessions=lint", "another word is a session");
    assert_eq!(forwarded("-- --rerun failed"), "-- --rerun failed");
}

#[test]
fn a_replay_shows_the_last_run_unless_another_is_named() {
    for (line, expected) in [("replay", "last"), ("replay 2026", "2026")] {
        let CliCommand::Replay(replay) = read(line).unwrap().command else { panic!("no replay") };
        assert_eq!(replay.run, expected);
    }
}

#[test]
fn words_of_other_runners_get_advice() {
    for (line, advice) in [
        ("run --watch", "watchexec"),
        ("clean", "noxide cache clean"),
        ("lint", "use `noxide run lint`"),
        ("-s lint", "pass nox's flags to `noxide run`"),
    ] {
        let text = read(line).unwrap_err().to_string();
        assert!(text.contains(advice), "noxide {line}: {text}");
        assert!(!text.contains("--cache'") && !text.contains("'schema'"), "noxide {line}: {text}");
    }
}

#[test]
fn flags_without_a_subcommand_suggest_run() {
    let text = read("-s lint").unwrap_err().to_string();
    assert!(text.contains("noxide run -s tests"), "{text}");
    let text = read("run --lint").unwrap_err().to_string();
    assert!(!text.contains("noxide run -s tests"), "{text}");
}

/// A path that is not UTF-8 is passed on unchanged.
#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8_are_passed_on() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = OsString::from_vec(b"n\xff.py".to_vec());
    let argv = ["noxide", "run", "-f"].map(OsString::from).into_iter().chain([odd.clone(), "--".into(), odd.clone()]);
    let CliCommand::Run(run) = Cli::parse_args(argv).unwrap().command else { panic!("no run") };
    let mut noxfile = OsString::from("--noxfile=");
    noxfile.push(&odd);
    assert_eq!(nox_args(&run), [noxfile, "--".into(), odd]);
}
