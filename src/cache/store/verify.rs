//! Every byte of the store read and compared: with the listing, and with the wheel's own RECORD.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::cache::options::CacheOptions;
use crate::cache::progress::{Amount, Phase, Progress};
use crate::fs::{Stamp, in_parallel, sha256_of, stays_inside, walk};

use super::bytecode_form::bytecode_faults;
use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::listing::{Listed, What};
use super::root::Store;
use super::wheel_record::against_record;
use super::wrong::{Damage, Wrong};

/// Bytes that one thread reads before it takes the next piece of an entry.
const PIECE: u64 = 16 << 20;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Entries looked at.
    pub entries: u64,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Each fault.
    pub damaged: Vec<Damage>,
    /// What lies among the entries and is none.
    pub strays: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.strays.is_empty()
    }
}

impl Store {
    /// Reads every file of every entry and names all that is wrong; changes nothing.
    pub fn verify(&self, progress: &dyn Progress) -> VerifyReport {
        let begun = Instant::now();
        let ids = self.entries();
        let heads: Vec<Option<Amount>> = in_parallel(&ids, |id| {
            let head = self.head(id).ok()?;
            Some(Amount { entries: 1, files: head.files, bytes: head.bytes })
        });
        progress.begin(Phase::Verify, heads.iter().flatten().copied().sum());
        // The largest first: the end of the work is then spread evenly.
        let mut order: Vec<(EntryId, u64)> =
            ids.into_iter().zip(heads).map(|(id, amount)| (id, amount.map_or(0, |amount| amount.bytes))).collect();
        order.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let (large, small): (Vec<_>, Vec<_>) = order.into_iter().partition(|(_, bytes)| *bytes > 2 * PIECE);
        let mut report = VerifyReport::default();
        for (id, _) in &large {
            report.add(self.verify_entry(id, progress, true));
        }
        for found in in_parallel(&small, |(id, _)| self.verify_entry(id, progress, false)) {
            report.add(found);
        }
        report.damaged.sort_by(|a, b| (&a.name, &a.entry, &a.path).cmp(&(&b.name, &b.entry, &b.path)));
        report.strays = self.strays();
        report.seconds = begun.elapsed().as_secs_f64();
        progress.end();
        report
    }

    /// Looks at one entry; `spread` reads its files by all threads.
    pub(super) fn verify_entry(&self, id: &EntryId, progress: &dyn Progress, spread: bool) -> VerifyReport {
        let damage = |name: &str, path: String, wrong| Damage { entry: id.clone(), name: name.to_owned(), path, wrong };
        let mut report = VerifyReport { entries: 1, ..VerifyReport::default() };
        let entry = match self.entry(id) {
            Ok(Some(entry)) => entry,
            // Pruned since its name was read.
            Ok(None) => return VerifyReport::default(),
            Err(wrong) => {
                report.damaged.push(damage("", String::new(), wrong));
                return report;
            }
        };
        report.files = entry.head.files;
        report.bytes = entry.head.bytes;
        let mut faults = self.tree_faults(&entry);
        faults.extend(content_faults(&entry, progress, spread));
        if id.kind.has_record() && faults.is_empty() {
            faults.extend(against_record(&entry.listing, &entry.tree()));
        }
        if id.kind == Kind::Venv && faults.is_empty() {
            faults.extend(self.parts_faults(&entry));
        }
        if id.kind == Kind::Bytecode && faults.is_empty() {
            faults.extend(bytecode_faults(&entry.listing, &entry.tree()));
        }
        faults.extend(entry.placing_faults());
        progress.advance(Amount { entries: 1, ..Amount::default() });
        report.damaged = faults.into_iter().map(|(path, wrong)| damage(&entry.head.name, path, wrong)).collect();
        report
    }

    /// What is wrong with the shape of a tree: what is there and not listed, kinds of files, links, sizes.
    fn tree_faults(&self, entry: &Entry) -> Vec<(String, Wrong)> {
        let tree = entry.tree();
        let found = match walk(&tree) {
            Ok(found) => found,
            Err(error) => return vec![(String::new(), Wrong::Unreadable(error.to_string()))],
        };
        let mut faults = Vec::new();
        if entry.listing.tree_digest() != entry.head.tree {
            faults.push((String::new(), Wrong::Facts("the tree is not the one they name".to_owned())));
        }
        if entry.listing.bytes() > self.options.max_entry {
            faults.push((String::new(), Wrong::TooLarge { limit: self.options.max_entry, of: "bytes" }));
        }
        if entry.listing.items.len() > CacheOptions::MAX_FILES {
            faults.push((String::new(), Wrong::TooLarge { limit: CacheOptions::MAX_FILES as u64, of: "files" }));
        }
        let mut listed: HashMap<&Path, &Listed> =
            entry.listing.items.iter().map(|item| (Path::new(&item.path), item)).collect();
        for (path, stamp) in found {
            let name = || path.to_string_lossy().into_owned();
            match listed.remove(path.as_path()) {
                Some(item) => faults.extend(kind_fault(item, &tree.join(&path), &stamp).map(|wrong| (name(), wrong))),
                None if stamp.is_folder() => {}
                None if !stamp.is_file() && !stamp.is_link() => faults.push((name(), Wrong::FileKind)),
                None => faults.push((name(), Wrong::Unlisted)),
            }
        }
        let mut missing: Vec<&Path> = listed.into_keys().collect();
        missing.sort();
        faults.extend(missing.into_iter().map(|path| (path.to_string_lossy().into_owned(), Wrong::Missing)));
        faults
    }

    /// Names among the entries that no entry has.
    fn strays(&self) -> Vec<String> {
        let entries = self.root().join("entries");
        let names = |folder: &Path| -> Vec<String> {
            let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<String> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        let mut strays = Vec::new();
        for name in names(&entries) {
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == name) else {
                strays.push(format!("entries/{name}"));
                continue;
            };
            for shelf in names(&entries.join(&name)) {
                for id in names(&entries.join(&name).join(&shelf)) {
                    if EntryId::new(kind, id.clone()).is_none() || !id.starts_with(&shelf) {
                        strays.push(format!("entries/{name}/{shelf}/{id}"));
                    }
                }
            }
        }
        strays
    }
}

impl VerifyReport {
    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
        self.damaged.extend(other.damaged);
    }
}

fn kind_fault(item: &Listed, path: &Path, stamp: &Stamp) -> Option<Wrong> {
    match &item.what {
        What::File { size, executable, .. } => match () {
            () if !stamp.is_file() => Some(Wrong::FileKind),
            () if stamp.is_special() => Some(Wrong::Special),
            () if stamp.size != *size => Some(Wrong::Size { listed: *size, found: stamp.size }),
            () if stamp.is_executable() != *executable => Some(Wrong::Permissions),
            () => None,
        },
        What::Link { .. } if !stamp.is_link() => Some(Wrong::FileKind),
        What::Link { target } => match std::fs::read_link(path) {
            Ok(found) if !stays_inside(Path::new(&item.path), &found) => {
                Some(Wrong::OutwardLink(found.to_string_lossy().into_owned()))
            }
            Ok(found) if found == Path::new(target) => None,
            _ => Some(Wrong::Content),
        },
        What::Folder => (!stamp.is_folder()).then_some(Wrong::FileKind),
    }
}

/// Reads every file and compares its digest; files of a wrong length or kind were named already.
fn content_faults(entry: &Entry, progress: &dyn Progress, spread: bool) -> Vec<(String, Wrong)> {
    let tree = entry.tree();
    let read = |items: &[Listed]| {
        let mut faults = Vec::new();
        let mut amount = Amount::default();
        for item in items {
            let What::File { sha256, size, .. } = &item.what else { continue };
            amount += Amount { entries: 0, files: 1, bytes: *size };
            let path = tree.join(&item.path);
            let sound = Stamp::of(&path).is_ok_and(|stamp| stamp.is_file() && stamp.size == *size);
            match sound.then(|| sha256_of(&path)) {
                Some(Ok((found, _))) if found != *sha256 => faults.push((item.path.clone(), Wrong::Content)),
                Some(Err(error)) => faults.push((item.path.clone(), Wrong::Unreadable(error.to_string()))),
                _ => {}
            }
        }
        progress.advance(amount);
        faults
    };
    if spread {
        in_parallel(&pieces(&entry.listing.items), |items| read(items)).concat()
    } else {
        read(&entry.listing.items)
    }
}

/// Cuts a listing where so many bytes are together.
fn pieces(items: &[Listed]) -> Vec<&[Listed]> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (number, item) in items.iter().enumerate() {
        if let What::File { size, .. } = item.what {
            bytes += size;
        }
        if bytes >= PIECE || number + 1 == items.len() {
            pieces.push(&items[start..=number]);
            (start, bytes) = (number + 1, 0);
        }
    }
    pieces
}
