//! The modules of `src/`: their files, tokens, and the names they export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tokens::{Token, tokens};

/// An imported path: its segments and its position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Import {
    /// Segments from the crate's root on.
    pub(super) path: Vec<String>,
    /// The name it gets here (`as` respected).
    pub(super) name: String,
    /// Line of its first segment.
    pub(super) line: usize,
    /// Whether it is in a test module.
    pub(super) in_tests: bool,
}

/// One source file.
pub(super) struct Module {
    /// `["run", "process"]` for `src/run/process.rs` and `src/run/process/mod.rs`.
    pub(super) path: Vec<String>,
    /// The file, relative to the package.
    pub(super) file: String,
    /// Whether the file is a `mod.rs`.
    pub(super) is_mod_rs: bool,
    /// Its tokens.
    pub(super) tokens: Vec<Token>,
    /// All paths in it that begin with `crate`, `self`, `super` or the name of a submodule.
    pub(super) imports: Vec<Import>,
}

/// All modules of a package.
pub(super) struct Tree {
    /// By module path.
    pub(super) modules: BTreeMap<Vec<String>, Module>,
}

impl Tree {
    /// Reads `root/src`.
    pub(super) fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        files_below(&root.join("src"), "rs", &mut files);
        let mut modules: BTreeMap<Vec<String>, Module> = BTreeMap::new();
        for file in files {
            let inside = file.strip_prefix(root.join("src")).expect("below src").with_extension("");
            let mut path: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let is_mod_rs = path.last().is_some_and(|last| last == "mod");
            if is_mod_rs || path == ["lib"] {
                path.pop();
            }
            let tokens = tokens(&fs_err::read_to_string(&file).expect("source is UTF-8"));
            let file = file.strip_prefix(root).expect("below src").to_string_lossy().into_owned();
            modules.insert(path.clone(), Module { path, file, is_mod_rs, tokens, imports: Vec::new() });
        }
        let paths: Vec<Vec<String>> = modules.keys().cloned().collect();
        for module in modules.values_mut() {
            module.imports = imports_of(module, &paths);
        }
        Self { modules }
    }

    /// Returns the files of module `to` that module `from` imports, unit tests not counted.
    pub(super) fn imported_files(&self, from: &str, to: &str) -> BTreeSet<&str> {
        let importers = self.modules.values().filter(|module| module.path.first().is_some_and(|name| name == from));
        let imports = importers.flat_map(|module| &module.imports).filter(|import| !import.in_tests);
        imports
            .filter(|import| import.path.first().is_some_and(|name| name == to))
            .filter_map(|import| self.target(&import.path)?.path.get(1).map(String::as_str))
            .collect()
    }

    /// Returns the module that a path names; re-exports of `mod.rs` files are followed.
    pub(super) fn target(&self, path: &[String]) -> Option<&Module> {
        let length = (1..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let module = &self.modules[&path[..length]];
        let Some(name) = path.get(length) else { return Some(module) };
        let re_export = module.imports.iter().find(|import| {
            module.is_mod_rs
                && &import.name == name
                && import.path.len() > length
                && import.path[..length] == path[..length]
        });
        match re_export {
            Some(import) if import.path != path => self.target(&import.path),
            _ => Some(module),
        }
    }
}

/// Adds files with that extension below a directory, sorted; none if there is no such directory.
pub(super) fn files_below(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files_below(&entry, extension, found);
        } else if entry.extension().is_some_and(|found| found == extension) {
            found.push(entry);
        }
    }
}

fn imports_of(module: &Module, known: &[Vec<String>]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < module.tokens.len() {
        let token = &module.tokens[at];
        let follows_path = at > 0 && module.tokens[at - 1].text == "::";
        let is_use = token.text == "use" && module.tokens.get(at + 1).is_none_or(|next| next.text != "<");
        let raw = if is_use {
            at += 1;
            read_use(&module.tokens, &mut at, &[])
        } else if matches!(token.text.as_str(), "crate" | "self" | "super") && !follows_path {
            read_path(&module.tokens, &mut at).into_iter().collect()
        } else {
            at += 1;
            continue;
        };
        for mut import in raw {
            if let Some(path) = from_root(&import.path, module, token.depth, known) {
                import.path = path;
                found.push(import);
            }
        }
    }
    found
}

/// Reads the paths after `use`, or one branch of its braces, as a flat list.
fn read_use(tokens: &[Token], at: &mut usize, before: &[String]) -> Vec<Import> {
    let mut path = before.to_vec();
    let Some(first) = tokens.get(*at) else { return Vec::new() };
    let (line, in_tests) = (first.line, first.in_tests);
    let mut name = None;
    while let Some(token) = tokens.get(*at) {
        match token.text.as_str() {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                let mut found = Vec::new();
                while tokens.get(*at).is_some_and(|token| token.text != "}") {
                    found.extend(read_use(tokens, at, &path));
                    if tokens.get(*at).is_some_and(|token| token.text == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return found;
            }
            "," | "}" | ";" => break,
            "as" => {
                name = tokens.get(*at + 1).map(|token| token.text.clone());
                *at += 2;
            }
            "self" if !before.is_empty() && path.len() == before.len() => *at += 1,
            word => {
                path.push(word.to_owned());
                *at += 1;
            }
        }
    }
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    vec![Import { path, name, line, in_tests }]
}

/// Reads a path such as `crate::a::b` outside a `use`; `None` for `self` or `crate` alone.
fn read_path(tokens: &[Token], at: &mut usize) -> Option<Import> {
    let first = &tokens[*at];
    let mut path = vec![first.text.clone()];
    *at += 1;
    while tokens.get(*at).is_some_and(|token| token.text == "::") {
        let Some(next) = tokens.get(*at + 1) else { break };
        if !next.text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            break;
        }
        path.push(next.text.clone());
        *at += 2;
    }
    let name = path.last().cloned().unwrap_or_default();
    (path.len() > 1).then_some(Import { path, name, line: first.line, in_tests: first.in_tests })
}

/// Returns the path from the root of the crate; `None` for a path of another crate.
fn from_root(path: &[String], module: &Module, depth: usize, known: &[Vec<String>]) -> Option<Vec<String>> {
    let mut here = module.path.clone();
    here.extend((0..depth).map(|_| "{inline}".to_owned()));
    let mut rest = path;
    let first = rest.first()?.as_str();
    let is_binary = module.path == ["main"];
    match first {
        "noxide" if is_binary => return Some(path[1..].to_vec()),
        "crate" => {
            here.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {}
        _ => {
            // A submodule of this module: `pub use event::Event`.
            let mut child = module.path.clone();
            child.push(first.to_owned());
            return known.contains(&child).then(|| module.path.iter().chain(path).cloned().collect());
        }
    }
    while rest.first().is_some_and(|segment| segment == "super") {
        here.pop();
        rest = &rest[1..];
    }
    here.retain(|segment| segment != "{inline}");
    here.extend(rest.iter().cloned());
    Some(here)
}
