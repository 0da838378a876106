//! Values as text: counts with their nouns, sizes, durations, ages, hex digits and shortened text.

/// Formats a count with its English noun, given in the singular: `1 wheel`, `2 wheels`, `2 entries`, `2 fixes`.
pub(crate) fn pluralize(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("ch") || noun.ends_with("sh") => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// Formats a number of bytes with its binary unit: `812 B`, `4.0 KiB`, `126 MiB`.
pub(crate) fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    while tenths >= 10_235 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

/// Formats a limit as it is set: decimal if it is a whole number of GB or MB, such as `20 GB`, otherwise binary.
pub(crate) fn format_size_limit(bytes: u64) -> String {
    match bytes {
        0 => format_size(0),
        _ if bytes.is_multiple_of(1_000_000_000) => format!("{} GB", bytes / 1_000_000_000),
        _ if bytes.is_multiple_of(1_000_000) => format!("{} MB", bytes / 1_000_000),
        _ => format_size(bytes),
    }
}

/// Formats a duration in milliseconds, with a precision that depends on its length: `35ms`, `12.3s`, `4m 05s`, `1h 02m`.
pub(crate) fn format_duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..59_950 => {
            let tenths = (ms + 50) / 100;
            format!("{}.{}s", tenths / 10, tenths % 10)
        }
        _ => format_minutes((ms + 500) / 1_000),
    }
}

/// Formats a duration in milliseconds as whole seconds, for rows that are redrawn: `0s`, `12s`, `2m 10s`.
pub(crate) fn format_whole_seconds(ms: u64) -> String {
    let seconds = ms / 1_000;
    if seconds < 60 { format!("{seconds}s") } else { format_minutes(seconds) }
}

/// Formats the difference between a wall time and the usual one, in milliseconds: `+1.2s`, `−0.4s`, `±0s`; in ASCII
/// `-0.4s` and `+0s`.
pub(crate) fn format_delta(wall: u64, usual: u64, unicode: bool) -> String {
    let (sign, difference) =
        if wall >= usual { ("+", wall - usual) } else { (if unicode { "−" } else { "-" }, usual - wall) };
    match difference {
        0..50 => (if unicode { "±0s" } else { "+0s" }).to_owned(),
        50..59_950 => {
            let tenths = (difference + 50) / 100;
            format!("{sign}{}.{}s", tenths / 10, tenths % 10)
        }
        _ => format!("{sign}{}", format_duration(difference)),
    }
}

fn format_minutes(seconds: u64) -> String {
    if seconds < 3_600 {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        let minutes = (seconds + 30) / 60;
        format!("{}h {:02}m", minutes / 60, minutes % 60)
    }
}

/// Formats the time since an event, in seconds: `just now`, `1 minute ago`, `5 hours ago`, `3 days ago`.
pub(crate) fn format_age(seconds: u64) -> String {
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} ago", pluralize(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", pluralize(seconds / 3_600, "hour")),
        _ => format!("{} ago", pluralize(seconds / 86_400, "day")),
    }
}

/// Formats bytes as lower-case hexadecimal digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Returns whether a text is exactly `length` hexadecimal digits.
pub(crate) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Shortens a text to at most `max_chars` characters, the last of which is then an ellipsis.
pub(crate) fn shorten_text(text: &str, max_chars: usize) -> String {
    if text.char_indices().nth(max_chars).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_pluralized() {
        let nouns = ["wheel", "entry", "fix", "day", "branch"];
        assert_eq!(nouns.map(|noun| pluralize(1, noun)), ["1 wheel", "1 entry", "1 fix", "1 day", "1 branch"]);
        let many = ["0 wheels", "0 entries", "0 fixes", "0 days", "0 branches"];
        assert_eq!(nouns.map(|noun| pluralize(0_usize, noun)), many);
    }

    #[test]
    fn limits_are_formatted_as_they_are_set() {
        let limits = [0, 20_000_000_000, 1_500_000_000, 500_000_000, 10 << 30, 1_234_567];
        assert_eq!(limits.map(format_size_limit), ["0 B", "20 GB", "1500 MB", "500 MB", "10 GiB", "1.1 MiB"]);
    }

    #[test]
    fn sizes_change_their_unit() {
        let formatted: Vec<String> =
            [0, 1_023, 1_024, 4_300, 10_240, 1_048_000, 1_048_576, 132_120_576, 1 << 40, u64::MAX]
                .map(format_size)
                .to_vec();
        assert_eq!(
            formatted,
            ["0 B", "1023 B", "1.0 KiB", "4.1 KiB", "10 KiB", "1023 KiB", "1.0 MiB", "126 MiB", "1.0 TiB", "16384 PiB"]
        );
    }

    #[test]
    fn durations_change_their_unit_without_overflow() {
        let formatted: Vec<String> = [0, 35, 999, 1_000, 12_345, 59_949, 59_950, 60_000, 245_000, 3_599_400, 3_720_000]
            .into_iter()
            .map(format_duration)
            .collect();
        assert_eq!(
            formatted,
            ["0ms", "35ms", "999ms", "1.0s", "12.3s", "59.9s", "1m 00s", "1m 00s", "4m 05s", "59m 59s", "1h 02m"]
        );
        assert_eq!(format_duration(u64::MAX / 2).chars().last(), Some('m'));
    }

    #[test]
    fn whole_seconds_have_no_fractions() {
        assert_eq!([0, 999, 12_900, 59_999, 130_000].map(format_whole_seconds), ["0s", "0s", "12s", "59s", "2m 10s"]);
    }

    #[test]
    fn deltas_carry_a_sign() {
        assert_eq!(format_delta(5_000, 3_800, true), "+1.2s");
        assert_eq!(format_delta(3_400, 3_800, true), "−0.4s");
        assert_eq!(format_delta(3_400, 3_800, false), "-0.4s");
        assert_eq!(format_delta(3_820, 3_800, true), "±0s");
        assert_eq!(format_delta(3_820, 3_800, false), "+0s");
        assert_eq!(format_delta(200_000, 80_000, true), "+2m 00s");
    }

    #[test]
    fn ages_are_rounded_down() {
        assert_eq!([0, 60, 7_200, 200_000].map(format_age), ["just now", "1 minute ago", "2 hours ago", "2 days ago"]);
    }

    #[test]
    fn hex_digits_are_lower_case() {
        assert_eq!(encode_hex(&[0, 10, 255]), "000aff");
        assert!(is_hex("00Ff", 4) && !is_hex("00ff", 3) && !is_hex("00fg", 4));
    }

    #[test]
    fn a_shortened_text_ends_in_an_ellipsis() {
        assert_eq!(shorten_text("short", 5), "short");
        assert_eq!(shorten_text("longer", 5), "long…");
        assert_eq!(shorten_text(&"é".repeat(300), 100).chars().count(), 100);
    }
}
