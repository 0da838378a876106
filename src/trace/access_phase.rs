//! Phase of an access: what a session was doing when it made it, as noxide's host marks it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Directory that does not exist; the host looks up a path in it when the phase of its session changes.
const MARK_DIRECTORY: &str = "/proc/self/noxide-phase";

/// What a session was doing when it accessed a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessPhase {
    /// Its work, and all that is not known to belong to another phase.
    #[default]
    Run,
    /// An install: the processes of one that noxide's host runs.
    Install,
    /// Reading of noxide's host itself, such as digests of what an install depends on.
    Host,
}

/// Set of phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PhaseSet(u8);

impl AccessPhase {
    const ALL: [Self; 3] = [Self::Run, Self::Install, Self::Host];

    /// Returns the phase that begins when the host looks up this path; `None` for any other path.
    pub(super) fn from_mark(path: &Path) -> Option<Self> {
        // This runs for every call: compare bytes, not components.
        let name = path.as_os_str().as_bytes().strip_prefix(MARK_DIRECTORY.as_bytes())?;
        match name {
            b"/run" => Some(Self::Run),
            b"/install" => Some(Self::Install),
            b"/host" => Some(Self::Host),
            _ => None,
        }
    }
}

impl PhaseSet {
    /// Adds a phase.
    pub(super) fn insert(&mut self, phase: AccessPhase) {
        self.0 |= 1 << phase as u8;
    }

    /// Returns the phases, or `None` if there is only that of the session's work.
    pub(super) fn beside_run(self) -> Option<BTreeSet<AccessPhase>> {
        let contains = |phase: &AccessPhase| self.0 & (1 << *phase as u8) != 0;
        let phases: BTreeSet<AccessPhase> = AccessPhase::ALL.into_iter().filter(contains).collect();
        phases.iter().any(|phase| *phase != AccessPhase::Run).then_some(phases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_paths_below_one_directory() {
        for (path, phase) in [
            ("/proc/self/noxide-phase/run", Some(AccessPhase::Run)),
            ("/proc/self/noxide-phase/install", Some(AccessPhase::Install)),
            ("/proc/self/noxide-phase/host", Some(AccessPhase::Host)),
            ("/proc/self/noxide-phase/other", None),
            ("/proc/self/noxide-phase", None),
            ("/proc/self/maps", None),
        ] {
            assert_eq!(AccessPhase::from_mark(Path::new(path)), phase, "{path}");
        }
        let mut phases = PhaseSet::default();
        phases.insert(AccessPhase::Run);
        assert_eq!(phases.beside_run(), None);
        phases.insert(AccessPhase::Install);
        assert_eq!(phases.beside_run(), Some([AccessPhase::Run, AccessPhase::Install].into()));
    }
}
