//! The import rules of ARCHITECTURE.md: who may import whom, no cycles, captions, sizes, names.

mod imports;
mod law;
mod modules;
mod planted;
mod prose;
mod tokens;

use std::path::Path;

/// Every breach of the law in the package at `root`, one line each, sorted.
fn breaches(root: &Path) -> Vec<String> {
    let tree = modules::Tree::read(root);
    let mut found = imports::breaches(&tree);
    found.extend(prose::breaches(root));
    found.sort();
    found
}

#[test]
fn the_import_rules_hold() {
    let found = breaches(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn architecture_md_states_this_law() {
    let text = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    for room in law::ROOMS {
        let row = format!("| {} | {} |", room.name, room.imports_in_words());
        assert!(text.contains(&row), "ARCHITECTURE.md lacks the row\n{row}");
    }
    assert!(text.lines().count() <= 120, "ARCHITECTURE.md is to be read in one sitting: at most 120 lines");
}
