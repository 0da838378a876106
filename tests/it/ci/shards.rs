//! `noxide run --shard` and `noxide matrix`: each session on one runner, with the sessions it needs.

use noxide::project::default_run_data_dir;
use noxide::record::Outcome;
use serde_json::Value;

use crate::support::{CommandDeadline as _, NoxideRun, Project};

pub(super) const NOXFILE: &str = "import nox\nnox.options.default_venv_backend = 'none'\n\
    @nox.session\ndef lint(session): session.log('lint')\n\
    @nox.session\ndef tests(session): session.run('coverage', 'run', '-m', 'pytest', external=True, success_codes=[0, 1, 2, 127]) if False else None\n\
    @nox.session(requires=['tests'])\ndef package(session): session.log('package')\n\
    @nox.session\n@nox.parametrize('db', ['pg', 'my sql'])\ndef integration(session, db): session.log(db)\n\
    @nox.session\ndef report(session):\n    if False: session.run('coverage', 'combine', external=True)\n\
    @nox.session\ndef bad(session): session.error('found something')\n\
    @nox.session(default=False)\ndef extra(session): pass\n";

pub(super) fn project() -> Project {
    Project::new(NOXFILE)
}

fn names(ran: &NoxideRun) -> Vec<String> {
    ran.outcomes().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn shards_run_each_session_once_and_keep_together_what_belongs_together() {
    let project = project();
    let mut all = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let ran = project.noxide(&["run", "--shard", shard]);
        let mine = names(&ran);
        assert!(!mine.is_empty(), "{shard}");
        assert!(ran.stdout.contains(&format!("shard {shard}: {} of 7 sessions", mine.len())), "{}", ran.stdout);
        // `package` requires `tests`, and `report` combines what `tests` measured.
        let together = ["tests", "package", "report"].map(|name| mine.iter().any(|mine| mine == name));
        assert!(together == [true; 3] || together == [false; 3], "{mine:?}");
        let metadata = ran.record().shard.as_ref().unwrap();
        assert_eq!(
            (metadata.index.to_string(), metadata.count, metadata.sessions.len()),
            (shard[..1].to_owned(), 3, 7)
        );
        assert_eq!(ran.exit, Some(i32::from(mine.iter().any(|name| name == "bad"))));
        all.extend(mine);
    }
    all.sort();
    let want = ["bad", "integration(db='my sql')", "integration(db='pg')", "lint", "package", "report", "tests"];
    assert_eq!(all, want);
}

/// Every runner has its own learned conflicts: those of one must not move a session from one shard to another.
#[test]
fn learned_conflicts_do_not_change_the_shards() {
    let project = Project::new(
        "import nox, pathlib\nnox.options.default_venv_backend = 'none'\n\
         @nox.session\ndef writes(session): pathlib.Path('data.txt').write_text('x')\n\
         @nox.session\ndef reads(session): pathlib.Path('data.txt').exists()\n",
    );
    let shards = || {
        ["1/2", "2/2"].map(|shard| {
            let ran = project.noxide(&["run", "--shard", shard, "--dry-run", "--format", "json"]);
            assert_eq!(ran.exit, Some(0), "{ran:?}");
            let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
            let sessions = plan["sessions"].as_array().unwrap();
            sessions.iter().map(|session| session["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let before = shards();
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(project.noxide(&["run", "-j1"]).exit, Some(0));
    let graph = project.noxide(&["graph"]).stdout;
    assert!(graph.contains("data.txt"), "the conflict is learned: {graph}");
    assert_eq!(shards(), before);
}

#[test]
fn a_shard_with_nothing_to_do_passes_and_says_so() {
    let project = project();
    let ran = project.noxide(&["run", "-s", "lint", "--shard", "2/2"]);
    assert_eq!((ran.exit, names(&ran).len()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains("shard 2/2: 0 of 1 sessions"), "{}", ran.stdout);
    let dry = project.noxide(&["run", "--shard", "1/7", "--dry-run"]);
    assert!(dry.exit == Some(0) && dry.stdout.contains("would run 3 sessions"), "{}", dry.stdout);
    for wrong in ["0/2", "3/2", "2", "a/b"] {
        assert_eq!(project.noxide(&["run", "--shard", wrong]).exit, Some(2), "{wrong}");
    }
}

#[test]
fn a_matrix_names_every_session_and_what_it_prints_can_be_run() {
    let project = project();
    let ran = project.noxide(&["matrix", "--shards", "3", "--format", "json"]);
    assert_eq!((ran.exit, ran.stdout.lines().count()), (Some(0), 1), "{ran:?}");
    let matrix: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(matrix["version"], 1);
    let include = matrix["include"].as_array().unwrap();
    assert_eq!(include.len(), 3);
    let mut count = 0;
    for entry in include {
        let line = format!("{} run -s {}", env!("CARGO_BIN_EXE_noxide"), entry["sessions"].as_str().unwrap());
        project.command("sh").args(["-c", &line]).finish();
        let record = noxide::record::RunStore::open_existing(default_run_data_dir(project.root()))
            .unwrap()
            .newest_records(1)
            .pop()
            .unwrap();
        count += record.sessions.iter().filter(|s| s.result.as_ref().unwrap().outcome != Outcome::Aborted).count();
    }
    assert_eq!(count, 7 - 1, "all but `bad`, which gives up");
    let text = project.noxide(&["matrix", "--shards", "9"]).stdout;
    assert!(text.starts_with("strategy:\n  fail-fast: false\n") && text.matches("- shard:").count() == 6, "{text}");
    assert!(text.contains("# about") && text.contains("integration(db='\\\\''my sql'"), "{text}");
    assert_eq!(project.noxide(&["matrix", "--shards", "2", "-t", "nothing"]).exit, Some(4));
    assert_eq!(
        Project::new("import nox\n@nox.session(default=False)\ndef a(session): pass\n")
            .noxide(&["matrix", "--shards", "2"])
            .exit,
        Some(4)
    );
}
