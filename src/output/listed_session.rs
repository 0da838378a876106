//! A session as `noxide list` and `noxide graph` show it, and the words both use.

use serde::Serialize;

use crate::record::{NeedOrigin, SessionSpec};

/// A session of the noxfile, selected or not.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListedSession {
    /// As it would be planned.
    #[serde(flatten)]
    pub(crate) facts: SessionSpec,
    /// Whether the arguments select it.
    pub(crate) selected: bool,
    /// nox's tags.
    pub(crate) tags: Vec<String>,
    /// The interpreter it asks for.
    pub(crate) python: Option<String>,
}

/// Where a need comes from, in a few words.
pub(crate) fn describe_need_origin(origin: &NeedOrigin) -> String {
    match origin {
        NeedOrigin::Requires => "requires".to_owned(),
        NeedOrigin::Notify => "notify".to_owned(),
        NeedOrigin::Coverage { data } => format!("coverage {data}"),
        NeedOrigin::Settings { place } => place.clone(),
        NeedOrigin::Trace { path } => format!("trace: {path}"),
    }
}

/// Locks, exclusivity and CPUs, as far as they are not as usual.
pub(crate) fn describe_constraints(facts: &SessionSpec) -> Vec<String> {
    let mut limits: Vec<String> = facts.locks.iter().map(|lock| format!("lock {lock}")).collect();
    if facts.exclusive {
        limits.push("alone".to_owned());
    }
    if facts.cpus != 1 {
        limits.push(format!("{} cpus", facts.cpus));
    }
    limits
}
