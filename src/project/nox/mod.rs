//! Locating nox: flag, project, PATH, or a private environment.

mod arguments;
mod executables;
mod find;
mod private_install;

pub(crate) use arguments::{NoxArguments, contradicted_color_variable, expand_short_flags};
pub use find::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
pub(crate) use find::{find_installed_nox, install_private_nox};
