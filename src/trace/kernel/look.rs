//! A call that waits, looked at: which path it means, and what that says of its session.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::call::{ARCH, At, Bits, Call, X32, asks_for_ring, find, means_link};
use super::notes::{Noted, Notes};
use super::places::{Found, Places};
use super::process::{descriptor, does_without_ring, own_view, program, reopened, signed};
use super::system::{Notice, memory, text};
use crate::trace::Accesses;
use crate::trace::ledger::{Change, Ledger};

/// How many files of one renamed folder are looked at.
const MOST_MOVED: usize = 20_000;

/// How many calls are remembered as seen.
const MOST_SEEN: usize = 500_000;

/// A session being looked at.
#[derive(Debug)]
pub(super) struct Look {
    /// What it touched so far.
    pub(super) ledger: Ledger,
    places: Places,
    seen: HashSet<u64>,
    text: Vec<u8>,
    /// What its programs note themselves.
    notes: Option<Notes>,
    /// Ports that others served before this session could: asked for late, for a kernel takes 14 ms to tell.
    pub(super) services: OnceCell<HashSet<u16>>,
}

impl Look {
    /// A session about to begin.
    pub(super) fn new(ledger: Ledger, notes: Option<Notes>) -> Self {
        let (places, services) = (Places::default(), OnceCell::new());
        Self { ledger, places, seen: HashSet::new(), text: Vec::new(), notes, services }
    }

    /// What was touched up to now.
    pub(super) fn accesses(&mut self) -> Accesses {
        self.catch_up();
        self.ledger.accesses()
    }

    /// Looks at what programs noted since the last call: all of it came before the next one goes on.
    fn catch_up(&mut self) {
        let Some(mut notes) = self.notes.take() else { return };
        let mut text = std::mem::take(&mut self.text);
        while let Some(noted) = notes.next(&mut text) {
            self.ledger.calls += 1;
            let path = Path::new(OsStr::from_bytes(&text));
            match noted {
                Noted::Stat { of_link } => self.ask(path, !of_link, false),
                Noted::ReadLink => self.ask(path, false, true),
                Noted::Open(flags) => self.open(0, path, u64::from(flags)),
            }
        }
        (self.text, self.notes) = (text, Some(notes));
    }

    /// Whether a call is answered as if the kernel had no io_uring.
    pub(super) fn refuses(notice: &Notice) -> bool {
        notice.data.arch == ARCH && asks_for_ring(notice.data.nr.cast_unsigned()) && does_without_ring(notice.pid)
    }

    /// Looks at a call before it goes on.
    pub(super) fn at(&mut self, notice: &Notice) {
        self.catch_up();
        self.ledger.calls += 1;
        let number = notice.data.nr.cast_unsigned();
        if notice.data.arch != ARCH || number & X32 != 0 {
            return self.ledger.misses("it runs a program for another kind of processor (32-bit)");
        }
        let Some(call) = find(number) else { return };
        let arguments = &notice.data.args;
        match call {
            Call::Blind(why) => self.ledger.misses(&format!("it {why}")),
            Call::Open(at, bits) => {
                let Some(flags) = self.bits(notice, bits) else { return };
                if let Some(path) = self.path(notice, at).and_then(|path| reopened(path, notice.pid)) {
                    self.open(notice.pid, &path, flags);
                }
            }
            Call::Stat(at, bits) => {
                let link = means_link(self.bits(notice, bits).unwrap_or(0));
                self.ask_at(notice, at, !link, false);
            }
            Call::ReadLink(at) => self.ask_at(notice, at, false, true),
            Call::Execute(at) => self.ask_at(notice, at, true, true),
            Call::List => self.list(notice.pid, arguments[0]),
            Call::MakeFolder(at) | Call::SymbolicLink(at) | Call::MakeNode(at) => {
                let Some(path) = self.path(notice, at) else { return };
                let found = self.find(&path, false);
                match &found.facts {
                    None => {
                        if call == Call::SymbolicLink(at) {
                            self.means_else(&found.path);
                        }
                        self.change(notice.pid, &found, Change::Open);
                    }
                    facts => self.ledger.reads(&found.path, facts.as_ref()), // it will be told so
                }
            }
            Call::Remove(at, _) => self.remove(notice, at),
            Call::Rename(from, to, bits) => self.rename(notice, from, to, self.bits(notice, bits).unwrap_or(0)),
            Call::Link(from, to, _) => self.link(notice, from, to),
            Call::Truncate(at) | Call::Mode(at) => {
                let Some(path) = self.path(notice, at) else { return };
                let found = self.find(&path, true);
                self.change_existing(notice.pid, &found, Change::Open);
            }
            Call::ModeOpen => {
                let Some(path) = descriptor(notice.pid, arguments[0]) else { return };
                let found = self.find(&path, true);
                self.change_existing(notice.pid, &found, Change::Open);
            }
            Call::Bind => self.bind(notice),
            Call::Connect => self.connect(notice),
        }
    }

    fn bits(&self, notice: &Notice, bits: Bits) -> Option<u64> {
        let argument = |at: usize| notice.data.args[at];
        match bits {
            Bits::Fixed(bits) => Some(bits),
            Bits::In(at) => Some(argument(at) & 0xffff_ffff),
            Bits::Behind(at) => {
                let bytes = memory(notice.pid, argument(at), 8).ok()?;
                Some(u64::from_ne_bytes(bytes.try_into().ok()?))
            }
        }
    }

    /// The absolute path a call means, links not resolved; none for what is no path.
    fn path(&mut self, notice: &Notice, at: At) -> Option<PathBuf> {
        match text(notice.pid, notice.data.args[at.path], &mut self.text) {
            Ok(true) if !self.text.is_empty() => {}
            Ok(_) => return None, // the call will fail, or means an open file
            Err(error) => {
                // A bad address makes the call fail; a process that may not be looked into is another matter.
                if error.raw_os_error() == Some(libc::EPERM) {
                    self.ledger.misses("it runs a program whose memory may not be read");
                }
                return None;
            }
        }
        let path = Path::new(OsStr::from_bytes(&self.text));
        if path.is_absolute() {
            return Some(own_view(path.to_path_buf(), notice.pid));
        }
        let folder = match at.folder.map(|folder| notice.data.args[folder]) {
            Some(fd) if signed(fd) != libc::AT_FDCWD => descriptor(notice.pid, fd),
            _ => fs_err::read_link(format!("/proc/{}/cwd", notice.pid)).ok(),
        };
        folder.map(|folder| own_view(folder.join(path), notice.pid))
    }

    /// Whether this was looked at before, in the same way.
    fn is_new(&mut self, how: u64, path: &Path) -> bool {
        let mut hasher = DefaultHasher::new();
        (how, path.as_os_str().as_bytes()).hash(&mut hasher);
        if self.seen.len() >= MOST_SEEN {
            self.seen.clear();
        }
        self.seen.insert(hasher.finish())
    }

    pub(super) fn find(&mut self, path: &Path, follow: bool) -> Found {
        let found = self.places.find(path, follow);
        for link in &found.links {
            self.ledger.reads(link, None);
        }
        found
    }

    /// Finds a path that is not looked at a second time: who gives its name another meaning must be known.
    fn find_once(&mut self, path: &Path, follow: bool) -> Found {
        let found = self.find(path, follow);
        self.places.pass(&found.path);
        found
    }

    /// What was seen may be something else from now on.
    fn forget(&mut self) {
        self.places.forget();
        self.seen.clear();
        if let Some(notes) = &self.notes {
            notes.forget();
        }
    }

    /// A link comes or goes: what was seen by this name may be something else from now on.
    ///
    /// Only where something was: pytest makes and removes a link for each test's folder.
    fn means_else(&mut self, place: &Path) {
        if self.places.is_passed(place) {
            self.forget();
        }
    }

    fn ask_at(&mut self, notice: &Notice, at: At, follow: bool, opened: bool) {
        if let Some(path) = self.path(notice, at) {
            self.ask(&path, follow, opened);
        }
    }

    fn ask(&mut self, path: &Path, follow: bool, opened: bool) {
        let how = u64::from(follow) | u64::from(opened) << 7;
        if !self.is_new(how, path) || !self.ledger.scope.may_count(path, true) {
            return;
        }
        let found = self.find_once(path, follow);
        match &found.facts {
            Some(facts) => self.ledger.asks(&found.path, Some(facts), opened),
            None => self.ledger.misses_path(&found.path),
        }
    }

    pub(super) fn note_read(&mut self, found: &Found) {
        match &found.facts {
            Some(facts) => self.ledger.reads(&found.path, Some(facts)),
            None => self.ledger.misses_path(&found.path),
        }
    }

    fn open(&mut self, process: u32, path: &Path, flags: u64) {
        let has = |flag: i32| flags & u64::from(flag.cast_unsigned()) == u64::from(flag.cast_unsigned());
        if has(libc::O_TMPFILE) {
            return; // without a name, until a link gives it one
        }
        let mode = flags & 3;
        let writes = (mode != 0 || has(libc::O_TRUNC)) && !has(libc::O_PATH);
        let creates = has(libc::O_CREAT);
        let reading = !writes && !creates;
        let how = 2 | mode << 2 | u64::from(writes) << 4 | u64::from(creates) << 5 | u64::from(has(libc::O_TRUNC)) << 6;
        if !self.is_new(how, path) || (reading && !self.ledger.scope.may_count(path, true)) {
            return;
        }
        let new_only = creates && has(libc::O_EXCL);
        let found = self.find_once(path, !has(libc::O_NOFOLLOW) && !new_only);
        match &found.facts {
            None if creates => self.change(process, &found, Change::Open),
            Some(facts) if facts.is_dir() => {}
            Some(facts) if writes && !new_only => {
                if mode != 1 {
                    self.ledger.reads(&found.path, Some(facts));
                }
                let how = if has(libc::O_TRUNC) { Change::Overwrite } else { Change::Open };
                self.change_existing(process, &found, how);
            }
            _ => self.note_read(&found),
        }
    }

    pub(super) fn change(&mut self, process: u32, found: &Found, how: Change) {
        self.ledger.changes(&found.path, found.facts.as_ref(), how, || program(process));
    }

    /// A change that does nothing where there is no file.
    fn change_existing(&mut self, process: u32, found: &Found, how: Change) {
        match &found.facts {
            None => self.ledger.misses_path(&found.path),
            Some(facts) if is_device(facts) || facts.is_dir() => {}
            Some(_) => self.change(process, found, how),
        }
    }

    fn list(&mut self, process: u32, fd: u64) {
        let Some(path) = descriptor(process, fd) else { return };
        if self.is_new(3, &path) && self.ledger.scope.may_count(&path, true) {
            let found = self.find_once(&path, true);
            self.ledger.lists(&found.path);
        }
    }

    fn remove(&mut self, notice: &Notice, at: At) {
        let Some(path) = self.path(notice, at) else { return };
        let found = self.find(&path, false);
        match &found.facts {
            None => self.ledger.misses_path(&found.path),
            Some(facts) => {
                if facts.is_symlink() {
                    self.means_else(&found.path);
                }
                self.change(notice.pid, &found, Change::Remove);
            }
        }
    }

    fn rename(&mut self, notice: &Notice, from: At, to: At, flags: u64) {
        let Some(from) = self.path(notice, from) else { return };
        let Some(to) = self.path(notice, to) else { return };
        let (from, to) = (self.find(&from, false), self.find(&to, false));
        let Some(facts) = &from.facts else { return self.ledger.misses_path(&from.path) };
        let kinds = [Some(facts), to.facts.as_ref()];
        if kinds.iter().flatten().any(|facts| facts.is_dir()) {
            self.forget(); // there may be links in it
        } else if kinds.iter().flatten().any(|facts| facts.is_symlink()) {
            self.means_else(&from.path);
            self.means_else(&to.path);
        }
        if facts.is_dir() {
            self.moved(notice.pid, &from.path, &to.path);
        }
        let swaps = flags & u64::from(libc::RENAME_EXCHANGE) != 0;
        if swaps && to.facts.as_ref().is_some_and(Metadata::is_dir) {
            self.moved(notice.pid, &to.path, &from.path);
        }
        self.change(notice.pid, &from, if swaps { Change::Overwrite } else { Change::Remove });
        self.change(notice.pid, &to, Change::Overwrite);
    }

    /// All files of a folder that gets another name.
    fn moved(&mut self, process: u32, from: &Path, to: &Path) {
        let mut count = 0;
        for entry in walkdir::WalkDir::new(from).min_depth(1).into_iter().flatten() {
            count += 1;
            let Ok(rest) = entry.path().strip_prefix(from) else { continue };
            let new = to.join(rest);
            self.ledger.changes(entry.path(), None, Change::Remove, || program(process));
            self.ledger.changes(&new, None, Change::Overwrite, || program(process));
            if count >= MOST_MOVED {
                return self.ledger.misses("it renames a folder with more files than are looked at");
            }
        }
    }

    fn link(&mut self, notice: &Notice, from: At, to: At) {
        // What is linked may have no name (`O_TMPFILE`): then only the new one counts.
        if let Some(from) = self.path(notice, from).filter(|from| self.ledger.scope.may_count(from, true)) {
            let found = self.find(&from, false);
            self.note_read(&found);
            self.ledger.names_twice(&found.path, found.facts.as_ref());
            if let Some(to) = self.path(notice, to) {
                let named = self.find(&to, false);
                self.ledger.names_twice(&named.path, found.facts.as_ref());
            }
        }
        let Some(to) = self.path(notice, to) else { return };
        let to = self.find(&to, false);
        match &to.facts {
            None => {
                self.means_else(&to.path); // what is linked may be a link
                self.change(notice.pid, &to, Change::Open);
            }
            facts => self.ledger.reads(&to.path, facts.as_ref()),
        }
    }
}

fn is_device(facts: &Metadata) -> bool {
    let kind = facts.file_type();
    kind.is_char_device() || kind.is_block_device() || kind.is_socket() || kind.is_fifo()
}
