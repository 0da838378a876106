//! Files handled with care: atomic writes, claims.

mod atomic;
mod claim;

pub use atomic::write_atomic;
pub use claim::Claim;
