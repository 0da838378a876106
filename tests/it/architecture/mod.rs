//! The import rules of ARCHITECTURE.md, and checks of cycles, first doc lines, sizes and names of files, and calls.

mod example_trees;
mod file_rules;
mod imports;
mod module_rules;
mod modules;
mod restricted_calls;
mod tokens;

use std::path::Path;

use module_rules::MODULE_RULES;

/// Returns every violation in the package at `root`, one line each, sorted.
fn violations(root: &Path) -> Vec<String> {
    let tree = modules::Tree::read(root);
    let mut found = imports::violations(&tree);
    found.extend(file_rules::violations(root));
    found.sort();
    found
}

#[test]
fn the_import_rules_hold() {
    let found = violations(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_allowed_import_is_used() {
    let tree = modules::Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    for rule in MODULE_RULES {
        for allowed in rule.imports {
            let imported = tree.imported_files(rule.name, allowed.module);
            let name = allowed.module;
            assert!(!imported.is_empty(), "`{}` imports nothing of `{name}`: remove it from its rule", rule.name);
            let unused: Vec<_> = allowed.files.iter().filter(|file| !imported.contains(**file)).collect();
            assert!(unused.is_empty(), "`{}` imports nothing of {unused:?} in `{name}`: remove them", rule.name);
        }
    }
}

#[test]
fn architecture_md_lists_these_rules() {
    let text = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    for rule in MODULE_RULES {
        let row = format!("| {} | {} |", rule.name, rule.describe_imports());
        assert!(text.contains(&row), "ARCHITECTURE.md lacks the row\n{row}");
    }
    assert!(text.lines().count() <= 165, "ARCHITECTURE.md has at most 165 lines");
}
