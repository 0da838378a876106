//! Rule documentation, generated from the rules: the page of one rule (`--explain`) and docs/rules.md (`--rules`).

use super::rule::{ExampleFiles, Rule};
use super::rule_precision::describe_precision;
use super::rules::all_rules;

/// Renders the page of one rule as Markdown, with a heading of the given depth.
pub(crate) fn render_rule_page(rule: &Rule, depth: usize) -> String {
    let forges: Vec<&str> = rule.forges.iter().map(|forge| forge.as_str()).collect();
    let mut text = format!(
        "{} {} `{}`\n\n{}\n\n*{} severity, {} confidence; reported {}; {}.*\n\n**Why.** {}\n\n**Evidence.** {}\n\n**What to do.** {}\n",
        "#".repeat(depth),
        rule.ident.id,
        rule.ident.name,
        rule.ident.summary,
        rule.severity.as_str(),
        rule.confidence.as_str(),
        rule.persona.describe(),
        forges.join(", "),
        rule.rationale,
        rule.evidence,
        rule.advice,
    );
    if let Some(measured) = describe_precision(rule.ident.id) {
        text.push_str(&format!("\n**Measured.** {measured}\n"));
    }
    text.push_str(&render_example("Reported", rule.bad_example));
    text.push_str(&render_example("Not reported", rule.good_example));
    text
}

/// Renders the answer of `noxide audit --explain`: the page of a rule, and what its evidence is.
pub(crate) fn render_explanation(rule: &Rule) -> String {
    format!(
        "{}\n*Evidence*: \"sampled\" counts are from public repositories that use nox. \"Observed\" and \
         \"issues\" refer to a real pipeline, on which parcelbook, the example project of noxide, is modeled.\n",
        render_rule_page(rule, 1)
    )
}

fn render_example(title: &str, files: ExampleFiles) -> String {
    let mut text = String::new();
    for (path, content) in files {
        let language = if path.ends_with(".py") { "python" } else { "yaml" };
        let language = if path.ends_with(".lock") { "toml" } else { language };
        text.push_str(&format!("\n{title}, `{path}`:\n\n```{language}\n{content}```\n"));
    }
    text
}

/// Renders `docs/rules.md`: introduction, table of rules, and the page of every rule.
pub fn render_rules_document() -> String {
    let mut text = RULES_DOCUMENT_HEADER.to_owned();
    for rule in all_rules() {
        text.push_str(&format!(
            "| [{id}](#{anchor}-{name}) | `{name}` | {severity} | {reported} | {summary} |\n",
            id = rule.ident.id,
            anchor = rule.ident.id.to_lowercase(),
            name = rule.ident.name,
            severity = rule.severity.as_str(),
            reported = rule.persona.describe(),
            summary = rule.ident.summary,
        ));
    }
    for rule in all_rules() {
        text.push('\n');
        text.push_str(&render_rule_page(rule, 2));
    }
    text
}

const RULES_DOCUMENT_HEADER: &str = "# Rules of `noxide audit`

This page is generated from the rules (`noxide audit --rules`); a test fails when it is out of date.

`noxide audit` checks `.forgejo/`, `.gitea/` and `.github/workflows`, composite actions, and the noxfile, which it reads
without running it. Pedantic rules report only with `--pedantic`. Other rules may have single findings that are pedantic; their evidence says which. A finding can differ from its rule in
severity, in confidence, and in whether it is pedantic.

- Ignore one finding: `# noxide: ignore[NX301] reason` on its line or on the comment lines directly above it.
- Ignore all current findings: `noxide audit --baseline FILE --write-baseline` once, then `--baseline FILE`.
- Fail in CI: `noxide audit`, which exits with 1 for findings of high severity; `--fail-on medium` also for medium.
- Fix: `--fix` applies the safe fixes, `--fix --unsafe-fixes` all, and `--diff` shows them instead. [Audit](audit.md)
  describes the difference.

Exit codes: 0 no finding of at least the severity of `--fail-on` (default: high); 1 such a finding; 2 invalid usage or
settings; 3 a file cannot be read or written; 4 no workflow found.

The first digit of a rule's number is its family:

| numbers | family |
|---|---|
| NX0 | files that cannot be parsed |
| NX1 | dependency caches: missing, misconfigured, or slower than no cache |
| NX2 | parallelism: sequential or repeated work, needless waits, gate jobs, coverage |
| NX3 | reliability: timeouts, superseded runs, logs and artifacts, hidden failures |
| NX4 | setup and syntax: unpinned or slow tools, and keys that the forge ignores or rejects |

*Evidence* is what was measured or observed, and what the rule reports or does not report because of it. \"Sampled\" counts
are from public repositories that use nox. \"Observed\" and \"issues\" refer to the real pipeline on which parcelbook, [the
example project](../examples/parcelbook/README.md), is modeled. *Measured* is how many of a rule's findings that are shown by default were true, with a fitting
severity and advice, for both of two readers who judged them independently. The rules were corrected by the same verdicts,
and verdicts on findings that are no longer reported are not counted, so other repositories may show a lower share. *Not reported*
shows a workflow without a finding of this rule; other rules may still report it.

| rule | name | severity | reported | summary |
|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::super::rules::find_rule;
    use super::*;

    #[test]
    fn a_page_has_all_texts_and_both_examples() {
        let text = render_rule_page(find_rule("NX405").unwrap(), 1);
        for part in
            ["# NX405 `uv-not-frozen`", "**Why.**", "**Evidence.**", "Reported, `uv.lock`", "```toml", "Not reported"]
        {
            assert!(text.contains(part), "{part}");
        }
        assert!(render_rule_page(find_rule("NX302").unwrap(), 1).contains("**Measured.** "));
        assert!(!text.contains("**Measured.**"));
        assert!(render_rule_page(find_rule("NX108").unwrap(), 1).contains("```python"));
        assert!(render_rules_document().contains("| [NX101](#nx101-no-dependency-cache) |"));
    }
}
