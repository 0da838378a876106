//! Graph of the selected sessions: which sessions each one waits for, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::options::{RunOptions, SessionOptions, pattern_matches};
use super::session_locks::{CoverageRole, SessionLocks, derive_command_locks};
use crate::project::{CommandUse, ManifestIndex, NoxfileManifest, Session, SessionName};
use crate::record::{LockOrigin, NeedOrigin, SessionHistory, SessionNeed};
use crate::trace::{LearnedConflict, SeparationKind};

/// Index of a session in the graph, in the plan made from it and in the scheduler: all list sessions in one order.
///
/// A [`ManifestIndex`] is an index into the manifest, which also lists sessions that are not selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanIndex(pub usize);

impl fmt::Display for PlanIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One session of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphNode {
    /// The session's index in its manifest.
    pub id: ManifestIndex,
    /// Its options, all matching overrides applied.
    pub options: SessionOptions,
    /// The sessions it waits for, and why.
    pub needs: Vec<(PlanIndex, NeedOrigin)>,
    /// Named locks: those of settings, and those derived from resources that sessions share.
    pub locks: SessionLocks,
}

/// The selected sessions in nox's order, with their needs. It has no cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionGraph {
    /// The sessions, by [`PlanIndex`].
    pub nodes: Vec<GraphNode>,
}

/// Reasons why sessions form no graph.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// Sessions wait for one another in a cycle; its steps, in order.
    #[error("sessions wait for one another in a cycle: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Cycle(Vec<CycleStep>),
}

/// One step of a cycle: this session waits for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStep {
    /// The session that waits.
    pub(crate) session: SessionName,
    /// The session it waits for, and why.
    pub(crate) need: SessionNeed,
}

impl fmt::Display for CycleStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match &self.need.origin {
            NeedOrigin::Requires => "requires in the noxfile".to_owned(),
            NeedOrigin::Notify => "notify".to_owned(),
            NeedOrigin::Coverage { data_file } => format!("coverage data {data_file}"),
            NeedOrigin::SharedVariable { name } => format!("shared variable {name}"),
            NeedOrigin::Settings { location } => format!("after at {location}"),
            NeedOrigin::Trace { path } => format!("trace: {path}"),
        };
        write!(f, "{} waits for {} ({reason})", self.session, self.need.session)
    }
}

impl SessionGraph {
    /// Builds the graph of the sessions that a manifest selects.
    ///
    /// Declared needs (`requires`, settings) are added first and must be acyclic. Derived needs (coverage data,
    /// shared variables, `notify`) are added only if they do not close a cycle: declared needs take precedence.
    ///
    /// # Errors
    /// When declared needs form a cycle; the error names it.
    pub fn new(manifest: &NoxfileManifest, options: &RunOptions, history: &SessionHistory) -> Result<Self, GraphError> {
        let session = |id: ManifestIndex| &manifest.sessions[id.0];
        let nodes = manifest.queue.iter().map(|&id| GraphNode {
            id,
            options: options.session_options(&session(id).base, &session(id).signatures),
            needs: Vec::new(),
            locks: SessionLocks::default(),
        });
        let mut graph = Self { nodes: nodes.collect() };
        let sessions: Vec<&Session> = manifest.queue.iter().map(|&id| session(id)).collect();
        graph.add_declared_needs(&sessions);
        graph.check_acyclic(&sessions)?;
        graph.add_coverage_needs(&sessions, history);
        graph.add_variable_needs(&sessions);
        graph.add_notify_needs(&sessions);
        graph.add_locks(&sessions, options);
        graph.add_command_locks(&sessions, history);
        graph.add_learned_conflicts(&sessions, &options.learned_conflicts);
        Ok(graph)
    }

    /// Returns the needs of a session as events report them.
    pub fn session_needs(&self, manifest: &NoxfileManifest, session: PlanIndex) -> Vec<SessionNeed> {
        let name = |index: PlanIndex| manifest.sessions[self.nodes[index.0].id.0].name.clone();
        self.nodes[session.0]
            .needs
            .iter()
            .map(|(needed, origin)| SessionNeed { session: name(*needed), origin: origin.clone() })
            .collect()
    }

    fn add_declared_needs(&mut self, sessions: &[&Session]) {
        let indexes: BTreeMap<ManifestIndex, usize> =
            self.nodes.iter().enumerate().map(|(index, node)| (node.id, index)).collect();
        for session in 0..self.nodes.len() {
            for required in &sessions[session].requires {
                if let Some(&required) = indexes.get(required) {
                    self.nodes[session].needs.push((PlanIndex(required), NeedOrigin::Requires));
                }
            }
            for after in self.nodes[session].options.after.clone() {
                for (needed, other) in sessions.iter().enumerate() {
                    if needed != session && pattern_matches(&after.pattern, &other.base, &other.signatures) {
                        self.add_need(session, needed, NeedOrigin::Settings { location: after.location.clone() });
                    }
                }
            }
        }
    }

    /// Orders sessions that combine or report coverage data after all that write it.
    ///
    /// What a session does is known from the commands of its last run, or else from its source.
    fn add_coverage_needs(&mut self, sessions: &[&Session], history: &SessionHistory) {
        let data: Vec<CoverageRole> =
            sessions.iter().map(|session| CoverageRole::new(session, history.shared_resources(session))).collect();
        for reader in 0..self.nodes.len() {
            if !data[reader].reads {
                continue;
            }
            let waits_for_reader = self.transitive_dependents(reader);
            for writer in 0..self.nodes.len() {
                // A session that adds to data of others has its place among them.
                let is_later = data[reader].writes.is_some() && writer > reader;
                let Some(data_file) = data[writer].writes.clone().filter(|_| !is_later) else { continue };
                if writer != reader && !waits_for_reader[writer] {
                    self.add_need(reader, writer, NeedOrigin::Coverage { data_file });
                }
            }
        }
    }

    /// Orders sessions that share variables as nox runs them, if one reads what an earlier one changes.
    ///
    /// A variable that every session changes for itself orders nothing: caches and settings of their own are common.
    fn add_variable_needs(&mut self, sessions: &[&Session]) {
        let has = |names: &[String], name: &String| names.contains(name);
        let writes = |session: &Session, name: &String| {
            has(&session.shared_variables.sets, name) || has(&session.shared_variables.changes, name)
        };
        let only_reads =
            |session: &Session, name: &String| has(&session.shared_variables.reads, name) && !writes(session, name);
        let written = sessions
            .iter()
            .flat_map(|session| session.shared_variables.sets.iter().chain(&session.shared_variables.changes));
        for name in written.collect::<BTreeSet<_>>() {
            let Some(last) = sessions.iter().rposition(|session| only_reads(session, name)) else { continue };
            for later in 0..=last {
                let depends = only_reads(sessions[later], name) || has(&sessions[later].shared_variables.changes, name);
                for earlier in (0..later).filter(|&earlier| depends && writes(sessions[earlier], name)) {
                    if !self.transitive_dependents(later)[earlier] {
                        self.add_need(later, earlier, NeedOrigin::SharedVariable { name: name.clone() });
                    }
                }
            }
        }
    }

    /// Orders a selected session after those before it in nox's order that may notify it.
    ///
    /// For nox such a call has no effect: the session is queued already. But in nox's order it follows the session that
    /// notifies it, and the noxfile says that the two belong together.
    fn add_notify_needs(&mut self, sessions: &[&Session]) {
        for target in 0..self.nodes.len() {
            let is_target =
                |name: &String| *name == sessions[target].base || sessions[target].signatures.contains(name);
            let waits_for_target = self.transitive_dependents(target);
            for notifier in (0..target).filter(|&notifier| !waits_for_target[notifier]) {
                if sessions[notifier].notifies.iter().any(is_target) {
                    self.add_need(target, notifier, NeedOrigin::Notify);
                }
            }
        }
    }

    /// Adds the locks of settings, and one for each environment that the noxfile gives to several sessions.
    fn add_locks(&mut self, sessions: &[&Session], options: &RunOptions) {
        let mut shared: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, session) in sessions.iter().enumerate() {
            if let Some(directory) = &session.envdir {
                shared.entry(format!("environment {}", directory.display())).or_default().push(index);
            }
            for lock in self.nodes[index].options.locks.clone() {
                let mut matching = options.overrides_for(&session.base, &session.signatures);
                let with_lock = matching.find(|overrides| overrides.locks.contains(&lock));
                let location = with_lock.map_or(String::new(), |overrides| overrides.location.clone());
                self.nodes[index].locks.add(lock, LockOrigin::Settings { location });
            }
        }
        for (lock, holders) in shared.into_iter().filter(|(_, holders)| holders.len() > 1) {
            for holder in holders {
                self.nodes[holder].locks.add(lock.clone(), LockOrigin::Noxfile);
            }
        }
    }

    /// Adds a lock for each resource that the commands of several sessions shared in their last runs.
    fn add_command_locks(&mut self, sessions: &[&Session], history: &SessionHistory) {
        let uses: Vec<&[CommandUse]> = sessions
            .iter()
            .map(|session| history.shared_resources(session).map(|(uses, _)| uses).unwrap_or_default())
            .collect();
        for (node, locks) in self.nodes.iter_mut().zip(derive_command_locks(&uses)) {
            node.locks.extend(locks);
        }
    }

    /// Orders or locks sessions that conflict according to past traces, unless they cannot overlap anyway.
    fn add_learned_conflicts(&mut self, sessions: &[&Session], conflicts: &[LearnedConflict]) {
        let index = |name: &str| sessions.iter().position(|session| session.name.as_str() == name);
        for conflict in conflicts {
            let (Some(first), Some(second)) = (index(&conflict.first), index(&conflict.second)) else { continue };
            // The results of traces may come from a cache, which may be hostile or of another order of sessions.
            if first == second || (conflict.separation == SeparationKind::Order && first > second) {
                continue;
            }
            let (one, other) = (&self.nodes[first], &self.nodes[second]);
            let exclusive = [one, other].iter().any(|node| node.options.exclusive == Some(true));
            let already_separate = exclusive || one.locks.conflict_with(&other.locks).is_some();
            if already_separate
                || self.transitive_dependents(first)[second]
                || self.transitive_dependents(second)[first]
            {
                continue;
            }
            match conflict.separation {
                SeparationKind::Order => {
                    self.add_need(second, first, NeedOrigin::Trace { path: conflict.path.clone() });
                }
                SeparationKind::Lock => {
                    let lock = format!("trace {}", conflict.path);
                    for holder in [first, second] {
                        let origin = LockOrigin::Trace { path: conflict.path.clone() };
                        self.nodes[holder].locks.add(lock.clone(), origin);
                    }
                }
            }
        }
    }

    fn add_need(&mut self, session: usize, needed: usize, origin: NeedOrigin) {
        let needed = PlanIndex(needed);
        if !self.nodes[session].needs.iter().any(|(known, _)| *known == needed) {
            self.nodes[session].needs.push((needed, origin));
        }
    }

    /// Returns which sessions wait for this one, directly or not.
    fn transitive_dependents(&self, session: usize) -> Vec<bool> {
        let needs = self.nodes.iter().map(|node| node.needs.iter().map(|(needed, _)| needed.0));
        reachable_from(session, &reverse_edges(needs))
    }

    /// Fails when sessions wait for one another in a cycle.
    fn check_acyclic(&self, sessions: &[&Session]) -> Result<(), GraphError> {
        // Repeatedly remove a session that waits for none of the remaining ones; if any are left at the end, they
        // contain a cycle.
        let mut remaining: Vec<bool> = vec![true; self.nodes.len()];
        let is_free = |remaining: &[bool], session: usize| {
            remaining[session] && self.first_remaining_need(session, remaining).is_none()
        };
        while let Some(session) = (0..remaining.len()).find(|&session| is_free(&remaining, session)) {
            remaining[session] = false;
        }
        let Some(start) = remaining.iter().position(|remaining| *remaining) else { return Ok(()) };
        let mut path: Vec<usize> = Vec::new();
        let mut session = start;
        while !path.contains(&session) {
            path.push(session);
            session = self.first_remaining_need(session, &remaining).map_or(session, |(needed, _)| needed.0);
        }
        path.drain(..path.iter().position(|seen| *seen == session).unwrap_or(0));
        let step = |session: &usize| {
            let (needed, origin) = self.first_remaining_need(*session, &remaining)?;
            let need = SessionNeed { session: sessions[needed.0].name.clone(), origin: origin.clone() };
            Some(CycleStep { session: sessions[*session].name.clone(), need })
        };
        Err(GraphError::Cycle(path.iter().filter_map(step).collect()))
    }

    fn first_remaining_need(&self, session: usize, remaining: &[bool]) -> Option<&(PlanIndex, NeedOrigin)> {
        self.nodes[session].needs.iter().find(|(needed, _)| remaining[needed.0])
    }
}

/// Reverses edges: from the targets of each node to the sources of each node.
pub(super) fn reverse_edges<N: IntoIterator<Item = usize>>(edges: impl ExactSizeIterator<Item = N>) -> Vec<Vec<usize>> {
    let mut reversed = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.enumerate() {
        for target in targets {
            reversed[target].push(from);
        }
    }
    reversed
}

/// Returns which nodes can be reached from `start` over one edge or more.
pub(super) fn reachable_from(start: usize, edges: &[Vec<usize>]) -> Vec<bool> {
    let mut found = vec![false; edges.len()];
    let mut stack = vec![start];
    while let Some(node) = stack.pop() {
        for &next in &edges[node] {
            if !std::mem::replace(&mut found[next], true) {
                stack.push(next);
            }
        }
    }
    found
}
