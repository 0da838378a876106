//! Shell scripts of `run:` steps as commands with places: what is started, not what it would do.

mod command;
mod install;
mod lexer;
mod network_fetch;
mod nox_call;
mod parser;

pub use command::{ControlOperator, ShellCommand, ShellWord};
pub use install::{PackageInstall, PackageInstaller, parse_install};
pub use network_fetch::{NetworkFetch, find_network_fetches};
pub(crate) use nox_call::NoxCallSelection;
pub use nox_call::{NoxCall, parse_nox_call};
pub use parser::parse_script;
