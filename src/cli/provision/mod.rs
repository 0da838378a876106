//! Dependencies that are there before a session asks for them, and kept after it: from the store here, and one elsewhere.

mod bytecode;
mod elsewhere;
mod fetched;
mod folders;
mod keep;
mod past;
mod provide;
mod told;
mod venvs;
mod wants;

pub(super) use provide::Provision;
