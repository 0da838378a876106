//! Folders kept under keys, on this machine and elsewhere.

mod backend;
mod backends;
mod http;

pub use backend::{Abilities, Backend, BackendError, Object, is_key, key_part};
pub use backends::{
    ActionsV1, ActionsV2, Credentials, Directory, Mode, RemoteError, S3, S3Place, Tiered, Variables, open,
};
pub use http::{Answer, Client, HttpError, Patience, Payload, Request};
