//! Files handled with care: atomic writes, claims, digests, links, trees.

mod atomic;
mod claim;
mod digest;
mod link;
mod parallel;
mod path;
mod stamp;
mod workspace;

pub use atomic::write_atomic;
pub use claim::{Claim, Lease, Locked};
pub use digest::{Sha256, base64_url, blake3_hex, hex, open_itself, sha256_of, sha256_of_copied, sha256_of_open};
pub use link::{LinkMode, Linker};
pub use parallel::{in_parallel, threads};
pub use path::{inner_path, stays_inside};
pub use stamp::{Stamp, walk};
pub use workspace::Workspace;
