//! What a Python project says of itself: its noxfile's sessions, through nox itself.

mod manifest;
mod name;

pub use manifest::{CoverageUse, HostMode, Manifest, Session, SessionId};
pub use name::SessionName;
