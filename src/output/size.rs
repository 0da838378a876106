//! Sizes as people read them: `812 B`, `4.0 KiB`, `126 MiB`.

/// A number of bytes with its binary unit.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_where_they_should() {
        let said: Vec<String> = [0, 1_023, 1_024, 4_300, 10_240, 1_048_000, 1_048_576, 132_120_576, 1 << 40, u64::MAX]
            .map(format_size)
            .to_vec();
        assert_eq!(
            said,
            ["0 B", "1023 B", "1.0 KiB", "4.1 KiB", "10 KiB", "1023 KiB", "1.0 MiB", "126 MiB", "1.0 TiB", "16384 PiB"]
        );
    }
}
