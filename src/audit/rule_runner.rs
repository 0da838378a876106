//! Rule runner: runs every rule on a project and drops ignored findings.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::finding::{Finding, Persona};
use super::forge::Forge;
use super::options::AuditOptions;
use super::project::AuditProject;
use super::rule::{FindingSink, Rule};
use super::rules;
use super::source::SharedSource;

/// Marks a comment that ignores findings: `# noxide: ignore[NX101]`, or without brackets for every rule.
const IGNORE_COMMENT: &str = "noxide: ignore";

/// Most findings of one rule in one file; the last one says that there are more.
const MAX_FINDINGS_IN_FILE: usize = 500;

/// The findings of an audit.
#[derive(Debug, Default)]
pub struct AuditResult {
    /// Findings sorted by file and position.
    pub findings: Vec<Finding>,
    /// Number of findings ignored by comments or settings.
    pub ignored_count: usize,
}

/// Runs every rule on a project.
pub fn run_audit(project: &AuditProject) -> AuditResult {
    let mut audit = AuditResult::default();
    for rule in rules::all_rules() {
        let settings = project.options.rule_settings(rule.ident.id, rule.ident.name);
        if settings.is_some_and(|settings| settings.disable) {
            continue;
        }
        let mut sink = FindingSink::new(rule);
        (rule.check_project)(project, &mut sink);
        let mut counts: HashMap<String, usize> = HashMap::new();
        for mut finding in sink.findings {
            let count = counts.entry(finding.location.source.path.clone()).or_default();
            *count += 1;
            match (*count).cmp(&MAX_FINDINGS_IN_FILE) {
                Ordering::Less => {}
                Ordering::Equal => {
                    finding.message.push_str(" (further findings of this rule in this file are left out)");
                }
                Ordering::Greater => continue,
            }
            if let Some(settings) = settings {
                finding.severity = settings.severity.unwrap_or(finding.severity);
                finding.persona = settings.pedantic.map_or(finding.persona, Persona::from_pedantic);
            }
            let is_requested = finding.persona == Persona::Regular || project.options.pedantic;
            if !is_requested || !is_rule_applicable(project, rule, &finding.location.source) {
                continue;
            }
            if is_ignored_by_comment(&finding) || is_ignored_by_settings(&project.options, &finding) {
                audit.ignored_count += 1;
            } else {
                audit.findings.push(finding);
            }
        }
    }
    audit.findings.sort_by_cached_key(Finding::sort_key);
    audit.findings.dedup_by(|a, b| a.sort_key() == b.sort_key() && a.message == b.message);
    audit
}

/// Whether a rule applies to the forge of a file.
fn is_rule_applicable(project: &AuditProject, rule: &Rule, source: &SharedSource) -> bool {
    if rule.forges == super::rule::ALL_FORGES {
        return true;
    }
    let workflow = project.workflows.iter().find(|workflow| workflow.source.path == source.path);
    let forge = workflow.map_or(Forge::Github, |workflow| workflow.forge);
    // NX407 is a rule of Forgejo that is reported in files of `.github/workflows`.
    rule.forges.contains(&forge) || rule.ident.id == "NX407"
}

/// Whether the rule's `ignore` setting names the finding's file or line.
fn is_ignored_by_settings(options: &AuditOptions, finding: &Finding) -> bool {
    let settings = options.rule_settings(finding.rule.id, finding.rule.name);
    settings.is_some_and(|settings| {
        settings.ignore.iter().any(|pattern| {
            let (file, line) = match pattern.rsplit_once(':') {
                Some((file, line)) => (file, line.parse::<usize>().ok()),
                None => (pattern.as_str(), None),
            };
            let path = &finding.location.source.path;
            let is_same_file = path == file || path.ends_with(&format!("/{file}"));
            is_same_file && line.is_none_or(|line| line == finding.location.start_position().line)
        })
    })
}

/// Whether a comment on the finding's line, or on the comment lines directly above it, ignores the finding.
fn is_ignored_by_comment(finding: &Finding) -> bool {
    let source = &finding.location.source;
    let first = source.line_index(finding.location.span.start);
    if has_ignore_comment(source.line_text(first), finding) {
        return true;
    }
    let mut above = first;
    while let Some(line) = above.checked_sub(1).map(|line| source.line_text(line)) {
        if !line.trim_start().starts_with('#') {
            return false;
        }
        if has_ignore_comment(line, finding) {
            return true;
        }
        above -= 1;
    }
    false
}

/// Whether the comment of a line ignores the finding's rule, or all rules.
fn has_ignore_comment(line: &str, finding: &Finding) -> bool {
    let Some((before, comment)) = line.split_once(IGNORE_COMMENT) else { return false };
    if !before.contains('#') {
        return false;
    }
    let Some(list) = comment.strip_prefix('[') else { return !comment.starts_with(char::is_alphanumeric) };
    let list = list.split(']').next().unwrap_or_default();
    list.split(',').map(str::trim).any(|name| name.eq_ignore_ascii_case(finding.rule.id) || name == finding.rule.name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::finding::Severity;
    use super::super::options::RuleSettings;
    use super::*;

    pub(in super::super) fn project(files: &[(&str, &str)], options: AuditOptions) -> AuditProject {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        AuditProject::load(directory.path(), &[], None, options).unwrap()
    }

    const TEXT: &str =
        "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install uv==0.8.0 nox .\n";

    fn ids(text: &str, options: AuditOptions) -> (Vec<&'static str>, usize) {
        let audit = run_audit(&project(&[(".forgejo/workflows/ci.yml", text)], options));
        (audit.findings.iter().map(|finding| finding.rule.id).collect(), audit.ignored_count)
    }

    #[test]
    fn settings_change_the_findings() {
        let set = |name: &str, settings: RuleSettings| {
            let mut options = AuditOptions { forge_version: "14".parse().ok(), ..AuditOptions::default() };
            options.rules.insert(name.to_owned(), settings);
            options
        };
        let plain = RuleSettings::default();
        assert_eq!(ids(TEXT, set("none", plain.clone())), (vec!["NX301", "NX101", "NX401"], 0));
        assert_eq!(ids(TEXT, set("NX301", RuleSettings { disable: true, ..plain.clone() })).0, ["NX101", "NX401"]);
        let ignore = |pattern: &str| RuleSettings { ignore: vec![pattern.to_owned()], ..plain.clone() };
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml:3"))), (vec!["NX101", "NX401"], 1));
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml"))).1, 1);
        assert_eq!(ids(TEXT, set("no-timeout", ignore("i.yml"))).1, 0);
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml:4"))).1, 0);
        let pedantic = RuleSettings { pedantic: Some(true), severity: Some(Severity::High), ..plain };
        assert_eq!(ids(TEXT, set("NX101", pedantic)).0, ["NX301", "NX401"]);
    }

    #[test]
    fn one_rule_reports_a_limited_number_of_findings_in_a_file() {
        let needs: Vec<String> = (0..2_000).map(|number| format!("n{number}")).collect();
        let text = format!("on: push\njobs: {{a: {{runs-on: x, needs: [{}]}}}}\n", needs.join(", "));
        let audit = run_audit(&project(&[(".github/workflows/ci.yml", &text)], AuditOptions::default()));
        let unknown: Vec<&Finding> = audit.findings.iter().filter(|finding| finding.rule.id == "NX414").collect();
        assert_eq!(unknown.len(), MAX_FINDINGS_IN_FILE);
        let last = &unknown[MAX_FINDINGS_IN_FILE - 1].message;
        assert!(last.ends_with("(further findings of this rule in this file are left out)"), "{last}");
    }

    #[test]
    fn comments_ignore_findings() {
        let options = || AuditOptions { forge_version: "14".parse().ok(), ..AuditOptions::default() };
        let with = |old: &str, new: &str| TEXT.replace(old, new);
        assert_eq!(ids(&with("  a:", "  a: # noxide: ignore[NX301]"), options()), (vec!["NX101", "NX401"], 1));
        assert_eq!(
            ids(&with("  a:", "  # noxide: ignore[no-timeout, NX101] why\n  a:"), options()).0,
            ["NX101", "NX401"]
        );
        assert_eq!(ids(&with("nox .", "nox . # noxide: ignore"), options()).0, ["NX301"]);
        assert_eq!(ids(&with("  a:", "  a: # noxide: ignored"), options()).1, 0);
    }
}
