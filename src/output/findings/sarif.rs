//! Findings as SARIF 2.1.0, for code scanning and editors.

use serde_json::{Value, json};

use crate::audit::finding::{Finding, FindingLocation, RuleIdent, Severity};

/// Renders the document, with a final line ending.
pub(crate) fn render_sarif(findings: &[Finding]) -> String {
    let mut idents: Vec<RuleIdent> = findings.iter().map(|finding| finding.rule).collect();
    idents.sort_unstable();
    idents.dedup();
    let rules: Vec<Value> = idents
        .iter()
        .map(|rule| json!({ "id": rule.id, "name": rule.name, "shortDescription": { "text": rule.summary } }))
        .collect();
    let results: Vec<Value> = findings.iter().map(|finding| sarif_result(finding, &idents)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "noxide", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn sarif_result(finding: &Finding, idents: &[RuleIdent]) -> Value {
    let level = match finding.severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    };
    let related: Vec<Value> = finding
        .related
        .iter()
        .map(|location| {
            let mut value = sarif_location(location);
            value["message"] = json!({ "text": location.label });
            value
        })
        .collect();
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": idents.iter().position(|rule| *rule == finding.rule),
        "level": level,
        "message": { "text": format!("{}. {}", finding.message, finding.advice) },
        "locations": [sarif_location(&finding.location)],
        "relatedLocations": related,
        "properties": { "severity": finding.severity, "confidence": finding.confidence },
        "partialFingerprints": { "noxide/v1": finding.fingerprint() },
    })
}

fn sarif_location(location: &FindingLocation) -> Value {
    let (start, end) = (location.start_position(), location.end_position());
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": location.source.path },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
            "byteOffset": location.span.start,
            "byteLength": location.span.end - location.span.start,
        },
    } })
}
