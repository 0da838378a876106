//! Violations that need no parsing: captions, sizes and names of files.

use std::path::Path;

use super::law::{EMPTY_NAMES, MOST_LINES};
use super::modules::files_below;

/// Folders that hold our own code; the examples stand for other people's.
const FOLDERS: &[&str] = &["src", "tests", "benches", ".ci"];

/// All of them, unsorted.
pub(super) fn breaches(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for extension in ["rs", "py"] {
            let mut files = Vec::new();
            files_below(&root.join(folder), extension, &mut files);
            for file in files {
                let name = file.strip_prefix(root).expect("it lies there").to_string_lossy().into_owned();
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
    if count > MOST_LINES {
        found.push(format!("{name}:{count}: a file has at most {MOST_LINES} lines"));
    }
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!/"));
    let first = lines.next().unwrap_or_default();
    let caption = match extension {
        "rs" => first.strip_prefix("//! "),
        _ => first.strip_prefix("\"\"\"").map(|rest| rest.trim_end_matches('"')),
    };
    if caption.is_none_or(|caption| caption.len() < 10) {
        found.push(format!("{name}:1: the first line is the file's caption, one sentence"));
    }
    for part in name.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if let Some(word) = stem.split('_').find(|word| EMPTY_NAMES.contains(word)) {
            found.push(format!("{name}:1: `{word}` names nothing"));
        }
    }
}
