//! Dependencies of a project: uv.lock, requirements files, pyproject.toml, markers, and dependency closures.

mod closure;
mod constraints;
mod marker;
mod package_name;
mod pyproject;
mod requirement;
mod requirements_file;
mod uv_lock;

pub use closure::{ClosureRoot, DependencyClosure, PackageIdentity};
pub(crate) use constraints::{ConstraintFiles, ConstraintsError, export_constraints};
pub use marker::{Marker, MarkerEnvironment, MarkerError};
pub(crate) use package_name::{normalize_name, split_extras};
pub use pyproject::{Pyproject, PyprojectError};
pub use requirement::{Requirement, RequirementError};
pub use requirements_file::{RequirementsFile, RequirementsFileError};
pub use uv_lock::{LockedDependency, LockedFile, LockedPackage, LockedSource, UvLock, UvLockError};
