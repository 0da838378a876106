//! The JSON schema and the documentation of the settings: both name exactly the settings that noxide reads.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use noxide::cli::Cli;
use noxide::config::{load_settings, schema_json};
use noxide::run::RunOptions;

use super::settings::{project, resolved, shown, wrong};

/// The committed schema for editors is up to date.
#[test]
fn the_schema_in_the_docs_matches_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.schema.json");
    let kept = fs_err::read_to_string(path).unwrap_or_default();
    assert!(
        kept == schema_json(),
        "docs/settings.schema.json is out of date: run `cargo run -- schema > docs/settings.schema.json`"
    );
}

fn schema_keys(pointer: &str) -> Vec<String> {
    let schema: serde_json::Value = serde_json::from_str(&schema_json()).unwrap();
    schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
}

/// Every key of the schema is read and documented.
#[test]
fn schema_reader_and_docs_have_the_same_keys() {
    let handbook = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md")).unwrap();
    for (pointer, head) in [
        ("/properties", ""),
        ("/$defs/session/properties", "[sessions.tests]\n"),
        ("/$defs/cache/properties", "[cache]\n"),
        ("/$defs/audit/properties", "[audit]\n"),
        ("/$defs/rule/properties", "[audit.rules.NX301]\n"),
    ] {
        for key in schema_keys(pointer) {
            // A date is invalid for every key, so the error must be about the value, not about an unknown key.
            let error = wrong(&format!("{head}{key} = 1979-05-27\n"));
            assert!(error.contains(&format!("`{key}` must be ")), "{error}");
            assert!(handbook.contains(&format!("| `{key}` ")), "docs/settings.md does not tell of `{key}`");
        }
    }
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let handbook = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md")).unwrap();
    let examples: Vec<&str> = handbook.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        load_settings(project(&[("pyproject.toml", example)]).path())
            .unwrap_or_else(|errors| panic!("{}", shown(&errors)));
    }
}

/// The flags' help and the documentation name the defaults of the schema.
#[test]
fn help_and_docs_have_the_defaults_of_the_schema() {
    let handbook = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema_json()).unwrap();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for (key, value) in schema["properties"].as_object().unwrap() {
        let Some(default) = value.get("default") else { continue };
        let row = handbook.lines().find(|line| line.starts_with(&format!("| `{key}` "))).unwrap();
        let is_named = row.contains(&format!(" | `{default}` | ")) || (*default == 0 && row.contains(" | none | "));
        assert!(is_named, "docs/settings.md has another default of `{key}` than {default}: {row}");
        let flag = run.get_arguments().find(|argument| argument.get_long() == Some(key));
        let help = flag.and_then(|flag| flag.get_help()).map(ToString::to_string).unwrap_or_default();
        if help.contains("[default: ") {
            let word = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert!(help.contains(&format!("[default: {word}]")), "another default than {word} in the help: {help}");
        }
    }
}

#[test]
fn the_schema_has_the_actual_defaults() {
    let schema: serde_json::Value = serde_json::from_str(&schema_json()).unwrap();
    let mut text = String::new();
    for (key, value) in schema["properties"].as_object().unwrap() {
        if let Some(default) = value.get("default") {
            writeln!(text, "{key} = {default}").unwrap();
        }
    }
    assert_eq!(resolved(&text).run_options(), RunOptions::default());
}
