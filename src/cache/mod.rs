//! Folders kept under keys: the store on disk, what it knows of uv, and stores elsewhere.

mod backend;
mod backends;
mod http;
pub mod keys;
mod options;
mod progress;
pub mod remote;
pub mod store;
pub mod uv;
mod wanted;

pub use backend::{Abilities, Backend, BackendError, Object, is_key, key_part};
pub use backends::{
    ActionsV1, ActionsV2, Credentials, Directory, Mode, RemoteError, S3, S3Place, Tiered, Variables, open,
};
pub use http::{Answer, Client, HttpError, Patience, Payload, Request};
pub use options::CacheOptions;
pub use progress::{Amount, Phase, Progress, Silent};
pub use store::{Store, StoreError};
pub use uv::{Uv, UvCache};
pub use wanted::{Wanted, WantedPackage};
