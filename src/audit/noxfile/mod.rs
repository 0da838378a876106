//! Noxfile as data: sessions, installs and options, read by Python's parser without running the file.

mod known_work;
pub(super) mod model;
mod session_installs;

pub(crate) use known_work::{
    SessionEffect, contains_session, measured_test_runner, repeats_tests, runs_long, session_effect,
};
pub use model::{Noxfile, NoxfileSession, SessionCall, SessionStatement};
