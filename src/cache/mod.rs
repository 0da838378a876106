//! The package cache: wheels, environments and bytecode in a local store and in remote caches.

mod backend;
mod backends;
mod http;
pub mod keys;
mod limited_items;
mod options;
mod package_selection;
mod progress;
pub mod remote;
pub mod store;
pub mod uv;

pub use backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject};
pub use backends::{
    AccessMode, ActionsCacheV1, ActionsCacheV2, BackendConfigError, BackendEnv, DirectoryBackend, S3Backend,
    S3Credentials, S3Location, TieredBackend, open_backend,
};
pub use http::{HttpClient, HttpError, RequestBody, RetryBudget};
pub use options::StoreOptions;
pub(crate) use package_selection::{LockFileParts, NotInLockFileError};
pub use package_selection::{PackageSelection, SelectedPackage};
pub use progress::{CachePhase, NoProgress, ProgressReporter, WorkAmount};
pub use store::{Store, StoreError};
pub(crate) use uv::IndexAnswer;
pub use uv::{Uv, UvCache};
