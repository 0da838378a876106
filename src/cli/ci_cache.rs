//! The cache around a run of `noxide ci`: what is brought before, what is kept and sent after.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cache::remote::{BringPlan, Brought, Environments, PushReport, Remote, Scope, Sums, View};
use crate::cache::store::{EntryId, Kind, RestoreReport};
use crate::cache::uv::Known;
use crate::cache::{CacheOptions, Silent, Store, Uv, UvCache, Wanted, open};
use crate::fs::write_atomic;

/// The store, the uv cache that sessions use, and the store elsewhere.
pub(super) struct CiCache {
    store: Store,
    cache: UvCache,
    root: PathBuf,
    elsewhere: Option<(Remote, View)>,
    brought: Brought,
    restored: Option<RestoreReport>,
    pushed: Option<PushReport>,
    saved: usize,
    /// What went wrong, in sentences; none of it fails the run.
    troubles: Vec<String>,
}

impl CiCache {
    /// Opens what a setting names for the project at `root`.
    ///
    /// # Errors
    /// In words, why there is no cache for this run.
    pub(super) fn open(setting: &str, root: &Path) -> Result<Self, String> {
        let variables = |name: &str| std::env::var(name).ok();
        let os = |name: &str| std::env::var_os(name);
        let dir = os("NOXIDE_CACHE_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let dir = dir.or_else(|| CacheOptions::default_dir(&os));
        let store = Store::open(&CacheOptions { dir, ..CacheOptions::default() }).map_err(|error| error.to_string())?;
        let uv = Uv::find(std::env::var_os("PATH")).map_err(|error| error.to_string())?;
        let dir = uv.cache_dir(root, &os).map_err(|error| error.to_string())?;
        let cache = match uv.layout(&store) {
            Known::Known(layout) => UvCache::new(dir, layout),
            Known::Unknown { why } => return Err(format!("this uv keeps its cache in a way not known here: {why}")),
        };
        let mut troubles = Vec::new();
        let sums = Sums::read(root).map_err(|error| error.to_string())?;
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let here = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let scope = Scope::new(&platform, &here.to_string_lossy(), &variables);
        let key = variables("NOXIDE_CACHE_KEY").filter(|key| !key.is_empty());
        let backend = open(setting, &variables).map_err(|error| error.to_string())?;
        let elsewhere = backend.map(|backend| {
            let remote = Remote { backend, scope, key, sums };
            let mut view = remote.view();
            troubles.append(&mut view.troubles);
            (remote, view)
        });
        let root = root.to_path_buf();
        let brought = Brought::default();
        Ok(Self { store, cache, root, elsewhere, brought, restored: None, pushed: None, saved: 0, troubles })
    }

    /// What sessions must see so that they use the cache that is filled.
    pub(super) fn env(&self) -> Vec<(OsString, OsString)> {
        vec![("UV_CACHE_DIR".into(), self.cache.dir().into())]
    }

    /// Brings what these sessions need, and puts it where uv finds it.
    pub(super) fn before(&mut self, sessions: &[String]) {
        let mut wanted = match fs_err::read_to_string(self.root.join("uv.lock")) {
            Ok(lock) => Wanted::of_lock(&lock),
            Err(_) => Wanted::These(Vec::new()),
        };
        if let Some((remote, view)) = &self.elsewhere {
            let needed = view.wanted_by(sessions);
            let has = |id: &EntryId| self.store.has(id);
            let buckets = self.cache.layout().buckets();
            let (plan, misses) = view.plan(&needed, &buckets, remote.sums.as_ref(), &has);
            self.troubles.extend(misses.iter().map(|miss| format!("{} is not used: {}", miss.name, miss.reason)));
            if plan != BringPlan::default() {
                self.brought = remote.bring(&plan, &self.store, &Silent);
                let failed = &self.brought.failed;
                let mut told: BTreeSet<&str> = BTreeSet::new();
                for failed in failed.iter().filter(|failed| told.insert(&failed.reason)) {
                    self.troubles.push(format!("{} was not brought: {}", failed.name, failed.reason));
                }
                if let Some(more) = failed.len().checked_sub(told.len()).filter(|more| *more > 0) {
                    self.troubles.push(format!("{more} more were not brought"));
                }
            }
            wanted = together(wanted, needed);
        }
        let report = self.store.restore(&wanted, &self.cache, &Silent);
        self.troubles.extend(report.damaged.iter().map(|damage| format!("{}: {}", damage.name, damage.wrong)));
        self.restored = Some(report);
    }

    /// Keeps what the sessions fetched, and sends what is new, whether they passed or not.
    pub(super) fn after(&mut self) {
        match self.store.save(&Wanted::All, &self.cache, &Silent) {
            Ok(report) => {
                self.saved = report.saved.len();
                let held = Environments::look(&self.root.join(".nox"), &self.store);
                let mut wanted = held.entries();
                wanted.extend(report.saved.iter().filter_map(|saved| EntryId::parse(&saved.entry)));
                if let Some((remote, view)) = &self.elsewhere {
                    let wanted: Vec<EntryId> = wanted.into_iter().collect();
                    let now = jiff::Timestamp::now().as_second();
                    let report = remote.push(view, &self.store, &wanted, &held, now);
                    self.troubles.extend(report.troubles.iter().map(|trouble| format!("not sent: {trouble}")));
                    self.pushed = Some(report);
                }
            }
            Err(error) => self.troubles.push(format!("not kept: {error}")),
        }
    }

    /// What was done, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let brought = &self.brought;
        if let Some((remote, view)) = &self.elsewhere {
            lines.push(format!(
                "brought {} of {} packages, {} in {:.1} s, from {}",
                brought.entries.len(),
                view.len(),
                megabytes(brought.bytes),
                brought.seconds,
                remote.backend.title(),
            ));
        }
        if let Some(report) = &self.restored {
            let (new, here) = (report.restored.len(), report.here.len());
            lines.push(format!("put {new} packages into uv's cache, {here} were there"));
        }
        match &self.pushed {
            Some(report) if report.bytes > 0 => {
                let why =
                    report.rewrite.as_ref().map(|why| format!(" (packs written anew: {why})")).unwrap_or_default();
                let count = report.entries.len();
                lines.push(format!(
                    "sent {count} packages, {} in {:.1} s{why}",
                    megabytes(report.bytes),
                    report.seconds
                ));
            }
            Some(_) => lines.push("sent nothing: nothing is new".to_owned()),
            None if self.saved > 0 => lines.push(format!("kept {} new packages here", self.saved)),
            None => {}
        }
        lines.extend(self.troubles.iter().map(|trouble| format!("warning: {trouble}")));
        lines
    }

    /// What was done, for programs.
    pub(super) fn document(&self) -> Value {
        json!({
            "version": 1,
            "from": self.elsewhere.as_ref().map(|(remote, _)| remote.backend.title()),
            "brought": self.brought,
            "restored": self.restored,
            "saved": self.saved,
            "pushed": self.pushed,
            "troubles": self.troubles,
        })
    }

    /// Writes what the packages of all environments unpack to into `noxide.sums`.
    pub(super) fn write_sums(&mut self) {
        let held = Environments::look(&self.root.join(".nox"), &self.store);
        let heads: Vec<_> = held
            .entries()
            .iter()
            .filter(|id| id.kind == Kind::Wheel)
            .filter_map(|id| self.store.head(id).ok())
            .collect();
        let mut sums = Sums::default();
        sums.add(&heads);
        let written = write_atomic(&self.root.join("noxide.sums"), sums.text().as_bytes());
        self.troubles.extend(written.err().map(|error| error.to_string()));
    }
}

fn together(one: Wanted, other: Wanted) -> Wanted {
    match (one, other) {
        (Wanted::These(mut one), Wanted::These(other)) => {
            one.extend(other);
            Wanted::These(one)
        }
        _ => Wanted::All,
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
