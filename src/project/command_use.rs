//! Uses of shared resources by a session's commands, as the host saw them run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource that a command of a session uses together with other sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandUse {
    /// What kind of resource it is.
    pub kind: ResourceKind,
    /// Which one: a path relative to the project, a port, the name of an environment.
    pub target: String,
    /// How it is used.
    pub mode: UseMode,
    /// Of mode `sync`, the state that the use brings about: uses with equal keys may overlap. Of coverage data, what the
    /// command does: `write`, `append`, `combine` or `report`.
    #[serde(default)]
    pub key: String,
    /// Whether it is needed until the session ends, or only while the command runs.
    pub until_end: bool,
    /// The command, shortened.
    pub command: String,
}

/// Kinds of resources that sessions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// A source tree that is built.
    Build,
    /// An environment that does not belong to one session.
    Environment,
    /// The project's own files, such as `pyproject.toml`.
    Files,
    /// A directory of built packages.
    Directory,
    /// A TCP port.
    Port,
    /// A data file of coverage.py.
    CoverageData,
}

/// How a resource is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseMode {
    /// Changed in any way: nobody else may use it.
    Exclusive,
    /// Brought into the state that the key names.
    Sync,
    /// Used as it is.
    Use,
    /// Written to a copy of the session's own, which noxide moves into place.
    Private,
}

impl CommandUse {
    /// Returns the name of the resource, which is also that of its lock.
    pub fn resource_name(&self) -> String {
        format!("{} {}", self.kind, self.target)
    }

    /// Whether two sessions may use the resource in these ways at the same time.
    pub fn is_compatible(&self, other: &Self) -> bool {
        match (self.mode, other.mode) {
            (UseMode::Private, _) | (_, UseMode::Private) | (UseMode::Use, UseMode::Use) => true,
            (UseMode::Exclusive, _) | (_, UseMode::Exclusive) => false,
            _ => self.key == other.key,
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build of",
            Self::Environment => "environment",
            Self::Files => "files",
            Self::Directory => "directory",
            Self::Port => "port",
            Self::CoverageData => "coverage data",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(mode: UseMode, key: &str) -> CommandUse {
        let (kind, target) = (ResourceKind::Environment, ".venv".to_owned());
        CommandUse { kind, target, mode, key: key.to_owned(), until_end: true, command: String::new() }
    }

    #[test]
    fn uses_with_one_result_may_overlap() {
        let (sync, other) = (environment(UseMode::Sync, "a"), environment(UseMode::Sync, "b"));
        let (using, alone) = (environment(UseMode::Use, "a"), environment(UseMode::Exclusive, "a"));
        for (one, two, compatible) in [
            (&sync, &sync, true),
            (&sync, &other, false),
            (&sync, &using, true),
            (&other, &using, false),
            (&using, &using, true),
            (&using, &alone, false),
            (&alone, &alone, false),
        ] {
            assert_eq!((one.is_compatible(two), two.is_compatible(one)), (compatible, compatible), "{one:?} {two:?}");
        }
        assert_eq!(sync.resource_name(), "environment .venv");
        let known: CommandUse = serde_json::from_str(
            r#"{"kind": "coverage-data", "target": ".coverage", "mode": "private", "until_end": true, "command": "c"}"#,
        )
        .unwrap();
        assert_eq!(known.resource_name(), "coverage data .coverage");
    }
}
