//! Known names similar to a mistyped one, for hints in error messages.

/// Minimum similarity, from 0 to 1, at which a name is suggested.
const MIN_SIMILARITY: f64 = 0.8;

/// Maximum difference in similarity between the best suggestion and a further one.
const MAX_SIMILARITY_GAP: f64 = 0.1;

/// Returns the candidates most similar to a word, ignoring case; best first and at most three.
pub(crate) fn closest_matches<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let mut similar: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    // A stable sort: equally similar candidates stay in the caller's order.
    similar.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let best = similar.first().map_or(MIN_SIMILARITY, |(similarity, _)| *similarity);
    let mut names: Vec<&str> = Vec::new();
    for (similarity, name) in similar {
        if names.len() < 3 && similarity >= best - MAX_SIMILARITY_GAP && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns the nearest names as a question, ``did you mean `lint`?``, or `None` when no candidate is similar.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names = closest_matches(word, candidates);
    (!names.is_empty()).then(|| format!("did you mean {}?", join_quoted(&names)))
}

/// Joins words to a list of alternatives: `` `a`, `b` or `c` ``.
pub(crate) fn join_quoted(words: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let known = ["lint", "tests", "tests-3.12", "docs"];
        assert_eq!(closest_matches("lnit", known), ["lint"]);
        assert_eq!(closest_matches("TEST", known), ["tests", "tests-3.12"]);
        assert_eq!(closest_matches("zzz", known), [""; 0]);
        assert_eq!(did_you_mean("dosc", known).as_deref(), Some("did you mean `docs`?"));
        assert_eq!(did_you_mean("zzz", known), None);
    }

    #[test]
    fn alternatives_are_quoted() {
        assert_eq!(join_quoted(&[] as &[&str]), "");
        assert_eq!(join_quoted(&["a"]), "`a`");
        assert_eq!(join_quoted(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
