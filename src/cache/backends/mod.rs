//! The kinds of backends: a new kind is a new file and one line in `open.rs`.

mod actions_v1;
mod actions_v2;
mod directory;
mod mode;
mod open;
mod places;
mod s3;
mod signature;
mod tiered;

pub use actions_v1::ActionsV1;
pub use actions_v2::ActionsV2;
pub use directory::Directory;
pub use mode::Mode;
pub use open::{RemoteError, Variables, open};
pub use s3::{S3, S3Place};
pub use signature::Credentials;
pub use tiered::Tiered;
