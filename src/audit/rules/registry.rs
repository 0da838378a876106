//! Registry of all rules, in the order of their IDs.

use super::super::rule::Rule;
use crate::text::did_you_mean;

/// Returns all rules, in the order of their IDs.
pub(crate) fn all_rules() -> &'static [&'static Rule] {
    ALL_RULES
}

/// Finds a rule by its ID (`NX101`, any case) or its name.
pub(crate) fn find_rule(text: &str) -> Option<&'static Rule> {
    ALL_RULES.iter().copied().find(|rule| rule.ident.id.eq_ignore_ascii_case(text) || rule.ident.name == text)
}

/// Returns the IDs and names of all rules.
pub(crate) fn rule_names() -> Vec<&'static str> {
    ALL_RULES.iter().flat_map(|rule| [rule.ident.id, rule.ident.name]).collect()
}

/// Suggests the rule whose ID or name is nearest to an unknown one.
pub(crate) fn suggest_rule(unknown: &str) -> Option<String> {
    did_you_mean(unknown, rule_names()).or_else(|| did_you_mean(&unknown.to_uppercase(), rule_names()))
}

static ALL_RULES: &[&Rule] = &[
    &super::invalid_yaml::RULE,
    &super::no_dependency_cache::RULE,
    &super::setup_uv_auto_cache_disabled::RULE,
    &super::setup_uv_prunes_wheels::RULE,
    &super::setup_uv_before_checkout::RULE,
    &super::setup_uv_constant_key::RULE,
    &super::cache_disabled::RULE,
    &super::cache_key_without_hash::RULE,
    &super::cache_key_hash_incomplete::RULE,
    &super::cache_key_without_python::RULE,
    &super::cache_key_without_platform::RULE,
    &super::restore_keys_too_broad::RULE,
    &super::no_restore_keys::RULE,
    &super::cache_after_install::RULE,
    &super::cache_path_unused::RULE,
    &super::cache_action_hang::RULE,
    &super::cache_key_shared_across_jobs::RULE,
    &super::cache_not_saved_on_failure::RULE,
    &super::cache_in_release::RULE,
    &super::cache_slower_than_install::RULE,
    &super::node_missing::RULE,
    &super::cache_key_per_job::RULE,
    &super::environments_not_cached::RULE,
    &super::uv_cache_prune_ci::RULE,
    &super::hook_environments_not_cached::RULE,
    &super::setup_uv_unmatched_glob::RULE,
    &super::sequential_sessions::RULE,
    &super::needs_without_data::RULE,
    &super::duplicated_setup::RULE,
    &super::matrix_over_capacity::RULE,
    &super::coverage_rerun::RULE,
    &super::order_dependent_sessions::RULE,
    &super::matrix_fail_fast::RULE,
    &super::double_trigger::RULE,
    &super::no_path_filter::RULE,
    &super::repeated_download::RULE,
    &super::redundant_session::RULE,
    &super::workers_from_host::RULE,
    &super::gate_fails_on_skipped::RULE,
    &super::gate_missing_job::RULE,
    &super::coverage_before_tests::RULE,
    &super::repeated_nox_calls::RULE,
    &super::interpreters_per_entry::RULE,
    &super::no_timeout::RULE,
    &super::no_concurrency::RULE,
    &super::redundant_concurrency::RULE,
    &super::upload_without_always::RULE,
    &super::artifact_version::RULE,
    &super::log_not_uploaded::RULE,
    &super::no_log_uploaded::RULE,
    &super::pipe_hides_failure::RULE,
    &super::concurrency_per_commit::RULE,
    &super::unpinned_nox::RULE,
    &super::unpinned_uv::RULE,
    &super::pip_upgrade::RULE,
    &super::nox_without_uv::RULE,
    &super::uv_not_frozen::RULE,
    &super::full_clone::RULE,
    &super::ignored_workflow_directory::RULE,
    &super::unknown_workflow_key::RULE,
    &super::uses_without_host::RULE,
    &super::job_continue_on_error::RULE,
    &super::conflicting_thresholds::RULE,
    &super::secret_without_guard::RULE,
    &super::network_without_retry::RULE,
    &super::invalid_needs::RULE,
    &super::needs_context_missing::RULE,
    &super::unpinned_nox_action::RULE,
];

#[cfg(test)]
mod tests {
    use super::super::super::options::AuditOptions;
    use super::super::super::rule_runner::{run_audit, tests::project};
    use super::*;

    #[test]
    fn every_rule_reports_its_bad_example_and_not_its_good_one() {
        let mut failures = Vec::new();
        for rule in all_rules() {
            let options = || AuditOptions {
                pedantic: true,
                runner_capacity: Some(1),
                cache_losses: [("lint".to_owned(), "restoring took longer".to_owned())].into(),
                forge_version: if rule.ident.id == "NX303" { "14".parse().ok() } else { None },
                ..AuditOptions::default()
            };
            let audit = |files: &[(&str, &str)]| {
                let result = run_audit(&project(files, options()));
                let ids: Vec<_> = result.findings.iter().map(|finding| finding.rule.id).collect();
                (ids.contains(&rule.ident.id), ids)
            };
            let (is_reported, others) = audit(rule.bad_example);
            if !is_reported {
                failures.push(format!("{}: not reported in its bad example, but {others:?}", rule.ident.id));
            }
            if audit(rule.good_example).0 {
                failures.push(format!("{}: reported in its good example", rule.ident.id));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        for pair in all_rules().windows(2) {
            assert!(pair[0].ident.id < pair[1].ident.id, "{}", pair[1].ident.id);
        }
        let mut names: Vec<_> = all_rules().iter().map(|rule| rule.ident.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all_rules().len());
        assert_eq!(find_rule("nx101").map(|rule| rule.ident.name), Some("no-dependency-cache"));
        assert_eq!(find_rule("no-timeout").map(|rule| rule.ident.id), Some("NX301"));
        assert!(find_rule("NX999").is_none());
    }

    /// The mistakes planted in the example, as its README numbers them, and the rules that they are evidence for.
    const PLANTED_MISTAKES: &[(&str, &[&str])] = &[
        ("W1", &["NX113"]),
        ("W2", &["NX108"]),
        ("W3", &["NX109", "NX110"]),
        ("W4", &["NX111"]),
        ("W5", &["NX114"]),
        ("W6", &["NX116"]),
        ("W7", &["NX121"]),
        ("W8", &["NX101"]),
        ("W9", &["NX122"]),
        ("W10", &["NX210"]),
        ("W11", &["NX401", "NX402"]),
        ("W12", &["NX205"]),
        ("W13", &["NX202"]),
        ("W14", &["NX211"]),
        ("W15", &["NX301"]),
        ("W16", &["NX302"]),
        ("W17", &["NX209"]),
        ("W18", &["NX213"]),
        ("W19", &["NX214"]),
        ("W20", &["NX304", "NX306", "NX307"]),
        ("W21", &["NX411"]),
        ("W22", &["NX412"]),
        ("W23", &["NX212"]),
        ("W24", &["NX203"]),
        ("W25", &["NX413"]),
        ("W26", &["NX001", "NX408", "NX414"]),
    ];

    #[test]
    fn every_mistake_planted_in_the_example_has_a_rule() {
        let mistakes: Vec<&str> = PLANTED_MISTAKES.iter().map(|(mistake, _)| *mistake).collect();
        assert_eq!(mistakes, (1..=26).map(|n| format!("W{n}")).collect::<Vec<_>>());
        for (mistake, rules) in PLANTED_MISTAKES {
            assert!(!rules.is_empty(), "{mistake}");
            for rule in *rules {
                assert!(find_rule(rule).is_some(), "{mistake}: {rule}");
            }
        }
    }

    #[test]
    fn texts_are_complete_sentences() {
        for rule in all_rules() {
            for text in [rule.ident.summary, rule.rationale, rule.evidence, rule.advice] {
                assert!(text.len() >= 10 && text.ends_with(['.', '`', ')']), "{}: {text}", rule.ident.id);
            }
            assert!(!rule.forges.is_empty());
        }
    }
}
