//! Violations in the code: imports, cycles, public modules, `unsafe` and printing.

use std::collections::{BTreeMap, BTreeSet};

use super::law::{PRINTERS, Room, UNSAFE};
use super::modules::{Module, Tree};
use super::tokens::Token;

/// All of them, unsorted.
pub(super) fn breaches(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for module in tree.modules.values() {
        check_imports(tree, module, &mut found);
        check_doors(module, &mut found);
        check_words(module, &mut found);
    }
    check_circles(tree, &mut found);
    found
}

fn check_imports(tree: &Tree, module: &Module, found: &mut Vec<String>) {
    let Some(own) = module.path.first() else { return };
    if own == "main" {
        let strangers = module.imports.iter().filter(|import| import.path.first().is_none_or(|room| room != "cli"));
        found.extend(strangers.map(|import| at(module, import.line, "the binary calls `cli` and nothing else")));
        return;
    }
    let Some(room) = Room::named(own) else {
        found.push(at(module, 1, &format!("`{own}` is no room of the law")));
        return;
    };
    for import in &module.imports {
        let Some(other) = import.path.first().filter(|other| *other != own) else { continue };
        let Some(door) = room.door(other) else {
            let what = format!("`{own}` may not import `{}`", import.path.join("::"));
            found.push(at(module, import.line, &what));
            continue;
        };
        let file = tree.target(&import.path).and_then(|target| target.path.get(1).cloned()).unwrap_or_default();
        if !door.files.is_empty() && !door.files.contains(&file.as_str()) {
            let what = format!("`{own}` may import only {} of `{other}`, not `{}`", door.files.join(", "), import.name);
            found.push(at(module, import.line, &what));
        }
    }
}

/// A `mod.rs`, and `lib.rs`, holds `mod` and `use` lines and nothing else.
fn check_doors(module: &Module, found: &mut Vec<String>) {
    if !module.is_doors && !module.path.is_empty() {
        return;
    }
    let mut start = 0;
    let mut braces = 0;
    for (index, token) in module.tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => braces += 1,
            "}" => braces -= 1,
            ";" if braces == 0 => {
                check_door(module, &module.tokens[start..index], found);
                start = index + 1;
            }
            _ => {}
        }
    }
    check_door(module, &module.tokens[start..], found);
}

fn check_door(module: &Module, statement: &[Token], found: &mut Vec<String>) {
    let mut depth = 0;
    let mut is_attribute = false;
    let mut said = statement.iter().filter(|token| {
        let text = token.text.as_str();
        is_attribute |= text == "#" && depth == 0;
        depth += i32::from(matches!(text, "[" | "("));
        let is_inside = depth > 0 || is_attribute;
        depth -= i32::from(matches!(text, "]" | ")"));
        is_attribute &= !(text == "]" && depth == 0);
        !is_inside && text != "pub"
    });
    if let Some(token) = said.next().filter(|token| !matches!(token.text.as_str(), "mod" | "use")) {
        let what = format!("`{}` in a list of doors: only `mod` and `use` belong here", token.text);
        found.push(at(module, token.line, &what));
    }
}

fn check_words(module: &Module, found: &mut Vec<String>) {
    let path = module.path.join("::");
    let may_unsafe = UNSAFE.iter().any(|place| path == *place || path.starts_with(&format!("{place}::")));
    let may_print = module.path.first().is_some_and(|room| PRINTERS.contains(&room.as_str()));
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
        if token.text == "unsafe" && !may_unsafe {
            found.push(at(module, token.line, "`unsafe` outside run/process/ and trace/"));
        }
    }
}

/// Files of one room that import each other in a ring, tests aside.
fn check_circles(tree: &Tree, found: &mut Vec<String>) {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values().filter(|module| !module.is_doors && !module.path.is_empty()) {
        for import in module.imports.iter().filter(|import| !import.in_tests) {
            let Some(target) = tree.target(&import.path) else { continue };
            let is_own_room = target.path.first() == module.path.first();
            if is_own_room && !target.is_doors && target.file != module.file {
                edges.entry(&module.file).or_default().insert(&target.file);
            }
        }
    }
    let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
    for start in edges.keys() {
        if let Some(circle) = circle_through(start, &edges) {
            let mut members = circle.clone();
            members.sort_unstable();
            if told.insert(members) {
                found.push(format!("{start}: files in a circle: {} → {start}", circle.join(" → ")));
            }
        }
    }
}

/// The shortest way from a file back to itself.
fn circle_through<'a>(start: &'a str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in edges.get(way.last()?).into_iter().flatten() {
                if *next == start {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push(way.iter().copied().chain([*next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

fn at(module: &Module, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", module.file)
}
