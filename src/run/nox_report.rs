//! nox's own report (`nox --report`), built from a run's record.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::fs::write_atomic;
use crate::project::{NoxfileManifest, Session};
use crate::record::{Outcome, RunRecord};

/// Writes the report that `nox --report` would have written.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_nox_report(path: &Path, manifest: &NoxfileManifest, record: &RunRecord) -> std::io::Result<()> {
    write_atomic(path, format!("{:#}\n", build_nox_report(manifest, record)).as_bytes())
}

/// Builds the document that `nox --report` would have written, with the keys and codes of nox 2026.10.20.
///
/// Sessions that never started are listed as `aborted`; nox leaves some out.
fn build_nox_report(manifest: &NoxfileManifest, record: &RunRecord) -> Value {
    let sessions = record.sessions.iter().filter_map(|recorded| {
        let result = recorded.result.as_ref()?;
        let session = manifest.sessions.iter().find(|session| session.name == recorded.spec.name)?;
        let (status, code) = to_nox_result(result.outcome);
        Some(json!({
            "args": parameters_to_json(session),
            "name": session.base,
            "result": status,
            "result_code": code,
            "reason": if result.reason.is_empty() { Value::Null } else { json!(result.reason) },
            "signatures": sort_shortest_first(&session.signatures),
            "duration": result.wall_time() as f64 / 1_000.0,
        }))
    });
    json!({ "result": u8::from(record.exit_code == Some(0)), "sessions": sessions.collect::<Vec<_>>() })
}

/// Returns the signatures in nox's order, the shortest first.
fn sort_shortest_first(signatures: &[String]) -> Vec<&String> {
    let mut sorted: Vec<&String> = signatures.iter().collect();
    sorted.sort_by_key(|signature| signature.len());
    sorted
}

fn to_nox_result(outcome: Outcome) -> (&'static str, i32) {
    match outcome {
        Outcome::Passed => ("success", 1),
        Outcome::Skipped => ("skipped", 2),
        Outcome::Aborted => ("aborted", -1),
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled => ("failed", 0),
    }
}

/// Returns parameters as JSON values, or as Python prints them if they have no JSON form (nox fails on those).
fn parameters_to_json(session: &Session) -> Map<String, Value> {
    let value = |text: &str| match text {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(inner) if !inner.contains(['\\', '\'']) => json!(inner),
            _ => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        },
    };
    session.parameters.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}
