//! What a project's dependencies are: uv.lock, requirements files, the tables of pyproject.toml, markers.

mod closure;
mod constraints;
mod lines;
mod lockfile;
mod marker;
mod name;
mod pyproject;
mod requirement;
mod requirements;

pub use closure::{Closure, Identity, Root};
pub use constraints::{Constraints, ConstraintsError, constraints};
pub use lockfile::{KNOWN_REVISION, Lock, LockError, LockedDependency, LockedFile, LockedPackage, LockedSource};
pub use marker::{Marker, MarkerEnvironment, MarkerError};
pub use name::{normal, split_extras};
pub use pyproject::{Pyproject, PyprojectError};
pub use requirement::{Requirement, RequirementError};
pub use requirements::{RequirementsError, RequirementsFile};
