//! Scan of a uv cache: pointer files (`….http`, `….rev`) that contain a wheel's digest, each next to a link to the unpacked tree.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::store::{EntryId, EntryKind, UvPlacement, UvPointer};
use crate::fs::{Sha256Digest, read_regular_file};

use super::layout::UvCacheLayout;

/// Size limit for uv's own files: pointer files and metadata have kilobytes, built wheels may be larger.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A wheel in a uv cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvCachedWheel {
    /// ID of its entry in a store.
    pub id: EntryId,
    /// SHA-256 of the wheel, or of the source archive it was built from.
    pub digest: Sha256Digest,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// Bucket of its pointer file.
    pub bucket: String,
    /// Link to the tree, relative to the cache.
    pub link: String,
    /// Unpacked tree, relative to the cache: `archive-v0/<id>`.
    pub tree_path: String,
    pointer_files: Vec<String>,
}

impl UvCachedWheel {
    /// Reads uv's own files.
    ///
    /// # Errors
    /// If a file cannot be read, or is too large.
    pub(crate) fn read_placement(&self, cache: &Path) -> std::io::Result<(UvPlacement, Vec<Vec<u8>>)> {
        let mut files = Vec::new();
        for path in &self.pointer_files {
            files.push((path.clone(), read_regular_file(&cache.join(path), MAX_FILE_BYTES)?));
        }
        let placement = UvPlacement::new(self.bucket.clone(), self.tree_path.clone(), self.link.clone(), &files)
            .map_err(std::io::Error::other)?;
        Ok((placement, files.into_iter().map(|(_, bytes)| bytes).collect()))
    }
}

/// Returns every wheel in a cache, sorted, and the number of malformed pointer files.
pub(super) fn scan_wheels(cache: &Path, layout: &UvCacheLayout) -> (Vec<UvCachedWheel>, usize) {
    let mut found = Vec::new();
    let mut malformed = 0;
    let wheels = find_files(&cache.join(&layout.wheels), &|name| name.ends_with(".http") || name.ends_with(".rev"));
    for path in wheels {
        match read_wheel_pointer(cache, layout, &path) {
            PointerScan::Wheel(wheel) => found.push(*wheel),
            PointerScan::Malformed => malformed += 1,
            PointerScan::NoWheel => {}
        }
    }
    if let Some(sdists) = &layout.sdists {
        for path in find_files(&cache.join(sdists), &|name| name == "revision.http" || name == "revision.rev") {
            found.extend(find_built_wheels(cache, layout, sdists, &path));
        }
    }
    found.sort_by(|a, b| a.link.cmp(&b.link));
    (found, malformed)
}

/// Returns the number of wheels downloaded since `since` without a recorded digest.
pub(super) fn count_wheels_without_digest(cache: &Path, layout: &UvCacheLayout, since: SystemTime) -> usize {
    let downloaded =
        find_files(&cache.join(&layout.wheels), &|name| name.ends_with(".http")).into_iter().filter(|path| {
            let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
            written.is_ok_and(|written| written >= since) && path.with_extension("").is_symlink()
        });
    downloaded
        .filter(|path| read_regular_file(path, MAX_FILE_BYTES).is_ok_and(|bytes| find_digest(&bytes).is_none()))
        .count()
}

enum PointerScan {
    Wheel(Box<UvCachedWheel>),
    /// A pointer file without a digest (a local wheel), or whose tree is missing: a cache miss for uv too.
    NoWheel,
    /// A pointer file that does not match its link or the layout.
    Malformed,
}

fn read_wheel_pointer(cache: &Path, layout: &UvCacheLayout, path: &Path) -> PointerScan {
    let Ok(bytes) = read_regular_file(path, MAX_FILE_BYTES) else { return PointerScan::NoWheel };
    let Some(digest) = find_digest(&bytes) else { return PointerScan::NoWheel };
    let stem = path.with_extension("");
    let Ok(target) = std::fs::read_link(&stem) else {
        // Metadata cached for a resolution has neither link nor tree.
        return PointerScan::NoWheel;
    };
    let Some(tree_path) = archive_path(layout, &target) else { return PointerScan::Malformed };
    let Some(name) = tree_path.rsplit('/').next() else { return PointerScan::Malformed };
    let (Some(link), Some(pointer)) = (relative_path(cache, &stem), relative_path(cache, path)) else {
        return PointerScan::Malformed;
    };
    let Some(parsed) = UvPointer::parse(EntryKind::Wheel, &pointer, &bytes) else { return PointerScan::Malformed };
    if !parsed.has_single_digest() {
        // Nothing in an entry vouches for the other digests, and uv would believe them.
        return PointerScan::NoWheel;
    }
    if !parsed.is_of_wheel(&digest.to_string(), name, &link) {
        return PointerScan::Malformed;
    }
    if !cache.join(&tree_path).is_dir() {
        return PointerScan::NoWheel;
    }
    let metadata = format!("{link}.msgpack");
    let mut files = Vec::new();
    if cache.join(&metadata).is_file() {
        files.push(metadata);
    }
    files.push(pointer);
    let name = display_name(stem.parent(), &stem);
    let bucket = layout.wheels.clone();
    PointerScan::Wheel(Box::new(UvCachedWheel {
        id: EntryId::for_wheel(digest),
        digest,
        name,
        bucket,
        link,
        tree_path,
        pointer_files: files,
    }))
}

/// Returns the wheels built from one source archive.
fn find_built_wheels(cache: &Path, layout: &UvCacheLayout, bucket: &str, revision: &Path) -> Vec<UvCachedWheel> {
    let Ok(bytes) = read_regular_file(revision, MAX_FILE_BYTES) else { return Vec::new() };
    let (Some(digest), Some(shard)) = (find_digest(&bytes), revision.parent()) else { return Vec::new() };
    let pointer = UvPointer::parse(EntryKind::BuiltWheel, &revision.to_string_lossy(), &bytes);
    let Some(pointer) = pointer.filter(UvPointer::has_single_digest) else { return Vec::new() };
    let is_named = |entry: &std::fs::DirEntry| entry.file_name() == pointer.id();
    let mut found = Vec::new();
    for directory in std::fs::read_dir(shard).into_iter().flatten().flatten().filter(is_named) {
        for entry in std::fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let link = entry.path();
            let Ok(target) = std::fs::read_link(&link) else { continue };
            let Some(tree_path) = archive_path(layout, &target).filter(|tree_path| cache.join(tree_path).is_dir())
            else {
                continue;
            };
            let stem = entry.file_name().to_string_lossy().into_owned();
            let Some(id) = EntryId::new(EntryKind::BuiltWheel, format!("{digest}.{stem}")) else { continue };
            let companions = [directory.path().join("metadata.msgpack"), directory.path().join(format!("{stem}.whl"))];
            let files: Option<Vec<String>> =
                companions.iter().chain([&revision.to_path_buf()]).map(|path| relative_path(cache, path)).collect();
            let (Some(files), Some(link)) = (files, relative_path(cache, &link)) else { continue };
            if companions.iter().all(|path| path.is_file()) {
                let name = stem.split('-').take(2).collect::<Vec<_>>().join(" ");
                found.push(UvCachedWheel {
                    id,
                    digest,
                    name,
                    bucket: bucket.to_owned(),
                    link,
                    tree_path,
                    pointer_files: files,
                });
            }
        }
    }
    found
}

/// Returns the first run of exactly 64 hexadecimal digits.
fn find_digest(bytes: &[u8]) -> Option<Sha256Digest> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let runs = bytes.split(|byte| !is_digit(byte));
    // In msgpack, the length byte between `Sha256` and the digits is not a digit.
    runs.filter(|run| run.len() == 64).find_map(|run| Sha256Digest::from_hex(std::str::from_utf8(run).ok()?))
}

/// Returns `archive-v0/<id>` for `../../../archive-v0/<id>`.
fn archive_path(layout: &UvCacheLayout, target: &Path) -> Option<String> {
    let id = target.file_name()?.to_str()?;
    let bucket = target.parent()?.file_name()?.to_str()?;
    (bucket == layout.archives && !id.is_empty() && !id.starts_with('.')).then(|| format!("{bucket}/{id}"))
}

fn relative_path(cache: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(cache).ok()?.to_str().map(str::to_owned)
}

/// Returns `numpy 2.4.5` for `…/numpy/2.4.5-cp311-…`.
fn display_name(package: Option<&Path>, stem: &Path) -> String {
    let text = |path: Option<&OsStr>| path.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = text(stem.file_name());
    format!("{} {}", text(package.and_then(Path::file_name)), file.split('-').next().unwrap_or_default())
}

/// Finds files by name below a directory, except for unpacked sources.
fn find_files(root: &Path, accept: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(root).follow_links(false).max_depth(6).into_iter();
    let entries = walk.filter_entry(|entry| !(entry.file_type().is_dir() && entry.file_name() == "src"));
    let files = entries.flatten().filter(|entry| entry.file_type().is_file());
    files.filter(|entry| entry.file_name().to_str().is_some_and(accept)).map(walkdir::DirEntry::into_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_among_other_bytes() {
        let digest = Sha256Digest::hash_bytes(b"x");
        let bytes =
            [b"\x95\xb0NClwq3oHQcqIzWWc\x91\x81\xa6Sha256\xd9@", digest.to_string().as_bytes(), b"\xbeeditables"]
                .concat();
        assert_eq!(find_digest(&bytes), Some(digest));
        assert_eq!(find_digest(b"no digest abc"), None);
    }
}
