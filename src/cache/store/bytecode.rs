//! Bytecode of wheels' modules, as environments came to have it: kept once for each wheel and kind of interpreter.

use std::collections::HashSet;

use serde::Serialize;

use crate::fs::{Linker, Sha256, in_parallel};

use super::bytecode_form::{places, unchecked};
use super::entry::Entry;
use super::environment::Environment;
use super::id::{EntryId, Kind};
use super::incoming::Published;
use super::listing::{Listed, What};
use super::root::Store;
use super::save::{NotSaved, Saved};
use super::state::StateName;
use super::venv_parts::installed;

/// Where the bytecode of a wheel lies, for whoever puts it beside sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptBytecode {
    /// The wheel's own files.
    pub wheel: String,
    /// The bytecode.
    pub bytecode: String,
    /// Each module: its source's place in the wheel, and in an environment's `site-packages`; the SHA-256 of its source;
    /// the places of its bytecode, in the tree of bytecode as in `site-packages`.
    pub modules: Vec<(String, String, String, Vec<String>)>,
}

impl StateName {
    /// The bytecode of a wheel whose tree has this digest, for interpreters of this tag (`cpython-311`).
    pub fn bytecode(tree: &str, tag: &str) -> Self {
        Self::new(Kind::Bytecode, &key(tree, tag))
    }
}

fn key(tree: &str, tag: &str) -> String {
    format!("{tree}.{tag}")
}

impl Store {
    /// Keeps the bytecode of an environment's wheels that is not yet kept, for interpreters of this tag.
    pub fn save_bytecode(&self, environment: &Environment, tag: &str) -> Vec<Result<Saved, NotSaved>> {
        let saved = in_parallel(&environment.wheels, |wheel| self.save_of_wheel(environment, wheel, tag));
        saved.into_iter().filter_map(Result::transpose).collect()
    }

    /// Places in an environment of bytecode that is kept, from its root on.
    pub fn bytecode_in(&self, environment: &Environment, tag: &str) -> HashSet<String> {
        let site = &environment.seen.site;
        let known = environment.wheels.iter().filter_map(|wheel| self.bytecode(wheel, tag));
        let paths = known.flat_map(|entry| entry.listing.items).map(|item| format!("{site}/{}", item.path));
        paths.filter(|path| environment.seen.files.contains_key(path)).collect()
    }

    /// The bytecode of the wheels of a digest: of the wheel itself, or of all that were built from an archive.
    pub fn kept_bytecode(&self, digest: Sha256, tag: &str) -> Vec<(EntryId, KeptBytecode)> {
        let built = self.of_kind(Kind::Built, &format!("{digest}."));
        let wheels = [EntryId::wheel(digest)].into_iter().chain(built);
        wheels.filter_map(|wheel| self.bytecode_of_wheel(&wheel, tag)).collect()
    }

    fn bytecode_of_wheel(&self, wheel: &EntryId, tag: &str) -> Option<(EntryId, KeptBytecode)> {
        let wheel = self.entry(wheel).ok().flatten()?;
        let entry = self.bytecode(&wheel, tag)?;
        let kept: HashSet<&str> = entry.listing.items.iter().map(|item| item.path.as_str()).collect();
        let modules = modules(&wheel, tag).filter_map(|module| {
            let there: Vec<String> = module.bytecode.into_iter().filter(|path| kept.contains(path.as_str())).collect();
            (!there.is_empty()).then(|| (module.item.path.clone(), module.place, module.sha256.to_string(), there))
        });
        let modules = modules.collect();
        self.touch(&entry.id);
        let text = |entry: &Entry| entry.tree().display().to_string();
        Some((entry.id.clone(), KeptBytecode { wheel: text(&wheel), bytecode: text(&entry), modules }))
    }

    fn bytecode(&self, wheel: &Entry, tag: &str) -> Option<Entry> {
        self.newest(Kind::Bytecode, &key(&wheel.head.tree, tag))
    }

    /// Keeps what an environment has of a wheel's bytecode and the store has not; none where that is nothing.
    fn save_of_wheel(&self, environment: &Environment, wheel: &Entry, tag: &str) -> Result<Option<Saved>, NotSaved> {
        let name = format!("bytecode of {}", wheel.head.name);
        let not = |reason: String| NotSaved { name: name.clone(), reason };
        let known = self.bytecode(wheel, tag);
        let have: HashSet<&str> =
            known.iter().flat_map(|entry| &entry.listing.items).map(|item| item.path.as_str()).collect();
        let new = new_bytecode(environment, wheel, tag, &have);
        if new.is_empty() {
            return Ok(None);
        }
        let key = key(&wheel.head.tree, tag);
        let id = EntryId::of_state(Kind::Bytecode, &key).ok_or_else(|| not("its name is none".to_owned()))?;
        let mut incoming = self.incoming(&id, &name).map_err(|error| not(error.to_string()))?;
        let damaged = |damage: super::wrong::Damage| not(format!("{}: {}", damage.path, damage.wrong));
        if let Some(known) = &known {
            incoming.adopt(&known.tree(), &Linker::new()).map_err(damaged)?;
        }
        for (path, bytes) in new {
            incoming.file(&path, false, bytes.len() as u64, &mut bytes.as_slice()).map_err(damaged)?;
        }
        let published = incoming.publish(None).map_err(|mut found| not(found.remove(0).wrong.to_string()))?;
        drop(known);
        self.drop_others(Kind::Bytecode, &key, &id.to_string());
        Ok(match published {
            Published::New(head) => {
                Some(Saved { entry: id.to_string(), name: head.name, files: head.files, bytes: head.bytes })
            }
            Published::AlreadyThere => None,
        })
    }
}

/// A module of a wheel.
struct Module<'a> {
    /// In the wheel's tree.
    item: &'a Listed,
    /// In `site-packages`.
    place: String,
    sha256: Sha256,
    size: u64,
    /// Where its bytecode may lie, in `site-packages`.
    bytecode: [String; 3],
}

fn modules<'a>(wheel: &'a Entry, tag: &'a str) -> impl Iterator<Item = Module<'a>> {
    wheel.listing.items.iter().filter_map(move |item| {
        let What::File { sha256, size, .. } = item.what else { return None };
        let place = installed("site", &item.path)?.strip_prefix("site/")?.to_owned();
        let bytecode = places(&place, tag)?;
        Some(Module { item, place, sha256, size, bytecode })
    })
}

/// Bytecode that an environment has beside sources of a wheel, written there by Python, in the form that is kept.
fn new_bytecode(environment: &Environment, wheel: &Entry, tag: &str, have: &HashSet<&str>) -> Vec<(String, Vec<u8>)> {
    let (seen, root) = (&environment.seen, &environment.root);
    let listed: HashSet<&str> = wheel.listing.items.iter().map(|item| item.path.as_str()).collect();
    // What was compiled before this install is of a source that went, though size and second may be the same.
    let info = wheel.listing.items.iter().find_map(|item| item.path.strip_suffix(".dist-info/RECORD"));
    let since = info.and_then(|info| seen.dists.get(&format!("{}/{info}.dist-info", seen.site)));
    let Some(since) = since else { return Vec::new() };
    let mut new = Vec::new();
    for module in modules(wheel, tag) {
        let place = format!("{}/{}", seen.site, module.place);
        let written =
            module.bytecode.into_iter().filter(|path| !have.contains(path.as_str()) && !listed.contains(path.as_str()));
        let fresh = |path: &String| {
            seen.files.get(&format!("{}/{path}", seen.site)).is_some_and(|stamp| stamp.modified >= *since)
        };
        let written: Vec<String> = written.filter(fresh).collect();
        let (Some(stamp), false) = (seen.files.get(&place), written.is_empty()) else { continue };
        if environment.is_shared(module.item, &place) != Some(true) {
            continue;
        }
        let time = stamp.modified.div_euclid(1_000_000_000);
        for path in written {
            let bytes = std::fs::read(root.join(&seen.site).join(&path)).unwrap_or_default();
            new.extend(unchecked(&bytes, time, module.size).map(|bytes| (path, bytes)));
        }
    }
    new
}
