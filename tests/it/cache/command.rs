//! `noxide cache …`: texts, JSON documents and exit codes.

use serde_json::Value;

use super::fixture::{ALL, Fixture, ended};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn saved_restored_counted_verified_pruned() {
    let fixture = Fixture::new();
    let run = |arguments: &[&str]| ended(&mut fixture.noxide("first", arguments));
    let (code, out, err) = run(&["save"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("saved 4 wheels: "), "{out}");
    let (_, out, _) = run(&["save"]);
    assert!(out.starts_with("nothing new: 4 wheels already stored"), "{out}");
    let (_, out, _) = run(&["status"]);
    assert!(out.contains("3 wheels") && out.contains("1 built wheel "), "{out}");
    let (_, out, _) = run(&["restore", "--dry-run", "--uv-cache", "../second"]);
    assert!(out.starts_with("would restore 4 wheels: "), "{out}");
    assert!(!fixture.cache_dir("second").exists());
    let (code, out, _) = run(&["restore", "--require", "--uv-cache", "../second"]);
    assert!(code == 0 && out.starts_with("restored 4 wheels: "), "{out}");
    let (_, out, _) = run(&["restore", "--uv-cache", "../second"]);
    assert!(out.starts_with("nothing to restore") && out.contains("4 packages already present"), "{out}");
    assert_eq!(fixture.sync_offline("second"), ALL);
    let (code, out, _) = run(&["verify"]);
    assert!(code == 0 && out.contains("no damage found"), "{out}");
    let (_, out, _) = run(&["prune", "--dry-run", "--max-size", "1B"]);
    assert!(out.starts_with("would remove 4 entries: ") && out.contains("0 entries would remain"), "{out}");
    let (_, out, _) = run(&["prune", "--max-size", "1B"]);
    assert!(out.starts_with("removed 4 entries: "), "{out}");
    let (code, out, _) = run(&["restore", "--require", "--uv-cache", "../third"]);
    assert!(code == 1 && out.contains("4 packages missing, not in the store: alpha 1.0, "), "{out}");
}

#[test]
fn flags_of_restore_that_would_do_nothing_are_refused() {
    let fixture = Fixture::new();
    for (arguments, expected) in [
        (&["restore", "--max-age", "1h"][..], "select sessions, for example with -s NAME"),
        (&["restore", "--locked"], "select sessions, for example with -s NAME"),
        (&["restore", "-s", "tests", "--all"], "select packages of uv.lock, not of sessions"),
        (&["restore", "-s", "tests", "--extra", "lint"], "select packages of uv.lock, not of sessions"),
        (&["restore", "--cache", "off"], "--cache"),
        (&["key", "--max-age", "1h"], "--max-age"),
    ] {
        let (code, out, err) = ended(&mut fixture.noxide("first", arguments));
        assert!(code == 2 && out.is_empty() && err.contains(expected), "{arguments:?}: {code} {out} {err}");
    }
}

#[test]
fn json_output_is_one_document() {
    let fixture = Fixture::new();
    let run = |arguments: &[&str]| {
        let (code, out, err) = ended(fixture.noxide("first", arguments).arg("--format").arg("json"));
        assert_eq!(err, "");
        let document = json(&out);
        assert_eq!(document["version"], 2);
        (code, document)
    };
    assert_eq!(run(&["save"]).1["saved"].as_array().unwrap().len(), 4);
    assert_eq!(run(&["status"]).1["entries"], 4);
    assert_eq!(run(&["restore", "--dry-run", "--uv-cache", "../second"]).1["entries"], 4);
    let restored = run(&["restore", "--uv-cache", "../second"]).1;
    assert_eq!(restored["restored"][0]["name"], "alpha 1.0");
    assert_eq!(run(&["prune", "--dry-run", "--max-unused", "0"]).1["remove"].as_array().unwrap().len(), 4);
    let listings = walkdir::WalkDir::new(fixture.store().root().join("entries")).into_iter().flatten();
    let victim = listings.into_iter().find(|entry| entry.file_name() == "run.sh").unwrap();
    fs_err::write(victim.path(), "#!/bin/sh\nrm -rf /\n").unwrap();
    fs_err::create_dir_all(fixture.store().root().join("entries/other")).unwrap();
    let (code, document) = run(&["verify"]);
    assert_eq!(code, 1);
    assert_eq!(document["damaged"][0]["path"], "alpha/run.sh");
    assert_eq!(document["unknown_paths"][0], "entries/other");
    let (code, document) = run(&["verify", "--repair"]);
    assert_eq!((code, &document["repaired"][0]["repaired"]), (1, &Value::Bool(true)), "{document}");
    std::fs::remove_dir(fixture.store().root().join("entries/other")).unwrap();
    assert_eq!(run(&["verify"]).0, 0);
    assert_eq!(run(&["prune", "--max-size", "1B"]).1["removed"].as_array().unwrap().len(), 4);
}

#[test]
fn only_the_closure_of_selected_packages_is_restored() {
    let fixture = Fixture::new();
    ended(&mut fixture.noxide("first", &["save"]));
    let (code, out, err) = ended(&mut fixture.noxide("second", &["restore", "--package", "Alpha"]));
    assert!(code == 0 && out.starts_with("restored 2 wheels"), "alpha needs beta: {out}{err}");
    let (code, _, err) = ended(&mut fixture.noxide("third", &["restore", "--group", "none"]));
    assert!(code == 2 && err.contains("uv.lock has no group none"), "{err}");
}

#[test]
fn missing_tools_are_reported_with_advice() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.project.root().join("uv.lock")).unwrap();
    let (code, _, err) = ended(&mut fixture.noxide("first", &["restore"]));
    assert!(code == 3 && err.contains("uv.lock") && err.contains("--all"), "{err}");
    let mut command = fixture.noxide("first", &["save"]);
    let (code, _, err) = ended(command.env("PATH", "/nonexistent"));
    assert!(code == 3 && err.contains("uv was not found") && err.contains("install uv"), "{err}");
    // A uv in the project's `.venv` or in noxide's private environment counts, as it does for sessions.
    let mut command = fixture.noxide("first", &["save"]);
    let local = fixture.project.root().join(".venv/bin");
    fs_err::create_dir_all(&local).unwrap();
    crate::support::write_script(&local.join("uv"), "#!/bin/sh\necho 'error: the one in .venv' >&2\nexit 2\n");
    let (code, _, err) = ended(command.env("PATH", "/nonexistent"));
    assert!(code == 3 && err.contains("the one in .venv"), "{err}");
    std::fs::remove_file(local.join("uv")).unwrap();
    let bin = fixture.project.outer_dir().join("bin");
    crate::support::write_script(&bin.join("uv"), "#!/bin/sh\necho 'error: not today' >&2\nexit 2\n");
    let mut command = fixture.noxide("first", &["save"]);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let (code, _, err) = ended(command.env("PATH", &path));
    assert!(code == 3 && err.contains("not today"), "it does not even say its version: {err}");
    let mut command = fixture.noxide("first", &["save", "--format", "json"]);
    let (code, out, _) = ended(command.env("PATH", &path).env_remove("UV_CACHE_DIR"));
    assert!(code == 3 && json(&out)["version"] == 2 && out.contains("not today"), "{out}");
}

/// A uv cache of unknown layout: it is stored unchanged, with a message.
#[test]
fn a_uv_cache_of_unknown_layout_is_stored_unchanged() {
    let fixture = Fixture::new();
    let bin = fixture.project.outer_dir().join("bin");
    let real = crate::support::venv().join("bin/uv");
    let other = format!(
        "#!/bin/sh\ncase $1 in pip) echo 'error: not today' >&2; exit 2;; --version) echo uv 99.0; exit;; esac\nexec {real:?} \"$@\"\n"
    );
    crate::support::write_script(&bin.join("uv"), &other);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let run = |cache: &str, arguments: &[&str]| {
        let (code, out, err) = ended(fixture.noxide(cache, arguments).env("PATH", &path));
        assert!(code == 0 && err.contains("is unknown (it could not install a wheel: error: not today)"), "{out}{err}");
        out
    };
    let out = run("first", &["save"]);
    assert!(out.starts_with("saved 1 directory: "), "{out}");
    assert!(run("first", &["save"]).starts_with("nothing new"));
    let out = run("second", &["restore"]);
    assert!(out.starts_with("restored 1 directory: "), "{out}");
    assert!(run("second", &["restore"]).starts_with("nothing to restore"));
    assert_eq!(fixture.sync_offline("second"), ALL);
    assert!(run("third", &["restore", "--dry-run"]).starts_with("would restore 0 wheels"));
    assert!(!fixture.cache_dir("third").exists());
    assert!(fixture.store().verify_entries(&noxide::cache::NoProgress).is_clean());
    assert_eq!(fixture.store().entry_ids().len(), 1);
}

/// Directories of the settings: stored as copies, one state at a time.
#[test]
fn directories_of_the_settings_are_cached() {
    let fixture = Fixture::new();
    let tool = fixture.project.outer_dir().join("tool");
    fs_err::create_dir_all(tool.join("bin")).unwrap();
    fs_err::create_dir_all(tool.join("empty")).unwrap();
    fs_err::write(tool.join("bin/node"), "one").unwrap();
    std::os::unix::fs::symlink("bin/node", tool.join("node")).unwrap();
    let settings = format!("[cache]\ndirectories = [{tool:?}, \"~/not-there\"]\nmax-size = \"1GB\"\n");
    fixture.project.write("noxide.toml", settings);
    let run = |arguments: &[&str]| {
        let mut command = fixture.noxide("first", arguments);
        let (code, out, err) = ended(command.env("HOME", fixture.project.outer_dir()));
        assert_eq!(code, 0, "{out}{err}");
        out
    };
    assert!(run(&["save"]).starts_with("saved 5 wheels"));
    assert!(run(&["save"]).starts_with("nothing new"));
    assert!(run(&["status"]).contains(" of 1 GB ("), "the limit is shown as it is set");
    fs_err::write(tool.join("bin/node"), "changed in place").unwrap();
    assert!(fixture.store().verify_entries(&noxide::cache::NoProgress).is_clean(), "nothing is shared with its owner");
    assert!(run(&["save"]).starts_with("saved 1 directory"));
    assert_eq!(fixture.store().entry_ids().len(), 5, "the state before is gone");
    std::fs::remove_file(tool.join("bin/node")).unwrap();
    fs_err::write(tool.join("bin/own"), "own").unwrap();
    let out = run(&["restore"]);
    assert!(out.starts_with("restored 1 directory: 1 files") && out.contains("not in the store"), "{out}");
    assert_eq!(fs_err::read(tool.join("node")).unwrap(), b"changed in place");
    std::fs::remove_dir_all(&tool).unwrap();
    run(&["restore"]);
    assert!(tool.join("empty").is_dir() && tool.join("node").is_symlink());
    // A link that is there, of the user or of another entry, is not followed.
    std::fs::remove_dir_all(&tool).unwrap();
    let outside = fixture.project.outer_dir().join("outside");
    fs_err::create_dir_all(&outside).unwrap();
    fs_err::create_dir_all(&tool).unwrap();
    std::os::unix::fs::symlink(&outside, tool.join("bin")).unwrap();
    let out = run(&["restore"]);
    assert!(out.contains("bin is not a directory"), "{out}");
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0, "a file was written through the link");
    let id = fixture.store().entry_ids().into_iter().find(|id| id.to_string().starts_with("directory/")).unwrap();
    let kept = fixture.store().open_entry(&id).unwrap().unwrap().tree_path().join("bin/node");
    fs_err::write(kept, "harm").unwrap();
    std::fs::remove_dir_all(&tool).unwrap();
    let out = run(&["restore"]);
    assert!(out.contains("damaged and quarantined: bin/node"), "{out}");
    assert!(!tool.join("bin/node").exists());
}
