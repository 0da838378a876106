//! A tree on its way into the store: taken file by file, verified, and there at once or not at all.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::cache::options::CacheOptions;
use crate::fs::{
    FileLinker, FileStat, LockedTempDir, Sha256Digest, blake3_hex, copy_with_sha256, is_symlink_contained,
    open_no_follow, safe_relative_path, sha256_open_file, walk_tree,
};

use super::corruption::{Corruption, EntryDamage};
use super::entry::EntryMeta;
use super::entry::UvPlacement;
use super::entry_id::{EntryId, EntryKind};
use super::pyc_format::find_bytecode_faults;
use super::store_dir::{Store, StoreError};
use super::tree_manifest::{TreeManifest, TreeNode, TreeNodeKind};
use super::wheel_record::find_record_faults;

/// A tree on its way into the store. Dropped before it is published, it leaves nothing.
#[derive(Debug)]
pub struct StagedEntry<'s> {
    store: &'s Store,
    workspace: LockedTempDir,
    id: EntryId,
    name: String,
    nodes: Vec<TreeNode>,
    symlinks: HashSet<PathBuf>,
    /// Folders that were made: a wheel has many files in each.
    created_folders: HashSet<PathBuf>,
    bytes: u64,
    placements: Vec<(UvPlacement, Vec<Vec<u8>>)>,
    requires: Option<Vec<String>>,
}

/// How an entry came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// It is new.
    New(Box<EntryMeta>),
    /// Somebody else was first, or it was there before; ours is thrown away.
    AlreadyExists,
}

impl Store {
    /// Begins to take in a tree under this name; `name` is for people.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn stage_entry(&self, id: &EntryId, name: &str) -> Result<StagedEntry<'_>, StoreError> {
        let workspace = self.create_workspace()?;
        let made = std::fs::create_dir_all(workspace.path().join("entry/tree"));
        made.map_err(|source| StoreError::Unusable { path: self.root().to_path_buf(), source })?;
        Ok(StagedEntry {
            store: self,
            workspace,
            id: id.clone(),
            name: name.to_owned(),
            nodes: Vec::new(),
            symlinks: HashSet::new(),
            created_folders: HashSet::new(),
            bytes: 0,
            placements: Vec::new(),
            requires: None,
        })
    }

    /// Adds to an entry how a uv cache has it; nothing happens where that is known.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn add_placement(
        &self,
        id: &EntryId,
        placing: &UvPlacement,
        files: &[Vec<u8>],
    ) -> Result<bool, StoreError> {
        let unusable = |source| StoreError::Unusable { path: self.root().to_path_buf(), source };
        let folder = self.entry_path(id).join("uv").join(UvPlacement::folder_name(&placing.bucket, &placing.link));
        if folder.exists() {
            return Ok(false);
        }
        let workspace = self.create_workspace()?;
        let made = workspace.path().join("placing");
        write_placement(&made, placing, files).map_err(unusable)?;
        match std::fs::create_dir_all(self.entry_path(id).join("uv")).and_then(|()| std::fs::rename(&made, &folder)) {
            Ok(()) => Ok(true),
            Err(error) if is_name_taken(&error) => Ok(false),
            Err(error) => Err(unusable(error)),
        }
    }
}

impl StagedEntry<'_> {
    /// Takes all files below `from`, by links where that can be, and reads every byte of what it has taken.
    ///
    /// # Errors
    /// What is wrong with the first file that cannot be taken.
    pub fn import_tree(&mut self, from: &Path, linker: &FileLinker) -> Result<(), EntryDamage> {
        self.import_matching(from, linker, &|_| true)
    }

    /// The same of what `wanted` takes, by its path below `from`.
    pub(super) fn import_matching(
        &mut self,
        from: &Path,
        linker: &FileLinker,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<(), EntryDamage> {
        let found = walk_tree(from).map_err(|error| self.damage_at("", Corruption::Unreadable(error.to_string())))?;
        let mut folders: HashSet<String> = HashSet::new();
        for (path, stamp) in found.into_iter().filter(|(path, _)| wanted(path)) {
            let text = path.to_str().unwrap_or_default().to_owned();
            let take = || -> Result<(), Corruption> {
                let place = self.staged_path(&text)?;
                if stamp.is_dir() {
                    self.create_folder(&place).map_err(Corruption::from)?;
                    folders.insert(text.clone());
                    return Ok(());
                }
                if let Some(parent) = path.parent().and_then(Path::to_str) {
                    folders.remove(parent);
                }
                if stamp.is_symlink() {
                    let target = std::fs::read_link(from.join(&path)).map_err(Corruption::from)?;
                    let target = target.to_str().ok_or(Corruption::InvalidPath)?;
                    return self.create_symlink(&text, target);
                }
                if !stamp.is_file() {
                    return Err(Corruption::FileTypeMismatch);
                }
                self.count_file(stamp.size)?;
                linker.link_file(&from.join(&path), &place).map_err(Corruption::from)?;
                let (mut file, stamp) = open_no_follow(&place).map_err(Corruption::from)?;
                check_file_mode(stamp)?;
                let (digest, _) = sha256_open_file(&mut file, stamp).map_err(Corruption::from)?;
                self.record_file(text.clone(), stamp, digest);
                Ok(())
            };
            let mut take = take;
            take().map_err(|wrong| self.damage_at(&path.to_string_lossy(), wrong))?;
        }
        for folder in folders.iter().filter(|folder| !has_subfolder(&folders, folder)) {
            self.nodes.push(TreeNode { path: folder.clone(), kind: TreeNodeKind::EmptyFolder });
        }
        Ok(())
    }

    /// Takes one file from a stream that must hold exactly `size` bytes.
    ///
    /// # Errors
    /// What is wrong with it: a path that leads out, more than an entry may hold, a stream too short or too long.
    pub fn add_file(
        &mut self,
        path: &str,
        executable: bool,
        size: u64,
        bytes: &mut dyn Read,
    ) -> Result<(), EntryDamage> {
        let mut take = || -> Result<(), Corruption> {
            let place = self.staged_path(path)?;
            self.count_file(size)?;
            self.create_folder(place.parent().unwrap_or(&place)).map_err(Corruption::from)?;
            let mode = if executable { 0o755 } else { 0o644 };
            let mut open = std::fs::OpenOptions::new();
            let mut file = open.write(true).create_new(true).mode(mode).open(&place).map_err(Corruption::from)?;
            // At most one byte more: a stream that does not end is not read to its end.
            let mut limited = bytes.take(size.saturating_add(1));
            let (digest, found) = copy_with_sha256(&mut limited, &mut file).map_err(Corruption::from)?;
            if found != size {
                return Err(Corruption::SizeMismatch { listed: size, found });
            }
            let mut stamp = FileStat::from(&file.metadata().map_err(Corruption::from)?);
            if stamp.mode & 0o7_777 != mode {
                // The mask of this process is another.
                file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(Corruption::from)?;
                stamp = FileStat::from(&file.metadata().map_err(Corruption::from)?);
            }
            check_file_mode(stamp)?;
            self.record_file(path.to_owned(), stamp, digest);
            Ok(())
        };
        take().map_err(|wrong| self.damage_at(path, wrong))
    }

    /// Takes a symbolic link.
    ///
    /// # Errors
    /// When it leads out of the tree.
    pub fn add_symlink(&mut self, path: &str, target: &str) -> Result<(), EntryDamage> {
        self.create_symlink(path, target).map_err(|wrong| self.damage_at(path, wrong))
    }

    /// Takes a folder with nothing in it.
    ///
    /// # Errors
    /// When its path leads out of the tree.
    pub fn add_empty_folder(&mut self, path: &str) -> Result<(), EntryDamage> {
        let made = self.staged_path(path).and_then(|place| std::fs::create_dir_all(place).map_err(Corruption::from));
        made.map_err(|wrong| self.damage_at(path, wrong))?;
        self.nodes.push(TreeNode { path: path.to_owned(), kind: TreeNodeKind::EmptyFolder });
        Ok(())
    }

    /// Takes uv's own files that place the tree in a cache.
    pub fn add_placement(&mut self, placing: UvPlacement, files: Vec<Vec<u8>>) {
        self.placements.push((placing, files));
    }

    /// Names what it asks for, where that is in no METADATA.
    pub(in crate::cache) fn set_requires(&mut self, requires: Vec<String>) {
        self.requires = Some(requires);
    }

    /// Verifies the tree against the wheel's RECORD, and against `tree` where its digest is known from elsewhere; then
    /// gives it its name in one step.
    ///
    /// # Errors
    /// Every fault found; nothing is then kept. A file system that refuses is a fault of the entry as a whole.
    pub fn publish(self, tree: Option<&str>) -> Result<PublishOutcome, Vec<EntryDamage>> {
        let listing = TreeManifest::new(self.nodes.clone());
        let text = listing.to_text();
        // Read again as any reader will: what it would refuse is not published.
        TreeManifest::parse(&text)
            .map_err(|error| vec![self.damage_at("", Corruption::InvalidMeta(error.to_string()))])?;
        let place = self.workspace.path().join("entry");
        if self.id.kind.has_record() {
            let faults = find_record_faults(&listing, &place.join("tree"));
            if !faults.is_empty() {
                return Err(faults.into_iter().map(|(path, wrong)| self.damage_at(&path, wrong)).collect());
            }
        }
        let strange = if self.id.kind == EntryKind::Bytecode {
            find_bytecode_faults(&listing, &place.join("tree"))
        } else {
            Vec::new()
        };
        if !strange.is_empty() {
            return Err(strange.into_iter().map(|(path, wrong)| self.damage_at(&path, wrong)).collect());
        }
        let mut head = EntryMeta::new(&self.id, self.name.clone());
        head.tree_digest = listing.tree_digest();
        if tree.is_some_and(|known| known != head.tree_digest) {
            return Err(vec![self.damage_at("", Corruption::ContentMismatch)]);
        }
        head.manifest_digest = blake3_hex(text.as_bytes());
        (head.files, head.bytes) = (listing.files().count() as u64, listing.total_bytes());
        head.requires = self.requires.clone().unwrap_or_else(|| read_requires_dist(&listing, &place.join("tree")));
        self.move_into_store(&head, &text).map_err(|error| vec![self.damage_at("", Corruption::from(error))])
    }

    fn move_into_store(&self, head: &EntryMeta, listing: &str) -> io::Result<PublishOutcome> {
        let place = self.workspace.path().join("entry");
        let facts = format!("{}\n{listing}", serde_json::to_string(head)?);
        fs_err::write(place.join("manifest"), facts)?;
        for (placing, files) in &self.placements {
            write_placement(
                &place.join("uv").join(UvPlacement::folder_name(&placing.bucket, &placing.link)),
                placing,
                files,
            )?;
        }
        let target = self.store.entry_path(&self.id);
        create_parent_folder(&target)?;
        match std::fs::rename(&place, &target) {
            Ok(()) => Ok(PublishOutcome::New(Box::new(head.clone()))),
            Err(error) if is_name_taken(&error) => {
                for (placing, files) in &self.placements {
                    self.store.add_placement(&self.id, placing, files).map_err(io::Error::other)?;
                }
                Ok(PublishOutcome::AlreadyExists)
            }
            Err(error) => Err(error),
        }
    }

    fn create_symlink(&mut self, path: &str, target: &str) -> Result<(), Corruption> {
        let place = self.staged_path(path)?;
        if !is_symlink_contained(Path::new(path), Path::new(target)) {
            return Err(Corruption::EscapingSymlink(target.to_owned()));
        }
        create_parent_folder(&place).and_then(|()| symlink(target, &place)).map_err(Corruption::from)?;
        self.symlinks.insert(path.into());
        self.nodes.push(TreeNode { path: path.to_owned(), kind: TreeNodeKind::Symlink { target: target.to_owned() } });
        Ok(())
    }

    /// Where a path of the tree lies now, if it is one and no link stands in its way.
    fn staged_path(&self, path: &str) -> Result<PathBuf, Corruption> {
        let inner = safe_relative_path(path).ok_or(Corruption::InvalidPath)?;
        if !self.symlinks.is_empty() && inner.ancestors().skip(1).any(|parent| self.symlinks.contains(parent)) {
            return Err(Corruption::InvalidPath);
        }
        Ok(self.workspace.path().join("entry/tree").join(inner))
    }

    fn count_file(&mut self, size: u64) -> Result<(), Corruption> {
        self.bytes = self.bytes.saturating_add(size);
        let limit = self.store.options.max_entry_size;
        if self.bytes > limit {
            return Err(Corruption::TooLarge { limit, unit: "bytes" });
        }
        if self.nodes.len() >= CacheOptions::MAX_ENTRY_FILES {
            return Err(Corruption::TooLarge { limit: CacheOptions::MAX_ENTRY_FILES as u64, unit: "files" });
        }
        Ok(())
    }

    fn record_file(&mut self, path: String, stamp: FileStat, sha256: Sha256Digest) {
        let what = TreeNodeKind::File {
            sha256,
            size: stamp.size,
            executable: stamp.is_executable(),
            inode: stamp.inode,
            modified: stamp.mtime_ns,
            changed: stamp.ctime_ns,
        };
        self.nodes.push(TreeNode { path, kind: what });
    }

    /// Makes a folder and those that it lies in.
    fn create_folder(&mut self, folder: &Path) -> io::Result<()> {
        if !self.created_folders.contains(folder) {
            std::fs::create_dir_all(folder)?;
            self.created_folders.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn damage_at(&self, path: &str, wrong: Corruption) -> EntryDamage {
        EntryDamage { entry: self.id.clone(), name: self.name.clone(), path: path.to_owned(), corruption: wrong }
    }
}

/// Whether a file is one that a tree may have.
fn check_file_mode(stamp: FileStat) -> Result<(), Corruption> {
    match stamp {
        _ if !stamp.is_file() => Err(Corruption::FileTypeMismatch),
        _ if stamp.has_special_bits() => Err(Corruption::SpecialMode),
        _ => Ok(()),
    }
}

fn has_subfolder(folders: &HashSet<String>, folder: &str) -> bool {
    folders.iter().any(|other| other.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// What a wheel asks for, from its METADATA.
fn read_requires_dist(listing: &TreeManifest, tree: &Path) -> Vec<String> {
    let at_top = |path: &str| path.strip_suffix(".dist-info/METADATA").is_some_and(|name| !name.contains('/'));
    let Some(metadata) = listing.nodes.iter().find(|item| at_top(&item.path)) else { return Vec::new() };
    let text = std::fs::read_to_string(tree.join(&metadata.path)).unwrap_or_default();
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().filter_map(|line| line.strip_prefix("Requires-Dist:")).map(|line| line.trim().to_owned()).collect()
}

fn write_placement(folder: &Path, placing: &UvPlacement, files: &[Vec<u8>]) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    for (number, bytes) in files.iter().enumerate() {
        fs_err::write(folder.join(number.to_string()), bytes)?;
    }
    fs_err::write(folder.join("placement.json"), serde_json::to_vec(placing)?)
}

fn create_parent_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)
}

/// Whether a rename failed because the name was taken.
fn is_name_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}
