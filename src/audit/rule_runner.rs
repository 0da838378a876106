//! Runs the rules over a project and gathers what they find.

use super::dialect::Dialect;
use super::finding::{Finding, Persona};
use super::ignore_comments::is_ignored_by_comment;
use super::options::AuditOptions;
use super::project::AuditProject;
use super::rule::{FindingSink, Rule};
use super::rules;
use super::source::SharedSource;

/// What an audit found.
#[derive(Debug, Default)]
pub struct AuditResult {
    /// Findings in the order of files and lines.
    pub findings: Vec<Finding>,
    /// How many were passed over by comments or settings.
    pub ignored_count: usize,
}

/// Looks with every rule.
pub fn run_audit(project: &AuditProject) -> AuditResult {
    let mut audit = AuditResult::default();
    for rule in rules::all_rules() {
        let settings = project.options.rule_settings(rule.ident.id, rule.ident.name);
        if settings.is_some_and(|settings| settings.disable) {
            continue;
        }
        let mut found = FindingSink::new(rule);
        (rule.check_project)(project, &mut found);
        for mut finding in found.findings {
            if let Some(settings) = settings {
                finding.severity = settings.severity.unwrap_or(finding.severity);
                finding.persona = settings.persona.unwrap_or(finding.persona);
            }
            let wanted = finding.persona == Persona::Regular || project.options.pedantic;
            if !wanted || !is_rule_applicable(project, rule, &finding.location.source) {
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

/// Whether a rule holds in a file's dialect.
fn is_rule_applicable(project: &AuditProject, rule: &Rule, source: &SharedSource) -> bool {
    if rule.dialects == super::rule::ALL_DIALECTS {
        return true;
    }
    let workflow = project.workflows.iter().find(|workflow| workflow.source.path == source.path);
    let dialect = workflow.map_or(Dialect::Github, |workflow| workflow.dialect);
    // The rule about folders speaks of files that another dialect's folder shadows.
    rule.dialects.contains(&dialect) || rule.ident.id == "NX407"
}

/// Whether settings name the finding's place.
fn is_ignored_by_settings(options: &AuditOptions, finding: &Finding) -> bool {
    let settings = options.rule_settings(finding.rule.id, finding.rule.name);
    settings.is_some_and(|settings| {
        settings.ignore.iter().any(|place| {
            let (file, line) = match place.rsplit_once(':') {
                Some((file, line)) => (file, line.parse::<usize>().ok()),
                None => (place.as_str(), None),
            };
            let path = &finding.location.source.path;
            let same = path == file || path.ends_with(&format!("/{file}"));
            same && line.is_none_or(|line| line == finding.location.start_position().line)
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::finding::Severity;
    use super::super::options::RuleSettings;
    use super::*;

    pub(in super::super) fn project(files: &[(&str, &str)], options: AuditOptions) -> AuditProject {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        AuditProject::load(folder.path(), &[], None, options).unwrap()
    }

    const TEXT: &str = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install nox\n";

    fn ids(text: &str, options: AuditOptions) -> (Vec<&'static str>, usize) {
        let audit = run_audit(&project(&[(".forgejo/workflows/ci.yml", text)], options));
        (audit.findings.iter().map(|finding| finding.rule.id).collect(), audit.ignored_count)
    }

    #[test]
    fn settings_change_what_is_said() {
        let set = |name: &str, settings: RuleSettings| {
            let mut options = AuditOptions { forge_version: "14".parse().ok(), ..AuditOptions::default() };
            options.rules.insert(name.to_owned(), settings);
            options
        };
        let plain = RuleSettings::default();
        assert_eq!(ids(TEXT, set("none", plain.clone())), (vec!["NX301", "NX101", "NX401"], 0));
        assert_eq!(ids(TEXT, set("NX301", RuleSettings { disable: true, ..plain.clone() })).0, ["NX101", "NX401"]);
        let ignore = |place: &str| RuleSettings { ignore: vec![place.to_owned()], ..plain.clone() };
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml:3"))), (vec!["NX101", "NX401"], 1));
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml"))).1, 1);
        assert_eq!(ids(TEXT, set("no-timeout", ignore("i.yml"))).1, 0);
        assert_eq!(ids(TEXT, set("no-timeout", ignore("ci.yml:4"))).1, 0);
        let pedantic = RuleSettings { persona: Some(Persona::Pedantic), severity: Some(Severity::High), ..plain };
        assert_eq!(ids(TEXT, set("NX101", pedantic)).0, ["NX301", "NX401"]);
    }

    #[test]
    fn comments_pass_over() {
        let options = || AuditOptions { forge_version: "14".parse().ok(), ..AuditOptions::default() };
        let with = |old: &str, new: &str| TEXT.replace(old, new);
        assert_eq!(ids(&with("  a:", "  a: # noxide: ignore[NX301]"), options()), (vec!["NX101", "NX401"], 1));
        assert_eq!(
            ids(&with("  a:", "  # noxide: ignore[no-timeout, NX101] why\n  a:"), options()).0,
            ["NX101", "NX401"]
        );
        assert_eq!(ids(&with("install nox", "install nox # noxide: ignore"), options()).0, ["NX301"]);
        assert_eq!(ids(&with("  a:", "  a: # noxide: ignored"), options()).1, 0);
    }
}
