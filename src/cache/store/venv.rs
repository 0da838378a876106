//! Environments of sessions, taken into the store: their wheels by name, and what is their own.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fs::{Linker, Stamp, blake3_hex, in_parallel};

use super::entry::Entry;
use super::environment::{Environment, Seen};
use super::id::{EntryId, Kind};
use super::incoming::Published;
use super::listing::{Listed, What};
use super::root::Store;
use super::save::{NotSaved, Saved};
use super::state::StateName;
use super::venv_parts::{Parts, WheelPart, installed};
use super::wrong::Damage;

/// An environment that is kept: for this place, this interpreter and these facts alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptVenv {
    pub(super) path: PathBuf,
    pub(super) python: PathBuf,
    pub(super) key: String,
    pub(super) not_before: Option<Timestamp>,
}

impl KeptVenv {
    /// The environment at an absolute path, of this interpreter; `facts` is all else that decides what it holds. None
    /// where the interpreter cannot be told from others.
    pub fn new(path: &Path, python: &Path, facts: &str) -> Option<Self> {
        let python = std::fs::canonicalize(python).ok()?;
        let stamp = Stamp::of(&python).ok().filter(|_| path.is_absolute())?;
        let mut hasher = blake3::Hasher::new();
        let build = format!("{} {}", stamp.size, stamp.modified);
        let (place, program) = (path.as_os_str().as_encoded_bytes(), python.as_os_str().as_encoded_bytes());
        for part in [place, program, build.as_bytes(), facts.as_bytes()] {
            // With its length, so that no two texts run together.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let key = hasher.finalize().to_hex()[..32].to_owned();
        Some(Self { path: path.to_path_buf(), python, key, not_before: None })
    }

    /// The same, of use only where it was taken in at that time or later.
    #[must_use]
    pub fn not_before(self, time: Option<Timestamp>) -> Self {
        Self { not_before: time, ..self }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called in the store.
    pub fn state(&self) -> StateName {
        StateName::new(Kind::Venv, &self.key)
    }

    /// What people call it: its place.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Store {
    /// Keeps an environment as it is now; none where it is known as it is.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn save_venv(&self, kept: &KeptVenv) -> Result<Option<Saved>, NotSaved> {
        let not = |reason: String| NotSaved { name: kept.name(), reason };
        let environment = is_its(kept).and_then(|()| self.look(&kept.path)).map_err(not)?;
        self.save_looked(kept, &environment, &HashSet::new())
    }

    /// The same of an environment that was looked at, without its files at these places.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn save_looked(
        &self,
        kept: &KeptVenv,
        environment: &Environment,
        without: &HashSet<String>,
    ) -> Result<Option<Saved>, NotSaved> {
        let not = |reason: String| NotSaved { name: kept.name(), reason };
        is_its(kept).map_err(not)?;
        let (parts, own) = take_apart(kept, environment, without).map_err(not)?;
        let newest = self.newest(Kind::Venv, &kept.key);
        if newest.as_ref().is_some_and(|entry| is_same(entry, &parts, &own, &environment.seen)) {
            newest.iter().for_each(|entry| self.touch(&entry.id));
            return Ok(None);
        }
        let saved = self.take_venv(kept, &parts, &own).map_err(not)?;
        drop(newest);
        self.drop_others(Kind::Venv, &kept.key, &saved.entry);
        self.keep_bounds();
        Ok(Some(saved))
    }

    fn take_venv(&self, kept: &KeptVenv, parts: &Parts, own: &HashSet<String>) -> Result<Saved, String> {
        let words = |damage: &Damage| format!("{}: {}", damage.path, damage.wrong);
        let id = EntryId::of_state(Kind::Venv, &kept.key).ok_or("its name is none")?;
        let mut incoming = self.incoming(&id, &kept.name()).map_err(|error| error.to_string())?;
        let folders: HashSet<&Path> = own.iter().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        let wanted = |path: &Path| folders.contains(path) || path.to_str().is_some_and(|path| own.contains(path));
        // Its own files may be written to, by the environment's owner and by installers: they share nothing.
        incoming.adopt_some(&kept.path, &Linker::separate(), &wanted).map_err(|damage| words(&damage))?;
        let text = parts.text();
        let made = incoming.file(Parts::NAME, false, text.len() as u64, &mut text.as_slice());
        made.map_err(|damage| words(&damage))?;
        incoming.requires(parts.wheels.iter().map(|wheel| wheel.entry.clone()).collect());
        match incoming.publish(None) {
            Ok(Published::New(head)) => {
                Ok(Saved { entry: id.to_string(), name: head.name, files: head.files, bytes: head.bytes })
            }
            Ok(Published::AlreadyThere) => Err("another process kept it".to_owned()),
            Err(damaged) => Err(damaged.first().map(words).unwrap_or_default()),
        }
    }
}

/// Whether an environment is one that nox would take for its own and this interpreter's; else why not.
fn is_its(kept: &KeptVenv) -> Result<(), String> {
    let config = fs_err::read_to_string(kept.path.join("pyvenv.cfg")).map_err(|error| error.to_string())?;
    if !config.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == "uv")) {
        return Err("it was not made by uv".to_owned());
    }
    if std::fs::canonicalize(kept.path.join("bin/python")).ok().as_ref() != Some(&kept.python) {
        return Err("it was made for another interpreter".to_owned());
    }
    Ok(())
}

/// Tells what of an environment is its wheels', and gives the paths of the rest.
fn take_apart(
    kept: &KeptVenv,
    environment: &Environment,
    without: &HashSet<String>,
) -> Result<(Parts, HashSet<String>), String> {
    let (seen, wheels) = (&environment.seen, &environment.wheels);
    let mut parts = Parts::new(&kept.path, &kept.python, &seen.site);
    let mut own: HashSet<String> = seen.files.keys().filter(|path| !without.contains(*path)).cloned().collect();
    for wheel in wheels {
        let files: Vec<(String, &Listed)> =
            wheel.listing.files().filter_map(|item| Some((installed(&seen.site, &item.path)?, item))).collect();
        let shared = in_parallel(&files, |(path, item)| environment.is_shared(item, path));
        let mut except = BTreeSet::new();
        for ((path, _), shared) in files.into_iter().zip(shared) {
            // Of two wheels that have a file at one place the first gives it.
            if !shared.ok_or_else(|| format!("{path} was written to, and it is a file of the store too"))?
                || !own.remove(&path)
            {
                except.insert(path);
            }
        }
        parts.wheels.push(WheelPart { entry: wheel.id.to_string(), except });
    }
    parts.links.clone_from(&seen.links);
    parts.folders.clone_from(&seen.folders);
    parts.times.clone_from(&seen.dists);
    // Its own files come back with their times: installers and Python go by them.
    let timed = own.iter().filter_map(|path| Some((path.clone(), seen.files.get(path)?.modified)));
    parts.times.extend(timed);
    // What a restore would refuse is not kept.
    parts.compose(&super::listing::Listing::default(), wheels).map_err(|wrong| wrong.to_string())?;
    Ok((parts, own))
}

/// Whether an environment is as it was kept: the same parts, among them the times of its own files, and those of the
/// same sizes.
fn is_same(entry: &Entry, parts: &Parts, own: &HashSet<String>, seen: &Seen) -> bool {
    let same = |item: &Listed| {
        let What::File { size, executable, .. } = item.what else { return false };
        let stamp = own.get(&item.path).and_then(|path| seen.files.get(path));
        stamp.is_some_and(|stamp| (stamp.size, stamp.is_executable()) == (size, executable))
    };
    let files: Vec<&Listed> = entry.listing.files().filter(|item| item.path != Parts::NAME).collect();
    files.len() == own.len()
        && files.iter().all(|item| same(item))
        && Parts::of(entry).is_ok_and(|kept| blake3_hex(&kept.text()) == blake3_hex(&parts.text()))
}
