//! Noxfile as data: sessions, installs and options, read by Python's parser without running the file.

pub(super) mod model;

pub use model::{Noxfile, NoxfileSession, SessionAction, SessionStatement};
