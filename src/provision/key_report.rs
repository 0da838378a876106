//! Explanation of cache keys: the inputs of each session, and how they differ from the most similar stored inputs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::session_keys::{SessionKeyInputs, SessionKeys};
use crate::cache::keys::{KeyInput, KeyInputChange, KeyInputKind, StoredKeyInputs};

/// Maximum number of packages to list; the rest is only counted.
const MAX_LISTED_PACKAGES: usize = 6;

/// Comparison of a session's key with the keys of earlier installs.
enum KeyComparison {
    Hit(Box<StoredKeyInputs>),
    Changed(Box<StoredKeyInputs>, Vec<KeyInputChange>),
    New,
}

impl SessionKeys {
    /// Returns the key of all sessions as text.
    pub(crate) fn key_text(&self) -> String {
        self.combined_key(&self.sessions.iter().collect::<Vec<_>>()).to_string()
    }

    /// Explains the key of each session as text for the terminal.
    pub(crate) fn explain(&self) -> String {
        let mut text = format!("{}\n", self.key_text());
        for session in &self.sessions {
            let comparison = self.compare_key(session);
            let verdict = match &comparison {
                KeyComparison::Hit(stored) => format!("hit: same as installed at {}", format_time(stored)),
                KeyComparison::Changed(stored, _) => {
                    format!("miss: differs from the inputs installed at {}", format_time(stored))
                }
                KeyComparison::New => "miss: no earlier install on this machine".to_owned(),
            };
            let (name, key) = (&session.key_inputs.session, self.combined_key(&[session]));
            let _ = write!(text, "\n{name}  {verdict}\n  key {key}\n");
            if let KeyComparison::Changed(_, changes) = &comparison {
                for change in changes {
                    let _ = writeln!(text, "  {}", format_change(change));
                }
            }
            write_key_inputs(&session.key_inputs.inputs, &mut text);
        }
        text
    }

    /// Returns the document of `noxide cache key --format json`.
    pub(crate) fn to_json(&self) -> Value {
        let prefix = self.combined_key(&self.sessions.iter().collect::<Vec<_>>()).prefix().to_owned();
        json!({
            "version": 2,
            "key": self.key_text(),
            "prefix": prefix,
            "sessions": self.sessions.iter().map(|session| self.session_json(session)).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }

    fn session_json(&self, session: &SessionKeyInputs) -> Value {
        let (hit, compared_with, differences) = match self.compare_key(session) {
            KeyComparison::Hit(stored) => (true, Some(stored.last_used), Vec::new()),
            KeyComparison::Changed(stored, changes) => (false, Some(stored.last_used), changes),
            KeyComparison::New => (false, None, Vec::new()),
        };
        json!({
            "session": session.key_inputs.session,
            "key": self.combined_key(&[session]).to_string(),
            "hit": hit,
            "compared_with": compared_with,
            "differences": differences,
            "inputs": session.key_inputs.inputs,
        })
    }

    fn compare_key(&self, session: &SessionKeyInputs) -> KeyComparison {
        let Some(index) = &self.key_index else { return KeyComparison::New };
        if let Some(stored) = index.find_exact(&session.key_inputs) {
            return KeyComparison::Hit(Box::new(stored));
        }
        match index.find_nearest(&session.key_inputs) {
            Some((stored, changes)) => KeyComparison::Changed(Box::new(stored), changes),
            None => KeyComparison::New,
        }
    }
}

/// Formats a time to the second.
fn format_time(stored: &StoredKeyInputs) -> String {
    stored.last_used.split('.').next().unwrap_or_default().replace('T', " ")
}

fn format_change(change: &KeyInputChange) -> String {
    let name = format!("{} {}", change.kind.as_str(), change.name);
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("- {name}: {old}\n  + {name}: {new}"),
        (None, Some(new)) => format!("+ {name}: {new}"),
        (Some(old), None) => format!("- {name}: {old}"),
        (None, None) => name,
    }
}

/// Lists key inputs, packages last.
fn write_key_inputs(inputs: &[KeyInput], text: &mut String) {
    let is_package = |input: &&KeyInput| input.kind == KeyInputKind::LockedPackage;
    let packages: Vec<&KeyInput> = inputs.iter().filter(is_package).collect();
    let listed = if packages.len() <= MAX_LISTED_PACKAGES + 1 { packages.len() } else { MAX_LISTED_PACKAGES };
    for input in inputs.iter().filter(|input| !is_package(input)).chain(packages.iter().take(listed).copied()) {
        let _ = writeln!(text, "    {:<17} {} = {}", input.kind.as_str(), input.name, input.value);
    }
    if packages.len() > listed {
        let _ = writeln!(
            text,
            "    {:<17} and {} more (--format json lists all)",
            "locked-package",
            packages.len() - listed
        );
    }
}
