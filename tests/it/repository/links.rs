//! Links between the documents lead to existing files.

use std::path::{Path, PathBuf};

/// Targets of Markdown links in a text, fenced code aside, without their anchors; those on the web left out.
fn targets(text: &str) -> Vec<&str> {
    let mut in_fence = false;
    let mut found = Vec::new();
    for line in text.lines() {
        in_fence ^= line.starts_with("```");
        if in_fence {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target);
            }
        }
    }
    found
}

fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let is_kept =
            entry.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.') && name != "target");
        if entry.is_dir() && is_kept {
            documents(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            found.push(entry);
        }
    }
}

#[test]
fn links_in_documents_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    documents(root, &mut files);
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in &files {
        let text = fs_err::read_to_string(file).unwrap();
        let directory = file.parent().unwrap();
        seen += targets(&text).len();
        let missing = targets(&text).into_iter().filter(|target| !directory.join(target).exists());
        broken.extend(missing.map(|target| format!("{}: {target}", file.display())));
    }
    assert!(seen > 10, "only {seen} links found in {} documents", files.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn targets_are_found_where_links_are() {
    let text = "a [b](c.md#d) e [f](https://g) [h](i/j.md)\n```\n[k](l.md)\n```\n[m](#n)";
    assert_eq!(targets(text), ["c.md", "i/j.md"]);
}
