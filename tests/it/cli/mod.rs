//! The command line, help texts, terminal output and keyboard.

mod command_line;
mod help;
mod keyboard;
mod output;
mod recorded_runs;
