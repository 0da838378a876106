//! `noxide cache`: keys, restores, saves and maintenance of the package cache.

mod args;
mod command;
mod key;
mod maintenance;
mod sessions;
mod store_context;
mod wheels;

pub use args::{CacheArgs, CacheRestoreArgs, CacheSaveArgs, UvArgs};
pub(super) use command::run;
