//! `noxide bench`: planted differences on a fake clock, and real commands in clean copies.

use std::path::Path;
use std::process::{Command, Output};

use noxide::report::ComparisonVerdict;
use noxide::report::bench::{
    BenchCacheState, BenchEnvironment, BenchExecutor, BenchMeasurement, BenchPlan, BenchReport, BenchStep,
    BenchVariant, run_rounds,
};
use serde_json::Value;

use crate::support::{
    ChildDeadline as _, CommandDeadline as _, Deadline, Project, Random, rounds, tool_path, write_script,
};

/// A fake clock: each command takes its cost, with noise.
struct FakeClock {
    costs: Vec<f64>,
    noise: f64,
    random: Random,
}

impl FakeClock {
    fn new(costs: &[f64], noise: f64, seed: u64) -> Self {
        Self { costs: costs.to_vec(), noise, random: Random::new(seed) }
    }
}

impl BenchExecutor for FakeClock {
    type Error = std::convert::Infallible;

    fn run_step(&mut self, _: &BenchPlan, step: BenchStep) -> Result<BenchMeasurement, Self::Error> {
        let cost = self.costs[step.variant] * if step.caches == BenchCacheState::Cold { 2.0 } else { 1.0 };
        // Sometimes a run takes half as long again, as with another process on the machine.
        let neighbour = if self.random.fraction() < 0.02 { 1.5 } else { 1.0 };
        let wall = cost * (self.random.normal() * self.noise).exp() * neighbour;
        Ok(BenchMeasurement { wall, install: Some(wall / 4.0), session_time: Some(wall) })
    }
}

fn bench(costs: &[f64], noise: f64, seed: u64, caches: &[BenchCacheState]) -> BenchReport {
    let name = |number: usize| ["before", "after", "third"][number].to_owned();
    let variants = (0..costs.len()).map(|number| BenchVariant { name: name(number), command: vec![name(number)] });
    let plan = BenchPlan {
        variants: variants.collect(),
        rounds: BenchPlan::DEFAULT_ROUNDS,
        warmup_rounds: 0,
        cache_states: caches.to_vec(),
    };
    let Ok(samples) = run_rounds(&plan, &mut FakeClock::new(costs, noise, seed));
    BenchReport::from_samples(
        plan,
        BenchEnvironment { machine: "linux x86_64".to_owned(), cpus: 2, ..BenchEnvironment::default() },
        samples,
    )
}

fn verdict(costs: &[f64], noise: f64, seed: u64) -> ComparisonVerdict {
    bench(costs, noise, seed, &[BenchCacheState::Warm]).rows[1].verdict.unwrap()
}

#[test]
fn equal_commands_compare_equal_and_ten_percent_is_detected() {
    let count_verdicts = |costs: &[f64], wanted: ComparisonVerdict, from: u64| {
        (from..from + 20).filter(|seed| verdict(costs, 0.03, *seed) == wanted).count()
    };
    assert!(count_verdicts(&[60.0, 60.0], ComparisonVerdict::NoDifferenceShown, 100) >= 19);
    assert!(count_verdicts(&[60.0, 54.0], ComparisonVerdict::Faster, 200) >= 18);
    assert!(count_verdicts(&[60.0, 66.0], ComparisonVerdict::Slower, 300) >= 18);
}

/// The error rates over many benchmarks; the tests above use only twenty.
#[test]
fn most_benches_detect_ten_percent() {
    for (cost, wanted) in [(54.0, ComparisonVerdict::Faster), (66.0, ComparisonVerdict::Slower)] {
        let benches = rounds(200, 1_000);
        let found = (0..benches).filter(|seed| verdict(&[60.0, cost], 0.03, u64::from(*seed)) == wanted).count();
        assert!(found * 1_000 > benches as usize * 965, "{found} of {benches} benches find that 60 s became {cost} s");
    }
}

#[test]
fn few_benches_of_equal_commands_find_a_difference() {
    let benches = rounds(400, 2_000);
    let is_wrong = |seed: &u32| verdict(&[60.0, 60.0], 0.05, u64::from(*seed)) != ComparisonVerdict::NoDifferenceShown;
    let wrong = (0..benches).filter(is_wrong).count();
    assert!(wrong * 50 < benches as usize, "{wrong} of {benches} benches of equal commands are wrong");
}

#[test]
fn the_table_is_deterministic_and_has_the_requested_columns() {
    let made = || bench(&[60.0, 30.0, 61.0], 0.02, 7, &[BenchCacheState::Cold, BenchCacheState::Warm]);
    insta::assert_snapshot!("bench_text", made().to_text());
    insta::assert_snapshot!("bench_markdown", made().to_markdown());
    assert_eq!(made().cache_savings.len(), 3);
    assert!(made().cache_savings.iter().all(|saving| saving.verdict == ComparisonVerdict::Faster));
    let slower = bench(&[60.0], 0.02, 7, &[BenchCacheState::Cold, BenchCacheState::Warm]);
    let mut turned = slower.samples.clone();
    for sample in &mut turned {
        sample.cache_state =
            if sample.cache_state == BenchCacheState::Cold { BenchCacheState::Warm } else { BenchCacheState::Cold };
    }
    let costly = BenchReport::from_samples(slower.plan.clone(), slower.environment.clone(), turned);
    assert!(costly.to_text().contains("warm caches cost more than they save"), "{}", costly.to_text());
    let one = BenchReport { plan: BenchPlan { rounds: 1, ..slower.plan.clone() }, ..slower };
    let few = BenchReport::from_samples(
        one.plan.clone(),
        one.environment,
        one.samples.into_iter().filter(|s| s.round == 0).collect(),
    );
    assert!(
        few.to_text().contains("too few rounds to compare") && few.to_text().contains("1 round,"),
        "{}",
        few.to_text()
    );
}

fn noxide(project: &Project, arguments: &[&str]) -> Output {
    project.command(env!("CARGO_BIN_EXE_noxide")).arg("bench").args(arguments).finish()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn git(root: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
    crate::support::run_checked(Command::new("git").arg("-C").arg(root).args(settings).args(arguments));
}

const NOXFILE: &str = "
import nox, pathlib
nox.options.default_venv_backend = 'none'

@nox.session
def lint(session):
    assert not pathlib.Path('untracked').exists()
    session.run('git', 'log', '-1', external=True)
";

#[test]
fn nox_and_noxide_in_clean_copies_write_the_table() {
    let project = Project::new(NOXFILE);
    project.write("untracked", "");
    project.write("docs/bench.md", "# CI\n\nMine.\n");
    project.write("sub/link-me", "x");
    std::os::unix::fs::symlink("sub/link-me", project.root().join("link")).unwrap();
    git(project.root(), &["init", "-q"]);
    git(project.root(), &["add", "noxfile.py", "docs", "link", "sub"]);
    git(project.root(), &["commit", "-q", "-m", "one"]);
    let scratch = project.outer_dir().join("scratch");
    let scratch_dir = scratch.to_str().unwrap();
    let output =
        noxide(&project, &["--rounds", "2", "--format", "json", "--scratch", scratch_dir, "--write", "docs/bench.md"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        json["plan"]["variants"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["nox", "nox -j auto", "noxide run"]);
    assert_eq!((&json["version"], json["samples"].as_array().unwrap().len()), (&2.into(), 12));
    assert_eq!(json["rows"].as_array().unwrap().len(), 6);
    assert!(
        json["environment"]["commit"].is_string() && json["environment"]["versions"].as_array().unwrap().len() == 3
    );
    assert_eq!(json["samples"][0]["install"], 0.0, "nox said that it installs nothing");
    let page = project.read("docs/bench.md");
    assert!(page.starts_with("# CI\n\nMine.\n\n<!-- noxide bench: begin -->\n| caches |"), "{page}");
    assert_eq!(fs_err::read_dir(&scratch).unwrap().count(), 0, "nothing is left");
    assert!(err(&output).contains("12/12 round 2"), "{}", err(&output));
    assert!(!project.root().join(".nox/.noxide").exists(), "a bench is none of the project's runs");
}

#[test]
fn any_commands_can_be_compared() {
    let project = Project::empty();
    let quiet = ["--rounds", "2", "--caches", "warm", "--warmup", "1", "-q", "--format", "md"];
    let output = noxide(&project, &[&quiet[..], &["--candidate", "test -e mark", "--", "touch", "mark"]].concat());
    // Each command has its own copy without the file `mark`.
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("test -e mark failed with exit code 1"), "{}", err(&output));
    project.write("mark", "without Git everything is copied");
    project.write(".nox/left", "but what tools left");
    let output = noxide(
        &project,
        &[&quiet[..], &["--candidate", "test -e mark && test ! -e .nox && test \"$HOME\" != /root", "--", "true"]]
            .concat(),
    );
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("| caches | command |") && !table.contains("cold |"), "{table}");
    assert!(!project.root().join("docs").exists(), "without --write no file is written");
}

#[test]
fn leaked_processes_do_not_block_the_bench() {
    let project = Project::empty();
    let leak = "setsid sleep 600 & sleep 600 & echo left";
    let output = noxide(&project, &["--rounds", "1", "--caches", "cold", "-q", "--candidate", leak, "--", "true"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_signal_ends_a_bench_and_its_commands() {
    let project = Project::empty();
    let pipe = project.root().join("started");
    crate::support::run_checked(Command::new("mkfifo").arg(&pipe));
    let command = format!("echo $$ > '{}'; exec sleep 600", pipe.display());
    let mut child = project
        .command(env!("CARGO_BIN_EXE_noxide"))
        .args(["bench", "-q", "--", "sh", "-c", &command])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Deadline::abort("the measured command");
    let sleeper: i32 = fs_err::read_to_string(&pipe).unwrap().trim().parse().unwrap();
    drop(deadline);
    let pid = |raw: i32| rustix::process::Pid::from_raw(raw).unwrap();
    rustix::process::kill_process(pid(child.id() as i32), rustix::process::Signal::INT).unwrap();
    let done = child.wait_for_end();
    assert_eq!(done.code(), Some(130));
    assert!(rustix::process::test_kill_process(pid(sleeper)).is_err(), "nothing outlives it");
}

#[test]
fn failing_commands_are_reported_by_bench() {
    let project = Project::empty();
    let code = |arguments: &[&str], code: i32, expected: &str| {
        let output = noxide(&project, arguments);
        assert!(err(&output).contains(expected), "{}", err(&output));
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
    };
    code(&["--rounds", "0"], 2, "--rounds 0 measures nothing");
    code(&["--rounds", "1", "-q", "--", "no-such-program"], 3, "cannot run `no-such-program`");
    code(&["--rounds", "1", "-q", "--", "./no-such-program"], 3, "cannot run `./no-such-program`");
    code(&["--rounds", "1", "-q", "--", "sh", "-c", "kill -9 $$"], 1, "was ended by a signal");
    code(&["--rounds", "1", "-q", "--", "sh", "-c", "echo words; exit 3"], 1, "words");
    code(&["--rounds", "1", "--scratch", "/dev/null/x", "--", "true"], 3, "directory for copies of the project");
    project.write("docs/bench.md", "<!-- noxide bench: end -->");
    code(&["--rounds", "1", "--write", "docs/bench.md", "--", "true"], 2, "must each appear once");
    code(&["--rounds", "1", "--write", ".", "--", "true"], 3, "cannot read the document");
    let empty = project.outer_dir().join("bin");
    fs_err::create_dir(&empty).unwrap();
    let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
    let output = command.args(["bench"]).env("PATH", &empty).finish();
    assert!(err(&output).contains("nox was not found"), "{}", err(&output));
    write_script(&empty.join("nox"), "#!/bin/sh\ncase $1 in --version) echo 2022.1.7;; esac\n");
    let old = [empty.as_os_str(), &tool_path()].join(std::ffi::OsStr::new(":"));
    let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
    let output = command.args(["bench", "--rounds", "1", "-i", "-q", "--caches", "cold", "--write", "new/ci.md"]);
    let output = output.env("PATH", old).finish();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let page = project.read("new/ci.md");
    assert!(page.starts_with("# CI/CD\n") && page.contains("nox 2022.1.7") && !page.contains("-j auto"), "{page}");
}
