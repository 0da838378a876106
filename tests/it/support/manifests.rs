//! Manifests in code, for tests without nox.

use std::path::PathBuf;

use noxide::project::{CoverageUse, HostMode, ManifestIndex, NoxfileManifest, Session, SessionName, SharedVariableUse};
use noxide::run::SessionOverrides;

/// A session with nothing special about it.
pub fn session(name: &str) -> Session {
    Session {
        name: SessionName::new(name),
        base: name.split(['-', '(']).next().unwrap_or(name).to_owned(),
        signatures: vec![name.to_owned()],
        description: String::new(),
        python: None,
        tags: Vec::new(),
        requires: Vec::new(),
        backend: "none".to_owned(),
        reuse: false,
        venv_params: Vec::new(),
        envdir: None,
        default: true,
        allow_parallel: None,
        parameters: Vec::new(),
        call_spec: None,
        coverage: CoverageUse::default(),
        shared_variables: SharedVariableUse::default(),
        notifies: Vec::new(),
        installs: Vec::new(),
        file: None,
        line: None,
        source_digest: None,
        definition_digest: None,
    }
}

/// A session that writes coverage data to this file.
pub fn covered_session(name: &str, data: &str) -> Session {
    let coverage = CoverageUse { writes: Some(PathBuf::from(data)), reads: false };
    Session { coverage, ..session(name) }
}

/// A manifest whose sessions are all selected.
pub fn manifest(sessions: Vec<Session>) -> NoxfileManifest {
    NoxfileManifest {
        nox: "2026.10.20".to_owned(),
        python: "3.11.7".to_owned(),
        executable: PathBuf::from("python"),
        noxfile: PathBuf::from("noxfile.py"),
        root: PathBuf::from("."),
        envdir: PathBuf::from("./.nox"),
        mode: HostMode::Fork,
        description: String::new(),
        stop_on_first_error: false,
        no_install: false,
        report: None,
        uv_cache: None,
        report_keys: Vec::new(),
        notices: Vec::new(),
        queue: (0..sessions.len()).map(ManifestIndex).collect(),
        sessions,
    }
}

/// A session rule of the settings without options.
pub fn rule(pattern: &str) -> SessionOverrides {
    SessionOverrides {
        pattern: pattern.to_owned(),
        location: "noxide.toml:3".to_owned(),
        ..SessionOverrides::default()
    }
}
