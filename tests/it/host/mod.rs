//! The host process that loads the noxfile, on real nox releases.

mod bad_noxfile;
mod command_uses;
mod environment;
mod prefork;
mod session_process;
mod sessions;
