//! Names of packages, extras and groups in the normal form of the packaging standards.

/// Normalizes a name: lower case, runs of `-`, `_` and `.` become one `-` (PEP 503).
pub(crate) fn normalize_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    let mut separator = false;
    for c in name.trim().chars() {
        if matches!(c, '-' | '_' | '.') {
            separator = true;
            continue;
        }
        if separator && !normal.is_empty() {
            normal.push('-');
        }
        separator = false;
        normal.extend(c.to_lowercase());
    }
    normal
}

/// Splits `name[one,two]` into the name and the normalized extras.
pub(crate) fn split_extras(text: &str) -> (&str, Vec<String>) {
    let text = text.trim();
    let Some((name, rest)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
        return (text, Vec::new());
    };
    let extras = rest.split(',').map(normalize_name).filter(|extra| !extra.is_empty());
    (name.trim_end(), extras.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized() {
        assert_eq!(normalize_name("Foo__Bar.-baz"), "foo-bar-baz");
        assert_eq!(normalize_name(" typing_extensions "), "typing-extensions");
        assert_eq!(split_extras(".[Lint, docs_all]"), (".", vec!["lint".to_owned(), "docs-all".to_owned()]));
        assert_eq!(split_extras("ruff"), ("ruff", Vec::new()));
        assert_eq!(split_extras("./sub []"), ("./sub", Vec::new()));
    }
}
