//! Dependencies that are there before a session asks for them, and kept after it: from the store here, and one elsewhere.

mod bytecode;
mod cache_provisioner;
mod cached_folders;
mod history_cache;
mod remote_cache;
mod required_packages;
mod save;
mod summary;
mod venv_cache;
mod wheel_scanner;

pub(super) use cache_provisioner::CacheProvisioner;
