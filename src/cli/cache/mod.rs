//! `noxide cache`: the store of dependencies, one file a subcommand's part.

mod args;
mod command;
mod key;
mod prune;
mod restore;
mod save;
mod sessions;
mod status;
mod store_context;
mod verify;

pub use args::{CacheArgs, CacheRestoreArgs, CacheSaveArgs, UvArgs};
pub(super) use command::{run_cache_command, wants_json};
