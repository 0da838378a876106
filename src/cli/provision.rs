//! Dependencies that are there before a run asks for them: restored before it, saved after it, told of each session.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::dependencies::find_uv;
use super::failure::Failure;
use super::keyed::{Keyed, held};
use super::opened::{Opened, cache_folder};
use crate::cache::keys::Held;
use crate::cache::store::RestoreReport;
use crate::cache::uv::Known;
use crate::cache::{CacheOptions, Silent, Store, Uv, UvCache, Wanted, WantedPackage};
use crate::fs::Sha256;
use crate::project::lock::{Root, normal};
use crate::project::{Manifest, Session, SessionId};
use crate::record::{CacheUse, Record};
use crate::run::{CacheMode, RunPlan};

/// How many misses a session's reason names.
const NAMED: usize = 3;

/// What a run's dependencies come from.
pub(super) struct Provision {
    keyed: Keyed,
    store: Store,
    cache: UvCache,
    missed: bool,
}

impl Provision {
    /// Restores what the sessions of a plan want and uv's cache lacks. None where there is nothing to do.
    ///
    /// # Errors
    /// Only with `--cache require`; else a cache that fails is a notice.
    pub(super) fn new(opened: &mut Opened, plan: &mut RunPlan) -> Result<Option<Self>, Failure> {
        let mode = opened.options.cache.mode;
        let installs = |id: SessionId| {
            let session = &opened.manifest.sessions[id.0];
            session.backend == "uv" && !session.installs.is_empty()
        };
        let ids: Vec<SessionId> = plan.sessions.iter().map(|session| session.id).filter(|id| installs(*id)).collect();
        if mode == CacheMode::Off || ids.is_empty() {
            return Ok(None);
        }
        let (store, cache) = match open(&opened.manifest) {
            Ok(both) => both,
            Err(why) if mode == CacheMode::Require => return Err(Failure::Cache(why)),
            Err(why) => {
                opened.notices.push(format!("the cache is not used: {why}"));
                return Ok(None);
            }
        };
        let keyed = Keyed::new(&opened.manifest, opened.options.cache.locked, &ids);
        opened.notices.extend(keyed.troubles.iter().map(|trouble| format!("cache: {trouble}")));
        let mut provision = Self { keyed, store, cache, missed: false };
        provision.restore(opened, plan);
        Ok(Some(provision))
    }

    fn restore(&mut self, opened: &mut Opened, plan: &mut RunPlan) {
        let mut wanted: BTreeMap<SessionId, Vec<WantedPackage>> = BTreeMap::new();
        for session in &self.keyed.sessions {
            wanted.insert(session.id, self.wanted(&opened.manifest, session.id));
        }
        let all: BTreeSet<WantedPackage> = wanted.values().flatten().cloned().collect();
        let report = self.store.restore(&Wanted::These(all.into_iter().collect()), &self.cache, &Silent);
        for planned in &mut plan.sessions {
            if let Some(wanted) = wanted.get(&planned.id) {
                let reason = || self.new_to_us(planned.id);
                planned.cache = Some(used(wanted, &report, reason));
            }
        }
        self.missed = !report.misses.is_empty() || wanted.values().any(Vec::is_empty);
        if !report.restored.is_empty() {
            let (count, bytes) = (report.restored.len(), crate::output::size(report.bytes));
            let packages = if count == 1 { "package" } else { "packages" };
            opened.notices.push(format!("cache: {count} {packages} restored, {bytes} in {:.1} s", report.seconds));
        }
        for damage in &report.damaged {
            opened.notices.push(format!("cache: {} is damaged and put aside: {}", damage.name, damage.wrong));
        }
    }

    /// The packages a session wants: those of the lock where it obeys it, else what its environment held last time.
    fn wanted(&self, manifest: &Manifest, id: SessionId) -> Vec<WantedPackage> {
        let session = &manifest.sessions[id.0];
        let Some(keyed) = self.keyed.sessions.iter().find(|session| session.id == id) else { return Vec::new() };
        let obeys = self.keyed.surroundings.locked || syncs(session);
        let last = self
            .keyed
            .keys
            .as_ref()
            .and_then(|keys| keys.hit(&keyed.recipe).or_else(|| keys.nearest(&keyed.recipe).map(|(kept, _)| kept)));
        if let Some(last) = last.filter(|_| !obeys) {
            return last.held.iter().filter_map(wanted_of).collect();
        }
        let (Some(lock), Some(python)) = (&self.keyed.surroundings.lock, &keyed.python) else { return Vec::new() };
        let asked = self.keyed.surroundings.asked(session, &manifest.root);
        let roots: Vec<Root> = asked.roots.into_iter().collect();
        let closure = lock.closure(&roots, &python.markers);
        match Wanted::of_closure(&closure, &python.markers.python_version) {
            Wanted::These(packages) => packages,
            Wanted::All => Vec::new(),
        }
    }

    /// Why a session's key is another one than before, in words; empty where it is not.
    fn new_to_us(&self, id: SessionId) -> String {
        let (Some(keys), Some(session)) =
            (&self.keyed.keys, self.keyed.sessions.iter().find(|session| session.id == id))
        else {
            return String::new();
        };
        if keys.hit(&session.recipe).is_some() {
            return String::new();
        }
        match keys.nearest(&session.recipe) {
            None => "never installed here".to_owned(),
            Some((_, differences)) => {
                let named = differences.iter().take(NAMED).map(|d| format!("{} {}", d.kind.as_str(), d.name));
                format!("changed: {}", listed(named.collect(), differences.len()))
            }
        }
    }

    /// What sessions are told while a cache is filled: a folder of the run that they meet in.
    pub(super) fn variable(&self, run: &Path) -> Option<(String, String)> {
        self.missed.then(|| ("NOXIDE_INSTALLS_FILL".to_owned(), run.join("fill").display().to_string()))
    }

    /// After the run: what is new goes to the store, and each session's key is kept with what it holds now.
    pub(super) fn close(&self, manifest: &Manifest, record: &Record) -> Vec<String> {
        let installed = |name: &str| {
            let found = record.sessions.iter().find(|session| session.facts.name.as_str() == name);
            found.and_then(|session| session.result.as_ref()?.install).filter(|install| install.commands > 0)
        };
        let changed: Vec<_> = self
            .keyed
            .sessions
            .iter()
            .filter(|session| {
                let known = self.keyed.keys.as_ref().is_some_and(|keys| keys.hit(&session.recipe).is_some());
                let done = installed(&session.recipe.session);
                done.is_some() || (!known && record_has(record, &session.recipe.session))
            })
            .collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let mut troubles = Vec::new();
        if let Err(error) = self.store.save(&Wanted::All, &self.cache, &Silent) {
            troubles.push(format!("the cache took nothing in: {error}"));
        }
        let mut digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pointer in self.cache.scan().0 {
            let name = pointer.name.split_once(' ').map(|(name, version)| format!("{} {version}", normal(name)));
            digests.entry(name.unwrap_or(pointer.name)).or_default().push(pointer.digest.to_string());
        }
        for session in changed {
            let Some(environment) = &manifest.sessions[session.id.0].envdir else { continue };
            let holds = held(environment).into_iter().map(|(name, version)| {
                let sha256 = digests.get(&format!("{name} {version}")).cloned().unwrap_or_default();
                Held { name, version, sha256 }
            });
            if let Some(keys) = &self.keyed.keys {
                troubles.extend(keys.keep(&session.recipe, holds.collect()).err().map(|error| error.to_string()));
            }
        }
        troubles
    }
}

fn record_has(record: &Record, name: &str) -> bool {
    let install =
        |session: &crate::record::RecordedSession| session.result.as_ref().is_some_and(|r| r.install.is_some());
    record.sessions.iter().any(|session| session.facts.name.as_str() == name && install(session))
}

/// The store and uv's cache as sessions see it; else why not, in words.
fn open(manifest: &Manifest) -> Result<(Store, UvCache), String> {
    let options = CacheOptions { dir: cache_folder().map(|folder| folder.join("store")), ..CacheOptions::default() };
    let store = Store::open(&options).map_err(|error| error.to_string())?;
    let uv = Uv::at(find_uv(manifest).ok_or_else(|| "there is no uv beside nox or on PATH".to_owned())?);
    let dir = match &manifest.uv_cache {
        Some(dir) => manifest.root.join(dir),
        None => uv.cache_dir(&manifest.root, &|name| std::env::var_os(name)).map_err(|error| error.to_string())?,
    };
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    match uv.layout(&store) {
        Known::Known(layout) => Ok((store, UvCache::new(dir, layout))),
        Known::Unknown { why } => {
            Err(format!("{} keeps its cache in a way not known here: {why}", uv.path().display()))
        }
    }
}

/// Whether a session's installs obey the lock by themselves.
fn syncs(session: &Session) -> bool {
    session
        .installs
        .iter()
        .any(|words| words.first().is_some_and(|w| w == "uv") && words.get(1).is_some_and(|w| w == "sync"))
}

fn wanted_of(held: &Held) -> Option<WantedPackage> {
    let digests: BTreeSet<Sha256> = held.sha256.iter().filter_map(|hex| Sha256::from_hex(hex)).collect();
    (!digests.is_empty()).then(|| WantedPackage { name: format!("{} {}", held.name, held.version), digests })
}

/// What a restore did for one session.
fn used(wanted: &[WantedPackage], report: &RestoreReport, reason: impl Fn() -> String) -> CacheUse {
    let names: BTreeSet<&str> = wanted.iter().map(|package| package.name.as_str()).collect();
    let misses: Vec<String> = report
        .misses
        .iter()
        .filter(|miss| names.contains(miss.name.as_str()))
        .map(|miss| format!("{} ({})", miss.name, miss.reason))
        .collect();
    let restored = report.restored.iter().filter(|restored| names.contains(restored.name.as_str()));
    let mut reasons = vec![reason()];
    if !misses.is_empty() {
        let count = misses.len();
        reasons.push(format!("not had: {}", listed(misses.iter().take(NAMED).cloned().collect(), count)));
    }
    reasons.retain(|reason| !reason.is_empty());
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    CacheUse {
        hits: count(names.len().saturating_sub(misses.len())),
        misses: count(misses.len()),
        bytes: restored.map(|restored| restored.bytes).sum(),
        ms: (report.seconds * 1_000.0) as u64,
        reason: reasons.join("; "),
    }
}

/// Some of many, and how many more there are.
fn listed(mut some: Vec<String>, all: usize) -> String {
    if all > some.len() {
        some.push(format!("{} more", all - some.len()));
    }
    some.join(", ")
}
