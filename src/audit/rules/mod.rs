//! Audit rules, one file each. To add a rule: write its file, then add its `mod` line here and its line in `registry.rs`.
//!
//! The first digit of a rule's ID is its family; an ID is never reused:
//!
//! - NX0: files that cannot be parsed
//! - NX1: dependency caches: missing, misconfigured, or slower than no cache
//! - NX2: parallelism: sequential or repeated work, needless waits, gate jobs, coverage
//! - NX3: reliability: timeouts, superseded runs, logs and artifacts, hidden failures
//! - NX4: setup and syntax: unpinned or slow tools, and keys that the forge ignores or rejects

mod prelude;
mod registry;

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

pub(crate) use registry::{all_rules, find_rule, rule_names, suggest_rule};
