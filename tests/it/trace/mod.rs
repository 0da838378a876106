//! `noxide trace`: the race corpus, first runs, settings written and checked, and systems that cannot trace.

mod command;
mod corpus;
mod first_run;
mod git_state;
mod kept_content;
mod network;
mod phases;
mod preload;
mod tool_homes;
