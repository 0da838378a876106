//! Artifacts: files that settings name as a session's `artifacts`, copied to the run's directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err::os::unix::fs::OpenOptionsExt;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::OFlags;
use walkdir::WalkDir;

use crate::project::{DEFAULT_ENVDIR, RUN_DATA_DIR};
use crate::record::{ARTIFACTS_VERSION, Artifact, ArtifactList};

/// Maximum number of attempts to copy a file that changes while it is being copied.
const MAX_COPY_ATTEMPTS: u32 = 3;
/// Directories of tools: a glob matches files in them only if it names the directory.
const PRIVATE_DIRECTORIES: [&str; 3] = [".git", DEFAULT_ENVDIR, RUN_DATA_DIR];

/// Collects the artifacts of one session.
#[derive(Debug)]
pub(super) struct ArtifactCollector {
    /// The session's name, for the list of artifacts.
    pub(super) session: String,
    /// The project's root; nothing outside it is read.
    pub(super) root: PathBuf,
    /// Globs relative to the root.
    pub(super) globs: Vec<String>,
    /// The directory for `artifacts.json` and the copies.
    pub(super) directory: PathBuf,
}

impl ArtifactCollector {
    /// Copies all files that the globs match, writes the list, and returns a notice for each problem.
    ///
    /// Stops before the next file once `cancelled` is set.
    pub(super) fn collect_artifacts(&self, cancelled: &AtomicBool) -> Vec<String> {
        let mut notices = Vec::new();
        let describe = |glob: &str| format!("artifacts of {}: {glob}", self.session);
        let mut matches: Vec<PathBuf> = Vec::new();
        for glob in &self.globs {
            match self.find_matches(glob) {
                Ok(paths) if paths.is_empty() => notices.push(format!("{} matches nothing", describe(glob))),
                Ok(paths) => matches.extend(paths),
                Err(error) => notices.push(format!("{} was skipped: {error}", describe(glob))),
            }
        }
        matches.sort_unstable();
        matches.dedup();
        let mut artifacts =
            ArtifactList { version: ARTIFACTS_VERSION, session: self.session.clone(), files: Vec::new() };
        for path in matches {
            if cancelled.load(Ordering::Relaxed) {
                notices.push(format!(
                    "{} and later files were not copied: the run was interrupted",
                    describe(&path_text(&path))
                ));
                break;
            }
            match self.copy_artifact(&path) {
                Ok(Some(artifact)) => {
                    if artifact.changed_during_copy {
                        notices.push(format!(
                            "{} changed while it was copied: the copy may be incomplete",
                            describe(&path_text(&path))
                        ));
                    }
                    artifacts.files.push(artifact);
                }
                Ok(None) => notices.push(format!("{} is not a file, directory or link", describe(&path_text(&path)))),
                Err(error) => notices.push(format!("{} could not be copied: {error}", describe(&path_text(&path)))),
            }
        }
        let written = fs_err::create_dir_all(&self.directory).and_then(|()| artifacts.write(&self.directory));
        notices.extend(written.err().map(|error| format!("{}: {error}", describe("the list of artifacts"))));
        notices
    }

    /// Returns the paths below the root that a glob matches; a glob that names a directory matches all files in it.
    fn find_matches(&self, glob: &str) -> io::Result<Vec<PathBuf>> {
        let glob = glob.trim_start_matches("./").trim_end_matches('/');
        let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if glob.is_empty() || !Path::new(glob).components().all(is_inside) {
            return Err(io::Error::other("it must be a path below the project's root"));
        }
        let set = build_glob_set(glob).map_err(io::Error::other)?;
        let literal: PathBuf = Path::new(glob).iter().take_while(|part| !has_glob_syntax(part)).collect();
        let start = self.root.join(&literal);
        match fs_err::symlink_metadata(&start) {
            Ok(_) => self.check_inside_root(&start)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let is_private = |name: &std::ffi::OsStr| PRIVATE_DIRECTORIES.iter().any(|private| name == *private);
        let walk = WalkDir::new(&start).follow_links(false).follow_root_links(false).sort_by_file_name();
        let entries = walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_private(entry.file_name()));
        let mut paths = Vec::new();
        for entry in entries {
            // Skip a directory that is unreadable or was deleted during the walk.
            let Ok(entry) = entry else { continue };
            let Ok(path) = entry.path().strip_prefix(&self.root) else { continue };
            if !entry.file_type().is_dir() && set.is_match(path) {
                paths.push(path.to_path_buf());
            }
        }
        Ok(paths)
    }

    /// Fails if symbolic links lead the path out of the root.
    fn check_inside_root(&self, path: &Path) -> io::Result<()> {
        let parent = fs_err::canonicalize(path.parent().unwrap_or(path))?;
        if parent.starts_with(fs_err::canonicalize(&self.root)?) || path == self.root {
            return Ok(());
        }
        Err(io::Error::other("a link leads out of the project"))
    }

    /// Copies one file or link; returns `None` for a pipe, a socket or a device.
    fn copy_artifact(&self, path: &Path) -> io::Result<Option<Artifact>> {
        let source = self.root.join(path);
        let metadata = fs_err::symlink_metadata(&source)?;
        let mode = metadata.mode() & 0o7777;
        let mut artifact = Artifact {
            path: path.to_path_buf(),
            bytes: 0,
            digest: None,
            mode,
            link_target: None,
            changed_during_copy: false,
        };
        if metadata.is_symlink() {
            artifact.link_target = Some(fs_err::read_link(&source)?);
            return Ok(Some(artifact));
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        let target = self.directory.join("files").join(path);
        fs_err::create_dir_all(target.parent().unwrap_or(&self.directory))?;
        for _ in 0..MAX_COPY_ATTEMPTS {
            let (bytes, digest, changing) = copy_and_hash(&source, &target)?;
            (artifact.bytes, artifact.digest, artifact.changed_during_copy) = (bytes, Some(digest), changing);
            if !changing {
                break;
            }
        }
        Ok(Some(artifact))
    }
}

/// Copies a file and returns its size, its digest, and whether it changed during the copy.
fn copy_and_hash(source: &Path, target: &Path) -> io::Result<(u64, String, bool)> {
    // Fails for a link, and does not block on a pipe, that has replaced the file since it was listed.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut from: File = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(source)?.into();
    let before = from.metadata()?;
    let mut to: File = fs_err::File::create(target)?.into();
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..count]);
        to.write_all(&chunk[..count])?;
        bytes += count as u64;
        // Without this limit, copying a file that grows as fast as it is read would never end.
        if bytes > before.len().saturating_mul(2).saturating_add(1 << 20) {
            break;
        }
    }
    let after = from.metadata()?;
    let changing = bytes != before.len() || after.len() != before.len() || after.modified()? != before.modified()?;
    Ok((bytes, hasher.finalize().to_hex().to_string(), changing))
}

/// Builds matchers for the glob itself and, in case it names a directory, for all files in it.
fn build_glob_set(glob: &str) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in [glob.to_owned(), format!("{glob}/**")] {
        set.add(GlobBuilder::new(&glob).literal_separator(true).build()?);
    }
    set.build()
}

fn has_glob_syntax(part: &std::ffi::OsStr) -> bool {
    part.as_encoded_bytes().iter().any(|byte| b"*?[]{}\\!".contains(byte))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Tree {
        root: tempfile::TempDir,
        run: tempfile::TempDir,
    }

    impl Tree {
        fn new(files: &[&str]) -> Self {
            let tree = Self { root: tempfile::tempdir().unwrap(), run: tempfile::tempdir().unwrap() };
            for file in files {
                let path = tree.root.path().join(file);
                fs_err::create_dir_all(path.parent().unwrap()).unwrap();
                fs_err::write(path, file.as_bytes()).unwrap();
            }
            tree
        }

        fn collect(&self, globs: &[&str]) -> (Vec<String>, Vec<String>) {
            let (artifacts, notices) = self.collect_list(globs, false);
            (artifacts.files.iter().map(|file| path_text(&file.path)).collect(), notices)
        }

        fn collect_list(&self, globs: &[&str], stop: bool) -> (ArtifactList, Vec<String>) {
            let collector = ArtifactCollector {
                session: "tests".to_owned(),
                root: self.root.path().to_path_buf(),
                globs: globs.iter().map(|glob| (*glob).to_owned()).collect(),
                directory: ArtifactList::session_dir(self.run.path(), "tests"),
            };
            let notices = collector.collect_artifacts(&AtomicBool::new(stop));
            (ArtifactList::read(&collector.directory).unwrap(), notices)
        }
    }

    #[test]
    fn globs_match_files_and_directories_once() {
        let tree = Tree::new(&[
            "build/junit-a.xml",
            "build/junit-b.xml",
            "build/html/i/x.js",
            "junit-c.xml",
            "artifacts.json",
        ]);
        let all = ["./build/junit-*.xml", "build/html/", "*.json", "build/**/*.js"];
        let (files, notices) = tree.collect(&all);
        assert_eq!(files, ["artifacts.json", "build/html/i/x.js", "build/junit-a.xml", "build/junit-b.xml"]);
        assert!(notices.is_empty(), "{notices:?}");
        let (artifacts, _) = tree.collect_list(&["*.json"], false);
        let file = &artifacts.files[0];
        assert_eq!((file.bytes, file.mode & 0o600, file.changed_during_copy), (14, 0o600, false));
        assert_eq!(file.digest.as_deref(), Some(blake3::hash(b"artifacts.json").to_hex().as_str()));
        let copy = ArtifactList::session_dir(tree.run.path(), "tests").join("files/artifacts.json");
        assert_eq!(fs_err::read(copy).unwrap(), b"artifacts.json");
        assert_eq!(ArtifactList::read_all(tree.run.path()).len(), 1);
    }

    #[test]
    fn private_directories_are_only_entered_by_name() {
        let tree = Tree::new(&[".nox/tests/a.xml", "sub/.noxide/a.xml", "sub/a.xml"]);
        assert_eq!(tree.collect(&["**/*.xml"]).0, ["sub/a.xml"]);
        assert_eq!(tree.collect(&[".nox/tests/*.xml"]).0, [".nox/tests/a.xml"]);
    }

    #[test]
    fn a_glob_that_matches_nothing_or_leaves_the_root_is_reported() {
        let tree = Tree::new(&["a"]);
        for (glob, expected) in [
            ("missing/*.xml", "matches nothing"),
            ("b*", "matches nothing"),
            ("../*", "must be a path below"),
            ("/etc/passwd", "must be a path below"),
            ("", "must be a path below"),
            ("[", "unclosed character class"),
            ("a/b/c*", "a"),
        ] {
            let (files, notices) = tree.collect(&[glob]);
            assert!(files.is_empty() && notices.len() == 1 && notices[0].contains(expected), "{glob}: {notices:?}");
        }
    }

    #[test]
    fn links_are_stored_as_links_and_not_followed_out() {
        let tree = Tree::new(&["build/real.txt"]);
        let outside = Tree::new(&["secret", "deep/secret"]);
        let build = tree.root.path().join("build");
        symlink("real.txt", build.join("inner")).unwrap();
        symlink(outside.root.path().join("secret"), build.join("outer")).unwrap();
        symlink(outside.root.path(), build.join("directory")).unwrap();
        let (artifacts, notices) = tree.collect_list(&["build"], false);
        let files: Vec<_> =
            artifacts.files.iter().map(|f| (path_text(&f.path), f.digest.is_some(), f.link_target.clone())).collect();
        assert!(notices.is_empty(), "{notices:?}");
        assert_eq!(files.len(), 4);
        assert_eq!(files[1], ("build/inner".to_owned(), false, Some("real.txt".into())));
        assert_eq!(files[0].2, Some(outside.root.path().to_path_buf()));
        assert_eq!(files[3], ("build/real.txt".to_owned(), true, None));
        let (files, notices) = tree.collect(&["build/directory/deep/*"]);
        assert!(files.is_empty() && notices[0].contains("leads out of the project"), "{notices:?}");
    }

    #[test]
    fn special_and_unreadable_files_are_reported_and_the_rest_is_copied() {
        let tree = Tree::new(&["build/a", "build/b"]);
        let pipe = tree.root.path().join("build/pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (files, notices) = tree.collect(&["build"]);
        assert_eq!(files, ["build/a", "build/b"]);
        assert!(notices[0].contains("build/pipe is not a file"), "{notices:?}");
        fs_err::create_dir_all(ArtifactList::session_dir(tree.run.path(), "tests").join("files/build/a/x")).ok();
        fs_err::remove_file(ArtifactList::session_dir(tree.run.path(), "tests").join("files/build/a")).unwrap();
        fs_err::create_dir(ArtifactList::session_dir(tree.run.path(), "tests").join("files/build/a")).unwrap();
        let (files, notices) = tree.collect(&["build/a", "build/b"]);
        assert_eq!(files, ["build/b"]);
        assert!(notices[0].contains("build/a could not be copied"), "{notices:?}");
    }

    #[test]
    fn an_interrupted_run_copies_no_more() {
        let tree = Tree::new(&["a", "b"]);
        let (artifacts, notices) = tree.collect_list(&["?"], true);
        assert!(artifacts.files.is_empty() && notices[0].contains("a and later files were not copied"), "{notices:?}");
    }

    #[test]
    fn a_file_that_changes_while_it_is_copied_is_reported() {
        // The copy is written to a pipe, so the source grows whenever a part of the copy has been read.
        let tree = Tree::new(&["grows"]);
        let source = tree.root.path().join("grows");
        fs_err::write(&source, vec![b'x'; 1 << 20]).unwrap();
        let pipe = ArtifactList::session_dir(tree.run.path(), "tests").join("files/grows");
        fs_err::create_dir_all(pipe.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Opened for both, the pipe neither blocks on opening nor ends between two attempts.
        let mut pipe = fs_err::OpenOptions::new().read(true).write(true).open(pipe).unwrap();
        let mut wake: File = pipe.file().try_clone().unwrap();
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let writer = std::thread::spawn(move || {
            let mut source = fs_err::OpenOptions::new().append(true).open(source).unwrap();
            let mut chunk = vec![0; 64 * 1024];
            while !stopped.load(Ordering::Relaxed) {
                assert_ne!(pipe.read(&mut chunk).unwrap(), 0);
                source.write_all(b"more").unwrap();
            }
        });
        let (artifacts, notices) = tree.collect_list(&["grows"], false);
        stop.store(true, Ordering::Relaxed);
        wake.write_all(b"x").unwrap();
        writer.join().unwrap();
        assert!(
            artifacts.files[0].changed_during_copy && notices[0].contains("changed while it was copied"),
            "{notices:?}"
        );
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_reported() {
        let tree = Tree::new(&["a"]);
        let collector = ArtifactCollector {
            session: "tests".to_owned(),
            root: tree.root.path().to_path_buf(),
            globs: vec!["a".to_owned()],
            directory: tree.root.path().join("a/below"),
        };
        assert_eq!(collector.collect_artifacts(&AtomicBool::new(false)).len(), 2);
    }
}
