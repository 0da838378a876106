//! The store elsewhere: packs of frames, manifests that say what lies where, scopes, and trust.

mod bring;
mod bring_plan;
mod environments;
mod frame;
mod manifest;
mod pack;
mod push;
mod rewrite;
mod scope;
mod sums;
mod view;

pub use bring::{Brought, NotBrought};
pub use bring_plan::{BringPlan, Segment};
pub use environments::{Environments, KnownPackages};
pub use frame::FrameError;
pub use manifest::{Frame, Manifest, ManifestError};
pub use push::{Push, PushReport};
pub use rewrite::Rewrite;
pub use scope::Scope;
pub use sums::{Sums, SumsError};
pub use view::{Remote, View};
