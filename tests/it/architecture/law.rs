//! The whole import law as data.

/// A room of `src/` and what it may import.
pub(super) struct Room {
    /// Its folder.
    pub(super) name: &'static str,
    /// The doors it may go through.
    pub(super) imports: &'static [Door],
}

/// A room that may be imported, wholly or in part.
pub(super) struct Door {
    /// The room behind it.
    pub(super) room: &'static str,
    /// The files of that room that may be reached; empty for all.
    pub(super) files: &'static [&'static str],
}

const fn all(room: &'static str) -> Door {
    Door { room, files: &[] }
}

const fn only(room: &'static str, files: &'static [&'static str]) -> Door {
    Door { room, files }
}

/// Every room, highest floor last.
pub(super) const ROOMS: &[Room] = &[
    Room { name: "text", imports: &[] },
    Room { name: "fs", imports: &[all("text")] },
    Room { name: "project", imports: &[all("text"), all("fs")] },
    Room { name: "record", imports: &[all("text"), all("fs"), all("project")] },
    Room { name: "trace", imports: &[all("text"), all("fs"), all("project")] },
    Room { name: "cache", imports: &[all("text"), all("fs"), all("project")] },
    Room { name: "audit", imports: &[all("text"), all("fs"), all("project")] },
    Room { name: "provision", imports: &[all("text"), all("fs"), all("project"), all("record"), all("cache")] },
    Room {
        name: "run",
        imports: &[all("text"), all("fs"), all("project"), all("record"), all("trace"), all("cache"), all("provision")],
    },
    Room { name: "report", imports: &[all("text"), all("fs"), all("record")] },
    Room {
        name: "output",
        imports: &[
            all("text"),
            all("record"),
            only("project", &["session_name"]),
            only("cache", &["progress"]),
            only("audit", &["finding", "span"]),
        ],
    },
    Room {
        name: "config",
        imports: &[
            all("text"),
            only("run", &["options"]),
            only("provision", &["options"]),
            only("cache", &["options"]),
            only("audit", &["options"]),
            only("trace", &["options"]),
        ],
    },
    Room {
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

/// Rooms that may print.
pub(super) const PRINTERS: &[&str] = &["output", "cli"];

/// Where `unsafe` may stand, as module paths.
pub(super) const UNSAFE: &[&str] = &["run::process", "trace"];

/// Words that name nothing.
pub(super) const EMPTY_NAMES: &[&str] = &[
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

/// Lines a source file may have.
pub(super) const MOST_LINES: usize = 600;

impl Room {
    /// The room of that name.
    pub(super) fn named(name: &str) -> Option<&'static Room> {
        ROOMS.iter().find(|room| room.name == name)
    }

    /// The door to `room`, if this room has one.
    pub(super) fn door(&self, room: &str) -> Option<&'static Door> {
        self.imports.iter().find(|door| door.room == room)
    }

    /// The imports as `ARCHITECTURE.md` puts them.
    pub(super) fn imports_in_words(&self) -> String {
        let all_others = self.imports.len() == ROOMS.len() - 1;
        if self.imports.is_empty() {
            return "–".to_owned();
        }
        if all_others {
            return "all".to_owned();
        }
        let words: Vec<String> = self.imports.iter().map(Door::in_words).collect();
        words.join(", ")
    }
}

impl Door {
    fn in_words(&self) -> String {
        if self.files.is_empty() {
            return self.room.to_owned();
        }
        let files: Vec<String> = self.files.iter().map(|file| format!("`{file}`")).collect();
        format!("{} ({})", self.room, files.join(" and "))
    }
}
