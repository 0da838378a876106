//! A tree on its way into the store: taken file by file, verified, and there at once or not at all.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::cache::options::CacheOptions;
use crate::fs::{
    Linker, Sha256, Stamp, Workspace, blake3_hex, inner_path, open_itself, sha256_of_copied, sha256_of_open,
    stays_inside, walk,
};

use super::bytecode_form::bytecode_faults;
use super::entry::Placing;
use super::head::Head;
use super::id::{EntryId, Kind};
use super::listing::{Listed, Listing, What};
use super::root::{Store, StoreError};
use super::wheel_record::against_record;
use super::wrong::{Damage, Wrong};

/// A tree on its way into the store. Dropped before it is published, it leaves nothing.
#[derive(Debug)]
pub struct Incoming<'s> {
    store: &'s Store,
    workspace: Workspace,
    id: EntryId,
    name: String,
    items: Vec<Listed>,
    links: HashSet<PathBuf>,
    /// Folders that were made: a wheel has many files in each.
    made: HashSet<PathBuf>,
    bytes: u64,
    placings: Vec<(Placing, Vec<Vec<u8>>)>,
    requires: Option<Vec<String>>,
}

/// How an entry came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is new.
    New(Box<Head>),
    /// Somebody else was first, or it was there before; ours is thrown away.
    AlreadyThere,
}

impl Store {
    /// Begins to take in a tree under this name; `name` is for people.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn incoming(&self, id: &EntryId, name: &str) -> Result<Incoming<'_>, StoreError> {
        let workspace = self.workspace()?;
        let made = std::fs::create_dir_all(workspace.path().join("entry/tree"));
        made.map_err(|source| StoreError::Unusable { path: self.root().to_path_buf(), source })?;
        Ok(Incoming {
            store: self,
            workspace,
            id: id.clone(),
            name: name.to_owned(),
            items: Vec::new(),
            links: HashSet::new(),
            made: HashSet::new(),
            bytes: 0,
            placings: Vec::new(),
            requires: None,
        })
    }

    /// Adds to an entry how a uv cache has it; nothing happens where that is known.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn add_placing(&self, id: &EntryId, placing: &Placing, files: &[Vec<u8>]) -> Result<bool, StoreError> {
        let unusable = |source| StoreError::Unusable { path: self.root().to_path_buf(), source };
        let folder = self.place(id).join("uv").join(Placing::folder(&placing.bucket, &placing.link));
        if folder.exists() {
            return Ok(false);
        }
        let workspace = self.workspace()?;
        let made = workspace.path().join("placing");
        write_placing(&made, placing, files).map_err(unusable)?;
        match std::fs::create_dir_all(self.place(id).join("uv")).and_then(|()| std::fs::rename(&made, &folder)) {
            Ok(()) => Ok(true),
            Err(error) if lost(&error) => Ok(false),
            Err(error) => Err(unusable(error)),
        }
    }
}

impl Incoming<'_> {
    /// Takes all files below `from`, by links where that can be, and reads every byte of what it has taken.
    ///
    /// # Errors
    /// What is wrong with the first file that cannot be taken.
    pub fn adopt(&mut self, from: &Path, linker: &Linker) -> Result<(), Damage> {
        self.adopt_some(from, linker, &|_| true)
    }

    /// The same of what `wanted` takes, by its path below `from`.
    pub(super) fn adopt_some(
        &mut self,
        from: &Path,
        linker: &Linker,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Damage> {
        let found = walk(from).map_err(|error| self.damage("", Wrong::Unreadable(error.to_string())))?;
        let mut folders: HashSet<String> = HashSet::new();
        for (path, stamp) in found.into_iter().filter(|(path, _)| wanted(path)) {
            let text = path.to_str().unwrap_or_default().to_owned();
            let take = || -> Result<(), Wrong> {
                let place = self.place(&text)?;
                if stamp.is_folder() {
                    self.make(&place).map_err(Wrong::from)?;
                    folders.insert(text.clone());
                    return Ok(());
                }
                if let Some(parent) = path.parent().and_then(Path::to_str) {
                    folders.remove(parent);
                }
                if stamp.is_link() {
                    let target = std::fs::read_link(from.join(&path)).map_err(Wrong::from)?;
                    let target = target.to_str().ok_or(Wrong::Path)?;
                    return self.put_link(&text, target);
                }
                if !stamp.is_file() {
                    return Err(Wrong::FileKind);
                }
                self.count(stamp.size)?;
                linker.put(&from.join(&path), &place).map_err(Wrong::from)?;
                let (mut file, stamp) = open_itself(&place).map_err(Wrong::from)?;
                sound(stamp)?;
                let (digest, _) = sha256_of_open(&mut file, stamp).map_err(Wrong::from)?;
                self.list(text.clone(), stamp, digest);
                Ok(())
            };
            let mut take = take;
            take().map_err(|wrong| self.damage(&path.to_string_lossy(), wrong))?;
        }
        for folder in folders.iter().filter(|folder| !has_inside(&folders, folder)) {
            self.items.push(Listed { path: folder.clone(), what: What::Folder });
        }
        Ok(())
    }

    /// Takes one file from a stream that must hold exactly `size` bytes.
    ///
    /// # Errors
    /// What is wrong with it: a path that leads out, more than an entry may hold, a stream too short or too long.
    pub fn file(&mut self, path: &str, executable: bool, size: u64, bytes: &mut dyn Read) -> Result<(), Damage> {
        let mut take = || -> Result<(), Wrong> {
            let place = self.place(path)?;
            self.count(size)?;
            self.make(place.parent().unwrap_or(&place)).map_err(Wrong::from)?;
            let mode = if executable { 0o755 } else { 0o644 };
            let mut open = std::fs::OpenOptions::new();
            let mut file = open.write(true).create_new(true).mode(mode).open(&place).map_err(Wrong::from)?;
            // At most one byte more: a stream that does not end is not read to its end.
            let mut limited = bytes.take(size.saturating_add(1));
            let (digest, found) = sha256_of_copied(&mut limited, &mut file).map_err(Wrong::from)?;
            if found != size {
                return Err(Wrong::Size { listed: size, found });
            }
            let mut stamp = Stamp::from(&file.metadata().map_err(Wrong::from)?);
            if stamp.mode & 0o7_777 != mode {
                // The mask of this process is another.
                file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(Wrong::from)?;
                stamp = Stamp::from(&file.metadata().map_err(Wrong::from)?);
            }
            sound(stamp)?;
            self.list(path.to_owned(), stamp, digest);
            Ok(())
        };
        take().map_err(|wrong| self.damage(path, wrong))
    }

    /// Takes a symbolic link.
    ///
    /// # Errors
    /// When it leads out of the tree.
    pub fn link(&mut self, path: &str, target: &str) -> Result<(), Damage> {
        self.put_link(path, target).map_err(|wrong| self.damage(path, wrong))
    }

    /// Takes a folder with nothing in it.
    ///
    /// # Errors
    /// When its path leads out of the tree.
    pub fn folder(&mut self, path: &str) -> Result<(), Damage> {
        let made = self.place(path).and_then(|place| std::fs::create_dir_all(place).map_err(Wrong::from));
        made.map_err(|wrong| self.damage(path, wrong))?;
        self.items.push(Listed { path: path.to_owned(), what: What::Folder });
        Ok(())
    }

    /// Takes uv's own files that place the tree in a cache.
    pub fn placing(&mut self, placing: Placing, files: Vec<Vec<u8>>) {
        self.placings.push((placing, files));
    }

    /// Names what it asks for, where that is in no METADATA.
    pub(in crate::cache) fn requires(&mut self, requires: Vec<String>) {
        self.requires = Some(requires);
    }

    /// Verifies the tree against the wheel's RECORD, and against `tree` where its digest is known from elsewhere; then
    /// gives it its name in one step.
    ///
    /// # Errors
    /// Every fault found; nothing is then kept. A file system that refuses is a fault of the entry as a whole.
    pub fn publish(self, tree: Option<&str>) -> Result<Published, Vec<Damage>> {
        let listing = Listing::new(self.items.clone());
        let text = listing.text();
        // Read again as any reader will: what it would refuse is not published.
        Listing::parse(&text).map_err(|error| vec![self.damage("", Wrong::Facts(error.to_string()))])?;
        let place = self.workspace.path().join("entry");
        if self.id.kind.has_record() {
            let faults = against_record(&listing, &place.join("tree"));
            if !faults.is_empty() {
                return Err(faults.into_iter().map(|(path, wrong)| self.damage(&path, wrong)).collect());
            }
        }
        let strange =
            if self.id.kind == Kind::Bytecode { bytecode_faults(&listing, &place.join("tree")) } else { Vec::new() };
        if !strange.is_empty() {
            return Err(strange.into_iter().map(|(path, wrong)| self.damage(&path, wrong)).collect());
        }
        let mut head = Head::new(&self.id, self.name.clone());
        head.tree = listing.tree_digest();
        if tree.is_some_and(|known| known != head.tree) {
            return Err(vec![self.damage("", Wrong::Content)]);
        }
        head.listing = blake3_hex(text.as_bytes());
        (head.files, head.bytes) = (listing.files().count() as u64, listing.bytes());
        head.requires = self.requires.clone().unwrap_or_else(|| requires(&listing, &place.join("tree")));
        self.put_down(&head, &text).map_err(|error| vec![self.damage("", Wrong::from(error))])
    }

    fn put_down(&self, head: &Head, listing: &str) -> io::Result<Published> {
        let place = self.workspace.path().join("entry");
        let facts = format!("{}\n{listing}", serde_json::to_string(head)?);
        fs_err::write(place.join("facts"), facts)?;
        for (placing, files) in &self.placings {
            write_placing(&place.join("uv").join(Placing::folder(&placing.bucket, &placing.link)), placing, files)?;
        }
        let target = self.store.place(&self.id);
        make_parent(&target)?;
        match std::fs::rename(&place, &target) {
            Ok(()) => Ok(Published::New(Box::new(head.clone()))),
            Err(error) if lost(&error) => {
                for (placing, files) in &self.placings {
                    self.store.add_placing(&self.id, placing, files).map_err(io::Error::other)?;
                }
                Ok(Published::AlreadyThere)
            }
            Err(error) => Err(error),
        }
    }

    fn put_link(&mut self, path: &str, target: &str) -> Result<(), Wrong> {
        let place = self.place(path)?;
        if !stays_inside(Path::new(path), Path::new(target)) {
            return Err(Wrong::OutwardLink(target.to_owned()));
        }
        make_parent(&place).and_then(|()| symlink(target, &place)).map_err(Wrong::from)?;
        self.links.insert(path.into());
        self.items.push(Listed { path: path.to_owned(), what: What::Link { target: target.to_owned() } });
        Ok(())
    }

    /// Where a path of the tree lies now, if it is one and no link stands in its way.
    fn place(&self, path: &str) -> Result<PathBuf, Wrong> {
        let inner = inner_path(path).ok_or(Wrong::Path)?;
        if !self.links.is_empty() && inner.ancestors().skip(1).any(|parent| self.links.contains(parent)) {
            return Err(Wrong::Path);
        }
        Ok(self.workspace.path().join("entry/tree").join(inner))
    }

    fn count(&mut self, size: u64) -> Result<(), Wrong> {
        self.bytes = self.bytes.saturating_add(size);
        let limit = self.store.options.max_entry;
        if self.bytes > limit {
            return Err(Wrong::TooLarge { limit, of: "bytes" });
        }
        if self.items.len() >= CacheOptions::MAX_FILES {
            return Err(Wrong::TooLarge { limit: CacheOptions::MAX_FILES as u64, of: "files" });
        }
        Ok(())
    }

    fn list(&mut self, path: String, stamp: Stamp, sha256: Sha256) {
        let what = What::File {
            sha256,
            size: stamp.size,
            executable: stamp.is_executable(),
            inode: stamp.inode,
            modified: stamp.modified,
            changed: stamp.changed,
        };
        self.items.push(Listed { path, what });
    }

    /// Makes a folder and those that it lies in.
    fn make(&mut self, folder: &Path) -> io::Result<()> {
        if !self.made.contains(folder) {
            std::fs::create_dir_all(folder)?;
            self.made.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn damage(&self, path: &str, wrong: Wrong) -> Damage {
        Damage { entry: self.id.clone(), name: self.name.clone(), path: path.to_owned(), wrong }
    }
}

/// Whether a file is one that a tree may have.
fn sound(stamp: Stamp) -> Result<(), Wrong> {
    match stamp {
        _ if !stamp.is_file() => Err(Wrong::FileKind),
        _ if stamp.is_special() => Err(Wrong::Special),
        _ => Ok(()),
    }
}

fn has_inside(folders: &HashSet<String>, folder: &str) -> bool {
    folders.iter().any(|other| other.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// What a wheel asks for, from its METADATA.
fn requires(listing: &Listing, tree: &Path) -> Vec<String> {
    let at_top = |path: &str| path.strip_suffix(".dist-info/METADATA").is_some_and(|name| !name.contains('/'));
    let Some(metadata) = listing.items.iter().find(|item| at_top(&item.path)) else { return Vec::new() };
    let text = std::fs::read_to_string(tree.join(&metadata.path)).unwrap_or_default();
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().filter_map(|line| line.strip_prefix("Requires-Dist:")).map(|line| line.trim().to_owned()).collect()
}

fn write_placing(folder: &Path, placing: &Placing, files: &[Vec<u8>]) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    for (number, bytes) in files.iter().enumerate() {
        fs_err::write(folder.join(number.to_string()), bytes)?;
    }
    fs_err::write(folder.join("facts.json"), serde_json::to_vec(placing)?)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)
}

/// Whether a rename failed because the name was taken.
fn lost(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}
