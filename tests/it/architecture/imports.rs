//! Violations in the code: imports, cycles, public modules, `unsafe` and printing.

use std::collections::{BTreeMap, BTreeSet};

use super::module_rules::{MAY_PRINT, MAY_USE_UNSAFE, ModuleRule};
use super::modules::{Module, Tree};
use super::tokens::Token;

/// Returns all of them, unsorted.
pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for module in tree.modules.values() {
        check_imports(tree, module, &mut found);
        check_mod_rs(module, &mut found);
        check_restricted_words(module, &mut found);
    }
    check_cycles(tree, &mut found);
    found
}

fn check_imports(tree: &Tree, module: &Module, found: &mut Vec<String>) {
    let Some(own) = module.path.first() else { return };
    if own == "main" {
        let other_imports = module.imports.iter().filter(|import| import.path.first().is_none_or(|name| name != "cli"));
        found.extend(other_imports.map(|import| at(module, import.line, "the binary may import only `cli`")));
        return;
    }
    let Some(rule) = ModuleRule::for_module(own) else {
        found.push(at(module, 1, &format!("`{own}` has no module rule")));
        return;
    };
    for import in &module.imports {
        let Some(other) = import.path.first().filter(|other| *other != own) else { continue };
        let Some(allowed) = rule.allowed_import(other) else {
            let what = format!("`{own}` may not import `{}`", import.path.join("::"));
            found.push(at(module, import.line, &what));
            continue;
        };
        let file = tree.target(&import.path).and_then(|target| target.path.get(1).cloned()).unwrap_or_default();
        if !allowed.files.is_empty() && !allowed.files.contains(&file.as_str()) {
            let what =
                format!("`{own}` may import only {} of `{other}`, not `{}`", allowed.files.join(", "), import.name);
            found.push(at(module, import.line, &what));
        }
    }
}

/// Checks that a `mod.rs` or `lib.rs` contains only `mod` and `use` items.
fn check_mod_rs(module: &Module, found: &mut Vec<String>) {
    if !module.is_mod_rs && !module.path.is_empty() {
        return;
    }
    let mut start = 0;
    let mut braces = 0;
    for (index, token) in module.tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => braces += 1,
            "}" => braces -= 1,
            ";" if braces == 0 => {
                check_mod_rs_statement(module, &module.tokens[start..index], found);
                start = index + 1;
            }
            _ => {}
        }
    }
    check_mod_rs_statement(module, &module.tokens[start..], found);
}

fn check_mod_rs_statement(module: &Module, statement: &[Token], found: &mut Vec<String>) {
    let mut depth = 0;
    let mut is_attribute = false;
    let mut words = statement.iter().filter(|token| {
        let text = token.text.as_str();
        is_attribute |= text == "#" && depth == 0;
        depth += i32::from(matches!(text, "[" | "("));
        let is_inside = depth > 0 || is_attribute;
        depth -= i32::from(matches!(text, "]" | ")"));
        is_attribute &= !(text == "]" && depth == 0);
        !is_inside && text != "pub"
    });
    if let Some(token) = words.next().filter(|token| !matches!(token.text.as_str(), "mod" | "use")) {
        let what = format!("`{}` in a mod.rs or lib.rs: only `mod` and `use` are allowed", token.text);
        found.push(at(module, token.line, &what));
    }
}

fn check_restricted_words(module: &Module, found: &mut Vec<String>) {
    let path = module.path.join("::");
    let may_use_unsafe =
        MAY_USE_UNSAFE.iter().any(|allowed| path == *allowed || path.starts_with(&format!("{allowed}::")));
    let may_print = module.path.first().is_some_and(|name| MAY_PRINT.contains(&name.as_str()));
    let text = |index: usize| module.tokens.get(index).map_or("", |token| token.text.as_str());
    for (index, token) in module.tokens.iter().enumerate() {
        let next = text(index + 1);
        let before = index.checked_sub(1).map_or("", text);
        let prints = match token.text.as_str() {
            "println" | "print" | "eprintln" | "eprint" | "dbg" => next == "!" && !token.in_tests,
            "stdout" | "stderr" => next == "(" && before != "." && before != "fn",
            _ => false,
        };
        if prints && !may_print {
            found.push(at(module, token.line, &format!("`{}` outside output/ and cli/", token.text)));
        }
        if token.text == "unsafe" && !may_use_unsafe {
            found.push(at(module, token.line, "`unsafe` outside trace/kernel/"));
        }
    }
}

/// Checks that the files of a module do not import each other in a cycle; unit tests are ignored.
fn check_cycles(tree: &Tree, found: &mut Vec<String>) {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values().filter(|module| !module.is_mod_rs && !module.path.is_empty()) {
        for import in module.imports.iter().filter(|import| !import.in_tests) {
            let Some(target) = tree.target(&import.path) else { continue };
            let is_same_module = target.path.first() == module.path.first();
            if is_same_module && !target.is_mod_rs && target.file != module.file {
                edges.entry(&module.file).or_default().insert(&target.file);
            }
        }
    }
    let mut reported: BTreeSet<Vec<&str>> = BTreeSet::new();
    for start in edges.keys() {
        if let Some(cycle) = cycle_through(start, &edges) {
            let mut members = cycle.clone();
            members.sort_unstable();
            if reported.insert(members) {
                found.push(format!("{start}: import cycle: {} → {start}", cycle.join(" → ")));
            }
        }
    }
}

/// Returns the shortest import path from a file back to itself.
fn cycle_through<'a>(start: &'a str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut paths = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in edges.get(path.last()?).into_iter().flatten() {
                if *next == start {
                    return Some(path);
                }
                if seen.insert(*next) {
                    longer.push(path.iter().copied().chain([*next]).collect());
                }
            }
        }
        paths = longer;
    }
    None
}

fn at(module: &Module, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", module.file)
}
