//! Source locations in the log of a failed session, for annotations and `file:line` lists.

use std::path::{Component, Path, PathBuf};

/// A source location named in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureLocation {
    /// Path relative to the project's root.
    pub(crate) file: String,
    /// Line number, from 1.
    pub(crate) line: usize,
    /// Column, from 1, if the log has one.
    pub(crate) column: Option<usize>,
    /// Error message at the location.
    pub(crate) message: String,
}

/// Bytes of a line in which a location is looked for: some programs print megabytes on one line.
const MAX_LINE_BYTES: usize = 4_096;

/// Numbers after a colon in one line that are tried as line numbers.
const MAX_CANDIDATES: usize = 8;

/// Finds locations in lines of plain text. `resolve_path` maps a path as written to the path relative to the project's
/// root, or `None` if it is not a file of the project.
pub(crate) fn find_failure_locations(
    lines: &[String],
    resolve_path: &dyn Fn(&str) -> Option<String>,
) -> Vec<FailureLocation> {
    let mut found: Vec<FailureLocation> = Vec::new();
    for index in 0..lines.len() {
        let Some(location) =
            parse_traceback(lines, index, resolve_path).or_else(|| parse_path_line(lines, index, resolve_path))
        else {
            continue;
        };
        let text = location.message.trim_start_matches(['-', ' ']);
        let is_minor = ["note:", "warning:", "information:", "in "].iter().any(|word| text.starts_with(word));
        if !is_minor
            && !found.iter().any(|other| {
                (&other.file, other.line, &other.message) == (&location.file, location.line, &location.message)
            })
        {
            found.push(location);
        }
    }
    found
}

/// Parses `path:12: text`, `path:12:5: text`, `path:12:5 - text`, or `--> path:12:5` with its text above.
fn parse_path_line(
    lines: &[String],
    index: usize,
    resolve_path: &dyn Fn(&str) -> Option<String>,
) -> Option<FailureLocation> {
    let line = lines[index].as_str();
    let trimmed = line.trim_start();
    let body = ["--> ", "Location: "].iter().find_map(|prefix| trimmed.strip_prefix(prefix)).unwrap_or(trimmed);
    let body = &body[..body.floor_char_boundary(MAX_LINE_BYTES)];
    let places = body.match_indices(':').filter_map(|(colon, _)| Some((colon, parse_number(&body[colon + 1..])?)));
    for (colon, (number, rest)) in places.take(MAX_CANDIDATES) {
        let path = &body[..colon];
        let Some(file) = path.contains(['.', '/']).then(|| resolve_path(path)).flatten() else { continue };
        let (column, rest) = match rest.strip_prefix(':').and_then(parse_number) {
            Some((column, rest)) => (Some(column), rest),
            None => (None, rest),
        };
        let message = rest.trim_start_matches(':').trim().trim_start_matches("- ").trim_start_matches("error: ");
        let text = match message {
            "" => nonblank_line_above(lines, index),
            _ => pytest_error_above(lines, index).unwrap_or(message),
        };
        return Some(FailureLocation {
            file,
            line: number,
            column: column.filter(|&column| column > 0),
            message: text.to_owned(),
        });
    }
    None
}

/// Parses `File "path", line 12, in f`: the innermost frame of the project, with the exception of the traceback.
fn parse_traceback(
    lines: &[String],
    index: usize,
    resolve_path: &dyn Fn(&str) -> Option<String>,
) -> Option<FailureLocation> {
    let (file, line) = parse_traceback_frame(&lines[index], resolve_path)?;
    let mut raised = None;
    for later in &lines[index + 1..] {
        if parse_traceback_frame(later, resolve_path).is_some() {
            return None;
        }
        if !later.starts_with([' ', '\t']) && !later.trim().is_empty() {
            raised = Some(later.trim().to_owned());
            break;
        }
    }
    Some(FailureLocation { file, line, column: None, message: raised.unwrap_or_else(|| "raised here".to_owned()) })
}

fn parse_traceback_frame(line: &str, resolve_path: &dyn Fn(&str) -> Option<String>) -> Option<(String, usize)> {
    let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    let (line, _) = parse_number(rest)?;
    Some((resolve_path(path)?, line))
}

/// Returns pytest's `E   …` line that belongs to a `path:12: AssertionError` line.
fn pytest_error_above(lines: &[String], index: usize) -> Option<&str> {
    let block: Vec<&str> = lines[..index]
        .iter()
        .rev()
        .skip_while(|line| line.trim().is_empty())
        .map_while(|line| line.strip_prefix("E  ").map(str::trim))
        .collect();
    block.last().copied().filter(|text| !text.is_empty())
}

/// Returns the nearest line above that is not blank: ruff writes the message above its arrow.
fn nonblank_line_above(lines: &[String], index: usize) -> &str {
    lines[..index].iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or("failed here")
}

fn parse_number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Returns the path of a project file relative to the root, or `None` for other files and files in environments.
pub(crate) fn project_relative_file(root: &Path, path: &str) -> Option<String> {
    let path = Path::new(path);
    let relative = if path.is_absolute() { path.strip_prefix(root).ok()? } else { path };
    let is_excluded = |part: Component<'_>| match part {
        Component::Normal(name) => {
            matches!(name.to_str(), None | Some(".nox" | ".venv" | "site-packages"))
        }
        Component::CurDir => false,
        _ => true,
    };
    if relative.components().any(is_excluded) || !root.join(relative).is_file() {
        return None;
    }
    let normalized: PathBuf = relative.components().filter(|part| *part != Component::CurDir).collect();
    normalized.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_project_files_are_locations() {
        let root = tempfile::tempdir().unwrap();
        for file in ["src/a.py", ".venv/lib/site-packages/b.py", ".nox/lint/c.py"] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let named = |path: &str| project_relative_file(root.path(), path);
        let absolute = root.path().join("src/a.py");
        for path in ["src/a.py", "./src/a.py", absolute.to_str().unwrap()] {
            assert_eq!(named(path).as_deref(), Some("src/a.py"), "{path}");
        }
        let outside = tempfile::NamedTempFile::new().unwrap();
        let others = [".venv/lib/site-packages/b.py", ".nox/lint/c.py", "src/../src/a.py", "src", "none.py", "."];
        for path in others.into_iter().chain(outside.path().to_str()) {
            assert_eq!(named(path), None, "{path}");
        }
    }

    fn found(log: &str) -> Vec<String> {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        let resolve_path = |path: &str| {
            let path = path.trim_start_matches("./").trim_start_matches("/project/");
            ["src/a.py", "tests/test_a.py", "my dir/b.py"].contains(&path).then(|| path.to_owned())
        };
        find_failure_locations(&lines, &resolve_path)
            .into_iter()
            .map(|location| {
                let column = location.column.map(|column| format!(":{column}")).unwrap_or_default();
                format!("{}:{}{column}: {}", location.file, location.line, location.message)
            })
            .collect()
    }

    #[test]
    fn linters_and_type_checkers() {
        assert_eq!(
            found("src/a.py:3:1: F401 `os` imported but unused"),
            ["src/a.py:3:1: F401 `os` imported but unused"]
        );
        assert_eq!(
            found("src/a.py:12: error: Bad  [arg-type]\nsrc/a.py:13: note: see"),
            ["src/a.py:12: Bad  [arg-type]"]
        );
        assert_eq!(found("  /project/src/a.py:4:9 - error: \"x\" is unbound"), ["src/a.py:4:9: \"x\" is unbound"]);
        assert_eq!(found("  /project/src/a.py:4:9 - warning: odd"), [""; 0]);
        assert_eq!(found("F401 [*] `os` unused\n --> src/a.py:1:8\n  |"), ["src/a.py:1:8: F401 [*] `os` unused"]);
        assert_eq!(found("   Location: ./src/a.py:7:0"), ["src/a.py:7: failed here"]);
        assert_eq!(found("my dir/b.py:2: error: x"), ["my dir/b.py:2: x"]);
    }

    #[test]
    fn pytest_errors_are_above_the_location() {
        let log = "    def test_a():\n>       assert 1 == 2\nE       assert 1 == 2\nE        +  where 1\n\ntests/test_a.py:4: AssertionError\n";
        assert_eq!(found(log), ["tests/test_a.py:4: assert 1 == 2"]);
        assert_eq!(found("tests/test_a.py:4: in test_a\n"), [""; 0]);
    }

    #[test]
    fn tracebacks_give_the_innermost_project_frame() {
        let log = "Traceback (most recent call last):\n  File \"/project/tests/test_a.py\", line 3, in t\n    f()\n  File \"/project/src/a.py\", line 9, in f\n    raise ValueError\n  File \"/usr/lib/x.py\", line 1, in g\nValueError: no\n";
        assert_eq!(found(log), ["src/a.py:9: ValueError: no"]);
        assert_eq!(found("  File \"src/a.py\", line 9\n"), ["src/a.py:9: raised here"]);
    }

    #[test]
    fn times_addresses_and_unknown_files_are_not_locations() {
        assert_eq!(found("12:30:45: start\nhttp://host:80: x\nother.py:3: y\nsrc/a.py: z\n:::\nsrc/a.py:"), [""; 0]);
    }

    #[test]
    fn a_location_is_reported_once() {
        assert_eq!(found("src/a.py:3:1: one\nsrc/a.py:3:9: two\nsrc/a.py:3:9: two").len(), 2);
    }
}
