//! A plan one by one, in nox's order; and what keeps two sessions of a plan apart.

use super::plan::RunPlan;
use crate::trace::KnownOrdering;

impl RunPlan {
    /// The sessions' places in nox's order, as far as needs allow.
    pub(crate) fn sequential_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        let ready = |order: &[usize], at: usize| {
            !order.contains(&at) && self.sessions[at].task.needs.iter().all(|(on, _)| order.contains(on))
        };
        while let Some(next) = (0..self.sessions.len()).find(|&at| ready(&order, at)) {
            order.push(next);
        }
        order
    }

    /// Has each session wait for the one before it; gives the order.
    pub(crate) fn make_sequential(&mut self) -> Vec<usize> {
        let order = self.sequential_order();
        for pair in order.windows(2) {
            let needs = &mut self.sessions[pair[1]].task.needs;
            if !needs.iter().any(|(on, _)| *on == pair[0]) {
                needs.push((pair[0], false));
            }
        }
        order
    }

    /// Returns what this plan already says of each two sessions.
    pub(crate) fn known_ordering(&self) -> KnownOrdering {
        let mut known = KnownOrdering::default();
        for one in 0..self.sessions.len() {
            if self.sessions[one].task.exclusive {
                known.exclusive.insert(one);
            }
            for other in (0..self.sessions.len()).filter(|other| *other != one) {
                if self.waits_for(one, other) {
                    known.ordered.insert((one, other));
                } else if let Some(reason) = self.separation_reason(one, other) {
                    known.separated.insert((one, other), reason);
                }
            }
        }
        known
    }

    /// Whether a session waits for another, directly or not.
    pub(crate) fn waits_for(&self, session: usize, on: usize) -> bool {
        let mut open = vec![session];
        let mut seen = vec![false; self.sessions.len()];
        while let Some(at) = open.pop() {
            for (need, _) in &self.sessions[at].task.needs {
                if *need == on {
                    return true;
                }
                if !std::mem::replace(&mut seen[*need], true) {
                    open.push(*need);
                }
            }
        }
        false
    }

    /// What keeps two sessions from overlapping though neither waits for the other, in words; none where nothing does.
    pub(crate) fn separation_reason(&self, one: usize, other: usize) -> Option<String> {
        let (one, other) = (&self.sessions[one], &self.sessions[other]);
        for session in [one, other] {
            if session.task.exclusive {
                return Some(format!("{} runs alone", session.facts.name));
            }
        }
        let shared = one.task.locks.iter().find(|lock| other.task.locks.contains(lock))?;
        Some(format!("lock {shared}"))
    }
}
