//! The graph: what each session waits for, and why.

use std::collections::BTreeMap;

use super::options::{RunOptions, SessionOptions, pattern_matches};
use crate::project::{NoxfileManifest, Session, SessionId, SessionName};
use crate::record::{NeedOrigin, SessionNeed};
use crate::trace::{LearnedConflict, SeparationKind};

/// One session of the graph. Needs are places in [`SessionGraph::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub struct GraphNode {
    /// The session's number in its manifest.
    pub id: SessionId,
    /// What settings say of it.
    pub options: SessionOptions,
    /// What it waits for: a place in the graph, and why.
    pub needs: Vec<(usize, NeedOrigin)>,
    /// Named locks: those of settings, and those derived from what sessions share.
    pub locks: Vec<String>,
}

/// The selected sessions in nox's order, with their needs: acyclic.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionGraph {
    /// The sessions.
    pub nodes: Vec<GraphNode>,
}

/// Why there is no graph.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// Sessions wait for one another in a circle.
    #[error("sessions wait for one another in a circle: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Cycle(Vec<CycleStep>),
}

/// One step of a circle: this session waits for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStep {
    /// The session that waits.
    pub(crate) session: SessionName,
    /// The session it waits for, and why.
    pub(crate) need: SessionNeed,
}

impl std::fmt::Display for CycleStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match &self.need.origin {
            NeedOrigin::Requires => "requires in the noxfile".to_owned(),
            NeedOrigin::Notify => "notify".to_owned(),
            NeedOrigin::Coverage { data } => format!("coverage data {data}"),
            NeedOrigin::Settings { place } => format!("after at {place}"),
            NeedOrigin::Trace { path } => format!("trace: {path}"),
        };
        write!(f, "{} waits for {} ({why})", self.session, self.need.on)
    }
}

impl SessionGraph {
    /// The graph of the sessions that are queued in a manifest.
    ///
    /// Declared needs (`requires`, settings) come first and must be acyclic; derived ones (coverage data, `notify`)
    /// are only added where they close no circle, since what is declared knows better than what is guessed.
    ///
    /// # Errors
    /// When declared needs form a circle; the error names it.
    pub fn new(manifest: &NoxfileManifest, options: &RunOptions) -> Result<Self, GraphError> {
        let session = |id: SessionId| &manifest.sessions[id.0];
        let nodes = manifest.queue.iter().map(|&id| GraphNode {
            id,
            options: options.session_options(&session(id).base, &session(id).signatures),
            needs: Vec::new(),
            locks: Vec::new(),
        });
        let mut graph = Self { nodes: nodes.collect() };
        let sessions: Vec<&Session> = manifest.queue.iter().map(|&id| session(id)).collect();
        graph.add_declared_needs(&sessions);
        graph.check_acyclic(&sessions)?;
        graph.add_coverage_needs(&sessions);
        graph.add_notify_needs(&sessions);
        graph.add_locks(&sessions);
        graph.add_learned_conflicts(&sessions, &options.learned_conflicts);
        Ok(graph)
    }

    /// A need as reported.
    pub fn need_facts(&self, manifest: &NoxfileManifest, node: usize) -> Vec<SessionNeed> {
        let name = |place: usize| manifest.sessions[self.nodes[place].id.0].name.clone();
        self.nodes[node]
            .needs
            .iter()
            .map(|(on, origin)| SessionNeed { on: name(*on), origin: origin.clone() })
            .collect()
    }

    fn add_declared_needs(&mut self, sessions: &[&Session]) {
        let places: BTreeMap<SessionId, usize> =
            self.nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
        for at in 0..self.nodes.len() {
            for required in &sessions[at].requires {
                if let Some(&on) = places.get(required) {
                    self.nodes[at].needs.push((on, NeedOrigin::Requires));
                }
            }
            for after in self.nodes[at].options.after.clone() {
                for (on, other) in sessions.iter().enumerate() {
                    if on != at && pattern_matches(&after.pattern, &other.base, &other.signatures) {
                        self.add_need(at, on, NeedOrigin::Settings { place: after.location.clone() });
                    }
                }
            }
        }
    }

    /// Whoever combines or reports coverage data goes after all that write it.
    fn add_coverage_needs(&mut self, sessions: &[&Session]) {
        for reader in 0..self.nodes.len() {
            if !sessions[reader].coverage.reads || sessions[reader].coverage.writes.is_some() {
                continue;
            }
            let waits_for_reader = self.transitive_dependents(reader);
            for writer in 0..self.nodes.len() {
                let Some(data) = &sessions[writer].coverage.writes else { continue };
                if writer != reader && !waits_for_reader[writer] {
                    self.add_need(reader, writer, NeedOrigin::Coverage { data: data.display().to_string() });
                }
            }
        }
    }

    /// A selected session that another selected one may notify goes after all that do not wait for it.
    fn add_notify_needs(&mut self, sessions: &[&Session]) {
        for target in 0..self.nodes.len() {
            let named = |name: &String| *name == sessions[target].base || sessions[target].signatures.contains(name);
            let notified =
                sessions.iter().enumerate().any(|(s, other)| s != target && other.notifies.iter().any(named));
            if notified {
                let waits_for_target = self.transitive_dependents(target);
                for other in (0..self.nodes.len()).filter(|&other| other != target && !waits_for_target[other]) {
                    self.add_need(target, other, NeedOrigin::Notify);
                }
            }
        }
    }

    /// Settings' locks, one lock for each coverage data file and each environment folder that sessions share.
    fn add_locks(&mut self, sessions: &[&Session]) {
        let mut shared: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        // A session that combines reads what stands under any name: it holds every data file's lock.
        let data = |session: &Session| session.coverage.writes.as_ref().map(|data| data.display().to_string());
        let mut files: Vec<String> = sessions.iter().filter(|s| !s.coverage.own_file).filter_map(|s| data(s)).collect();
        files.sort_unstable();
        files.dedup();
        for (at, session) in sessions.iter().enumerate() {
            for file in &files {
                let writes = !session.coverage.own_file && data(session).as_ref() == Some(file);
                if writes || session.coverage.reads {
                    shared.entry(format!("coverage data {file}")).or_default().push(at);
                }
            }
            if let Some(folder) = &session.envdir {
                shared.entry(format!("environment {}", folder.display())).or_default().push(at);
            }
        }
        for node in &mut self.nodes {
            node.locks.clone_from(&node.options.locks);
        }
        for (lock, holders) in shared.into_iter().filter(|(_, holders)| holders.len() > 1) {
            for holder in holders {
                self.nodes[holder].locks.push(lock.clone());
            }
        }
    }

    /// What traces taught, as far as nothing else keeps the two apart.
    fn add_learned_conflicts(&mut self, sessions: &[&Session], learned: &[LearnedConflict]) {
        let place = |name: &str| sessions.iter().position(|session| session.name.as_str() == name);
        for known in learned {
            let (Some(first), Some(second)) = (place(&known.first), place(&known.second)) else { continue };
            let (one, other) = (&self.nodes[first], &self.nodes[second]);
            let alone = [one, other].iter().any(|node| node.options.exclusive == Some(true));
            let apart = alone || one.locks.iter().any(|lock| other.locks.contains(lock));
            if apart || self.transitive_dependents(first)[second] || self.transitive_dependents(second)[first] {
                continue;
            }
            match known.separation {
                SeparationKind::Order => self.add_need(second, first, NeedOrigin::Trace { path: known.path.clone() }),
                SeparationKind::Lock => {
                    let lock = format!("trace {}", known.path);
                    for at in [first, second] {
                        if !self.nodes[at].locks.contains(&lock) {
                            self.nodes[at].locks.push(lock.clone());
                        }
                    }
                }
            }
        }
    }

    fn add_need(&mut self, node: usize, on: usize, origin: NeedOrigin) {
        if !self.nodes[node].needs.iter().any(|(known, _)| *known == on) {
            self.nodes[node].needs.push((on, origin));
        }
    }

    /// Which sessions wait for this one, directly or not.
    fn transitive_dependents(&self, place: usize) -> Vec<bool> {
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            for (on, _) in &node.needs {
                waiting[*on].push(at);
            }
        }
        let mut found = vec![false; self.nodes.len()];
        let mut stack = vec![place];
        while let Some(at) = stack.pop() {
            for &next in &waiting[at] {
                if !std::mem::replace(&mut found[next], true) {
                    stack.push(next);
                }
            }
        }
        found
    }

    /// Refuses a circle, naming it.
    fn check_acyclic(&self, sessions: &[&Session]) -> Result<(), GraphError> {
        // Peel off what waits for nothing that is left; what remains holds a circle.
        let mut left: Vec<bool> = vec![true; self.nodes.len()];
        let free = |left: &[bool], at: usize| left[at] && !self.nodes[at].needs.iter().any(|(on, _)| left[*on]);
        while let Some(at) = (0..left.len()).find(|&at| free(&left, at)) {
            left[at] = false;
        }
        let Some(start) = left.iter().position(|left| *left) else { return Ok(()) };
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        while !path.contains(&at) {
            path.push(at);
            at = self.first_open_need(at, &left).map_or(at, |(on, _)| *on);
        }
        path.drain(..path.iter().position(|seen| *seen == at).unwrap_or(0));
        let step = |at: &usize| {
            let (on, origin) = self.first_open_need(*at, &left)?;
            let need = SessionNeed { on: sessions[*on].name.clone(), origin: origin.clone() };
            Some(CycleStep { session: sessions[*at].name.clone(), need })
        };
        Err(GraphError::Cycle(path.iter().filter_map(step).collect()))
    }

    fn first_open_need(&self, at: usize, left: &[bool]) -> Option<&(usize, NeedOrigin)> {
        self.nodes[at].needs.iter().find(|(on, _)| left[*on])
    }
}
