//! `noxide cache …` as people and programs meet it.

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
    assert!(out.starts_with("nothing new: 4 wheels known"), "{out}");
    let (_, out, _) = run(&["status"]);
    assert!(out.contains("3 wheels") && out.contains("1 built wheel "), "{out}");
    let (_, out, _) = run(&["restore", "--dry-run", "--uv-cache", "../second"]);
    assert!(out.starts_with("would restore 4 wheels: "), "{out}");
    assert!(!fixture.cache_dir("second").exists());
    let (code, out, _) = run(&["restore", "--require", "--uv-cache", "../second"]);
    assert!(code == 0 && out.starts_with("restored 4 wheels: "), "{out}");
    let (_, out, _) = run(&["restore", "--uv-cache", "../second"]);
    assert!(out.starts_with("nothing to restore") && out.contains("4 packages here already"), "{out}");
    assert_eq!(fixture.sync_offline("second"), ALL);
    let (code, out, _) = run(&["verify"]);
    assert!(code == 0 && out.contains("all is as it was saved"), "{out}");
    let (_, out, _) = run(&["prune", "--dry-run", "--max-size", "1B"]);
    assert!(out.starts_with("would remove 4 entries: ") && out.contains("0 entries would stay"), "{out}");
    let (_, out, _) = run(&["prune", "--max-size", "1B"]);
    assert!(out.starts_with("removed 4 entries: "), "{out}");
    let (code, out, _) = run(&["restore", "--require", "--uv-cache", "../third"]);
    assert!(code == 1 && out.contains("4 packages not had, not in the store: alpha 1.0, "), "{out}");
}

#[test]
fn programs_get_one_document() {
    let fixture = Fixture::new();
    let run = |arguments: &[&str]| {
        let (code, out, err) = ended(fixture.noxide("first", arguments).arg("--format").arg("json"));
        assert_eq!(err, "");
        let document = json(&out);
        assert_eq!(document["version"], 1);
        (code, document)
    };
    assert_eq!(run(&["save"]).1["saved"].as_array().unwrap().len(), 4);
    assert_eq!(run(&["status"]).1["entries"], 4);
    assert_eq!(run(&["restore", "--dry-run", "--uv-cache", "../second"]).1["entries"], 4);
    let restored = run(&["restore", "--uv-cache", "../second"]).1;
    assert_eq!(restored["restored"][0]["name"], "alpha 1.0");
    assert_eq!(run(&["prune", "--dry-run", "--max-unused", "0"]).1["remove"].as_array().unwrap().len(), 4);
    let facts = walkdir::WalkDir::new(fixture.store().root().join("entries")).into_iter().flatten();
    let victim = facts.into_iter().find(|entry| entry.file_name() == "run.sh").unwrap();
    fs_err::write(victim.path(), "#!/bin/sh\nrm -rf /\n").unwrap();
    fs_err::create_dir_all(fixture.store().root().join("entries/other")).unwrap();
    let (code, document) = run(&["verify"]);
    assert_eq!(code, 1);
    assert_eq!(document["damaged"][0]["path"], "alpha/run.sh");
    assert_eq!(document["strays"][0], "entries/other");
    let (code, document) = run(&["verify", "--repair"]);
    assert_eq!((code, &document["repaired"][0]["healed"]), (1, &Value::Bool(true)), "{document}");
    std::fs::remove_dir(fixture.store().root().join("entries/other")).unwrap();
    assert_eq!(run(&["verify"]).0, 0);
    assert_eq!(run(&["prune", "--max-size", "1B"]).1["removed"].as_array().unwrap().len(), 4);
}

#[test]
fn only_the_closure_of_what_is_selected() {
    let fixture = Fixture::new();
    ended(&mut fixture.noxide("first", &["save"]));
    let (code, out, err) = ended(&mut fixture.noxide("second", &["restore", "--package", "Alpha"]));
    assert!(code == 0 && out.starts_with("restored 2 wheels"), "alpha needs beta: {out}{err}");
    let (code, _, err) = ended(&mut fixture.noxide("third", &["restore", "--group", "none"]));
    assert!(code == 2 && err.contains("uv.lock holds no group none"), "{err}");
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.project.root().join("uv.lock")).unwrap();
    let (code, _, err) = ended(&mut fixture.noxide("first", &["restore"]));
    assert!(code == 3 && err.contains("uv.lock") && err.contains("--all"), "{err}");
    let mut command = fixture.noxide("first", &["save"]);
    let (code, _, err) = ended(command.env("PATH", "/nonexistent"));
    assert!(code == 3 && err.contains("no uv on PATH"), "{err}");
    let bin = fixture.project.beside().join("bin");
    crate::support::script(&bin.join("uv"), "#!/bin/sh\necho 'error: not today' >&2\nexit 2\n");
    let mut command = fixture.noxide("first", &["save"]);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let (code, _, err) = ended(command.env("PATH", &path));
    assert!(code == 3 && err.contains("not known") && err.contains("not today"), "{err}");
    let mut command = fixture.noxide("first", &["save", "--format", "json"]);
    let (code, out, _) = ended(command.env("PATH", &path).env_remove("UV_CACHE_DIR"));
    assert!(code == 3 && json(&out)["version"] == 1 && out.contains("not today"), "{out}");
}
