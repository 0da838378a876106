//! What a run's sessions have fetched and made, kept: wheels, keys, environments, bytecode, folders.

use std::collections::{BTreeMap, BTreeSet};

use super::provide::Provision;
use crate::cache::keys::Held;
use crate::cache::store::{EntryId, SaveReport, StoreError};
use crate::cache::uv::Pointer;
use crate::cache::{Progress, Wanted, WantedPackage};
use crate::cli::keyed::held;
use crate::project::SessionId;
use crate::project::lock::normal;
use crate::run::SessionOver;

impl Provision {
    /// The run is over: folders that are kept whole are kept as they are now.
    pub(in crate::cli) fn keep_folders(&mut self, progress: &dyn Progress) {
        let (new, troubles) = self.folders.save(&self.store, progress);
        self.troubles.extend(troubles.into_iter().chain(self.unnamed()));
        self.uses(new);
    }

    /// Takes in what these sessions' environments hold, and keeps the keys that say so.
    pub(in crate::cli) fn save(&mut self, ids: &[SessionId], progress: &dyn Progress) {
        let mut notices = Vec::new();
        for id in ids {
            self.wants(*id, &mut notices);
        }
        self.troubles.append(&mut notices);
        let ids: Vec<SessionId> = ids.iter().copied().filter(|id| self.is_ours(*id)).collect();
        let environments = ids.iter().filter_map(|id| self.folder(*id));
        let holds: BTreeSet<String> =
            environments.flat_map(|folder| held(&folder)).map(|(name, version)| format!("{name} {version}")).collect();
        let pointers = self.uv.iter().flat_map(|uv| uv.scan().0);
        let pointers = pointers.filter(|pointer| holds.contains(&plain(&pointer.name)));
        let package = |pointer: Pointer| WantedPackage { name: pointer.name, digests: [pointer.digest].into() };
        let wanted = Wanted::These(pointers.map(package).collect());
        self.keep(&ids, &wanted, progress);
        self.keep_folders(progress);
    }

    /// Takes what is new in uv's cache into the store.
    fn take_in(&mut self, wanted: &Wanted, progress: &dyn Progress) {
        let Some(uv) = &self.uv else { return };
        let done = self.store.save(wanted, uv, progress);
        self.took(done);
    }

    /// Takes a few of the wheels that sessions have fetched so far; says whether there were any.
    pub(super) fn take_a_few(&mut self, progress: &dyn Progress) -> bool {
        let Some(uv) = &self.uv else { return false };
        let few = self.fetched.next(uv);
        if few.is_empty() {
            return false;
        }
        let done = self.store.save_found(few, uv, progress);
        self.took(done);
        true
    }

    /// Notes what was taken in, and what was not.
    fn took(&mut self, done: Result<SaveReport, StoreError>) {
        let troubles = match done {
            Ok(report) => {
                self.new.extend(report.saved.iter().filter_map(|saved| EntryId::parse(&saved.entry)));
                let not = report.not_saved.iter();
                let troubles =
                    not.map(|not| format!("the cache did not take {} in: {}", not.name, not.reason)).collect();
                self.saved.add(report);
                troubles
            }
            Err(error) => vec![format!("the cache took nothing in: {error}")],
        };
        for trouble in troubles {
            if !self.troubles.contains(&trouble) {
                self.troubles.push(trouble);
            }
        }
    }

    /// Takes what is new in uv's cache into the store, and keeps each session's key with what it holds now.
    fn keep(&mut self, sessions: &[SessionId], wanted: &Wanted, progress: &dyn Progress) {
        let due = !self.new.is_empty();
        self.take_in(wanted, progress);
        if due {
            self.saved.add_pruned(self.store.keep_bounds()); // of what was taken in while sessions ran, nobody asked
        }
        let Some(uv) = &self.uv else { return };
        let new = std::mem::take(&mut self.new);
        let mut troubles = Vec::new();
        let mut digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pointer in uv.scan().0 {
            digests.entry(plain(&pointer.name)).or_default().push(pointer.digest.to_string());
        }
        for id in sessions {
            let environment = self.folder(*id);
            if let Some(elsewhere) = &mut self.elsewhere {
                elsewhere.take(environment.as_deref(), &new, &self.store);
            }
            let Some(environment) = environment else { continue };
            let holds = held(&environment).into_iter().map(|(name, version)| {
                let sha256 = digests.get(&format!("{name} {version}")).cloned().unwrap_or_default();
                Held { name, version, sha256 }
            });
            let Some(keyed) = &self.keyed else { continue };
            if let (Some(keys), Some(session)) = (&keyed.keys, keyed.session(*id)) {
                troubles.extend(keys.keep(&session.recipe, holds.collect()).err().map(|error| error.to_string()));
            }
        }
        troubles.retain(|trouble| !self.troubles.contains(trouble));
        self.troubles.extend(troubles);
    }

    /// Keeps what sessions that are over have fetched and made.
    pub(super) fn keep_over(&mut self, over: &[SessionOver], progress: &dyn Progress) {
        let changed = |over: &&SessionOver| {
            let session = self.keyed.as_ref().and_then(|keyed| Some((keyed.keys.as_ref()?, keyed.session(over.id)?)));
            let known = session.is_some_and(|(keys, session)| keys.hit(&session.recipe).is_some());
            let installed = over.install.is_some_and(|install| install.commands > 0);
            self.is_ours(over.id) && (installed || (over.install.is_some() && !known) || self.elsewhere.is_some())
        };
        let changed: Vec<SessionId> = over.iter().filter(changed).map(|over| over.id).collect();
        if !changed.is_empty() {
            self.keep(&changed, &Wanted::All, progress);
        }
        for over in over.iter().filter(|over| changed.contains(&over.id)) {
            // A session that was killed may have been in the midst of an install.
            let (Some(install), Some(place)) = (over.install, self.folder(over.id)) else { continue };
            let kept = self.venvs.save(over.id, &place, &self.tag(over.id), install.commands > 0, &self.store);
            self.troubles.extend(kept.troubles);
            self.uses(kept.new);
        }
    }
}

/// `Foo.Bar 1.0` as environments have it: `foo-bar 1.0`.
fn plain(name: &str) -> String {
    name.split_once(' ').map_or_else(|| name.to_owned(), |(name, version)| format!("{} {version}", normal(name)))
}
