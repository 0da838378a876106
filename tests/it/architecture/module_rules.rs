//! The rules of the architecture as data: imports of each module, printing, `unsafe`, names and sizes of files.

/// A module of `src/` and what it may import.
pub(super) struct ModuleRule {
    /// Name of the module.
    pub(super) name: &'static str,
    /// Modules that it may import.
    pub(super) imports: &'static [AllowedImport],
}

/// A module that may be imported, as a whole or in part.
pub(super) struct AllowedImport {
    /// Name of the module.
    pub(super) module: &'static str,
    /// Files of that module that may be imported; empty for all.
    pub(super) files: &'static [&'static str],
}

const fn all(module: &'static str) -> AllowedImport {
    AllowedImport { module, files: &[] }
}

const fn only(module: &'static str, files: &'static [&'static str]) -> AllowedImport {
    AllowedImport { module, files }
}

/// All modules; each imports only modules above it in this list.
pub(super) const MODULE_RULES: &[ModuleRule] = &[
    ModuleRule { name: "text", imports: &[] },
    ModuleRule { name: "fs", imports: &[all("text")] },
    ModuleRule { name: "project", imports: &[all("text"), all("fs")] },
    ModuleRule { name: "record", imports: &[all("text"), all("fs"), all("project")] },
    ModuleRule { name: "trace", imports: &[all("text"), all("fs"), all("project")] },
    ModuleRule { name: "cache", imports: &[all("text"), all("fs"), all("project")] },
    ModuleRule { name: "audit", imports: &[all("text"), all("fs"), all("project")] },
    ModuleRule { name: "provision", imports: &[all("text"), all("fs"), all("project"), all("record"), all("cache")] },
    ModuleRule {
        name: "run",
        imports: &[all("text"), all("fs"), all("project"), all("record"), all("trace"), all("cache"), all("provision")],
    },
    ModuleRule { name: "report", imports: &[all("text"), all("fs"), all("record")] },
    ModuleRule {
        name: "output",
        imports: &[
            all("text"),
            all("record"),
            only("project", &["session_name"]),
            only("cache", &["progress"]),
            only("audit", &["finding"]),
        ],
    },
    ModuleRule {
        name: "config",
        imports: &[
            all("text"),
            all("fs"),
            only("run", &["options"]),
            only("provision", &["options"]),
            only("cache", &["options"]),
            only("audit", &["options"]),
            only("trace", &["options"]),
        ],
    },
    ModuleRule {
        name: "cli",
        imports: &[
            all("text"),
            all("fs"),
            all("project"),
            all("record"),
            all("trace"),
            all("cache"),
            all("provision"),
            all("audit"),
            all("run"),
            all("report"),
            all("output"),
            all("config"),
        ],
    },
];

/// Modules that may print.
pub(super) const MAY_PRINT: &[&str] = &["output", "cli"];

/// Modules that may use `unsafe`, as module paths.
pub(super) const MAY_USE_UNSAFE: &[&str] = &["trace::kernel"];

/// Words that are too vague for a name.
pub(super) const VAGUE_NAMES: &[&str] = &[
    "manager",
    "managers",
    "helper",
    "helpers",
    "util",
    "utils",
    "handler",
    "handlers",
    "processor",
    "processors",
    "common",
    "misc",
    "types",
    "imp",
];

/// Maximum number of lines of a source file, unit tests not counted.
pub(super) const MAX_LINES: usize = 600;

impl ModuleRule {
    /// Returns the rule of a module.
    pub(super) fn for_module(name: &str) -> Option<&'static ModuleRule> {
        MODULE_RULES.iter().find(|rule| rule.name == name)
    }

    /// Returns what may be imported of `module`; `None` if nothing.
    pub(super) fn allowed_import(&self, module: &str) -> Option<&'static AllowedImport> {
        self.imports.iter().find(|allowed| allowed.module == module)
    }

    /// Returns the allowed imports as in `ARCHITECTURE.md`.
    pub(super) fn describe_imports(&self) -> String {
        let all_others = self.imports.len() == MODULE_RULES.len() - 1;
        if self.imports.is_empty() {
            return "–".to_owned();
        }
        if all_others {
            return "all".to_owned();
        }
        let words: Vec<String> = self.imports.iter().map(AllowedImport::describe).collect();
        words.join(", ")
    }
}

impl AllowedImport {
    fn describe(&self) -> String {
        if self.files.is_empty() {
            return self.module.to_owned();
        }
        let files: Vec<String> = self.files.iter().map(|file| format!("`{file}`")).collect();
        format!("{} ({})", self.module, files.join(" and "))
    }
}
