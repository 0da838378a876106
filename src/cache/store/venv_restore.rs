//! An environment put back to its place: its wheels' files by links, its own as copies, all of it at once.

use std::io;
use std::path::Path;

use crate::cache::progress::{Amount, Phase, Progress};
use crate::fs::{Linker, Stamp, Workspace, in_parallel};

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::listing::{Listed, What};
use super::restore::{Restored, look};
use super::restore_plan::Miss;
use super::root::Store;
use super::venv::KeptVenv;
use super::venv_parts::{Parts, Placed, Source};
use super::wrong::Wrong;

/// So many things are put down by one thread before it takes the next.
const CHUNK: usize = 512;

/// Why an environment cannot be had: a sentence, and the entry at fault where one is damaged.
struct Refusal(String, Option<EntryId>);

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self(error.to_string(), None)
    }
}

impl Store {
    /// Puts an environment to its place, where nothing may be yet; all of it or nothing.
    ///
    /// # Errors
    /// Why it cannot be had. What is damaged is put aside.
    pub fn restore_venv(&self, kept: &KeptVenv, progress: &dyn Progress) -> Result<Restored, Miss> {
        let miss = |reason: String| Miss { name: kept.name(), reason };
        if Stamp::of(&kept.path).is_ok() {
            return Err(miss("there is one already".to_owned()));
        }
        let Some(entry) = self.newest(Kind::Venv, &kept.key) else { return Err(miss(Miss::NEVER.to_owned())) };
        // One that was brought from elsewhere was taken in here later than it was made: its name says when.
        let made = entry.id.state().map(|(_, time)| time);
        if kept.not_before.is_some_and(|time| made.is_none_or(|made| made < time.as_nanosecond())) {
            return Err(miss("it was made longer ago than max-age".to_owned()));
        }
        let done = self.put_venv(&entry, kept, progress);
        done.map_err(|Refusal(reason, damaged)| match damaged {
            Some(id) => {
                self.put_aside(&id);
                miss(format!("damaged, put aside: {reason}"))
            }
            None => miss(reason),
        })
    }

    fn put_venv(&self, entry: &Entry, kept: &KeptVenv, progress: &dyn Progress) -> Result<Restored, Refusal> {
        let damaged = |wrong: Wrong| Refusal(format!("{}: {wrong}", Parts::NAME), Some(entry.id.clone()));
        let parts = Parts::of(entry).map_err(damaged)?;
        if Path::new(&parts.path) != kept.path || Path::new(&parts.python) != kept.python {
            return Err(damaged(Wrong::Facts("it is of another place or interpreter".to_owned())));
        }
        let wheels = self.wheels_of(&parts).map_err(|(name, damage)| Refusal(name, damage))?;
        let placed = parts.compose(&entry.listing, &wheels).map_err(damaged)?;
        let parent = kept.path.parent().unwrap_or(&kept.path);
        fs_err::create_dir_all(parent)?;
        Workspace::clear(parent);
        let workspace = Workspace::new(parent)?;
        let new = workspace.path().join("new");
        let total: Amount = placed.iter().map(amount).sum();
        progress.begin(Phase::Restore, Amount { entries: 1, ..total });
        let put = put_all(&placed, &Trees { own: entry, wheels: &wheels }, &new, progress);
        progress.advance(Amount { entries: 1, ..Amount::default() });
        progress.end();
        put?;
        for (path, time) in &parts.times {
            set_time(&new.join(path), *time)?;
        }
        std::fs::rename(&new, &kept.path)?;
        for used in wheels.iter().chain([entry]) {
            self.touch(&used.id);
        }
        let (id, name) = (entry.id.to_string(), entry.head.name.clone());
        Ok(Restored { entry: id, name, files: total.files, bytes: total.bytes })
    }

    /// What is wrong with what an environment is said to be made of; a wheel that is not here is no fault.
    pub(super) fn parts_faults(&self, entry: &Entry) -> Option<(String, Wrong)> {
        let composed = Parts::of(entry).and_then(|parts| match self.wheels_of(&parts) {
            Ok(wheels) => parts.compose(&entry.listing, &wheels).map(drop),
            Err(_) => Ok(()),
        });
        composed.err().map(|wrong| (Parts::NAME.to_owned(), wrong))
    }

    /// The wheels of an environment, held; else which is missing, and which entry is damaged.
    fn wheels_of(&self, parts: &Parts) -> Result<Vec<Entry>, (String, Option<EntryId>)> {
        let mut wheels = Vec::new();
        for part in &parts.wheels {
            let named = EntryId::parse(&part.entry);
            let Some(id) = named.filter(|id| id.kind.has_record()) else {
                return Err((format!("{} is no wheel", part.entry), None));
            };
            match self.entry(&id) {
                Ok(Some(wheel)) => wheels.push(wheel),
                Ok(None) => return Err((format!("{id}, which is in it, is not in the store"), None)),
                Err(wrong) => return Err((format!("{id}: {wrong}"), Some(id))),
            }
        }
        Ok(wheels)
    }
}

/// What an environment is put together from.
struct Trees<'a> {
    own: &'a Entry,
    wheels: &'a [Entry],
}

fn amount(placed: &Placed<'_>) -> Amount {
    match &placed.source {
        Source::Own(item) | Source::Wheel(_, item) => match item.what {
            What::File { size, .. } => Amount { entries: 0, files: 1, bytes: size },
            _ => Amount::default(),
        },
        Source::Link(_) | Source::Folder => Amount::default(),
    }
}

fn put_all(placed: &[Placed<'_>], trees: &Trees<'_>, new: &Path, progress: &dyn Progress) -> Result<(), Refusal> {
    std::fs::create_dir(new)?;
    let mut last: Option<&Path> = None;
    for thing in placed {
        let path = Path::new(&thing.path);
        let folder = if thing.source == Source::Folder { Some(path) } else { path.parent() };
        let Some(folder) = folder.filter(|folder| Some(*folder) != last) else { continue };
        last = Some(folder);
        if std::fs::create_dir(new.join(folder)).is_err() {
            std::fs::create_dir_all(new.join(folder))?;
        }
    }
    let linkers = (Linker::separate(), Linker::new());
    let chunks: Vec<&[Placed<'_>]> = placed.chunks(CHUNK).collect();
    let put = in_parallel(&chunks, |chunk| {
        let done = chunk.iter().try_for_each(|thing| put_one(thing, trees, new, &linkers));
        progress.advance(chunk.iter().map(amount).sum());
        done
    });
    put.into_iter().collect()
}

fn put_one(thing: &Placed<'_>, trees: &Trees<'_>, new: &Path, linkers: &(Linker, Linker)) -> Result<(), Refusal> {
    let to = new.join(&thing.path);
    let put = |entry: &Entry, item: &Listed, linker: &Linker| {
        let from = entry.tree().join(&item.path);
        let done = look(item, &from, linker).and_then(|()| Ok(linker.put(&from, &to)?));
        done.map_err(|wrong| {
            let damaged = (!wrong.is_of_the_system()).then(|| entry.id.clone());
            Refusal(format!("{}: {wrong}", thing.path), damaged)
        })
    };
    match &thing.source {
        Source::Own(item) => put(trees.own, item, &linkers.0),
        Source::Wheel(number, item) => put(&trees.wheels[*number], item, &linkers.1),
        Source::Link(target) => Ok(std::os::unix::fs::symlink(target, &to)?),
        Source::Folder => Ok(()),
    }
}

fn set_time(path: &Path, nanoseconds: i64) -> io::Result<()> {
    let since = std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH + since);
    std::fs::File::open(path)?.set_times(times)
}
