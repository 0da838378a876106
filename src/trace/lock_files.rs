//! Paths guarded by lock files: a path `X` that both sessions use under the lock file `X.lock`. Pure functions.

use super::session_accesses::{EffectKind, SessionAccesses};

/// Returns `X` for each lock file `X.lock` that both sessions created and deleted.
///
/// Trial does so with `_trial_temp`: if it is locked, the next process uses `_trial_temp-1`.
pub(super) fn lock_guarded_paths<'a>(first: &'a SessionAccesses, second: &SessionAccesses) -> Vec<&'a str> {
    let took =
        |all: &SessionAccesses, path: &String| all.effects.get(path).is_some_and(|one| one.kind == EffectKind::Scratch);
    let locks = first.effects.keys().filter(|path| took(first, path) && took(second, path));
    locks
        .filter_map(|path| path.strip_suffix(".lock").filter(|what| !what.is_empty() && !what.ends_with('/')))
        .collect()
}

/// Returns whether a path is one of the guarded paths or lies below one.
pub(super) fn is_guarded_path(path: &str, guarded: &[&str]) -> bool {
    guarded.iter().any(|what| path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
