//! Shell scripts of `run:` steps as commands with places: what is started, not what it would do.

mod command;
mod fetch;
mod install;
mod lex;
mod nox;
mod read;

pub use command::{Command, Joiner, Word};
pub use fetch::{Fetch, fetches};
pub use install::{Install, Installer, install};
pub use nox::{NoxCall, Selection, nox_call};
pub use read::read;
