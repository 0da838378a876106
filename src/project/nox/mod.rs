//! Where nox is: the interpreter that runs it, as a user of the project would expect.

mod find;
mod path;
mod private;
mod shebang;

pub use find::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
