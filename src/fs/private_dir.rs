//! Directories below a directory in which every user can create files, such as `/tmp`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Returns a directory of this user below the system's temporary directory that no one else can access, and creates it
/// if needed. It has a fixed name, or a new one if another user has taken that name.
///
/// # Errors
/// If it cannot be created.
pub(crate) fn private_temp_dir() -> io::Result<PathBuf> {
    private_dir_in(&std::env::temp_dir())
}

fn private_dir_in(parent: &Path) -> io::Result<PathBuf> {
    let name = format!("noxide-{}", geteuid().as_raw());
    let path = parent.join(&name);
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display())));
        }
        _ => {}
    }
    if is_private_dir(&path) {
        return Ok(path);
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    Ok(tempfile::Builder::new().prefix(&format!("{name}-")).permissions(private).tempdir_in(parent)?.keep())
}

/// Returns whether `path` is a directory, not a link to one, that only this user can access.
pub(crate) fn is_private_dir(path: &Path) -> bool {
    let metadata = std::fs::symlink_metadata(path);
    metadata.is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0)
}

/// Most links from one path to another that are followed.
const MAX_LINKS: usize = 40;

/// Returns whether another user may have created what is at `path`, or at the target of a link on the way: a component of
/// the path lies in a directory in which others can create files, and is not a directory of this user, or in a directory of
/// another user, and is a link.
pub(crate) fn may_belong_to_others(path: &Path) -> bool {
    may_belong_to_others_within(path, MAX_LINKS)
}

fn may_belong_to_others_within(path: &Path, link_count: usize) -> bool {
    let leads_to_others = |dir: &Path| {
        let Ok(target) = std::fs::read_link(dir) else { return false };
        let target = dir.parent().unwrap_or(dir).join(target);
        link_count == 0 || may_belong_to_others_within(&target, link_count - 1)
    };
    path.ancestors().any(|dir| is_path_of_others(dir) || leads_to_others(dir))
}

/// Returns whether another user may have created what is at `dir`, judged by its parent directory.
fn is_path_of_others(dir: &Path) -> bool {
    let user = geteuid().as_raw();
    let Some(parent) = dir.parent().and_then(|parent| std::fs::metadata(parent).ok()) else { return false };
    let found = std::fs::symlink_metadata(dir);
    if can_others_write(&parent, user) {
        return !found.is_ok_and(|found| found.is_dir() && found.uid() == user);
    }
    // A directory of another user is usual for root in a container, to whose owner the files of a volume belong.
    !matches!(parent.uid(), 0) && parent.uid() != user && !found.is_ok_and(|found| found.is_dir())
}

/// Returns whether everyone can create files in a directory, or a group: not root's, nor the one that has only this user.
fn can_others_write(directory: &Metadata, user: u32) -> bool {
    let is_private_group = directory.gid() == 0 || directory.gid() == user;
    directory.mode() & 0o002 != 0 || (directory.mode() & 0o020 != 0 && !is_private_group)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_temporary_directory_is_used_only_if_it_is_private() {
        let (parent, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = private_dir_in(parent.path()).unwrap();
        assert!(is_private_dir(&first));
        assert_eq!(private_dir_in(parent.path()).unwrap(), first);

        fs_err::set_permissions(&first, PermissionsExt::from_mode(0o755)).unwrap();
        let fresh = private_dir_in(parent.path()).unwrap();
        assert!(fresh != first && is_private_dir(&fresh), "others can read the one with the fixed name");
        fs_err::remove_dir(&first).unwrap();
        symlink(other.path(), &first).unwrap();
        let fresh = private_dir_in(parent.path()).unwrap();
        assert!(fresh != first && is_private_dir(&fresh), "a link is not used");
        assert!(private_dir_in(&parent.path().join("missing")).is_err());
    }

    #[test]
    fn links_and_missing_directories_in_a_shared_directory_may_belong_to_others() {
        let (shared, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::create_dir(shared.path().join("own")).unwrap();
        symlink(other.path(), shared.path().join("link")).unwrap();
        let check = |name: &str| may_belong_to_others(&shared.path().join(name).join("runs"));
        assert!(!check("own") && !check("link") && !check("missing"));
        fs_err::set_permissions(shared.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        assert!(!check("own") && check("link") && check("missing"));
        // A link of this user to a directory that another user can create.
        symlink(shared.path().join("missing"), other.path().join("dangling")).unwrap();
        symlink(shared.path().join("own"), other.path().join("valid")).unwrap();
        symlink("loop", other.path().join("loop")).unwrap();
        let linked = |name: &str| may_belong_to_others(&other.path().join(name).join("runs"));
        assert!(linked("dangling") && linked("loop") && !linked("valid"));
        // The same with a group that has other users; only root can give a directory to a group it is not in.
        if geteuid().is_root() {
            std::os::unix::fs::chown(shared.path(), None, Some(12_346)).unwrap();
            fs_err::set_permissions(shared.path(), PermissionsExt::from_mode(0o775)).unwrap();
            assert!(!check("own") && check("link") && check("missing"));
            // One of another user, which is not in a directory that everyone can write to.
            std::os::unix::fs::chown(shared.path(), None, Some(0)).unwrap();
            let foreign = shared.path().join("own/foreign");
            fs_err::create_dir_all(foreign.join("own")).unwrap();
            symlink(other.path(), foreign.join("link")).unwrap();
            std::os::unix::fs::chown(&foreign, Some(12_346), None).unwrap();
            let check = |name: &str| may_belong_to_others(&foreign.join(name).join("runs"));
            assert!(!check("own") && check("link"));
        }
    }
}
