//! Environments of sessions, taken into the store: their wheels by name, and what is their own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fs::{Linker, Stamp, blake3_hex, in_parallel, sha256_of, walk};
use crate::project::lock::normal;

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::incoming::Published;
use super::listing::{Listed, What};
use super::root::Store;
use super::save::{NotSaved, Saved};
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

    /// What people call it: its place.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// What stands in an environment now.
#[derive(Default)]
struct Seen {
    files: HashMap<String, Stamp>,
    links: BTreeMap<String, String>,
    folders: BTreeSet<String>,
    /// Folders that say what is installed, with their times.
    dists: BTreeMap<String, i64>,
    site: String,
}

impl Store {
    /// Keeps an environment as it is now; none where it is known as it is.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn save_venv(&self, kept: &KeptVenv) -> Result<Option<Saved>, NotSaved> {
        let not = |reason: String| NotSaved { name: kept.name(), reason };
        let seen = look_at(kept).map_err(not)?;
        let wheels = self.wheels_in(&seen, &kept.path);
        let (parts, own) = take_apart(kept, &seen, &wheels).map_err(not)?;
        let newest = self.newest(Kind::Venv, &kept.key);
        if newest.as_ref().is_some_and(|entry| is_same(entry, &parts, &own, &seen)) {
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

    /// The wheels of the store that an environment's metadata name and that are the very ones.
    fn wheels_in(&self, seen: &Seen, root: &Path) -> Vec<Entry> {
        let mut known: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        let ids: Vec<EntryId> =
            [Kind::Wheel, Kind::Built].into_iter().flat_map(|kind| self.of_kind(kind, "")).collect();
        for (id, head) in ids.iter().zip(in_parallel(&ids, |id| self.head(id).ok())) {
            known.entry(head.map_or_else(String::new, |head| spoken(&head.name, ' '))).or_default().push(id.clone());
        }
        let dists: Vec<&str> = seen.dists.keys().filter_map(|path| path.rsplit('/').next()).collect();
        let found = in_parallel(&dists, |dist| {
            let name = spoken(dist.trim_end_matches(".dist-info"), '-');
            let entries = known.get(&name).into_iter().flatten().filter_map(|id| self.entry(id).ok().flatten());
            // Two wheels of one version are told apart by what they say of themselves.
            let says = [format!("{dist}/METADATA"), format!("{dist}/WHEEL")];
            let mut entries = entries.filter(|entry| {
                says.iter().all(|path| {
                    let item = entry.listing.items.iter().find(|item| item.path == *path);
                    item.is_some_and(|item| is_shared(item, &format!("{}/{path}", seen.site), seen, root) == Some(true))
                })
            });
            entries.next()
        });
        found.into_iter().flatten().collect()
    }
}

/// One spelling of a name and its version: `Foo.bar 1.0` and `foo_bar-1.0`.
fn spoken(text: &str, between: char) -> String {
    let (name, version) = text.split_once(between).unwrap_or((text, ""));
    format!("{} {version}", normal(name))
}

/// What stands in an environment, if it is one that nox would take for its own and this interpreter's.
fn look_at(kept: &KeptVenv) -> Result<Seen, String> {
    let config = fs_err::read_to_string(kept.path.join("pyvenv.cfg")).map_err(|error| error.to_string())?;
    if !config.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == "uv")) {
        return Err("it was not made by uv".to_owned());
    }
    if std::fs::canonicalize(kept.path.join("bin/python")).ok().as_ref() != Some(&kept.python) {
        return Err("it was made for another interpreter".to_owned());
    }
    let mut seen = Seen::default();
    let mut filled: HashSet<PathBuf> = HashSet::new();
    for (path, stamp) in walk(&kept.path).map_err(|error| error.to_string())? {
        let text = path.to_str().ok_or("a name in it is no text")?.to_owned();
        filled.extend(path.parent().map(Path::to_path_buf));
        if stamp.is_link() {
            let target = std::fs::read_link(kept.path.join(&path)).map_err(|error| error.to_string())?;
            seen.links.insert(text, target.to_str().ok_or("a link in it is no text")?.to_owned());
        } else if stamp.is_file() {
            seen.files.insert(text, stamp);
        } else if !stamp.is_folder() {
            return Err(format!("{text} is no file"));
        } else {
            if text.ends_with("/site-packages") && text.matches('/').count() == 2 {
                seen.site.clone_from(&text);
            }
            let in_site = path.parent().is_some_and(|parent| parent.ends_with("site-packages"));
            if in_site && text.ends_with(".dist-info") {
                seen.dists.insert(text.clone(), stamp.modified);
            }
            seen.folders.insert(text);
        }
    }
    seen.folders.retain(|folder| !filled.contains(Path::new(folder)));
    if seen.site.is_empty() { Err("it has no site-packages".to_owned()) } else { Ok(seen) }
}

/// Whether a file of an environment is the file of a wheel; none where it is the very file, and written to since.
fn is_shared(item: &Listed, place: &str, seen: &Seen, root: &Path) -> Option<bool> {
    let What::File { sha256, size, executable, inode, modified, .. } = item.what else { return Some(false) };
    let Some(stamp) = seen.files.get(place) else { return Some(false) };
    let very = stamp.inode == inode;
    if very && stamp.modified == modified && stamp.size == size {
        return Some(stamp.is_executable() == executable && !stamp.is_special());
    }
    let same = stamp.size == size
        && stamp.is_executable() == executable
        && !stamp.is_special()
        && sha256_of(&root.join(place)).is_ok_and(|(found, _)| found == sha256);
    if same || !very { Some(same) } else { None }
}

/// Tells what of an environment is its wheels', and gives the paths of the rest.
fn take_apart(kept: &KeptVenv, seen: &Seen, wheels: &[Entry]) -> Result<(Parts, HashSet<String>), String> {
    let mut parts = Parts::new(&kept.path, &kept.python, &seen.site);
    let mut own: HashSet<String> = seen.files.keys().cloned().collect();
    for wheel in wheels {
        let files: Vec<(String, &Listed)> =
            wheel.listing.files().filter_map(|item| Some((installed(&seen.site, &item.path)?, item))).collect();
        let shared = in_parallel(&files, |(path, item)| is_shared(item, path, seen, &kept.path));
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
    // What a restore would refuse is not kept.
    parts.compose(&super::listing::Listing::default(), wheels).map_err(|wrong| wrong.to_string())?;
    Ok((parts, own))
}

/// Whether an environment is as it was kept: the same parts, and its own files with the same sizes and times.
fn is_same(entry: &Entry, parts: &Parts, own: &HashSet<String>, seen: &Seen) -> bool {
    let same = |item: &Listed| {
        let What::File { size, executable, modified, .. } = item.what else { return false };
        let stamp = own.get(&item.path).and_then(|path| seen.files.get(path));
        stamp.is_some_and(|stamp| (stamp.size, stamp.modified, stamp.is_executable()) == (size, modified, executable))
    };
    let files: Vec<&Listed> = entry.listing.files().filter(|item| item.path != Parts::NAME).collect();
    files.len() == own.len()
        && files.iter().all(|item| same(item))
        && Parts::of(entry).is_ok_and(|kept| blake3_hex(&kept.text()) == blake3_hex(&parts.text()))
}
