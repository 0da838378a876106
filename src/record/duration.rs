//! Durations as people read them: `35ms`, `12.3s`, `4m 05s`, `1h 02m`.

/// A duration with the precision that its size deserves.
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

/// A duration in whole seconds, for rows that are drawn again and again: `0s`, `12s`, `2m 10s`.
pub(crate) fn format_whole_seconds(ms: u64) -> String {
    let seconds = ms / 1_000;
    if seconds < 60 { format!("{seconds}s") } else { format_minutes(seconds) }
}

/// How much longer (or shorter) a session took than it usually does: `+1.2s`, `-0.4s`, `±0`.
pub(crate) fn format_delta(wall: u64, usual: u64, unicode: bool) -> String {
    let (sign, gap) =
        if wall >= usual { ("+", wall - usual) } else { (if unicode { "−" } else { "-" }, usual - wall) };
    match gap {
        0..50 => (if unicode { "±0s" } else { "+0s" }).to_owned(),
        50..59_950 => {
            let tenths = (gap + 50) / 100;
            format!("{sign}{}.{}s", tenths / 10, tenths % 10)
        }
        _ => format!("{sign}{}", format_duration(gap)),
    }
}

fn format_minutes(seconds: u64) -> String {
    if seconds < 3_600 {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        let whole = (seconds + 30) / 60;
        format!("{}h {:02}m", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_its_form_and_no_form_overflows() {
        let said: Vec<String> = [0, 35, 999, 1_000, 12_345, 59_949, 59_950, 60_000, 245_000, 3_599_400, 3_720_000]
            .into_iter()
            .map(format_duration)
            .collect();
        assert_eq!(
            said,
            ["0ms", "35ms", "999ms", "1.0s", "12.3s", "59.9s", "1m 00s", "1m 00s", "4m 05s", "59m 59s", "1h 02m"]
        );
        assert_eq!(format_duration(u64::MAX / 2).chars().last(), Some('m'));
    }

    #[test]
    fn rough_never_shows_fractions() {
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
}
