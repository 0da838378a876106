//! What lies in a uv cache: a small pointer that holds the wheel's digest, and beside it a link that names the tree.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::store::{EntryId, EntryKind, UvPlacement};
use crate::fs::Sha256Digest;

use super::layout::UvCacheLayout;

/// The largest of uv's own files that is copied: pointers and metadata have kilobytes, built wheels may have more.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A wheel in a uv cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvCachedWheel {
    /// The entry it is of.
    pub id: EntryId,
    /// Digest of the wheel, or of the source archive it was built from.
    pub digest: Sha256Digest,
    /// Its name and version: `numpy 2.4.5`.
    pub name: String,
    /// The bucket it lies in.
    pub bucket: String,
    /// The link beside it, from the cache on.
    pub link: String,
    /// The tree, from the cache on: `archive-v0/<id>`.
    pub tree_path: String,
    pointer_files: Vec<String>,
}

impl UvCachedWheel {
    /// uv's own files, read as they are now.
    ///
    /// # Errors
    /// When one cannot be read, or is larger than such files are.
    pub(crate) fn read_placement(&self, cache: &Path) -> std::io::Result<(UvPlacement, Vec<Vec<u8>>)> {
        let mut files = Vec::new();
        for path in &self.pointer_files {
            if std::fs::metadata(cache.join(path))?.len() > MAX_FILE_BYTES {
                return Err(std::io::Error::other(format!("{path} is too large")));
            }
            files.push((path.clone(), fs_err::read(cache.join(path))?));
        }
        let placing = UvPlacement::new(self.bucket.clone(), self.tree_path.clone(), self.link.clone(), &files);
        Ok((placing, files.into_iter().map(|(_, bytes)| bytes).collect()))
    }
}

/// Every wheel in a cache, sorted; and how many pointers lead to no tree as they should.
pub(super) fn scan_wheels(cache: &Path, layout: &UvCacheLayout) -> (Vec<UvCachedWheel>, usize) {
    let mut found = Vec::new();
    let mut strange = 0;
    let wheels = find_files(&cache.join(&layout.wheels), &|name| name.ends_with(".http") || name.ends_with(".rev"));
    for path in wheels {
        match read_wheel_pointer(cache, layout, &path) {
            PointerScan::Wheel(pointer) => found.push(*pointer),
            PointerScan::Malformed => strange += 1,
            PointerScan::NoWheel => {}
        }
    }
    if let Some(sdists) = &layout.sdists {
        for path in find_files(&cache.join(sdists), &|name| name == "revision.http" || name == "revision.rev") {
            found.extend(find_built_wheels(cache, layout, sdists, &path));
        }
    }
    found.sort_by(|a, b| a.link.cmp(&b.link));
    (found, strange)
}

/// How many wheels were fetched since then without a digest noted beside them.
pub(super) fn count_wheels_without_digest(cache: &Path, layout: &UvCacheLayout, since: SystemTime) -> usize {
    let fetched = find_files(&cache.join(&layout.wheels), &|name| name.ends_with(".http")).into_iter().filter(|path| {
        let written = std::fs::metadata(path).and_then(|facts| facts.modified());
        written.is_ok_and(|written| written >= since) && path.with_extension("").is_symlink()
    });
    fetched.filter(|path| std::fs::read(path).is_ok_and(|bytes| find_digest(&bytes).is_none())).count()
}

enum PointerScan {
    Wheel(Box<UvCachedWheel>),
    /// A pointer without a digest (a wheel of this machine), or whose tree is gone: uv takes that for a miss too.
    NoWheel,
    /// A digest and a tree that do not belong together as they should.
    Malformed,
}

fn read_wheel_pointer(cache: &Path, layout: &UvCacheLayout, path: &Path) -> PointerScan {
    let Ok(bytes) = std::fs::read(path) else { return PointerScan::NoWheel };
    let Some(digest) = find_digest(&bytes) else { return PointerScan::NoWheel };
    let stem = path.with_extension("");
    let Ok(target) = std::fs::read_link(&stem) else {
        // Metadata alone, kept for a resolution, has neither link nor tree.
        return PointerScan::NoWheel;
    };
    let Some(archive) = archive_path(layout, &target) else { return PointerScan::Malformed };
    let Some(name) = archive.rsplit('/').next() else { return PointerScan::Malformed };
    if !bytes.windows(name.len()).any(|window| window == name.as_bytes()) {
        return PointerScan::Malformed;
    }
    if !cache.join(&archive).is_dir() {
        return PointerScan::NoWheel;
    }
    let (Some(link), Some(pointer)) = (relative_path(cache, &stem), relative_path(cache, path)) else {
        return PointerScan::Malformed;
    };
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
        tree_path: archive,
        pointer_files: files,
    }))
}

/// The wheels that were built from one source archive.
fn find_built_wheels(cache: &Path, layout: &UvCacheLayout, bucket: &str, revision: &Path) -> Vec<UvCachedWheel> {
    let Ok(bytes) = std::fs::read(revision) else { return Vec::new() };
    let (Some(digest), Some(shard)) = (find_digest(&bytes), revision.parent()) else { return Vec::new() };
    let named = |name: &OsStr| bytes.windows(name.len()).any(|window| window == name.as_encoded_bytes());
    let mut found = Vec::new();
    for folder in std::fs::read_dir(shard).into_iter().flatten().flatten().filter(|entry| named(&entry.file_name())) {
        for entry in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let link = entry.path();
            let Ok(target) = std::fs::read_link(&link) else { continue };
            let Some(archive) = archive_path(layout, &target).filter(|archive| cache.join(archive).is_dir()) else {
                continue;
            };
            let stem = entry.file_name().to_string_lossy().into_owned();
            let Some(id) = EntryId::new(EntryKind::BuiltWheel, format!("{digest}.{stem}")) else { continue };
            let beside = [folder.path().join("metadata.msgpack"), folder.path().join(format!("{stem}.whl"))];
            let files: Option<Vec<String>> =
                beside.iter().chain([&revision.to_path_buf()]).map(|path| relative_path(cache, path)).collect();
            let (Some(files), Some(link)) = (files, relative_path(cache, &link)) else { continue };
            if beside.iter().all(|path| path.is_file()) {
                let name = stem.split('-').take(2).collect::<Vec<_>>().join(" ");
                found.push(UvCachedWheel {
                    id,
                    digest,
                    name,
                    bucket: bucket.to_owned(),
                    link,
                    tree_path: archive,
                    pointer_files: files,
                });
            }
        }
    }
    found
}

/// The first run of exactly 64 hexadecimal digits.
fn find_digest(bytes: &[u8]) -> Option<Sha256Digest> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let runs = bytes.split(|byte| !is_digit(byte));
    // `Sha256` itself ends in digits; msgpack puts the length, which is no digit, before the run.
    runs.filter(|run| run.len() == 64).find_map(|run| Sha256Digest::from_hex(std::str::from_utf8(run).ok()?))
}

/// `archive-v0/<id>` out of `../../../archive-v0/<id>`.
fn archive_path(layout: &UvCacheLayout, target: &Path) -> Option<String> {
    let id = target.file_name()?.to_str()?;
    let bucket = target.parent()?.file_name()?.to_str()?;
    (bucket == layout.archives && !id.is_empty() && !id.starts_with('.')).then(|| format!("{bucket}/{id}"))
}

fn relative_path(cache: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(cache).ok()?.to_str().map(str::to_owned)
}

/// `numpy 2.4.5` for `…/numpy/2.4.5-cp311-…`.
fn display_name(package: Option<&Path>, stem: &Path) -> String {
    let text = |path: Option<&OsStr>| path.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = text(stem.file_name());
    format!("{} {}", text(package.and_then(Path::file_name)), file.split('-').next().unwrap_or_default())
}

/// Files whose names will do, below a folder but not in unpacked sources.
fn find_files(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(root).follow_links(false).max_depth(6).into_iter();
    let entries = walk.filter_entry(|entry| !(entry.file_type().is_dir() && entry.file_name() == "src"));
    let files = entries.flatten().filter(|entry| entry.file_type().is_file());
    files.filter(|entry| entry.file_name().to_str().is_some_and(wanted)).map(walkdir::DirEntry::into_path).collect()
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
