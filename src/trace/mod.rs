//! File and socket access of sessions, recorded by a seccomp supervisor, and the conflicts and advice that follow.

mod access_file;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // used only by the `kernel` module
mod access_log;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // used only by the `kernel` module
mod access_phase;
mod advice;
mod conflict;
mod conflict_report;
mod error;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // used only by the `kernel` module
mod git_index;
#[cfg(not(all(target_os = "linux", not(noxide_portable), any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "kernel_unsupported.rs"]
mod kernel;
#[cfg(all(target_os = "linux", not(noxide_portable), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod kernel;
mod options;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // used only by the `kernel` module
mod path_state;
mod scope;
mod session_accesses;
mod shared_paths;
mod trace_cache;
mod tree_scan;

pub use access_file::AccessFileError;
pub use access_phase::AccessPhase;
pub use advice::ConflictingPair;
pub(crate) use advice::SeparationAdvice;
pub use conflict::{AccessConflict, ConflictKind, ConflictWriter};
pub(crate) use conflict::{TraceTiming, find_conflicts};
pub(crate) use conflict_report::{
    ConflictReport, ObservedTraces, PlannedOrdering, save_accesses, save_trace_results, trace_context, traced_sessions,
};
pub(crate) use error::TraceError;
pub(crate) use kernel::{PreloadLibrary, SessionTracer, probe_tracing};
pub use options::TraceMode;
pub use scope::TraceContext;
pub(crate) use scope::TraceScope;
pub(crate) use session_accesses::ConflictFreeFiles;
pub use session_accesses::{EffectKind, PathEffect, SessionAccesses};
pub(crate) use trace_cache::TraceCache;
pub use trace_cache::{LearnedConflict, SeparationKind};
pub(crate) use tree_scan::GitTreeFacts;
