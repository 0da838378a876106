//! Secrets that a program looked up as paths. A path is recorded without empty components, `.` and `..`, and with the
//! missing directories above it, so that a secret with slashes is no longer in it as it was written.

/// What stands for a secret in a path.
const REPLACEMENT: &str = "***";

/// The end of a secret after its first slash is masked if it is longer.
const MIN_END_LENGTH: usize = 16;

/// Secrets with slashes, as components of paths.
#[derive(Clone, Debug, Default)]
pub(super) struct SecretPaths {
    secrets: Vec<Vec<String>>,
    /// Length from which the beginning of a secret is masked.
    min_length: usize,
}

impl SecretPaths {
    /// Collects the secrets that are more than one component.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a [u8]>, min_length: usize) -> Self {
        let components: Vec<Vec<String>> =
            secrets.filter_map(|secret| std::str::from_utf8(secret).ok()).map(path_components).collect();
        // The first component may be a link, of which the path has the target instead.
        let ends = components.iter().filter_map(|components| components.get(1..)).map(<[String]>::to_vec);
        let ends: Vec<Vec<String>> =
            ends.filter(|end| end.iter().map(|part| part.len() + 1).sum::<usize>() > MIN_END_LENGTH).collect();
        let components = components.into_iter().chain(ends);
        let mut secrets: Vec<Vec<String>> = components.filter(|components| components.len() > 1).collect();
        secrets.sort();
        secrets.dedup();
        Self { secrets, min_length }
    }

    /// Masks a secret in a path, and the beginning of one at its end; `None` if there is none.
    pub(super) fn redact(&self, path: &str) -> Option<String> {
        if self.secrets.is_empty() {
            return None;
        }
        let parts: Vec<&str> = path.split('/').collect();
        let find = |start: usize| {
            let rest = &parts[start..];
            let longest = self
                .secrets
                .iter()
                .filter_map(|secret| match_secret(secret, rest, self.min_length))
                .max_by_key(|found| found.part_count);
            longest.map(|found| (start, found))
        };
        let (start, found) = (0..parts.len()).find_map(find)?;
        let mut shown: Vec<String> = parts[..start].iter().map(|part| (*part).to_owned()).collect();
        shown.push(format!("{}{REPLACEMENT}{}", found.before, found.after));
        shown.extend(parts[start + found.part_count..].iter().map(|part| (*part).to_owned()));
        let shown = shown.join("/");
        // What follows may contain another one.
        Some(self.redact(&shown).unwrap_or(shown))
    }
}

/// Place of a secret in a path.
struct SecretMatch<'a> {
    /// Number of components that it covers.
    part_count: usize,
    /// Text of the first component before it.
    before: &'a str,
    /// Text of the last component after it.
    after: &'a str,
}

/// Matches the parts of a path from its first one on; a path that ends within the secret matches too, if enough of it is there.
fn match_secret<'a>(secret: &[String], parts: &[&'a str], min_length: usize) -> Option<SecretMatch<'a>> {
    let (first, rest) = secret.split_first()?;
    let before = parts.first()?.strip_suffix(first.as_str())?;
    let mut length = first.len();
    let mut after = "";
    let mut part_count = 1;
    for (index, component) in rest.iter().enumerate() {
        let Some(part) = parts.get(index + 1) else { break };
        let is_last = index + 1 == rest.len();
        after = match part.strip_prefix(component.as_str()) {
            Some(after) if is_last || after.is_empty() => after,
            _ => return None,
        };
        length += component.len() + 1;
        part_count += 1;
    }
    let is_whole = part_count == secret.len();
    (is_whole || length >= min_length).then_some(SecretMatch { part_count, before, after })
}

/// Returns a secret without the slashes and `./` at its ends, if it has any.
pub(super) fn trimmed_path(secret: &[u8]) -> Option<Vec<u8>> {
    let mut text = std::str::from_utf8(secret).ok()?;
    let whole = text;
    while let Some(rest) = text.strip_prefix('/').or_else(|| text.strip_prefix("./")) {
        text = rest;
    }
    let text = text.trim_end_matches('/');
    (text.len() < whole.len()).then(|| text.as_bytes().to_vec())
}

/// Returns the components of a text that is used as a path.
fn path_components(text: &str) -> Vec<String> {
    let mut components: Vec<String> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(components.pop()),
            part => components.push(part.to_owned()),
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_however_the_path_was_normalized() {
        let texts = ["https://hooks.example/services/T02/aBcDeF", "wJalrX/K7MDENG/bPxRfiCYEX", "a//b/../c", "plain"];
        let paths = SecretPaths::new(texts.iter().map(|text| text.as_bytes()), 6);
        for (path, expected) in [
            ("https:/hooks.example/services/T02/aBcDeF", Some("***")),
            ("src/https:/hooks.example/services/T02/aBcDeF.json", Some("src/***.json")),
            ("https:/hooks.example/services/T02", Some("***")),
            ("https:", Some("***")),
            ("/x/--key=wJalrX/K7MDENG/bPxRfiCYEX/y", Some("/x/--key=***/y")),
            ("wJalrX/K7MDENG", Some("***")),
            ("wJalrX", Some("***")),
            ("real/K7MDENG/bPxRfiCYEX", Some("real/***")),
            ("wJalrX/K7MDENG/other", None),
            ("wJalrX/K7MDENGx", None),
            ("wJalrXy", None),
            ("a/c", Some("***")),
            ("a", None),
            ("plain", None),
            ("wJalrX/K7MDENG/bPxRfiCYEX/https:/hooks.example", Some("***/***")),
        ] {
            assert_eq!(paths.redact(path).as_deref(), expected, "{path}");
        }
    }
}
