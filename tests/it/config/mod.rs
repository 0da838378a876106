//! Settings: files, variables, flags, and their schema.

mod generated;
mod schema;
mod settings;
