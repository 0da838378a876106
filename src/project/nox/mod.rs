//! Locating nox: flag, project, PATH, or a private environment.

mod executables;
mod find;
mod private_install;

pub use find::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
