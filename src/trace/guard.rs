//! What two sessions keep apart themselves: a file or folder `X` that both use under a lock `X.lock`. Pure.

use super::access::{Accesses, EffectKind};

/// What the locks guard that both sessions took and gave back: `X` of each `X.lock` that both made and removed.
///
/// So does trial with its `_trial_temp`: who finds it locked takes `_trial_temp-1`.
pub(super) fn guarded<'a>(first: &'a Accesses, second: &Accesses) -> Vec<&'a str> {
    let took = |all: &Accesses, path: &String| all.effects.get(path).is_some_and(|one| one.kind == EffectKind::Scratch);
    let locks = first.effects.keys().filter(|path| took(first, path) && took(second, path));
    locks
        .filter_map(|path| path.strip_suffix(".lock").filter(|what| !what.is_empty() && !what.ends_with('/')))
        .collect()
}

/// Whether a path is one of these or lies below one.
pub(super) fn is_guarded(path: &str, guarded: &[&str]) -> bool {
    guarded.iter().any(|what| path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
