//! Shell scripts of `run:` steps as commands with spans: nox calls, package installs, downloads.

mod command;
mod downloads;
mod launchers;
mod lexer;
mod nox_call;
mod parser;
mod substitution;

pub use command::{ControlOperator, ShellCommand, ShellWord};
pub(crate) use downloads::requirement_name;
pub use downloads::{NetworkFetch, PackageInstall, PackageInstaller, find_network_fetches, parse_install};
pub(crate) use launchers::{FILE_RUNNERS, SHELLS, plain_command};
pub(crate) use nox_call::NoxCallSelection;
pub use nox_call::{NoxCall, parse_nox_call};
pub use parser::parse_script;
pub(crate) use substitution::find_substitutions;
