//! Findings as one JSON document, version 1: places with lines, columns and bytes, and the edits of fixes.

use serde_json::{Value, json};

use super::tally::Tally;
use crate::audit::finding::{Finding, Place};

/// The document, with a line end.
pub fn json(findings: &[Finding], tally: Tally) -> String {
    let all: Vec<Value> = findings.iter().map(finding).collect();
    let document = json!({
        "version": 1,
        "findings": all,
        "files": tally.files,
        "ignored": tally.ignored,
        "baseline": tally.known,
    });
    format!("{document:#}\n")
}

fn finding(finding: &Finding) -> Value {
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
        "place": place(&finding.place),
        "related": finding.related.iter().map(place).collect::<Vec<_>>(),
        "fingerprint": finding.fingerprint(),
        "fix": fix,
    })
}

fn place(place: &Place) -> Value {
    let (start, end) = (place.start(), place.end());
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
