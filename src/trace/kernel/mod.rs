//! The kernel's side: a seccomp filter, the supervisor that hears of calls, and paths as their callers meant them.

mod address;
mod call;
mod filter;
mod look;
mod mapping;
mod notes;
mod places;
mod probe;
mod process;
mod socket;
mod state;
mod supervisor;
mod system;
mod tracer;

pub use notes::Noter;
pub use probe::probe;
pub use tracer::Tracer;
