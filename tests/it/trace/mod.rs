//! `noxide trace`: the race corpus, settings written and checked, and systems that cannot trace.

mod command;
mod corpus;
mod preload;
