//! `noxide trace`: the race corpus, settings written and checked, and where nothing can be traced.

mod command;
mod corpus;
mod notes;
