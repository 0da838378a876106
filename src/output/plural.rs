//! Counts with their words.

/// `1 wheel`, `2 wheels`, `2 entries`, `2 fixes`: a count and its English word, given in the singular.
pub(crate) fn pluralize(count: usize, word: &str) -> String {
    if count == 1 {
        return format!("1 {word}");
    }
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if word.ends_with('x') => format!("{count} {word}es"),
        _ => format!("{count} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        assert_eq!(
            ["wheel", "entry", "fix", "day"].map(|word| pluralize(1, word)),
            ["1 wheel", "1 entry", "1 fix", "1 day"]
        );
        let many = ["0 wheels", "0 entries", "0 fixes", "0 days"];
        assert_eq!(["wheel", "entry", "fix", "day"].map(|word| pluralize(0, word)), many);
    }
}
