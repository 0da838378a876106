//! Remote caches: packs of entries, manifests that index them, scopes, and signatures.

mod checksums;
mod download;
mod environment_entries;
mod manifest;
mod pack;
mod repack;
mod scope;
mod snapshot;
mod upload;

pub use checksums::{WheelChecksums, WheelChecksumsError};
pub use download::{DownloadFailure, DownloadPlan, DownloadReport};
pub use environment_entries::EnvironmentEntries;
pub(crate) use environment_entries::StorePackageIndex;
pub use manifest::{ManifestSigning, PackFrame, RemoteManifest, RemoteManifestError};
pub use scope::CacheScopes;
pub use snapshot::{RemoteCache, RemoteSnapshot};
pub(crate) use upload::IncrementalUpload;
pub use upload::UploadReport;
