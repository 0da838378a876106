//! Durations as written by forges and nox, and times between timestamps.

/// Longer durations are errors in the source: no job runs for half a year.
const MAX_DURATION_MS: u64 = 180 * 24 * 3_600_000;

/// Parses a duration as written by forges (`5m5s`, `1h2m3s`, `26s`, `1.5s`, `250ms`, `2d3h`) into milliseconds.
pub(super) fn parse_forge_duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..number].parse().ok()?;
        rest = rest[number..].trim_start();
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        sum += value
            * match &rest[..unit] {
                "ms" => 1.0,
                "s" | "sec" | "secs" => 1_000.0,
                "m" | "min" | "mins" => 60_000.0,
                "h" | "hr" | "hrs" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return None,
            };
        rest = rest[unit..].trim_start();
    }
    bounded_millis(sum)
}

/// Parses a duration as written by nox (humanize: `3 seconds`, `a minute`, `2 hours`) into milliseconds.
pub(super) fn parse_humanized_duration(text: &str) -> Option<u64> {
    let mut words = text.trim().trim_end_matches('.').split(' ');
    let count: f64 = match words.next()? {
        "a" | "an" => 1.0,
        number => number.parse().ok()?,
    };
    let unit = match words.next()?.trim_end_matches('s') {
        "moment" => return None,
        "second" => 1_000.0,
        "minute" => 60_000.0,
        "hour" => 3_600_000.0,
        "day" => 86_400_000.0,
        _ => return None,
    };
    bounded_millis(count * unit)
}

/// Returns the milliseconds between two RFC 3339 timestamps, or `None` if the second is before the first, the first
/// is unset, or more than half a year lies between them.
pub(super) fn millis_between(start: &str, end: &str) -> Option<u64> {
    let (start, end): (jiff::Timestamp, jiff::Timestamp) = (start.parse().ok()?, end.parse().ok()?);
    // Forges write the year 1 or 1970 for an unset time.
    if start.as_second() <= 0 {
        return None;
    }
    bounded_millis((end.as_millisecond() - start.as_millisecond()) as f64)
}

fn bounded_millis(ms: f64) -> Option<u64> {
    (ms >= 0.0 && ms <= MAX_DURATION_MS as f64).then_some(ms.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forge_durations_are_parsed() {
        for (text, ms) in [
            ("5m5s", 305_000),
            ("4m25s", 265_000),
            ("1h2m3s", 3_723_000),
            ("0s", 0),
            (" 26s ", 26_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("2d3h", 183_600_000),
            ("1m 30s", 90_000),
        ] {
            assert_eq!(parse_forge_duration(text), Some(ms), "{text}");
        }
        for text in ["", "5", "m5", "5x", "-5s", "9999999h", "1e9s", "..s"] {
            assert_eq!(parse_forge_duration(text), None, "{text}");
        }
    }

    #[test]
    fn nox_durations_are_parsed() {
        assert_eq!(parse_humanized_duration("3 seconds."), Some(3_000));
        assert_eq!(parse_humanized_duration("a second"), Some(1_000));
        assert_eq!(parse_humanized_duration("an hour"), Some(3_600_000));
        assert_eq!(parse_humanized_duration("2 minutes"), Some(120_000));
        assert_eq!(parse_humanized_duration("a day"), Some(86_400_000));
        for text in ["a moment", "", "3", "3 apples", "many seconds", "99999999 days"] {
            assert_eq!(parse_humanized_duration(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_timestamps_have_no_duration() {
        assert_eq!(millis_between("2026-11-01T10:00:00Z", "2026-11-01T10:01:30.5Z"), Some(90_500));
        assert_eq!(millis_between("2026-11-01T12:00:00+02:00", "2026-11-01T10:00:01Z"), Some(1_000));
        assert_eq!(millis_between("2026-11-01T10:00:00Z", "2026-11-01T09:00:00Z"), None);
        assert_eq!(millis_between("0001-01-01T00:00:00Z", "2026-11-01T09:00:00Z"), None);
        assert_eq!(millis_between("1970-01-01T00:00:00Z", "2026-11-01T09:00:00Z"), None);
        assert_eq!(millis_between("yesterday", "2026-11-01T09:00:00Z"), None);
    }
}
