//! What sessions touch: the kernel tells of each call that bears a path, conflicts and advice follow from that.

mod access;
mod advice;
mod conflict;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // only the kernel's side fills it
mod digest;
mod file;
mod guard;
#[cfg(not(all(target_os = "linux", not(noxide_portable), any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "elsewhere.rs"]
mod kernel;
#[cfg(all(target_os = "linux", not(noxide_portable), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod kernel;
mod knowledge;
#[cfg_attr(not(all(target_os = "linux", not(noxide_portable))), allow(dead_code))] // only the kernel's side fills it
mod ledger;
mod options;
mod scope;
mod untraceable;
mod walk;

pub use access::{Accesses, Effect, EffectKind};
pub use advice::{Advice, Pair, advise};
pub use conflict::{Conflict, Kind, conflicts};
pub use file::{AccessFile, FileError};
pub use kernel::{Noter, Tracer, probe};
pub use knowledge::{Apart, Knowledge, Learnt, fingerprint};
pub use options::TraceMode;
pub use scope::{Scope, Surroundings};
pub use untraceable::Untraceable;
pub use walk::Tree;
