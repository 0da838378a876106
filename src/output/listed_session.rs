//! A session as `noxide list` and `noxide graph` show it, and the words both use.

use serde::Serialize;

use crate::record::{NeedOrigin, SessionSpec};

/// A session of the noxfile, as listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListedSession {
    /// The session as it would be planned.
    #[serde(flatten)]
    pub(crate) spec: SessionSpec,
    /// Whether the command line selects it.
    pub(crate) selected: bool,
    /// Tags from the noxfile.
    pub(crate) tags: Vec<String>,
    /// Requested interpreter.
    pub(crate) python: Option<String>,
}

/// Describes the origin of a need in a few words.
pub(crate) fn describe_need_origin(origin: &NeedOrigin) -> String {
    match origin {
        NeedOrigin::Requires => "requires".to_owned(),
        NeedOrigin::Notify => "notify".to_owned(),
        NeedOrigin::Coverage { data_file: data } => format!("coverage {data}"),
        NeedOrigin::Settings { location: place } => place.clone(),
        NeedOrigin::Trace { path } => format!("trace: {path}"),
    }
}

/// Describes locks, exclusivity and CPUs that differ from the default.
pub(crate) fn describe_constraints(facts: &SessionSpec) -> Vec<String> {
    let mut limits: Vec<String> = facts.locks.iter().map(|lock| format!("lock {lock}")).collect();
    if facts.exclusive {
        limits.push("exclusive".to_owned());
    }
    if facts.cpus != 1 {
        limits.push(format!("{} cpus", facts.cpus));
    }
    limits
}
