//! Where nox is: the interpreter that runs it, as a user of the project would expect.

mod find;
mod path_search;
mod private_install;
mod shebang;

pub use find::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
