//! Integration tests: the built binary against real nox and uv.

mod bad_noxfile;
mod host;
mod session_process;
mod support;
