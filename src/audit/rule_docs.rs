//! A rule told to people: `--explain ID`, and the page of all rules, from the same words.

use super::rule::{ExampleFiles, Rule};
use super::rules::all_rules;

/// A rule's page as Markdown, its heading at that depth.
pub(crate) fn render_rule_page(rule: &Rule, depth: usize) -> String {
    let dialects: Vec<&str> = rule.dialects.iter().map(|dialect| dialect.as_str()).collect();
    let mut text = format!(
        "{} {} `{}`\n\n{}\n\n*{} severity, {} confidence, {} persona; {}.*\n\n**Why.** {}\n\n**Evidence.** {}\n\n**What to do.** {}\n",
        "#".repeat(depth),
        rule.ident.id,
        rule.ident.name,
        rule.ident.summary,
        rule.severity.as_str(),
        rule.confidence.as_str(),
        rule.persona.as_str(),
        dialects.join(", "),
        rule.rationale,
        rule.evidence,
        rule.advice,
    );
    text.push_str(&render_example("Reported", rule.bad_example));
    text.push_str(&render_example("Not reported", rule.good_example));
    text
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

/// `docs/rules.md`: how to use them, the table, and every rule's page.
pub fn render_rules_document() -> String {
    let mut text = RULES_DOCUMENT_HEADER.to_owned();
    for rule in all_rules() {
        text.push_str(&format!(
            "| [{id}](#{anchor}-{name}) | `{name}` | {severity} | {persona} | {what} |\n",
            id = rule.ident.id,
            anchor = rule.ident.id.to_lowercase(),
            name = rule.ident.name,
            severity = rule.severity.as_str(),
            persona = rule.persona.as_str(),
            what = rule.ident.summary,
        ));
    }
    for rule in all_rules() {
        text.push('\n');
        text.push_str(&render_rule_page(rule, 2));
    }
    text
}

const RULES_DOCUMENT_HEADER: &str = "# Rules of `noxide audit`

This page is made from the rules themselves (`noxide audit --rules`); a test fails when it is out of date.

`noxide audit` looks at `.forgejo/`, `.gitea/` and `.github/workflows`, at composite actions, and at the noxfile, which
it reads without running it. *Regular* rules speak always, *pedantic* ones with `--pedantic`. A finding may have another
severity, confidence or persona than its rule where it says so.

- Pass one over: `# noxide: ignore[NX301]` on its line or on comment lines right above it; say why after the bracket.
- Pass all known ones over: `noxide audit --baseline FILE --write-baseline` once, `--baseline FILE` afterwards.
- Guard in CI: `noxide audit --check --fail-on medium`.
- Mend: `--diff` shows, `--fix` writes what cannot change what a workflow does, `--unsafe-fixes` the rest too.

Exit codes: 0 good; 1 with `--check` a finding of at least the severity of `--fail-on` (default: any); 2 wrong usage;
3 a file cannot be read or written; 4 no workflow found.

| rule | name | severity | persona | what |
|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::super::rules::find_rule;
    use super::*;

    #[test]
    fn a_page_has_all_words_and_both_examples() {
        let text = render_rule_page(find_rule("NX405").unwrap(), 1);
        for part in
            ["# NX405 `uv-not-frozen`", "**Why.**", "**Evidence.**", "Reported, `uv.lock`", "```toml", "Not reported"]
        {
            assert!(text.contains(part), "{part}");
        }
        assert!(render_rule_page(find_rule("NX108").unwrap(), 1).contains("```python"));
        assert!(render_rules_document().contains("| [NX101](#nx101-no-dependency-cache) |"));
    }
}
