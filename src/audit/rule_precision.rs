//! Measured precision of rules: how many of their findings in public repositories are true.

/// A rule, the number of its findings that were judged, and of those that both readers called true. Rules with fewer
/// than three findings are left out.
type MeasuredRule = (&'static str, u32, u32);

/// Number of repositories that were audited.
const REPOSITORIES: u32 = 142;
/// When the findings were judged.
const MONTH: &str = "November 2026";

const MEASURED_RULES: &[MeasuredRule] = &[
    ("NX101", 64, 54),
    ("NX115", 11, 11),
    ("NX118", 13, 13),
    ("NX124", 6, 6),
    ("NX209", 17, 16),
    ("NX214", 5, 5),
    ("NX302", 56, 56),
    ("NX305", 11, 11),
    ("NX404", 15, 15),
    ("NX415", 3, 3),
];

/// Describes the measured precision of a rule; `None` if too few of its findings were judged.
pub(crate) fn describe_precision(id: &str) -> Option<String> {
    let (_, findings, confirmed) = MEASURED_RULES.iter().find(|(rule, ..)| *rule == id)?;
    Some(format!(
        "Two readers found {confirmed} of {findings} findings true, in {REPOSITORIES} public repositories ({MONTH})."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::rules::all_rules;
    use super::*;

    #[test]
    fn measured_rules_exist_and_have_enough_findings() {
        for (id, findings, confirmed) in MEASURED_RULES {
            assert!(all_rules().iter().any(|rule| rule.ident.id == *id), "{id}");
            assert!(*findings >= 3 && confirmed <= findings, "{id}");
        }
        assert_eq!(describe_precision("NX000"), None);
        assert!(describe_precision("NX302").is_some_and(|text| text.contains(" of ")));
    }
}
