//! The kernel's side: a seccomp filter, the supervisor that hears of calls, and paths as their callers meant them.

mod filter;
mod inspector;
mod path_resolver;
mod preload_ring;
mod probe;
mod process;
mod shared_memory;
mod socket_address;
mod socket_calls;
mod supervisor;
mod syscalls;
mod system;
mod trace_state;
mod tracer;

pub use preload_ring::PreloadLibrary;
pub use probe::probe_tracing;
pub use tracer::SessionTracer;
