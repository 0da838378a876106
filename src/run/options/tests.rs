//! Choices, globs and waits.

use super::*;

#[test]
fn globs_fit_whole_names() {
    for (glob, text) in [("a", "a"), ("*", ""), ("t*-3.?2*", "tests-3.12(x)"), ("**a*b", "xab-ab"), ("ü?", "üß")] {
        assert!(glob_matches(glob, text), "{glob} {text}");
    }
    for (glob, text) in [("a", "ab"), ("a", ""), ("?", ""), ("a*b", "abc"), ("[ab]", "a"), ("*b", "bc")] {
        assert!(!glob_matches(glob, text), "{glob} {text}");
    }
    // A name that looks like a glob still means itself.
    assert!(pattern_names("t(x='?*')", "t", &["t(x='?*')".to_owned()]));
}

#[test]
fn waits_between_attempts() {
    let seconds =
        |policy: RetryPolicy| (0..6).map(|n| policy.wait_before(n).map(|wait| wait.as_secs())).collect::<Vec<_>>();
    let delay = Duration::from_secs(100);
    let fixed = RetryPolicy { count: 2, delay, backoff: Backoff::Fixed };
    assert_eq!(seconds(fixed), [None, Some(100), Some(100), None, None, None]);
    let growing = RetryPolicy { count: 4, delay, backoff: Backoff::Exponential };
    assert_eq!(seconds(growing), [None, Some(100), Some(200), Some(300), Some(300), None]);
    let endless = RetryPolicy { count: u32::MAX, delay: Duration::MAX, backoff: Backoff::Exponential };
    assert_eq!(endless.wait_before(u32::MAX), Some(Duration::MAX));
}

#[test]
fn words_name_choices() {
    assert_eq!(OutputStyle::from_word("labelled"), Some(OutputStyle::Labelled));
    assert_eq!(FlakyMode::Fail.word(), "fail");
    assert_eq!(Backoff::from_word("wild"), None);
    assert_eq!((Cpus::All.to_string(), Cpus::Count(NonZeroUsize::MIN).to_string()), ("all".into(), "1".into()));
}
