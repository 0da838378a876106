//! Shell scripts of `run:` steps as commands with spans: nox calls, package installs, downloads.

mod command;
mod command_prefix;
mod downloads;
mod file_runners;
mod lexer;
mod nox_call;
mod parser;
mod substitution;

pub use command::{ControlOperator, ShellCommand, ShellWord};
pub(crate) use command_prefix::plain_command;
pub(crate) use downloads::requirement_name;
pub use downloads::{NetworkFetch, PackageInstall, PackageInstaller, find_network_fetches, parse_install};
pub(crate) use file_runners::{FILE_RUNNERS, SHELLS};
pub(crate) use nox_call::NoxCallSelection;
pub use nox_call::{NoxCall, parse_nox_call};
pub use parser::parse_script;
pub(crate) use substitution::find_substitutions;
