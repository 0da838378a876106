//! `noxide cache`: the store of dependencies, one file a subcommand's part.

mod command;
mod flags;
mod key;
mod opened;
mod prune;
mod restore;
mod save;
mod sessions;
mod status;
mod verify;

pub(super) use command::{cache, wants_json};
pub use flags::{
    CacheArgs, CacheCommand, CacheKeyArgs, CachePruneArgs, CacheRestoreArgs, CacheSaveArgs, CacheStatusArgs,
    CacheVerifyArgs, UvArgs,
};
