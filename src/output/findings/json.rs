//! Findings as a JSON document, version 3: locations in lines, columns and bytes, and the edits of fixes.

use serde_json::{Value, json};

use super::counts::FindingCounts;
use super::statistics::statistics_json;
use crate::audit::finding::{Finding, FindingLocation, Persona};

/// Renders the document, with a final line ending.
pub(crate) fn render_json(findings: &[Finding], counts: FindingCounts) -> String {
    let document = json!({
        "version": 3,
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
        "rules": statistics_json(findings),
        "workflow_files": counts.workflow_files,
        "ignored": counts.ignored,
        "in_baseline": counts.in_baseline,
    });
    format!("{document:#}\n")
}

/// Renders the document of `--statistics`: without the findings themselves.
pub(super) fn render_statistics_json(findings: &[Finding], counts: FindingCounts) -> String {
    let document = json!({
        "version": 3,
        "rules": statistics_json(findings),
        "workflow_files": counts.workflow_files,
        "ignored": counts.ignored,
        "in_baseline": counts.in_baseline,
    });
    format!("{document:#}\n")
}

fn finding_json(finding: &Finding) -> Value {
    let fix = finding.fix.as_ref().map(|fix| {
        let edits: Vec<Value> = fix
            .edits
            .iter()
            .map(|edit| json!({ "start": edit.span.start, "end": edit.span.end, "text": edit.text }))
            .collect();
        json!({ "title": fix.title, "applicability": fix.applicability, "path": fix.source.path, "edits": edits })
    });
    json!({
        "id": finding.rule.id,
        "name": finding.rule.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "pedantic": finding.persona == Persona::Pedantic,
        "message": finding.message,
        "advice": finding.advice,
        "location": location_json(&finding.location),
        "related": finding.related.iter().map(location_json).collect::<Vec<_>>(),
        "fingerprint": finding.fingerprint(),
        "fix": fix,
    })
}

fn location_json(location: &FindingLocation) -> Value {
    let (start, end) = (location.start_position(), location.end_position());
    json!({
        "path": location.source.path,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "start": location.span.start,
        "end": location.span.end,
        "label": location.label,
    })
}
