//! Audit rules, one file each in `rules/`. To add a rule: write its file, then add its `mod` line and its line in
//! `ALL_RULES` here.
//!
//! The first digit of a rule's ID is its family; an ID is never reused:
//!
//! - NX0: files that cannot be parsed
//! - NX1: dependency caches: missing, misconfigured, or slower than no cache
//! - NX2: parallelism: sequential or repeated work, needless waits, gate jobs, coverage
//! - NX3: reliability: timeouts, superseded runs, logs and artifacts, hidden failures
//! - NX4: setup and syntax: unpinned or slow tools, and keys that the forge ignores or rejects

mod prelude;

mod artifact_version;
mod cache_action_hang;
mod cache_after_install;
mod cache_disabled;
mod cache_in_release;
mod cache_key_hash_incomplete;
mod cache_key_per_job;
mod cache_key_shared_across_jobs;
mod cache_key_without_hash;
mod cache_key_without_platform;
mod cache_key_without_python;
mod cache_not_saved_on_failure;
mod cache_path_unused;
mod cache_slower_than_install;
mod concurrency_per_commit;
mod conflicting_thresholds;
mod coverage_before_tests;
mod coverage_rerun;
mod double_trigger;
mod duplicated_setup;
mod environments_not_cached;
mod full_clone;
mod gate_fails_on_skipped;
mod gate_missing_job;
mod hook_environments_not_cached;
mod ignored_workflow_directory;
mod interpreters_per_entry;
mod invalid_needs;
mod invalid_yaml;
mod job_continue_on_error;
mod log_not_uploaded;
mod matrix_fail_fast;
mod matrix_over_capacity;
mod needs_context_missing;
mod needs_without_data;
mod network_without_retry;
mod no_concurrency;
mod no_dependency_cache;
mod no_log_uploaded;
mod no_path_filter;
mod no_restore_keys;
mod no_timeout;
mod node_missing;
mod nox_without_uv;
mod order_dependent_sessions;
mod pip_upgrade;
mod pipe_hides_failure;
mod redundant_concurrency;
mod redundant_session;
mod repeated_download;
mod repeated_nox_calls;
mod restore_keys_too_broad;
mod secret_without_guard;
mod sequential_sessions;
mod setup_uv_auto_cache_disabled;
mod setup_uv_before_checkout;
mod setup_uv_constant_key;
mod setup_uv_prunes_wheels;
mod setup_uv_unmatched_glob;
mod unknown_workflow_key;
mod unpinned_nox;
mod unpinned_nox_action;
mod unpinned_uv;
mod upload_without_always;
mod uses_without_host;
mod uv_cache_prune_ci;
mod uv_not_frozen;
mod workers_from_host;

use super::rule::Rule;
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
    &invalid_yaml::RULE,
    &no_dependency_cache::RULE,
    &setup_uv_auto_cache_disabled::RULE,
    &setup_uv_prunes_wheels::RULE,
    &setup_uv_before_checkout::RULE,
    &setup_uv_constant_key::RULE,
    &cache_disabled::RULE,
    &cache_key_without_hash::RULE,
    &cache_key_hash_incomplete::RULE,
    &cache_key_without_python::RULE,
    &cache_key_without_platform::RULE,
    &restore_keys_too_broad::RULE,
    &no_restore_keys::RULE,
    &cache_after_install::RULE,
    &cache_path_unused::RULE,
    &cache_action_hang::RULE,
    &cache_key_shared_across_jobs::RULE,
    &cache_not_saved_on_failure::RULE,
    &cache_in_release::RULE,
    &cache_slower_than_install::RULE,
    &node_missing::RULE,
    &cache_key_per_job::RULE,
    &environments_not_cached::RULE,
    &uv_cache_prune_ci::RULE,
    &hook_environments_not_cached::RULE,
    &setup_uv_unmatched_glob::RULE,
    &sequential_sessions::RULE,
    &needs_without_data::RULE,
    &duplicated_setup::RULE,
    &matrix_over_capacity::RULE,
    &coverage_rerun::RULE,
    &order_dependent_sessions::RULE,
    &matrix_fail_fast::RULE,
    &double_trigger::RULE,
    &no_path_filter::RULE,
    &repeated_download::RULE,
    &redundant_session::RULE,
    &workers_from_host::RULE,
    &gate_fails_on_skipped::RULE,
    &gate_missing_job::RULE,
    &coverage_before_tests::RULE,
    &repeated_nox_calls::RULE,
    &interpreters_per_entry::RULE,
    &no_timeout::RULE,
    &no_concurrency::RULE,
    &redundant_concurrency::RULE,
    &upload_without_always::RULE,
    &artifact_version::RULE,
    &log_not_uploaded::RULE,
    &no_log_uploaded::RULE,
    &pipe_hides_failure::RULE,
    &concurrency_per_commit::RULE,
    &unpinned_nox::RULE,
    &unpinned_uv::RULE,
    &pip_upgrade::RULE,
    &nox_without_uv::RULE,
    &uv_not_frozen::RULE,
    &full_clone::RULE,
    &ignored_workflow_directory::RULE,
    &unknown_workflow_key::RULE,
    &uses_without_host::RULE,
    &job_continue_on_error::RULE,
    &conflicting_thresholds::RULE,
    &secret_without_guard::RULE,
    &network_without_retry::RULE,
    &invalid_needs::RULE,
    &needs_context_missing::RULE,
    &unpinned_nox_action::RULE,
];

#[cfg(test)]
mod tests {
    use super::super::options::AuditOptions;
    use super::super::rule_runner::{run_audit, tests::project};
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
