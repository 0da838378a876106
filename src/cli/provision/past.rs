//! What sessions usually take, kept with their dependencies: so a runner whose checkout is fresh starts the long ones first.

use super::provide::Provision;
use crate::cache::Silent;
use crate::cache::store::{EntryId, KeptFolder, Miss};
use crate::cli::screen::is_ci;
use crate::record::{Folder, History, Record};

impl Provision {
    /// Brings records of past runs of sessions of these names; says whether there were any. Not where people work: their
    /// checkout knows its own.
    pub(in crate::cli) fn bring_past(&mut self, folder: &Folder, names: &[&str]) -> bool {
        if self.elsewhere.is_none() && !is_ci() {
            return false;
        }
        let mut troubles = Vec::new();
        let project = self.keyed(&mut troubles).project().to_owned();
        let kept = KeptFolder::past_runs(folder.past(), &project, names);
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.bring_states(&[kept.state()], &self.store, &Silent);
        }
        let done = self.store.restore_folder(&kept, &Silent);
        self.past = Some(kept);
        self.troubles.append(&mut troubles);
        match done {
            Ok(restored) => {
                self.uses(EntryId::parse(&restored.entry).into_iter().collect());
                return true;
            }
            Err(miss) if miss.reason == Miss::NEVER => {}
            Err(miss) => self.troubles.push(format!("{}: {}", miss.name, miss.reason)),
        }
        false
    }

    /// Keeps the record of a run that took otherwise than was known. One that did not is not kept: a run that found
    /// nothing new sends nothing.
    pub(in crate::cli) fn keep_past(&mut self, folder: &Folder, history: &History, record: &Record) {
        let Some(kept) = self.past.as_ref().filter(|_| history.is_news(record)) else { return };
        let kept = match folder.remember(record) {
            Ok(()) => self.store.save_folder(kept, &Silent).map_err(|not| format!("{}: {}", not.name, not.reason)),
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(saved) => self.uses(saved.and_then(|saved| EntryId::parse(&saved.entry)).into_iter().collect()),
            Err(why) => self.troubles.push(format!("what sessions took is not kept: {why}")),
        }
    }
}
