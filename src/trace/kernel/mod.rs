//! Kernel interface: a seccomp filter, the supervisor that receives stopped calls, and resolution of their paths.

mod filter;
mod inspector;
mod path_resolver;
mod preload_ring;
mod probe;
mod process;
mod script_interpreter;
mod shared_memory;
mod socket_address;
mod sockets;
mod supervisor;
mod syscalls;
mod system;
mod tracer;

pub(crate) use preload_ring::PreloadLibrary;
pub(crate) use probe::probe_tracing;
pub(crate) use tracer::SessionTracer;
