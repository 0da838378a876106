//! Remote cache backends. A new backend is a new file and a line in `open.rs`.

mod actions;
mod actions_v1;
mod actions_v2;
mod directory;
mod open;
mod ranged_read;
mod s3;
mod sigv4;
mod tiered;

pub use actions::AccessMode;
pub use actions_v1::ActionsCacheV1;
pub use actions_v2::ActionsCacheV2;
pub use directory::DirectoryBackend;
pub use open::{BackendConfigError, BackendEnv, open_backend};
pub use s3::{S3Backend, S3Location};
pub use sigv4::S3Credentials;
pub use tiered::TieredBackend;
