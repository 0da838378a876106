//! Staging of new entries: files are imported and verified, then published with one rename.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::cache::options::StoreOptions;
use crate::fs::{
    FileLinker, FileStat, LinkMode, LockedTempDir, Sha256Digest, blake3_hex, copy_with_sha256, create_dirs,
    is_rename_target_occupied, is_symlink_contained, open_no_follow, safe_relative_path, sha256_open_file, walk_tree,
    write_new_file,
};
use crate::text::to_single_line;

use super::damage::{Damage, EntryDamage};
use super::entry::{EntryMeta, EntryOrigin};
use super::entry_id::{EntryId, EntryKind};
use super::pyc_format::find_bytecode_damage;
use super::store_dir::{Store, StoreError};
use super::tree_listing::{TreeListing, TreeNode, TreeNodeKind};
use super::uv_placement::UvPlacement;
use super::wheel_record::find_wheel_record_damage;

/// An entry that is not published yet. If it is dropped, nothing is stored.
#[derive(Debug)]
pub struct StagedEntry<'s> {
    store: &'s Store,
    workspace: LockedTempDir,
    id: EntryId,
    name: String,
    nodes: Vec<TreeNode>,
    symlinks: HashSet<PathBuf>,
    /// Directories that exist already, to avoid system calls.
    created_directories: HashSet<PathBuf>,
    bytes: u64,
    placements: Vec<(UvPlacement, Vec<Vec<u8>>)>,
    members: Vec<String>,
    origin: EntryOrigin,
}

/// Result of publishing an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The entry is new.
    New(Box<EntryMeta>),
    /// The entry existed already, and the staged one was discarded.
    AlreadyExists,
}

impl Store {
    /// Starts staging an entry; `name` is its display name.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub fn stage_entry(&self, id: &EntryId, name: &str) -> Result<StagedEntry<'_>, StoreError> {
        let workspace = self.create_workspace()?;
        let created = create_dirs(&workspace.path().join("entry/tree"));
        created.map_err(|source| StoreError::Unusable { path: self.root().to_path_buf(), source })?;
        Ok(StagedEntry {
            store: self,
            workspace,
            id: id.clone(),
            // Names are printed, and this one may come from another machine.
            name: to_single_line(name),
            nodes: Vec::new(),
            symlinks: HashSet::new(),
            created_directories: HashSet::new(),
            bytes: 0,
            placements: Vec::new(),
            members: Vec::new(),
            origin: EntryOrigin::Machine,
        })
    }

    /// Adds a placement in a uv cache to an entry, unless the entry has it already.
    ///
    /// # Errors
    /// If the placement cannot be written.
    pub(super) fn add_placement(
        &self,
        id: &EntryId,
        placement: &UvPlacement,
        files: &[Vec<u8>],
    ) -> Result<bool, StoreError> {
        let unusable = |source| StoreError::Unusable { path: self.root().to_path_buf(), source };
        let directory =
            self.entry_path(id).join("uv").join(UvPlacement::dir_name(placement.bucket(), placement.link()));
        if directory.exists() {
            return Ok(false);
        }
        let workspace = self.create_workspace()?;
        let created = workspace.path().join("placement");
        write_placement(&created, placement, files).map_err(unusable)?;
        match create_dirs(&self.entry_path(id).join("uv")).and_then(|()| std::fs::rename(&created, &directory)) {
            Ok(()) => Ok(true),
            Err(error) if is_rename_target_occupied(&error) => Ok(false),
            Err(error) => Err(unusable(error)),
        }
    }
}

impl StagedEntry<'_> {
    /// Imports all files below `from`, as links if possible, and computes their digests.
    ///
    /// # Errors
    /// The first file that cannot be imported.
    pub fn import_tree(&mut self, from: &Path, linker: &FileLinker) -> Result<(), EntryDamage> {
        self.import_matching(from, linker, &|_| true)
    }

    /// Imports the files whose path relative to `from` is accepted by `filter`.
    pub(super) fn import_matching(
        &mut self,
        from: &Path,
        linker: &FileLinker,
        filter: &dyn Fn(&Path) -> bool,
    ) -> Result<(), EntryDamage> {
        let found = walk_tree(from).map_err(|error| self.damage_at("", Damage::Unreadable(error.to_string())))?;
        let mut directories: HashSet<String> = HashSet::new();
        for (path, stat) in found.into_iter().filter(|(path, _)| filter(path)) {
            let text = path.to_str().unwrap_or_default().to_owned();
            let mut import = || -> Result<(), Damage> {
                let path_on_disk = self.staged_path(&text)?;
                if stat.is_dir() {
                    self.create_directory(&path_on_disk)?;
                    directories.insert(text.clone());
                    return Ok(());
                }
                if stat.is_symlink() {
                    let target = std::fs::read_link(from.join(&path)).map_err(Damage::from)?;
                    let target = target.to_str().ok_or(Damage::InvalidPath)?;
                    return self.create_symlink(&text, target);
                }
                if !stat.is_file() {
                    return Err(Damage::FileTypeMismatch);
                }
                self.reserve_file(stat.size)?;
                let (mut file, stat) = import_file(&from.join(&path), &path_on_disk, linker)?;
                let (digest, _) = sha256_open_file(&mut file, stat).map_err(Damage::from)?;
                self.add_file_node(text.clone(), stat, digest);
                Ok(())
            };
            import().map_err(|damage| self.damage_at(&path.to_string_lossy(), damage))?;
        }
        let mut parents: HashSet<String> = HashSet::new();
        for path in directories.iter().map(String::as_str).chain(self.nodes.iter().map(|node| node.path.as_str())) {
            let mut path = path;
            while let Some((parent, _)) = path.rsplit_once('/') {
                if !parents.insert(parent.to_owned()) {
                    break;
                }
                path = parent;
            }
        }
        for directory in directories.iter().filter(|directory| !parents.contains(directory.as_str())) {
            self.nodes.push(TreeNode { path: directory.clone(), kind: TreeNodeKind::EmptyDirectory });
        }
        Ok(())
    }

    /// Imports a file from a stream that must contain exactly `size` bytes.
    ///
    /// # Errors
    /// If the path is not inside the entry, the entry exceeds a limit, or the stream is too short or too long.
    pub fn add_file(
        &mut self,
        path: &str,
        executable: bool,
        size: u64,
        bytes: &mut dyn Read,
    ) -> Result<(), EntryDamage> {
        let mut import = || -> Result<(), Damage> {
            let path_on_disk = self.staged_path(path)?;
            self.reserve_file(size)?;
            self.create_directory(path_on_disk.parent().unwrap_or(&path_on_disk))?;
            let mode = if executable { 0o755 } else { 0o644 };
            let mut open = std::fs::OpenOptions::new();
            let mut file = open.write(true).create_new(true).mode(mode).open(&path_on_disk).map_err(Damage::from)?;
            // Read at most one byte more, because the stream may be endless.
            let mut limited = bytes.take(size.saturating_add(1));
            let (digest, found) = copy_with_sha256(&mut limited, &mut file).map_err(Damage::from)?;
            if found != size {
                return Err(Damage::SizeMismatch { listed: size, found });
            }
            let mut stat = FileStat::from(&file.metadata().map_err(Damage::from)?);
            if stat.mode & 0o7_777 != mode {
                // The umask of this process changed the mode.
                file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(Damage::from)?;
                stat = FileStat::from(&file.metadata().map_err(Damage::from)?);
            }
            check_file_mode(stat)?;
            self.add_file_node(path.to_owned(), stat, digest);
            Ok(())
        };
        import().map_err(|damage| self.damage_at(path, damage))
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// If its target is outside the tree.
    pub fn add_symlink(&mut self, path: &str, target: &str) -> Result<(), EntryDamage> {
        self.create_symlink(path, target).map_err(|damage| self.damage_at(path, damage))
    }

    /// Adds an empty directory.
    ///
    /// # Errors
    /// If its path is outside the tree.
    pub fn add_empty_directory(&mut self, path: &str) -> Result<(), EntryDamage> {
        let created = self.reserve_file(0).and_then(|()| self.staged_path(path));
        let created = created.and_then(|path_on_disk| self.create_directory(&path_on_disk));
        created.map_err(|damage| self.damage_at(path, damage))?;
        self.nodes.push(TreeNode { path: path.to_owned(), kind: TreeNodeKind::EmptyDirectory });
        Ok(())
    }

    /// Adds a placement in a uv cache with the content of uv's own files.
    pub fn add_placement(&mut self, placement: UvPlacement, files: Vec<Vec<u8>>) {
        self.placements.push((placement, files));
    }

    /// Sets the entries that an environment consists of.
    pub(in crate::cache) fn set_members(&mut self, members: Vec<String>) {
        self.members = members;
    }

    /// Sets where the content comes from, if that is not this machine.
    pub(in crate::cache) fn set_origin(&mut self, origin: EntryOrigin) {
        self.origin = origin;
    }

    /// Verifies the tree against the wheel's `RECORD` and against `expected_tree` (a tree digest from a trusted source), and
    /// publishes it with one rename.
    ///
    /// # Errors
    /// All damage found; nothing is then stored. An I/O error is reported as damage with an empty path.
    pub fn publish(self, expected_tree: Option<&str>) -> Result<PublishOutcome, Vec<EntryDamage>> {
        let listing = TreeListing::new(self.nodes.clone());
        let text = listing.to_text();
        // Do not publish what a reader would refuse.
        TreeListing::parse(&text).map_err(|error| vec![self.damage_at("", Damage::InvalidMeta(error.to_string()))])?;
        let path_on_disk = self.workspace.path().join("entry");
        let tree = path_on_disk.join("tree");
        let damaged_paths = match self.id.kind {
            kind if kind.has_wheel_record() => find_wheel_record_damage(&listing, &tree),
            EntryKind::Bytecode => find_bytecode_damage(&listing, &tree),
            _ => Vec::new(),
        };
        if !damaged_paths.is_empty() {
            return Err(damaged_paths.into_iter().map(|(path, damage)| self.damage_at(&path, damage)).collect());
        }
        let mut meta = EntryMeta::new(&self.id, self.name.clone());
        meta.tree_digest = listing.tree_digest();
        if expected_tree.is_some_and(|expected| expected != meta.tree_digest) {
            return Err(vec![self.damage_at("", Damage::ContentMismatch)]);
        }
        meta.listing_digest = blake3_hex(text.as_bytes());
        (meta.files, meta.bytes) = (listing.files().count() as u64, listing.total_bytes());
        meta.members.clone_from(&self.members);
        meta.origin = self.origin;
        self.move_into_store(&meta, &text).map_err(|error| vec![self.damage_at("", Damage::from(error))])
    }

    fn move_into_store(&self, meta: &EntryMeta, listing: &str) -> io::Result<PublishOutcome> {
        let path_on_disk = self.workspace.path().join("entry");
        let text = format!("{}\n{listing}", serde_json::to_string(meta)?);
        write_new_file(&path_on_disk.join("listing"), text.as_bytes())?;
        for (placement, files) in &self.placements {
            write_placement(
                &path_on_disk.join("uv").join(UvPlacement::dir_name(placement.bucket(), placement.link())),
                placement,
                files,
            )?;
        }
        let target = self.store.entry_path(&self.id);
        create_dirs(target.parent().unwrap_or(&target))?;
        match std::fs::rename(&path_on_disk, &target) {
            Ok(()) => Ok(PublishOutcome::New(Box::new(meta.clone()))),
            Err(error) if is_rename_target_occupied(&error) => {
                let existing = self.store.entry_meta(&self.id).ok();
                let is_excluded = |meta: &EntryMeta| self.store.is_excluded(meta);
                if let Some(existing) = existing.as_ref().filter(|existing| is_excluded(existing)) {
                    // A tree that came from a remote cache reaches uv's cache by a restore; saving it from there must not make it
                    // count as downloaded here.
                    let is_same = existing.tree_digest == meta.tree_digest && self.origin == EntryOrigin::Machine;
                    if is_excluded(meta) || (is_same && !self.store.is_listed(meta)) {
                        return Ok(PublishOutcome::AlreadyExists);
                    }
                    // No run with this `noxide.sums` would use the existing entry, and that would keep the new one out.
                    self.store.quarantine_entry(&self.id);
                    if std::fs::rename(&path_on_disk, &target).is_ok() {
                        return Ok(PublishOutcome::New(Box::new(meta.clone())));
                    }
                    return Ok(PublishOutcome::AlreadyExists);
                }
                // uv's files from a remote cache must not become part of an entry that is trusted more than they are.
                let existing_origin = existing.map(|existing| existing.origin).unwrap_or_default();
                if self.origin == EntryOrigin::Remote && existing_origin != EntryOrigin::Remote {
                    return Ok(PublishOutcome::AlreadyExists);
                }
                for (placement, files) in &self.placements {
                    self.store.add_placement(&self.id, placement, files).map_err(io::Error::other)?;
                }
                Ok(PublishOutcome::AlreadyExists)
            }
            Err(error) => Err(error),
        }
    }

    fn create_symlink(&mut self, path: &str, target: &str) -> Result<(), Damage> {
        let path_on_disk = self.staged_path(path)?;
        if !is_symlink_contained(Path::new(path), Path::new(target)) {
            return Err(Damage::EscapingSymlink(target.to_owned()));
        }
        self.reserve_file(0)?;
        self.create_directory(path_on_disk.parent().unwrap_or(&path_on_disk))?;
        symlink(target, &path_on_disk).map_err(Damage::from)?;
        self.symlinks.insert(path.into());
        self.nodes.push(TreeNode { path: path.to_owned(), kind: TreeNodeKind::Symlink { target: target.to_owned() } });
        Ok(())
    }

    /// Returns the staged location of a path, if it is valid and does not pass through a link.
    fn staged_path(&self, path: &str) -> Result<PathBuf, Damage> {
        let inner = safe_relative_path(path).ok_or(Damage::InvalidPath)?;
        if !self.symlinks.is_empty() && inner.ancestors().skip(1).any(|parent| self.symlinks.contains(parent)) {
            return Err(Damage::InvalidPath);
        }
        Ok(self.workspace.path().join("entry/tree").join(inner))
    }

    /// Counts a file towards the limits of an entry, before it is added.
    fn reserve_file(&mut self, size: u64) -> Result<(), Damage> {
        self.bytes = self.bytes.saturating_add(size);
        let limit = self.store.options.max_entry_size;
        if self.bytes > limit {
            return Err(Damage::TooLarge { limit, unit: "bytes" });
        }
        if self.nodes.len() >= StoreOptions::MAX_ENTRY_FILES {
            return Err(Damage::TooLarge { limit: StoreOptions::MAX_ENTRY_FILES as u64, unit: "files" });
        }
        Ok(())
    }

    fn add_file_node(&mut self, path: String, stat: FileStat, sha256: Sha256Digest) {
        let kind = TreeNodeKind::File {
            sha256,
            size: stat.size,
            executable: stat.is_executable(),
            inode: stat.inode,
            modified: stat.mtime_ns,
            changed: stat.ctime_ns,
        };
        self.nodes.push(TreeNode { path, kind });
    }

    /// Creates a directory and its parents, and counts them towards the limits of an entry.
    fn create_directory(&mut self, directory: &Path) -> Result<(), Damage> {
        if self.created_directories.contains(directory) {
            return Ok(());
        }
        let is_new = |parent: &&Path| !self.created_directories.contains(*parent) && *parent != self.workspace.path();
        let new: Vec<PathBuf> = directory.ancestors().take_while(is_new).map(Path::to_path_buf).collect();
        if self.created_directories.len() + new.len() > StoreOptions::MAX_ENTRY_FILES {
            return Err(Damage::TooLarge { limit: StoreOptions::MAX_ENTRY_FILES as u64, unit: "directories" });
        }
        create_dirs(directory).map_err(Damage::from)?;
        self.created_directories.extend(new);
        Ok(())
    }

    fn damage_at(&self, path: &str, damage: Damage) -> EntryDamage {
        EntryDamage { entry: self.id.clone(), name: self.name.clone(), path: path.to_owned(), damage }
    }
}

/// Places a file in the store as one of this user that no other user can write to, and opens it.
fn import_file(from: &Path, to: &Path, linker: &FileLinker) -> Result<(File, FileStat), Damage> {
    linker.link_file(from, to)?;
    let (mut file, mut stat) = open_no_follow(to)?;
    if !stat.is_own() {
        // A hard link to a file of another user, who could change it at any time.
        std::fs::remove_file(to)?;
        FileLinker::with_mode(LinkMode::Copy).link_file(from, to)?;
        (file, stat) = open_no_follow(to)?;
    }
    check_file_mode(stat)?;
    if stat.mode & 0o022 != 0 {
        // Created with another umask.
        file.set_permissions(std::fs::Permissions::from_mode(stat.mode & 0o7_755))?;
        stat = FileStat::from(&file.metadata()?);
    }
    Ok((file, stat))
}

/// Checks that a file is of a type and mode that an entry may contain.
fn check_file_mode(stat: FileStat) -> Result<(), Damage> {
    match stat {
        _ if !stat.is_file() => Err(Damage::FileTypeMismatch),
        _ if stat.has_special_bits() => Err(Damage::SpecialMode),
        _ => Ok(()),
    }
}

fn write_placement(directory: &Path, placement: &UvPlacement, files: &[Vec<u8>]) -> io::Result<()> {
    create_dirs(directory)?;
    for (index, bytes) in files.iter().enumerate() {
        write_new_file(&directory.join(index.to_string()), bytes)?;
    }
    write_new_file(&directory.join("placement.json"), &serde_json::to_vec(placement)?)
}
