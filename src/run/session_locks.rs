//! Locks of a session with their origins, and those derived from the commands of earlier runs.

use std::collections::{HashMap, HashSet};

use crate::project::{CommandUse, ResourceKind, Session, UseMode};
use crate::record::{LockDetails, LockOrigin};

/// Locks of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionLocks {
    /// Locks that no other session holds while this one runs.
    pub names: Vec<String>,
    /// Resources that it uses until it ends; a session that uses one in an incompatible way must not run at the same time.
    pub uses: Vec<CommandUse>,
    /// Locks that it shares, those that the host takes while a command runs, and the origins of all.
    pub details: LockDetails,
}

impl SessionLocks {
    /// Adds a lock that it holds while it runs.
    pub(super) fn add(&mut self, name: String, origin: LockOrigin) {
        if !self.names.contains(&name) {
            self.names.push(name.clone());
        }
        self.details.origins.entry(name).or_insert(origin);
    }

    /// Adds all locks of another value.
    pub(super) fn extend(&mut self, more: Self) {
        for name in more.names.into_iter().filter(|name| !self.names.contains(name)).collect::<Vec<_>>() {
            self.names.push(name);
        }
        self.uses.extend(more.uses);
        self.details.shared.extend(more.details.shared);
        self.details.during_commands.extend(more.details.during_commands);
        for (name, origin) in more.details.origins {
            self.details.origins.entry(name).or_insert(origin);
        }
    }

    /// Returns the name of a lock that prevents two sessions from overlapping.
    pub(super) fn conflict_with(&self, other: &Self) -> Option<String> {
        let common = self.names.iter().find(|name| other.names.contains(name)).cloned();
        common.or_else(|| find_incompatible(&self.uses, &other.uses))
    }
}

/// Returns the name of a resource that two sessions must not use at the same time.
pub(super) fn find_incompatible(one: &[CommandUse], other: &[CommandUse]) -> Option<String> {
    let is_incompatible = |first: &&CommandUse| {
        other
            .iter()
            .any(|second| first.kind == second.kind && first.target == second.target && !first.is_compatible(second))
    };
    one.iter().find(is_incompatible).map(CommandUse::resource_name)
}

/// Derives the locks of sessions from the resources that the commands of each used. A resource that only one session
/// uses, or all in compatible ways, needs no lock.
pub(super) fn derive_command_locks(sessions: &[&[CommandUse]]) -> Vec<SessionLocks> {
    let mut locks = vec![SessionLocks::default(); sessions.len()];
    // Only uses of one resource are compared, and equal ones of a session once.
    let mut by_resource: HashMap<(ResourceKind, &str), Vec<(usize, &CommandUse)>> = HashMap::new();
    let mut seen = HashSet::new();
    for (session, uses) in sessions.iter().enumerate() {
        for found in *uses {
            if seen.insert((session, found.kind, &found.target, found.mode, &found.key)) {
                by_resource.entry((found.kind, &found.target)).or_default().push((session, found));
            }
        }
    }
    let rewrites_files = |uses: &&[CommandUse]| {
        uses.iter().find(|found| found.kind == ResourceKind::Files && found.mode == UseMode::Exclusive).cloned()
    };
    for (session, uses) in sessions.iter().enumerate() {
        for found in *uses {
            let known = by_resource.get(&(found.kind, found.target.as_str()));
            let conflicts = known
                .is_some_and(|known| known.iter().any(|(other, used)| *other != session && !found.is_compatible(used)));
            // Every session reads the project's files.
            let affects_every_session = found.kind == ResourceKind::Files && sessions.len() > 1;
            if (conflicts || affects_every_session) && found.mode != UseMode::Private {
                locks[session].add_use(found);
            }
        }
    }
    for written in sessions.iter().filter_map(rewrites_files) {
        let reading = CommandUse { mode: UseMode::Use, command: String::new(), ..written };
        for lock in &mut locks {
            if !lock.uses.iter().any(|known| known.kind == ResourceKind::Files) {
                lock.uses.push(reading.clone());
            }
        }
    }
    locks
}

impl SessionLocks {
    fn add_use(&mut self, found: &CommandUse) {
        let name = found.resource_name();
        let origin = LockOrigin::Command { command: found.command.clone() };
        let list = match (found.until_end, found.mode) {
            (false, _) => &mut self.details.during_commands,
            (true, UseMode::Exclusive) => &mut self.names,
            (true, _) => &mut self.details.shared,
        };
        if !list.contains(&name) {
            list.push(name.clone());
        }
        if found.until_end {
            self.uses.push(found.clone());
        }
        self.details.origins.entry(name).or_insert(origin);
    }
}

/// What a session does with coverage data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CoverageRole {
    /// The data file that it writes.
    pub(super) writes: Option<String>,
    /// Whether it combines, reports or adds to data that others wrote.
    pub(super) reads: bool,
}

impl CoverageRole {
    /// Determines it from the resources that its commands shared and whether it passed then, or else from its source.
    pub(super) fn new(session: &Session, known: Option<(&[CommandUse], bool)>) -> Self {
        let by_source = Self {
            writes: session.coverage.writes.as_ref().map(|data| data.display().to_string()),
            reads: session.coverage.reads && session.coverage.writes.is_none(),
        };
        let Some((uses, passed)) = known else { return by_source };
        let data: Vec<&CommandUse> = uses.iter().filter(|found| found.kind == ResourceKind::CoverageData).collect();
        let measures = |found: &&&CommandUse| matches!(found.key.as_str(), "write" | "append");
        let takes = |found: &&CommandUse| {
            found.mode != UseMode::Private && matches!(found.key.as_str(), "combine" | "report" | "append")
        };
        let writes = data.iter().find(measures).map(|found| found.target.clone());
        let writes_itself = data.iter().any(|found| found.key == "write");
        let by_commands = Self { reads: data.iter().any(takes) && !writes_itself, writes };
        if passed || by_commands != Self::default() { by_commands } else { by_source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(kind: ResourceKind, target: &str, mode: UseMode, key: &str) -> CommandUse {
        let until_end = !matches!(kind, ResourceKind::Build | ResourceKind::Port);
        let command = format!("command of {target}");
        CommandUse { kind, target: target.to_owned(), mode, key: key.to_owned(), until_end, command }
    }

    #[test]
    fn only_incompatible_uses_become_locks() {
        let venv = |mode, key| vec![used(ResourceKind::Environment, ".venv", mode, key)];
        let same = [venv(UseMode::Sync, "a"), venv(UseMode::Sync, "a"), venv(UseMode::Use, "a")];
        let same: Vec<&[CommandUse]> = same.iter().map(Vec::as_slice).collect();
        assert!(derive_command_locks(&same).iter().all(|locks| *locks == SessionLocks::default()));
        let mixed = [venv(UseMode::Exclusive, ""), venv(UseMode::Use, ""), venv(UseMode::Use, "x"), Vec::new()];
        let mixed: Vec<&[CommandUse]> = mixed.iter().map(Vec::as_slice).collect();
        let locks = derive_command_locks(&mixed);
        assert_eq!(
            (&locks[0].names[..], &locks[1].details.shared[..]),
            (&["environment .venv".to_owned()][..], &["environment .venv".to_owned()][..])
        );
        assert_eq!(locks[0].conflict_with(&locks[1]).as_deref(), Some("environment .venv"));
        assert_eq!((locks[1].conflict_with(&locks[2]), &locks[3]), (None, &SessionLocks::default()));
        let origin = LockOrigin::Command { command: "command of .venv".to_owned() };
        assert_eq!(locks[0].details.origins["environment .venv"], origin);
    }

    #[test]
    fn a_session_that_rewrites_project_files_runs_beside_none() {
        let writes = [used(ResourceKind::Files, "pyproject.toml and uv.lock", UseMode::Exclusive, "")];
        let locks = derive_command_locks(&[&writes, &[], &[]]);
        assert!(locks[0].conflict_with(&locks[1]).is_some() && locks[1].conflict_with(&locks[2]).is_none());
        assert!(locks[1].names.is_empty() && locks[1].details.shared.is_empty());
        assert_eq!(derive_command_locks(&[&writes])[0].names.len(), 0, "nothing could run beside it");
    }

    #[test]
    fn builds_and_ports_are_locked_while_a_command_runs() {
        let build = [
            used(ResourceKind::Build, ".", UseMode::Exclusive, ""),
            used(ResourceKind::Port, "8000", UseMode::Exclusive, ""),
        ];
        let locks = derive_command_locks(&[&build, &build]);
        assert_eq!(locks[0].details.during_commands, ["build of .", "port 8000"]);
        assert!(locks[0].conflict_with(&locks[1]).is_none());
    }
}
