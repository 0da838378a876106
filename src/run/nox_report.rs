//! nox's own report (`nox --report`): nox's entries of the sessions, and equal ones for sessions without a result of nox.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::process::SecretRedactor;
use crate::fs::write_atomic;
use crate::project::{ManifestIndex, NoxfileManifest, Session};
use crate::record::{Outcome, RecordedSession, RunRecord, SessionResult};

/// Keys of an entry in nox 2026.10.20, for a nox whose keys are unknown.
const ENTRY_KEYS: [&str; 7] = ["args", "name", "result", "result_code", "reason", "signatures", "duration"];

/// The last result of each session according to nox.
#[derive(Debug, Default)]
pub(crate) struct NoxResults(BTreeMap<ManifestIndex, NoxResult>);

#[derive(Debug)]
struct NoxResult {
    outcome: Outcome,
    /// The entry in nox's report as nox writes it, a JSON object.
    entry: String,
}

impl NoxResults {
    /// Redacts the secrets in all entries.
    pub(super) fn redact(&mut self, redactor: &SecretRedactor) {
        for result in self.0.values_mut() {
            result.entry = redactor.redact_text(&result.entry);
        }
    }

    /// Records the result of an attempt; nox has none of a session that crashed or was interrupted.
    pub(super) fn record(&mut self, session: ManifestIndex, outcome: Outcome, entry: Option<String>) {
        match entry {
            Some(entry) => self.0.insert(session, NoxResult { outcome, entry }),
            None => self.0.remove(&session),
        };
    }
}

/// Writes the report that `nox --report` would have written.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_nox_report(
    path: &Path,
    manifest: &NoxfileManifest,
    record: &RunRecord,
    results: &NoxResults,
) -> std::io::Result<()> {
    write_atomic(path, build_nox_report(manifest, record, results).as_bytes())
}

/// Builds the document that `nox --report` would have written, byte for byte except for durations.
///
/// If noxide ended a session or a signal ended the run, there is no such document: those sessions are listed as `failed`,
/// and sessions that never started as `aborted`.
fn build_nox_report(manifest: &NoxfileManifest, record: &RunRecord, results: &NoxResults) -> String {
    let entries: Vec<String> = record
        .sessions
        .iter()
        .filter_map(|recorded| {
            let result = recorded.result.as_ref()?;
            let index = manifest.sessions.iter().position(|session| session.name == recorded.spec.name)?;
            let required = failed_requirement(manifest, record, &manifest.sessions[index]);
            // nox's own `--stop-on-first-error` leaves out what it does not start.
            if result.attempts.is_empty() && record.interrupt_cause.as_deref() == Some("fail-fast") {
                return None;
            }
            let own = results.0.get(&ManifestIndex(index)).filter(|own| own.outcome == result.outcome);
            Some(own.map_or_else(|| build_entry(manifest, index, result, required), |own| own.entry.clone()))
        })
        .collect();
    let result = u8::from(record.exit_code == Some(0));
    let sessions = match entries.is_empty() {
        true => "[]".to_owned(),
        false => {
            format!("[\n    {}\n  ]", entries.iter().map(|entry| indent(entry, 4)).collect::<Vec<_>>().join(",\n    "))
        }
    };
    format!("{{\n  \"result\": {result},\n  \"sessions\": {sessions}\n}}")
}

/// Returns the first session that this one requires and that did not succeed, as nox names it.
fn failed_requirement<'a>(manifest: &'a NoxfileManifest, record: &RunRecord, session: &Session) -> Option<&'a str> {
    let result = |name: &str| {
        let named = |recorded: &&RecordedSession| recorded.spec.name.as_str() == name;
        record.sessions.iter().find(named).and_then(|recorded| recorded.result.as_ref())
    };
    let mut required = session.requires.iter().map(|id| manifest.sessions[id.0].name.as_str());
    required.find(|name| result(name).is_some_and(|result| result.outcome.is_failure()))
}

/// Builds the entry of a session that has no result of nox, or another outcome than nox's.
fn build_entry(manifest: &NoxfileManifest, index: usize, result: &SessionResult, required: Option<&str>) -> String {
    let session = &manifest.sessions[index];
    let (status, code) = to_nox_result(result.outcome);
    let never_started = result.attempts.is_empty();
    let reason = match required.filter(|_| never_started) {
        Some(required) => format!("Prerequisite session {required} was not successful"),
        None => result.reason.clone(),
    };
    let value = |key: &str| match key {
        "args" => parameters_to_json(session),
        "name" => to_python_json(&session.base),
        "result" => to_python_json(status),
        "result_code" => code.to_string(),
        "reason" if reason.is_empty() => "null".to_owned(),
        "reason" => to_python_json(&reason),
        "signatures" if session.signatures.is_empty() => "[]".to_owned(),
        "signatures" => {
            let signatures: Vec<String> = session.signatures.iter().map(|name| to_python_json(name)).collect();
            format!("[\n    {}\n  ]", signatures.join(",\n    "))
        }
        "duration" if never_started => "0".to_owned(),
        "duration" => format!("{:?}", result.wall_time() as f64 / 1_000.0),
        _ => "null".to_owned(),
    };
    let keys: Vec<&str> = match manifest.report_keys.is_empty() {
        true => ENTRY_KEYS.to_vec(),
        false => manifest.report_keys.iter().map(String::as_str).collect(),
    };
    let lines: Vec<String> = keys.iter().map(|key| format!("  {}: {}", to_python_json(key), value(key))).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

fn to_nox_result(outcome: Outcome) -> (&'static str, i32) {
    match outcome {
        Outcome::Passed => ("success", 1),
        Outcome::Skipped => ("skipped", 2),
        Outcome::Aborted => ("aborted", -1),
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled => ("failed", 0),
    }
}

/// Returns the parameters of a session as a JSON object, indented as the value of a key in its entry.
fn parameters_to_json(session: &Session) -> String {
    let inside = |text: &str| Some(text.trim().strip_prefix("{\n  \"args\": ")?.strip_suffix("\n}")?.to_owned());
    if let Some(parameters) = session.call_spec.as_deref().and_then(inside) {
        return parameters;
    }
    // A nox with unknown internals: it lists values as text.
    let parameters = session.parameters.iter().map(|(name, value)| (to_python_json(name), to_python_json(value)));
    let lines: Vec<String> = parameters.map(|(name, value)| format!("    {name}: {value}")).collect();
    if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n  }}", lines.join(",\n")) }
}

/// Indents all lines but the first. Strings in JSON have no line breaks, so this changes no value.
fn indent(text: &str, columns: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(columns)))
}

/// Returns text as Python's `json` module writes it: all but printable ASCII is escaped.
fn to_python_json(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_by_python() {
        // json.dumps('a"\\\n\r\t\b\f\x00\x7f é€😀')
        let expected = r#""a\"\\\n\r\t\b\f\u0000\u007f \u00e9\u20ac\ud83d\ude00""#;
        assert_eq!(to_python_json("a\"\\\n\r\t\u{8}\u{c}\0\u{7f} é€😀"), expected);
    }
}
