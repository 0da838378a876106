//! Findings as one JSON document, version 1: places with lines, columns and bytes, and the edits of fixes.

use serde_json::{Value, json};

use super::counts::FindingCounts;
use crate::audit::finding::{Finding, FindingLocation};

/// The document, with a line end.
pub(crate) fn render_json(findings: &[Finding], tally: FindingCounts) -> String {
    let all: Vec<Value> = findings.iter().map(finding_json).collect();
    let document = json!({
        "version": 1,
        "findings": all,
        "files": tally.workflow_files,
        "ignored": tally.ignored,
        "baseline": tally.in_baseline,
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
        json!({ "title": fix.title, "safe": fix.safe, "path": fix.source.path, "edits": edits })
    });
    json!({
        "id": finding.rule.id,
        "name": finding.rule.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "persona": finding.persona,
        "message": finding.message,
        "advice": finding.advice,
        "place": location_json(&finding.location),
        "related": finding.related.iter().map(location_json).collect::<Vec<_>>(),
        "fingerprint": finding.fingerprint(),
        "fix": fix,
    })
}

fn location_json(place: &FindingLocation) -> Value {
    let (start, end) = (place.start_position(), place.end_position());
    json!({
        "path": place.source.path,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "start": place.span.start,
        "end": place.span.end,
        "label": place.label,
    })
}
