//! `kill -9` of `noxide run` and `noxide ci` with caches on: the next run is right, the store is valid, and
//! no other file was written.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use noxide::cache::NoProgress;

use super::fixture::{Fixture, ended};
use crate::support::{ChildDeadline as _, Random, noxide_in, rounds_from};

/// Sessions that install into environments of their own, and print what they import.
fn noxfile(index: &str) -> String {
    format!(
        "import nox\nnox.options.default_venv_backend = 'uv'\n\
         def install(session, *names):\n    session.install('--index-url', '{index}/simple', *names)\n    \
         for name in names:\n        session.run('python', '-c', f'import {{name}}; print(\"OK\", \"{{name}}\")')\n\
         @nox.session\ndef a(session): install(session, 'alpha')\n\
         @nox.session\ndef b(session): install(session, 'alpha', 'many')\n\
         @nox.session\ndef c(session): install(session, 'beta')\n"
    )
}

fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = noxide_in(fixture.project.root(), arguments);
    command.env("UV_CACHE_DIR", fixture.cache_dir("killed")).env("NOXIDE_CACHE_DIR", fixture.project.outer_dir());
    // Without an index of the project, so that installs use that of the arguments.
    command.env("CI", "1").env("UV_NO_CONFIG", "1");
    // A remote cache in CI is that of a branch.
    command.env("GITHUB_REPOSITORY", "org/repo").env("GITHUB_REF", "refs/heads/main");
    command
}

fn names(dir: &Path) -> BTreeSet<PathBuf> {
    fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
#[allow(clippy::print_stdout)] // the seed and the number of kills
fn the_run_after_a_killed_one_is_right() {
    let rounds = rounds_from("NOXIDE_TEST_KILLS", 4, 20);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var("NOXIDE_TEST_SEED").map_or(now.as_secs(), |seed| seed.parse().unwrap());
    println!("NOXIDE_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let fixture = Fixture::new();
    fixture.project.write("noxfile.py", noxfile(&fixture._index.url));
    let (root, outer) = (fixture.project.root().to_path_buf(), fixture.project.outer_dir().to_path_buf());
    let remote = outer.join("remote").display().to_string();
    let kinds: [&[&str]; 2] = [&["run"], &["ci", "--remote", &remote]];
    // Durations without a kill, and what exists afterwards.
    let mut whole = [Duration::ZERO; 2];
    for (kind, whole) in kinds.iter().zip(&mut whole) {
        let started = Instant::now();
        let (code, stdout, stderr) = ended(&mut command(&fixture, kind));
        assert_eq!(code, 0, "{stdout}{stderr}");
        *whole = started.elapsed();
    }
    let (in_root, in_outer) = (names(&root), names(&outer));
    let mut killed = 0;
    for round in 0..rounds {
        if round % 3 == 0 {
            fs_err::remove_dir_all(fixture.store().root().join("entries")).unwrap();
        }
        if round % 2 == 0 {
            fs_err::remove_dir_all(fixture.cache_dir("killed")).ok();
            fs_err::remove_dir_all(root.join(".nox/a")).ok();
            fs_err::remove_dir_all(root.join(".nox/b")).ok();
        }
        let kind = usize::try_from(random.below(2)).unwrap();
        let mut child = command(&fixture, kinds[kind]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = Duration::from_micros(random.below(u64::try_from(whole[kind].as_micros()).unwrap()));
        std::thread::sleep(moment);
        child.kill().unwrap();
        killed += u32::from(child.wait_for_end().signal() == Some(9));
        let what = format!("round {round}, {:?} killed after {moment:?}", kinds[kind]);
        let report = fixture.store().verify_entries(&NoProgress);
        assert!(report.is_clean(), "{what}: {report:?}");
        let (code, stdout, stderr) = ended(&mut command(&fixture, kinds[kind]));
        assert_eq!(code, 0, "{what}: {stdout}{stderr}");
        let logs = fixture.project.newest_run_dir().join("logs");
        for (session, package) in [("a", "alpha"), ("b", "many"), ("c", "beta")] {
            let log = fs_err::read_to_string(logs.join(format!("{session}.log"))).unwrap();
            assert!(log.contains(&format!("OK {package}")), "{what}: {session}: {log}");
        }
        let report = fixture.store().verify_entries(&NoProgress);
        assert!(report.is_clean(), "{what}: {report:?}");
        assert_eq!((names(&root), names(&outer)), (in_root.clone(), in_outer.clone()), "{what}");
    }
    println!("{killed} of {rounds} rounds were killed");
}
