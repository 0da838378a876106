//! Dependencies of a project: uv.lock, requirements files, pyproject.toml, markers, and dependency closures.

mod closure;
mod constraints;
mod lockfile;
mod marker;
mod package_name;
mod pyproject;
mod requirement;
mod requirements_file;

pub use closure::{ClosureRoot, DependencyClosure, PackageIdentity};
pub(crate) use constraints::{ConstraintFiles, ConstraintsError, export_constraints};
pub use lockfile::{LockedDependency, LockedFile, LockedPackage, LockedSource, UvLock, UvLockError};
pub use marker::{Marker, MarkerEnvironment, MarkerError};
pub(crate) use package_name::{normalize_name, split_extras};
pub use pyproject::{Pyproject, PyprojectError};
pub use requirement::{Requirement, RequirementError};
pub use requirements_file::{RequirementsFile, RequirementsFileError};
