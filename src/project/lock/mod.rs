//! What a project's dependencies are: uv.lock, requirements files, the tables of pyproject.toml, markers.

mod closure;
mod constraints;
mod line_numbers;
mod lockfile;
mod marker;
mod package_name;
mod pyproject;
mod requirement;
mod requirements_file;

pub use closure::{ClosureRoot, DependencyClosure, PackageIdentity};
pub use constraints::{ConstraintFiles, ConstraintsError, export_constraints};
pub use lockfile::{
    LockedDependency, LockedFile, LockedPackage, LockedSource, MAX_KNOWN_REVISION, UvLock, UvLockError,
};
pub use marker::{Marker, MarkerEnvironment, MarkerError};
pub use package_name::{normalize_name, split_extras};
pub use pyproject::{Pyproject, PyprojectError};
pub use requirement::{Requirement, RequirementError};
pub use requirements_file::{RequirementsFile, RequirementsFileError};
