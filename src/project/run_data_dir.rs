//! Run data directory: runs, history and traces of a project, below the directory of nox's environments.
//!
//! Whoever uses nox already keeps that directory out of Git, packages and linters.

use std::path::{Path, PathBuf};

/// Name of the directory. nox names environments without leading dots, so that none of them has this name.
pub(crate) const RUN_DATA_DIR: &str = ".noxide";

/// nox's default for the directory of the environments.
pub(crate) const DEFAULT_ENVDIR: &str = ".nox";

/// Digits of the digest that distinguishes projects with a common directory of environments.
const DIGEST_LEN: usize = 16;

/// Returns the run data directory of the project in `root`, whose environments are in `envdir`. Several projects may
/// share an `envdir` outside their root; each gets a directory of its own.
pub fn run_data_dir(envdir: &Path, root: &Path) -> PathBuf {
    let directory = envdir.join(RUN_DATA_DIR);
    if envdir.starts_with(root) { directory } else { directory.join(project_digest(root)) }
}

/// Returns the run data directory of a project with nox's default for `envdir`.
pub fn default_run_data_dir(root: &Path) -> PathBuf {
    run_data_dir(&root.join(DEFAULT_ENVDIR), root)
}

/// Returns whether a path is named like a run data directory.
pub(crate) fn is_run_data_dir(path: &Path) -> bool {
    let is_digest = |name: &str| name.len() == DIGEST_LEN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digest_name = || path.file_name().and_then(|name| name.to_str()).is_some_and(is_digest);
    path.ends_with(RUN_DATA_DIR) || (has_digest_name() && path.parent().is_some_and(|dir| dir.ends_with(RUN_DATA_DIR)))
}

/// Returns a digest of the path of a project's root.
pub(crate) fn project_digest(root: &Path) -> String {
    let real = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    blake3::hash(real.as_os_str().as_encoded_bytes()).to_hex()[..DIGEST_LEN].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_that_share_environments_do_not_share_run_data() {
        let inside = run_data_dir(Path::new("/p/envs"), Path::new("/p"));
        assert_eq!(inside, Path::new("/p/envs/.noxide"));
        let one = run_data_dir(Path::new("/envs"), Path::new("/p"));
        let other = run_data_dir(Path::new("/envs"), Path::new("/q"));
        assert!(one != other && one.parent() == Some(Path::new("/envs/.noxide")), "{}", one.display());
        for (path, expected) in [
            (inside.as_path(), true),
            (&one, true),
            (Path::new(".nox/.noxide/runs"), false),
            (Path::new("envs/0123456789abcdef"), false),
            (Path::new(".nox"), false),
        ] {
            assert_eq!(is_run_data_dir(path), expected, "{}", path.display());
        }
        assert_eq!(default_run_data_dir(Path::new("/p")), Path::new("/p/.nox/.noxide"));
    }
}
