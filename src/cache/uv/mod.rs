//! uv's internals: the layout of its cache, and a probe of the layout that an installed uv uses.

mod cache;
mod index_answer;
mod layout;
mod probe;
mod program;
mod wheel_scan;

pub use cache::UvCache;
pub(crate) use index_answer::IndexAnswer;
pub use layout::{UvCacheLayout, UvLayoutSupport};
pub use program::Uv;
pub(crate) use program::UvError;
pub use wheel_scan::UvCachedWheel;
