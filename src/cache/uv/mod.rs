//! All that noxide knows of uv's inside: where its cache keeps what, and whether that is so in this uv.

mod cache;
mod layout;
mod probe;
mod program;
mod wheel_scan;

pub use cache::UvCache;
pub use layout::{UvCacheLayout, UvLayoutSupport};
pub use program::Uv;
pub(crate) use program::UvError;
pub use wheel_scan::UvCachedWheel;
