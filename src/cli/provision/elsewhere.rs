//! The store elsewhere as one run uses it: what a session needs is brought into the store here, what is new is sent.

use std::collections::BTreeSet;
use std::path::Path;

use super::wants::Wants;
use crate::cache::remote::{
    BringPlan, Brought, Environments, Frame, KnownPackages, Push, PushReport, Remote, Scope, Sums, View,
};
use crate::cache::store::{EntryId, Kind, StateName};
use crate::cache::{Progress, Store, UvCache, Wanted, WantedPackage, open};
use crate::fs::write_atomic;

/// A store elsewhere, and what a run did with it.
pub(super) struct Elsewhere {
    remote: Remote,
    /// What its manifests say; read when first asked for.
    view: Option<View>,
    held: Environments,
    known: Option<KnownPackages>,
    push: Push,
    /// Bytecode, environments and folders that the run had or made: those stay wanted there.
    states: BTreeSet<EntryId>,
    /// What was brought, of all sessions.
    pub(super) brought: Brought,
    /// What was sent, once the run is over.
    pub(super) pushed: Option<PushReport>,
    /// What went wrong, in sentences, each once; none of it fails the run.
    pub(super) troubles: Vec<String>,
}

impl Elsewhere {
    /// Opens what a setting names for the project at `root`; none where it names nothing.
    ///
    /// # Errors
    /// In words, why nothing elsewhere is used.
    pub(super) fn open(setting: &str, root: &Path) -> Result<Option<Self>, String> {
        let variables = |name: &str| std::env::var(name).ok();
        let sums = Sums::read(root).map_err(|error| error.to_string())?;
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let here = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        let scope = Scope::new(&platform, &here.to_string_lossy(), &variables);
        let key = variables("NOXIDE_CACHE_KEY").filter(|key| !key.is_empty());
        let backend = open(setting, &variables).map_err(|error| error.to_string())?;
        Ok(backend.map(|backend| Self {
            remote: Remote { backend, scope, key, sums },
            view: None,
            held: Environments::default(),
            known: None,
            push: Push::default(),
            states: BTreeSet::new(),
            brought: Brought::default(),
            pushed: None,
            troubles: Vec::new(),
        }))
    }

    /// What it is called.
    pub(super) fn title(&self) -> String {
        self.remote.backend.title()
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.view.as_ref().map_or(0, View::len)
    }

    /// Adds what is known of a session there, by the name of its environment, and brings what the store here lacks: its
    /// packages, their bytecode for interpreters of a tag, and these states.
    pub(super) fn bring(
        &mut self,
        environment: &str,
        wants: &mut Wants,
        (tag, states): (Option<&str>, &[StateName]),
        (store, cache): (&Store, &UvCache),
        progress: &dyn Progress,
    ) {
        let view = self.view();
        match view.held(environment) {
            Some(held) if wants.counted.is_empty() => wants.counted = held,
            Some(held) => {
                wants.narrow(&held);
                wants.beside.extend(held);
            }
            // Nobody knows what it needs: anything may be it.
            None if wants.counted.is_empty() && wants.installs => wants.beside.extend(view.everything()),
            None => {}
        }
        if wants.installs {
            wants.beside.extend(view.beside());
        }
        let wanted: Vec<WantedPackage> = wants.all().cloned().collect();
        let mut states = states.to_vec();
        states.extend(tag.into_iter().flat_map(|tag| view.bytecode(&wanted, tag)));
        let has = |id: &EntryId| store.has(id);
        let buckets = cache.layout().buckets();
        let sums = self.remote.sums.as_ref();
        let view = self.view.as_ref();
        let planned = view.map(|view| view.frames_of(&Wanted::These(wanted), &buckets, sums, &has));
        let (frames, misses) = planned.unwrap_or_default();
        for miss in &misses {
            self.trouble(format!("{} is not used: {}", miss.name, miss.reason));
        }
        self.bring_frames(frames, &states, store, progress);
    }

    /// Brings the newest of these states that the store here lacks.
    pub(super) fn bring_states(&mut self, states: &[StateName], store: &Store, progress: &dyn Progress) {
        if !states.is_empty() {
            self.view();
            self.bring_frames(Vec::new(), states, store, progress);
        }
    }

    fn bring_frames(&mut self, mut frames: Vec<Frame>, states: &[StateName], store: &Store, progress: &dyn Progress) {
        // Nothing but a wheel's tree can be in `noxide.sums`; and with it, nothing else is used.
        if let (Some(view), None) = (&self.view, &self.remote.sums) {
            frames.extend(view.newest(states, &|name| store.has_state(name)));
        }
        let plan = BringPlan::new(frames);
        if plan == BringPlan::default() {
            return;
        }
        let brought = self.remote.bring(&plan, store, progress);
        let mut told: BTreeSet<&str> = BTreeSet::new();
        let first = brought.failed.iter().filter(|failed| told.insert(&failed.reason));
        let mut troubles: Vec<String> =
            first.map(|failed| format!("{} was not brought: {}", failed.name, failed.reason)).collect();
        if let Some(more) = brought.failed.len().checked_sub(told.len()).filter(|more| *more > 0) {
            troubles.push(format!("{more} more were not brought"));
        }
        troubles.into_iter().for_each(|trouble| self.trouble(trouble));
        self.brought.add(brought);
    }

    /// What the manifests there say, read once.
    fn view(&mut self) -> &View {
        self.view.get_or_insert_with(|| {
            let mut view = self.remote.view();
            self.troubles.append(&mut view.troubles);
            view
        })
    }

    fn trouble(&mut self, trouble: String) {
        if !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    /// The run has had, or made, these states.
    pub(super) fn uses(&mut self, states: impl IntoIterator<Item = EntryId>) {
        self.states.extend(states);
    }

    /// A session is over: what its environment holds and what is new will be sent, much of it at once.
    pub(super) fn take(&mut self, environment: Option<&Path>, new: &[EntryId], store: &Store) {
        if !new.is_empty() {
            self.known = None;
        }
        let known = self.known.get_or_insert_with(|| KnownPackages::of(store));
        if let Some(environment) = environment {
            self.held.look(environment, known);
        }
        let mut wanted = self.held.entries();
        wanted.extend(new.iter().chain(self.states()).cloned());
        let wanted: Vec<EntryId> = wanted.into_iter().collect();
        if let Some(view) = &self.view {
            self.push = std::mem::take(&mut self.push).add(&self.remote, view, store, &wanted, now());
        }
    }

    /// The states that may serve another run.
    fn states(&self) -> impl Iterator<Item = &EntryId> {
        let stays = self.view.as_ref().is_none_or(|view| view.lay(&self.remote.scope).stays);
        self.states.iter().filter(move |id| stays || id.kind != Kind::Venv)
    }

    /// Sends the rest.
    pub(super) fn close(&mut self, store: &Store) {
        let Some(view) = &self.view else { return };
        let wanted: Vec<EntryId> = self.held.entries().into_iter().chain(self.states().cloned()).collect();
        let report = std::mem::take(&mut self.push).finish(&self.remote, view, store, &wanted, &self.held, now());
        self.troubles.extend(report.troubles.iter().map(|trouble| format!("not sent: {trouble}")));
        self.pushed = Some(report);
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Writes what the packages of these environments unpack to into `noxide.sums`.
pub(super) fn write_sums(root: &Path, environments: &BTreeSet<std::path::PathBuf>, store: &Store) -> Option<String> {
    let known = KnownPackages::of(store);
    let mut held = Environments::default();
    for environment in environments {
        held.look(environment, &known);
    }
    let wheels = held.entries().into_iter().filter(|id| id.kind == Kind::Wheel);
    let heads: Vec<_> = wheels.filter_map(|id| store.head(&id).ok()).collect();
    let mut sums = Sums::default();
    sums.add(&heads);
    write_atomic(&root.join("noxide.sums"), sums.text().as_bytes()).err().map(|error| error.to_string())
}
