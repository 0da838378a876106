//! Names of packages, extras and groups, as the packaging standards compare them.

/// A name in its normal form: lower case, runs of `-`, `_` and `.` as one `-` (PEP 503).
pub(crate) fn normalize_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    let mut joined = false;
    for sign in name.trim().chars() {
        if matches!(sign, '-' | '_' | '.') {
            joined = true;
            continue;
        }
        if joined && !normal.is_empty() {
            normal.push('-');
        }
        joined = false;
        normal.extend(sign.to_lowercase());
    }
    normal
}

/// What stands before the brackets of `name[one,two]`, and the extras in them in their normal form.
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
    fn names_are_compared_in_one_form() {
        assert_eq!(normalize_name("Foo__Bar.-baz"), "foo-bar-baz");
        assert_eq!(normalize_name(" typing_extensions "), "typing-extensions");
        assert_eq!(split_extras(".[Lint, docs_all]"), (".", vec!["lint".to_owned(), "docs-all".to_owned()]));
        assert_eq!(split_extras("ruff"), ("ruff", Vec::new()));
        assert_eq!(split_extras("./sub []"), ("./sub", Vec::new()));
    }
}
