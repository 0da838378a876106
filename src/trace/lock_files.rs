//! What two sessions keep apart themselves: a file or folder `X` that both use under a lock `X.lock`. Pure.

use super::session_accesses::{EffectKind, SessionAccesses};

/// What the locks guard that both sessions took and gave back: `X` of each `X.lock` that both made and removed.
///
/// So does trial with its `_trial_temp`: who finds it locked takes `_trial_temp-1`.
pub(super) fn lock_guarded_paths<'a>(first: &'a SessionAccesses, second: &SessionAccesses) -> Vec<&'a str> {
    let took =
        |all: &SessionAccesses, path: &String| all.effects.get(path).is_some_and(|one| one.kind == EffectKind::Scratch);
    let locks = first.effects.keys().filter(|path| took(first, path) && took(second, path));
    locks
        .filter_map(|path| path.strip_suffix(".lock").filter(|what| !what.is_empty() && !what.ends_with('/')))
        .collect()
}

/// Whether a path is one of these or lies below one.
pub(super) fn is_guarded_path(path: &str, guarded: &[&str]) -> bool {
    guarded.iter().any(|what| path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
