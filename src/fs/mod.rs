//! Files handled with care: atomic writes, claims, digests, links, trees.

mod atomic;
mod digest;
mod link;
mod lock;
mod parallel;
mod path;
mod stat;
mod temp_dir;

pub use atomic::write_atomic;
pub use digest::{
    Sha256Digest, blake3_hex, copy_with_sha256, encode_base64_url, encode_hex, open_no_follow, sha256_file,
    sha256_open_file,
};
pub use link::{FileLinker, LinkMode};
pub use lock::{DirLock, FileLock, FlockGuard};
pub use parallel::{parallel_map, worker_count};
pub use path::{is_symlink_contained, safe_relative_path};
pub use stat::{FileStat, walk_tree};
pub use temp_dir::LockedTempDir;
