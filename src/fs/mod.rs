//! File system primitives: atomic writes, locks, digests, links, and checks that untrusted paths stay inside a directory.

mod atomic;
mod beneath;
mod digest;
mod link;
mod lock;
mod parallel;
mod path;
mod private_dir;
mod regular_file;
mod stat;

pub(crate) use atomic::{
    create_dirs, create_parent_dir, is_rename_target_occupied, replace_content, write_atomic, write_new_file,
};
pub(crate) use beneath::{RootDir, remove_dir_tree};
pub use digest::{Sha256Digest, encode_base64_url, sha256_file};
pub(crate) use digest::{blake3_hex, copy_with_sha256, open_no_follow, sha256_open_file};
pub use link::{FileLinker, LinkMode};
pub use lock::FileLock;
pub(crate) use lock::{DirLock, FlockGuard, LockedTempDir};
pub(crate) use parallel::{parallel_map, worker_count};
pub(crate) use path::{is_contained_path, is_symlink_contained, safe_relative_path};
pub(crate) use private_dir::{is_private_dir, may_belong_to_others, private_temp_dir};
pub(crate) use regular_file::{
    MAX_DOCUMENT_BYTES, open_project_file, open_regular_file, read_limited, read_limited_text, read_project_text,
    read_regular_file,
};
pub(crate) use stat::{FileStat, walk_tree};
