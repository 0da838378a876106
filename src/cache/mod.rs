//! Folders kept under keys: the store on disk, and what it knows of uv.

mod options;
mod progress;
pub mod store;
pub mod uv;
mod wanted;

pub use options::CacheOptions;
pub use progress::{Amount, Phase, Progress, Silent};
pub use store::{Store, StoreError};
pub use uv::{Uv, UvCache};
pub use wanted::{Wanted, WantedPackage};
