//! Findings as SARIF 2.1.0, for code scanning and editors.

use serde_json::{Value, json};

use crate::audit::finding::{Finding, FindingLocation, RuleIdent, Severity};

/// The document, with a line end.
pub(crate) fn render_sarif(findings: &[Finding]) -> String {
    let mut names: Vec<RuleIdent> = findings.iter().map(|finding| finding.rule).collect();
    names.sort_unstable();
    names.dedup();
    let rules: Vec<Value> = names
        .iter()
        .map(|rule| json!({ "id": rule.id, "name": rule.name, "shortDescription": { "text": rule.summary } }))
        .collect();
    let results: Vec<Value> = findings.iter().map(|finding| sarif_result(finding, &names)).collect();
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

fn sarif_result(finding: &Finding, names: &[RuleIdent]) -> Value {
    let level = match finding.severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    };
    let related: Vec<Value> = finding
        .related
        .iter()
        .map(|place| {
            let mut value = sarif_location(place);
            value["message"] = json!({ "text": place.label });
            value
        })
        .collect();
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": names.iter().position(|rule| *rule == finding.rule),
        "level": level,
        "message": { "text": format!("{}. {}", finding.message, finding.advice) },
        "locations": [sarif_location(&finding.location)],
        "relatedLocations": related,
        "partialFingerprints": { "noxide/v1": finding.fingerprint() },
    })
}

fn sarif_location(place: &FindingLocation) -> Value {
    let (start, end) = (place.start_position(), place.end_position());
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": place.source.path },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
            "byteOffset": place.span.start,
            "byteLength": place.span.end - place.span.start,
        },
    } })
}
