//! Spelling of `${{ … }}` expressions: forges ignore the case of contexts, functions and properties, and read `a['b']` as
//! `a.b`. Each is rewritten to one spelling when a workflow is parsed, so that every rule compares plain text.

use std::collections::{HashMap, HashSet};

use super::super::yaml::{YamlKind, YamlNode};

/// Contexts of GitHub and Forgejo.
const CONTEXTS: [&str; 15] = [
    "github", "forgejo", "gitea", "forge", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy",
    "matrix", "needs", "inputs",
];
/// Functions, as the documentation of GitHub spells them. `toJSON` and `fromJSON` are common in two spellings: rules that
/// look for them ignore case.
const FUNCTIONS: [&str; 10] =
    ["contains", "startsWith", "endsWith", "format", "join", "hashFiles", "success", "always", "cancelled", "failure"];

/// Names that expressions of a job may refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpressionNames {
    /// Keys in `strategy.matrix`, at every level.
    matrix: DefinedNames,
    /// Keys in `jobs`.
    jobs: DefinedNames,
}

/// Names as they are defined.
#[derive(Clone, Debug, Default)]
struct DefinedNames {
    exact: HashSet<String>,
    /// The first name of each spelling in lower case.
    by_lower_case: HashMap<String, String>,
}

impl DefinedNames {
    fn add(&mut self, name: &str) {
        self.exact.insert(name.to_owned());
        self.by_lower_case.entry(name.to_ascii_lowercase()).or_insert_with(|| name.to_owned());
    }

    /// Returns a name in the spelling of its definition.
    fn spell(&self, name: &str) -> String {
        let known = self.by_lower_case.get(&name.to_ascii_lowercase()).filter(|_| !self.exact.contains(name));
        known.cloned().unwrap_or_else(|| name.to_owned())
    }
}

impl ExpressionNames {
    /// Collects the keys of `jobs`.
    pub(super) fn from_jobs(root: &YamlNode) -> Self {
        let jobs = root.get("jobs").map(YamlNode::entries).unwrap_or_default();
        let mut names = Self::default();
        jobs.iter().filter_map(|(key, _)| key.as_str()).for_each(|key| names.jobs.add(key));
        names
    }

    /// Adds the keys of a job's matrix.
    pub(super) fn with_matrix(&self, job: &YamlNode) -> Self {
        let mut names = self.clone();
        if let Some(matrix) = job.get("strategy").and_then(|strategy| strategy.get("matrix")) {
            add_keys(matrix, &mut names.matrix);
        }
        names
    }

    /// Rewrites the expressions of a node; those of scripts stay as they are, since spans point into them.
    pub(super) fn normalize_node(&self, node: &mut YamlNode, key: Option<&str>) {
        match &mut node.kind {
            YamlKind::Scalar(text, _) if key == Some("if") && !text.contains("${{") => {
                *text = self.normalize_expression(text);
            }
            YamlKind::Scalar(text, _) if key != Some("run") && text.contains("${{") => {
                *text = self.normalize_text(text);
            }
            YamlKind::Scalar(..) => {}
            YamlKind::Seq(items) => items.iter_mut().for_each(|item| self.normalize_node(item, None)),
            YamlKind::Map(entries) => {
                for (key, value) in entries {
                    self.normalize_node(value, key.as_str());
                }
            }
        }
    }

    /// Rewrites the expressions `${{ … }}` of a text.
    pub(super) fn normalize_text(&self, text: &str) -> String {
        let mut normalized = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let Some((expression, after)) = split_expression(after) else { break };
            normalized.extend([before, "${{", &self.normalize_expression(expression), "}}"]);
            rest = after;
        }
        normalized + rest
    }

    /// Rewrites one expression.
    fn normalize_expression(&self, expression: &str) -> String {
        let mut normalized = String::with_capacity(expression.len());
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let length = quoted_length(rest);
                normalized.push_str(&rest[..length]);
                rest = &rest[length..];
            } else if is_name_start(first) {
                let (name, after) = split_name(rest);
                rest = after;
                let find = |known: &[&'static str]| known.iter().copied().find(|item| item.eq_ignore_ascii_case(name));
                let is_property = normalized.ends_with('.');
                if let Some(function) = find(&FUNCTIONS).filter(|_| !is_property && after.starts_with('(')) {
                    normalized.push_str(function);
                } else if let Some(context) = find(&CONTEXTS).filter(|_| !is_property) {
                    normalized.push_str(context);
                    rest = self.normalize_properties(context, after, &mut normalized);
                } else {
                    normalized.push_str(name);
                }
            } else {
                normalized.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        normalized
    }

    /// Writes the properties that follow a context, and returns what follows them.
    fn normalize_properties<'a>(&self, context: &str, mut rest: &'a str, normalized: &mut String) -> &'a str {
        let mut depth = 0;
        while let Some((name, after)) = split_property(rest) {
            normalized.push('.');
            normalized.push_str(&self.spell_property(context, depth, name));
            rest = after;
            depth += 1;
        }
        rest
    }

    fn spell_property(&self, context: &str, depth: usize, name: &str) -> String {
        match (context, depth) {
            ("matrix", _) => self.matrix.spell(name),
            ("needs", 0) => self.jobs.spell(name),
            ("github" | "forgejo" | "gitea" | "forge" | "runner" | "job" | "strategy", 0)
            | ("needs" | "steps" | "jobs", 1) => name.to_ascii_lowercase(),
            ("secrets", 0) => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    }
}

fn add_keys(node: &YamlNode, names: &mut DefinedNames) {
    for (key, value) in node.entries() {
        if let Some(key) = key.as_str() {
            names.add(key);
        }
        add_keys(value, names);
    }
    node.items().iter().for_each(|item| add_keys(item, names));
}

/// Splits the text after `${{` at its `}}`, which may also be part of a quoted text.
fn split_expression(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(after) = rest.strip_prefix("}}") {
            return Some((&text[..at], after));
        }
        at += if rest.starts_with('\'') { quoted_length(rest) } else { rest.chars().next().map_or(1, char::len_utf8) };
    }
    None
}

/// Returns the length of the quoted text at the start, with its quotes; a doubled quote continues as another quoted text.
fn quoted_length(text: &str) -> usize {
    text.get(1..).and_then(|rest| rest.find('\'')).map_or(text.len(), |end| end + 2)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// Splits the name at the start of a text.
fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(text.len());
    text.split_at(end)
}

/// Splits `.name` or `['name']` at the start of a text; a name that needs its brackets is none.
fn split_property(text: &str) -> Option<(&str, &str)> {
    if let Some(after) = text.strip_prefix('.').filter(|after| after.starts_with(is_name_start)) {
        return Some(split_name(after));
    }
    let inside = text.strip_prefix('[')?.trim_start().strip_prefix('\'')?;
    let (name, after) = inside.split_once('\'')?;
    let after = after.trim_start().strip_prefix(']')?;
    (name.starts_with(is_name_start) && split_name(name).1.is_empty()).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::parse_document;
    use super::*;

    fn normalize(text: &str) -> String {
        let mut names = ExpressionNames::default();
        ["SESSION", "py"].into_iter().for_each(|name| names.matrix.add(name));
        names.jobs.add("lint");
        names.normalize_text(text)
    }

    #[test]
    fn contexts_and_properties_get_one_spelling() {
        for (written, expected) in [
            ("${{ matrix.session }}", "${{ matrix.SESSION }}"),
            (
                "a ${{ Matrix['session'] }} b ${{matrix[ 'PY' ].Other}}",
                "a ${{ matrix.SESSION }} b ${{matrix.py.Other}}",
            ),
            ("${{ Secrets.token || secrets['Other'] }}", "${{ secrets.TOKEN || secrets.OTHER }}"),
            ("${{ needs['LINT'].Outputs['x'] }}", "${{ needs.lint.outputs.x }}"),
            (
                "${{ github['SHA'] }}-${{ GITHUB.Event.inputs.Name }}",
                "${{ github.sha }}-${{ github.event.inputs.Name }}",
            ),
            ("${{ HASHFILES('A') }}", "${{ hashFiles('A') }}"),
        ] {
            assert_eq!(normalize(written), expected);
        }
    }

    #[test]
    fn all_other_text_stays() {
        for text in [
            "Matrix.session",
            "${{ 'Matrix.session }}' }}",
            "${{ x.Matrix.session }}",
            "${{ matrix['a b'] }}",
            "${{ matrix[env.Name] }}",
            "${{ format('it''s {0}', env.Name) }}",
            "${{ toJson(matrix) }}",
            "${{ unfinished 'é",
        ] {
            assert_eq!(normalize(text), text);
        }
    }

    #[test]
    fn nodes_are_rewritten_except_scripts() {
        let mut root = parse_document(
            "jobs:\n  a:\n    if: Always()\n    steps:\n    - run: ${{ Env.X }}\n      name: ${{ Env.X }}\n",
        )
        .unwrap();
        let names = ExpressionNames::from_jobs(&root);
        names.normalize_node(&mut root, None);
        let job = root.get("jobs").and_then(|jobs| jobs.get("a")).unwrap();
        let step = &job.get("steps").unwrap().items()[0];
        let text = |node: &YamlNode, key: &str| node.get(key).and_then(YamlNode::as_str).unwrap().to_owned();
        assert_eq!(
            (text(job, "if"), text(step, "run"), text(step, "name")),
            ("always()".into(), "${{ Env.X }}".into(), "${{ env.X }}".into())
        );
    }
}
