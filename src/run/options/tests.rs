//! Unit tests of named choices, globs and retry delays.

use super::*;

#[test]
fn globs_match_whole_names() {
    for (glob, text) in [("a", "a"), ("*", ""), ("t*-3.?2*", "tests-3.12(x)"), ("**a*b", "xab-ab"), ("ü?", "üß")] {
        assert!(glob_matches(glob, text), "{glob} {text}");
    }
    for (glob, text) in [("a", "ab"), ("a", ""), ("?", ""), ("a*b", "abc"), ("[ab]", "a"), ("*b", "bc")] {
        assert!(!glob_matches(glob, text), "{glob} {text}");
    }
    // A name that looks like a glob still matches itself.
    assert!(pattern_matches("t(x='?*')", "t", &["t(x='?*')".to_owned()]));
}

#[test]
fn delays_between_attempts() {
    let seconds =
        |policy: RetryPolicy| (0..6).map(|n| policy.delay_before(n).map(|delay| delay.as_secs())).collect::<Vec<_>>();
    let delay = Duration::from_secs(100);
    let fixed = RetryPolicy { count: 2, delay, backoff: RetryBackoff::Fixed };
    assert_eq!(seconds(fixed), [None, Some(100), Some(100), None, None, None]);
    let growing = RetryPolicy { count: 4, delay, backoff: RetryBackoff::Exponential };
    assert_eq!(seconds(growing), [None, Some(100), Some(200), Some(300), Some(300), None]);
    let endless = RetryPolicy { count: u32::MAX, delay: Duration::MAX, backoff: RetryBackoff::Exponential };
    assert_eq!(endless.delay_before(u32::MAX), Some(Duration::MAX));
}

#[test]
fn choices_have_names() {
    assert_eq!(OutputStyle::from_name("labelled"), Some(OutputStyle::Labelled));
    assert_eq!(FlakyMode::from_name("fail"), Some(FlakyMode::Fail));
    assert_eq!(RetryBackoff::from_name("wild"), None);
    assert_eq!((CpuCount::All.to_string(), CpuCount::Count(NonZeroUsize::MIN).to_string()), ("all".into(), "1".into()));
}
