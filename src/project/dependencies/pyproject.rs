//! pyproject.toml: the tables that determine what is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::package_name::normalize_name;
use super::requirement::Requirement;
use crate::fs::read_project_text;

/// The tables of a pyproject.toml that determine what is installed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pyproject {
    /// The project's name in normal form.
    pub(crate) name: Option<String>,
    /// The content of each table by its dotted name, in canonical form.
    pub(crate) dependency_tables: Vec<(String, String)>,
    /// Its extras by name, each with its requirements.
    pub(crate) extras: BTreeMap<String, Vec<String>>,
}

/// A pyproject.toml that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PyprojectError {
    /// It cannot be read from disk.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// It is not valid TOML.
    #[error("{}:{line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
}

/// The relevant tables and keys, as dotted names. `tool.uv` is not listed, because nearly all its keys are relevant.
const DEPENDENCY_TABLES: [&str; 15] = [
    "build-system",
    "project.dependencies",
    "project.dynamic",
    "project.requires-python",
    "tool.flit.metadata",
    "tool.hatch.build.targets.wheel.hooks",
    "tool.hatch.envs",
    "tool.hatch.metadata",
    "tool.pdm.dev-dependencies",
    "tool.pdm.resolution",
    "tool.poetry.dependencies",
    "tool.poetry.dev-dependencies",
    "tool.poetry.extras",
    "tool.poetry.group",
    "tool.setuptools.dynamic",
];

impl Pyproject {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or is not valid TOML.
    pub fn read(path: &Path) -> Result<Self, PyprojectError> {
        let text = read_project_text(path)
            .map_err(|source| PyprojectError::Unreadable { path: path.to_path_buf(), source })?;
        let root: Table = toml::from_str(&text).map_err(|error| PyprojectError::Malformed {
            path: path.to_path_buf(),
            line: line_number(&text, error.span()),
            problem: error.message().trim().replace('\n', ", "),
        })?;
        Ok(Self::from_table(&root))
    }

    /// Returns these extras and all extras that they include, as in `all = ["app[tests,docs]"]`.
    pub(crate) fn expand_extras(&self, extras: &BTreeSet<String>) -> BTreeSet<String> {
        let mut expanded = BTreeSet::new();
        let mut pending: Vec<String> = extras.iter().cloned().collect();
        while let Some(extra) = pending.pop() {
            let parts = self.extras.get(&extra).into_iter().flatten();
            let own = parts.filter_map(|part| part.parse::<Requirement>().ok());
            pending.extend(
                own.filter(|part| Some(&part.name) == self.name.as_ref())
                    .flat_map(|part| part.extras)
                    .filter(|part| !expanded.contains(part)),
            );
            expanded.insert(extra);
        }
        expanded
    }

    fn from_table(root: &Table) -> Self {
        let mut tables: Vec<(String, String)> = DEPENDENCY_TABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), canonical_text(find_dotted(root, name)?))))
            .collect();
        if let Some(Value::Table(uv)) = find_dotted(root, "tool.uv") {
            // These keys do not change what is installed.
            let is_relevant =
                |key: &str| !matches!(key, "required-version" | "cache-dir" | "cache-keys" | "publish-url");
            tables.extend(
                uv.iter()
                    .filter(|(key, _)| is_relevant(key))
                    .map(|(key, value)| (format!("tool.uv.{key}"), canonical_text(value))),
            );
        }
        for name in ["project.optional-dependencies", "dependency-groups"] {
            let parts = find_dotted(root, name).and_then(Value::as_table);
            tables.extend(
                parts
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| (format!("{name}.{}", normalize_name(key)), canonical_text(value))),
            );
        }
        tables.sort();
        let name = find_dotted(root, "project.name").or_else(|| find_dotted(root, "tool.poetry.name"));
        let extras = find_dotted(root, "project.optional-dependencies").and_then(Value::as_table);
        Self {
            name: name.and_then(Value::as_str).map(normalize_name),
            dependency_tables: tables,
            extras: extras
                .into_iter()
                .flatten()
                .map(|(extra, list)| (normalize_name(extra), string_items(list)))
                .collect(),
        }
    }
}

fn string_items(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn find_dotted<'a>(root: &'a Table, dotted: &str) -> Option<&'a Value> {
    let mut parts = dotted.split('.');
    let first = root.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

/// Returns a value in canonical form: sorted keys, one notation for each type.
fn canonical_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(list) => format!("[{}]", list.iter().map(canonical_text).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let mut pairs: Vec<_> =
                table.iter().map(|(key, value)| format!("{key:?}: {}", canonical_text(value))).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns the line of `text`, counted from 1, on which `span` begins.
pub(super) fn line_number(text: &str, span: Option<Range<usize>>) -> usize {
    let end = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line_number("a\nb\nc", Some(4..5)), line_number("a\nb", None)), (3, 1));
        assert_eq!(line_number("a\nb", Some(90..91)), 2);
    }

    const TEXT: &str = r#"
[project]
name = "Demo_App"
version = "1"
dependencies = ["a>=1", 'b']
optional-dependencies = { Docs_All = ["c"], x = ["d"], all = ["demo-app[x,all]", "e"] }
[tool.uv]
package = true
cache-dir = "x"
[tool.uv.sources]
a = { path = "../a", editable = true }
[tool.ruff]
line-length = 88
"#;

    fn read(text: &str) -> Pyproject {
        Pyproject::from_table(&toml::from_str(text).unwrap())
    }

    #[test]
    fn only_tables_that_affect_installs_are_read() {
        let project = read(TEXT);
        assert_eq!(project.name.as_deref(), Some("demo-app"));
        let expanded = project.expand_extras(&BTreeSet::from(["all".to_owned()]));
        assert_eq!(expanded.into_iter().collect::<Vec<_>>(), ["all", "x"]);
        let names: Vec<&str> = project.dependency_tables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "project.dependencies",
                "project.optional-dependencies.all",
                "project.optional-dependencies.docs-all",
                "project.optional-dependencies.x",
                "tool.uv.package",
                "tool.uv.sources"
            ]
        );
        assert_eq!(project.dependency_tables[0].1, r#"["a>=1", "b"]"#);
        assert_eq!(project.dependency_tables[5].1, r#"{"a": {"editable": true, "path": "../a"}}"#);
        assert_eq!(read(&TEXT.replace("88", "100").replace("version = \"1\"", "# other")), project);
        assert_ne!(read(&TEXT.replace("a>=1", "a>=2")), project);
    }

    #[test]
    fn layout_and_order_of_keys_are_ignored() {
        let other =
            TEXT.replace("'b'", "\"b\"").replace("path = \"../a\", editable = true", "editable = true, path = '../a'");
        assert_eq!(read(&other), read(TEXT));
    }

    #[test]
    fn unreadable_files_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pyproject.toml");
        assert_eq!(Pyproject::read(&path).unwrap_err().to_string(), format!("cannot read {}", path.display()));
        fs_err::write(&path, "[project]\nname = \n").unwrap();
        let message = Pyproject::read(&path).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}:2: ", path.display())), "{message}");
        fs_err::write(&path, "[tool.poetry]\nname = 'X'\n").unwrap();
        assert_eq!(Pyproject::read(&path).unwrap().name.as_deref(), Some("x"));
    }
}
