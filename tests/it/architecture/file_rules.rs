//! Violations found without parsing: first doc lines, sizes and names of files.

use std::path::Path;

use super::module_rules::{MAX_LINES, VAGUE_NAMES};
use super::modules::files_below;

/// Directories with noxide's own code; the examples imitate projects of users.
const CHECKED_DIRS: &[&str] = &["src", "tests", "benches", ".ci"];

/// Returns all of them, unsorted.
pub(super) fn violations(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for directory in CHECKED_DIRS {
        for extension in ["rs", "py"] {
            let mut files = Vec::new();
            files_below(&root.join(directory), extension, &mut files);
            for file in files {
                let name = file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                let text = fs_err::read_to_string(&file).expect("source is UTF-8");
                check_file(&name, &text, extension, &mut found);
            }
        }
    }
    found
}

fn check_file(name: &str, text: &str, extension: &str, found: &mut Vec<String>) {
    // Unit tests, at the end of a file, are not counted.
    let count = text.split("\nmod tests {\n").next().unwrap_or_default().lines().count();
    if count > MAX_LINES {
        found.push(format!("{name}:{count}: a file has at most {MAX_LINES} lines"));
    }
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!/"));
    let first = lines.next().unwrap_or_default();
    let doc_line = match extension {
        "rs" => first.strip_prefix("//! "),
        _ => first.strip_prefix("\"\"\"").map(|rest| rest.trim_end_matches('"')),
    };
    if doc_line.is_none_or(|doc_line| doc_line.len() < 10) {
        found.push(format!("{name}:1: the first line must be a doc line: one sentence that says what the file is"));
    }
    for part in name.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if let Some(word) = stem.split('_').find(|word| VAGUE_NAMES.contains(word)) {
            found.push(format!("{name}:1: `{word}` is too vague for a name"));
        }
    }
}
