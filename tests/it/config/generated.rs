//! Generated settings, written as TOML and read again.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use noxide::config::load_settings;
use noxide::run::{CpuCount, FailFast, RetryBackoff, RetryPolicy};
use proptest::prelude::*;

use super::settings::{read, resolved, shown};

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![(0_u64..100_000).prop_map(Duration::from_secs), (0_u64..1_000_000).prop_map(Duration::from_millis),]
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    let backoff = prop_oneof![Just(RetryBackoff::Fixed), Just(RetryBackoff::Exponential)];
    (0_u32..50, duration(), backoff).prop_map(|(count, delay, backoff)| RetryPolicy { count, delay, backoff })
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn written(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        duration.as_secs().to_string()
    } else {
        format!("\"{}ms\"", duration.as_millis())
    }
}

fn written_policy(policy: RetryPolicy) -> String {
    let backoff = if policy.backoff == RetryBackoff::Fixed { "fixed" } else { "exponential" };
    format!("{{ count = {}, delay = {}, backoff = \"{backoff}\" }}", policy.count, written(policy.delay))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn generated_settings_are_read_back(
        jobs in proptest::option::of(1_usize..500),
        timeout in duration(),
        grace in duration(),
        retries in policy(),
        kill in any::<bool>(),
        keep_runs in 1_usize..1000,
        secrets in proptest::collection::vec(".{0,8}", 0..3),
        pattern in "[a-z(='*.) \\-\u{e4}]{1,12}",
        locks in proptest::collection::vec(".{0,8}", 0..4),
        cpus in proptest::option::of(1_usize..64),
        memory in 1_u64..1 << 40,
        limit in proptest::option::of(duration()),
        value in ".{0,12}",
    ) {
        let jobs_text = jobs.map_or("\"auto\"".to_owned(), |jobs| jobs.to_string());
        let cpus_text = cpus.map_or("\"all\"".to_owned(), |cpus| cpus.to_string());
        let mut text = format!(
            "jobs = {jobs_text}\ntimeout = {}\ngrace-period = {}\nretries = {}\nfail-fast = \"{}\"\nkeep-runs = {keep_runs}\nsecrets = {}\n",
            written(timeout), written(grace), written_policy(retries), if kill { "kill" } else { "wait" }, list(&secrets),
        );
        write!(
            text,
            "[sessions.{}]\nlocks = {}\ncpus = {cpus_text}\nmemory = \"{memory}B\"\nenv = {{ V = {} }}\n",
            serde_json::to_string(&pattern).unwrap(), list(&locks), quoted(&value),
        ).unwrap();
        if let Some(limit) = limit {
            writeln!(text, "timeout = {}", written(limit)).unwrap();
        }
        let options = resolved(&text).run_options();
        prop_assert_eq!(options.jobs, jobs.and_then(NonZeroUsize::new));
        prop_assert_eq!(options.timeout.unwrap_or_default(), timeout);
        prop_assert_eq!(options.grace_period, grace);
        prop_assert_eq!(options.retries, retries);
        prop_assert_eq!(options.fail_fast, Some(if kill { FailFast::Kill } else { FailFast::Wait }));
        prop_assert_eq!(options.keep_runs.get(), keep_runs);
        prop_assert_eq!(&options.secret_patterns, &secrets);
        let rule = &options.session_overrides[0];
        prop_assert_eq!(&rule.pattern, &pattern);
        prop_assert_eq!(&rule.locks, &locks);
        prop_assert_eq!(rule.cpus, Some(cpus.and_then(NonZeroUsize::new).map_or(CpuCount::All, CpuCount::Count)));
        prop_assert_eq!(rule.memory, Some(memory));
        prop_assert_eq!(&rule.env, &[("V".to_owned(), value)]);
        prop_assert_eq!(rule.timeout, limit);
        // A pattern matches itself, and matching sessions get its options.
        let session = options.session_options(&pattern, &[]);
        prop_assert_eq!(session.timeout.unwrap_or_default(), limit.unwrap_or(timeout));
        prop_assert_eq!(session.memory, Some(memory));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(jobs|timeout|retries|env|\\[|\\]|=|\\{|\\}|\"|'|\\.|,|#|\n| |[0-9a-zü-]){0,40}") {
        let path = PathBuf::from("unused");
        prop_assert!(load_settings(&path).is_ok());
        if let Err(errors) = read(&text) {
            prop_assert!(!errors.is_empty());
            shown(&errors);
        }
    }
}
