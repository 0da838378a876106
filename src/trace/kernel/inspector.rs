//! Inspection of a stopped system call: the path it refers to, and the access that follows.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::path_resolver::{PathResolver, ResolvedPath};
use super::preload_ring::{PreloadEvent, PreloadRing};
use super::process::{
    absolute_path, can_run_without_io_uring, descriptor_number, descriptor_path, gains_privileges,
    has_no_new_privileges, is_install_process, program_name, resolve_open_file_path, resolve_proc_self,
};
use super::script_interpreter::{MAX_SCRIPT_DEPTH, read_script_interpreter};
use super::socket_address::read_socket_addresses;
use super::syscalls::{
    AUDIT_ARCH, FlagsArg, PathArg, TracedSyscall, X32_SYSCALL_BIT, find_syscall, has_no_follow, is_io_uring_setup,
};
use super::system::{SeccompNotification, read_process_bytes, read_process_string};
use crate::trace::access_log::{AccessLog, PathChangeKind};
use crate::trace::{AccessPhase, SessionAccesses};

/// Maximum number of files recorded for one renamed directory.
const MAX_MOVED_FILES: usize = 20_000;

/// Maximum number of accesses that are known to be recorded, and are not recorded again.
const MAX_RECORDED_ACCESSES: usize = 500_000;

/// Inspector of one session's system calls.
#[derive(Debug)]
pub(super) struct SyscallInspector {
    pub(super) access_log: AccessLog,
    path_resolver: PathResolver,
    recorded_accesses: HashSet<u64>,
    path_buffer: Vec<u8>,
    /// Accesses recorded by the preload library in the session's programs.
    preload_ring: Option<PreloadRing>,
    last_drain: Instant,
    /// The session's own process while noxide's host reads for itself in it.
    host_process: Option<u32>,
    /// Whether the host runs an install.
    is_installing: bool,
    /// Ports that were already in use before the session ran; queried lazily, since the query takes 14 ms.
    pub(super) preexisting_ports: OnceCell<HashSet<u16>>,
}

impl SyscallInspector {
    /// Creates an inspector for a session.
    pub(super) fn new(access_log: AccessLog, preload_ring: Option<PreloadRing>) -> Self {
        Self {
            access_log,
            path_resolver: PathResolver::default(),
            recorded_accesses: HashSet::new(),
            path_buffer: Vec::new(),
            preload_ring,
            last_drain: Instant::now(),
            host_process: None,
            is_installing: false,
            preexisting_ports: OnceCell::new(),
        }
    }

    /// Returns the accesses recorded so far.
    pub(super) fn collect_accesses(&mut self) -> SessionAccesses {
        self.drain_preload_ring();
        self.access_log.collect_accesses()
    }

    /// Processes the events recorded since the last call: all of them precede the next stopped call.
    fn drain_preload_ring(&mut self) {
        let now = Instant::now();
        let last_drain = std::mem::replace(&mut self.last_drain, now);
        let Some(mut ring) = self.preload_ring.take() else { return };
        // These events happened after the last drain: its time is the earliest that they can have.
        self.access_log.time = last_drain;
        let mut text = std::mem::take(&mut self.path_buffer);
        while let Some((event, is_install)) = ring.next_event(&mut text) {
            self.access_log.call_count += 1;
            let is_install = is_install && self.is_installing;
            self.set_phase(if is_install { AccessPhase::Install } else { AccessPhase::Run });
            let path = Path::new(OsStr::from_bytes(&text));
            match event {
                PreloadEvent::Stat { no_follow } => self.record_stat(path, !no_follow, false),
                PreloadEvent::ReadLink => self.record_stat(path, false, true),
                PreloadEvent::Open(flags) => self.record_open(0, path, u64::from(flags)),
            }
        }
        (self.path_buffer, self.preload_ring) = (text, Some(ring));
    }

    /// Returns whether to fail a call as if the kernel had no io_uring.
    pub(super) fn should_refuse(notification: &SeccompNotification) -> bool {
        notification.data.arch == AUDIT_ARCH
            && is_io_uring_setup(notification.data.nr.cast_unsigned())
            && can_run_without_io_uring(notification.pid)
    }

    /// Inspects a call before it continues.
    pub(super) fn inspect_call(&mut self, notification: &SeccompNotification) {
        self.drain_preload_ring();
        self.access_log.time = self.last_drain;
        self.set_phase(self.phase_of(notification.pid));
        self.access_log.call_count += 1;
        let number = notification.data.nr.cast_unsigned();
        if notification.data.arch != AUDIT_ARCH || number & X32_SYSCALL_BIT != 0 {
            return self.access_log.mark_incomplete("it runs a 32-bit program");
        }
        let Some(call) = find_syscall(number) else { return };
        let arguments = &notification.data.args;
        match call {
            TracedSyscall::Unsupported(action) => self.access_log.mark_incomplete(&format!("it {action}")),
            TracedSyscall::Open(at, flags_arg) => {
                let Some(flags) = self.read_flags(notification, flags_arg) else { return };
                if let Some(path) =
                    self.read_path(notification, at).and_then(|path| resolve_open_file_path(path, notification.pid))
                {
                    self.record_open(notification.pid, &path, flags);
                }
            }
            TracedSyscall::Stat(at, flags_arg) => {
                let no_follow = has_no_follow(self.read_flags(notification, flags_arg).unwrap_or(0));
                let Some(path) = self.read_path(notification, at) else { return };
                match AccessPhase::from_mark(&path) {
                    Some(phase) => self.begin_phase(phase, notification.pid),
                    None => self.record_stat(&path, !no_follow, false),
                }
            }
            TracedSyscall::ReadLink(at) => self.record_stat_call(notification, at, false, true),
            TracedSyscall::Execute(at) => {
                self.record_stat_call(notification, at, true, true);
                self.record_script_interpreters(notification, at);
                self.record_lost_privileges(notification, at);
            }
            TracedSyscall::ListDirectory => self.record_listing(notification.pid, arguments[0]),
            TracedSyscall::MakeDirectory(at) | TracedSyscall::SymbolicLink(at) | TracedSyscall::MakeNode(at) => {
                let Some(path) = self.read_path(notification, at) else { return };
                let found = self.resolve_path(&path, false);
                match &found.metadata {
                    None => {
                        if call == TracedSyscall::SymbolicLink(at) {
                            self.forget_recorded_if_dependency(&found.path);
                        }
                        self.record_change(notification.pid, &found, PathChangeKind::Modify);
                    }
                    metadata => self.access_log.record_read(&found.path, metadata.as_ref()), // the call fails because the path exists
                }
            }
            TracedSyscall::Remove(at, _) => self.record_removal(notification, at),
            TracedSyscall::Rename(from, to, flags_arg) => {
                self.record_rename(notification, from, to, self.read_flags(notification, flags_arg).unwrap_or(0));
            }
            TracedSyscall::Link(from, to, _) => self.record_hard_link(notification, from, to),
            TracedSyscall::Truncate(at) | TracedSyscall::ChangeMode(at) => {
                let Some(path) = self.read_path(notification, at) else { return };
                let found = self.resolve_path(&path, true);
                let kind = match call {
                    TracedSyscall::ChangeMode(_) => PathChangeKind::Mode,
                    _ if arguments[1] == 0 => PathChangeKind::Overwrite,
                    _ => PathChangeKind::Modify,
                };
                self.record_existing_change(notification.pid, &found, kind);
            }
            TracedSyscall::ChangeDescriptorMode => {
                let Some(path) = descriptor_path(notification.pid, arguments[0]) else { return };
                let found = self.resolve_path(&path, true);
                self.record_existing_change(notification.pid, &found, PathChangeKind::Mode);
            }
            TracedSyscall::Bind(at) => {
                for address in read_socket_addresses(notification, at) {
                    self.record_bind(notification.pid, address);
                }
            }
            TracedSyscall::Connect(at) => {
                for address in read_socket_addresses(notification, at) {
                    self.record_connect(notification.pid, address);
                }
            }
        }
    }

    /// Begins a phase that the host marks in the session's own process.
    fn begin_phase(&mut self, phase: AccessPhase, process: u32) {
        self.host_process = (phase != AccessPhase::Run).then_some(process);
        self.is_installing = phase == AccessPhase::Install;
    }

    /// Sets the phase of the accesses that are recorded from now on.
    fn set_phase(&mut self, phase: AccessPhase) {
        if self.access_log.phase != phase {
            self.access_log.phase = phase;
            self.path_resolver.forget_directories(); // the links on the way are read in this phase too
        }
    }

    /// Returns the phase of a stopped call. Processes that were started before an install are not part of it.
    fn phase_of(&self, process: u32) -> AccessPhase {
        if self.host_process == Some(process) {
            AccessPhase::Host
        } else if self.is_installing && is_install_process(process) {
            AccessPhase::Install
        } else {
            AccessPhase::Run
        }
    }

    fn read_flags(&self, notification: &SeccompNotification, flags_arg: FlagsArg) -> Option<u64> {
        let argument = |index: usize| notification.data.args[index];
        match flags_arg {
            FlagsArg::Fixed(flags) => Some(flags),
            FlagsArg::Argument(index) => Some(argument(index) & 0xffff_ffff),
            FlagsArg::Pointer(index) => {
                let bytes = read_process_bytes(notification.pid, argument(index), 8).ok()?;
                Some(u64::from_ne_bytes(bytes.try_into().ok()?))
            }
        }
    }

    /// Returns the absolute path of a call argument without resolving links, or `None` if it is not a path.
    fn read_path(&mut self, notification: &SeccompNotification, at: PathArg) -> Option<PathBuf> {
        match read_process_string(notification.pid, notification.data.args[at.path_arg], &mut self.path_buffer) {
            Ok(true) if !self.path_buffer.is_empty() => {}
            Ok(_) => return None, // the call fails, or refers to an open file
            Err(error) => {
                // With a bad address the call itself fails; without permission to read the process the trace is
                // incomplete.
                if error.raw_os_error() == Some(libc::EPERM) {
                    self.access_log.mark_incomplete("it runs a program whose memory cannot be read");
                }
                return None;
            }
        }
        let path = Path::new(OsStr::from_bytes(&self.path_buffer));
        if path.is_absolute() {
            return Some(resolve_proc_self(path.to_path_buf(), notification.pid));
        }
        let directory = match at.directory_arg.map(|directory| notification.data.args[directory]) {
            Some(fd) if descriptor_number(fd) != libc::AT_FDCWD => descriptor_path(notification.pid, fd),
            _ => fs_err::read_link(format!("/proc/{}/cwd", notification.pid)).ok(),
        };
        directory.map(|directory| resolve_proc_self(directory.join(path), notification.pid))
    }

    /// Remembers an access in this phase and returns whether it is new.
    fn insert_recorded(&mut self, access: u64, path: &Path) -> bool {
        let mut hasher = DefaultHasher::new();
        (access, self.access_log.phase as u8, path.as_os_str().as_bytes()).hash(&mut hasher);
        if self.recorded_accesses.len() >= MAX_RECORDED_ACCESSES {
            self.recorded_accesses.clear();
        }
        self.recorded_accesses.insert(hasher.finish())
    }

    pub(super) fn resolve_path(&mut self, path: &Path, follow: bool) -> ResolvedPath {
        let found = self.path_resolver.resolve(path, follow);
        for link in &found.links {
            self.access_log.record_read(link, None);
        }
        found
    }

    /// Resolves a path, and adds the paths on which the result depends to the dependencies of recorded accesses.
    fn resolve_as_dependency(&mut self, path: &Path, follow: bool) -> ResolvedPath {
        let found = self.resolve_path(path, follow);
        self.path_resolver.add_dependency(&found.path);
        found
    }

    /// Forgets which accesses were recorded.
    fn forget_recorded(&mut self) {
        self.path_resolver.clear();
        self.recorded_accesses.clear();
        if let Some(ring) = &self.preload_ring {
            ring.start_generation();
        }
    }

    /// Forgets which accesses were recorded if a link is created or removed at a path that they depend on.
    ///
    /// Limited to such paths because pytest creates and removes a link for each test's directory.
    fn forget_recorded_if_dependency(&mut self, path: &Path) {
        if self.path_resolver.is_dependency(path) {
            self.forget_recorded();
        }
    }

    fn record_stat_call(&mut self, notification: &SeccompNotification, at: PathArg, follow: bool, reads_content: bool) {
        if let Some(path) = self.read_path(notification, at) {
            self.record_stat(&path, follow, reads_content);
        }
    }

    /// Records the interpreter of a script that is executed, and those of interpreters that are scripts.
    fn record_script_interpreters(&mut self, notification: &SeccompNotification, at: PathArg) {
        let Some(mut program) = self.read_path(notification, at) else { return };
        for _ in 0..MAX_SCRIPT_DEPTH {
            let Some(interpreter) = read_script_interpreter(&program) else { return };
            let Some(path) = absolute_path(notification.pid, &interpreter) else { return };
            self.record_stat(&path, true, true);
            program = path;
        }
    }

    /// Records a program whose setuid bit or capabilities have no effect, because the filter was installed with
    /// `no_new_privs`.
    fn record_lost_privileges(&mut self, notification: &SeccompNotification, at: PathArg) {
        let Some(path) = self.read_path(notification, at) else { return };
        // If noxide itself runs with `no_new_privs`, their setuid bit has no effect without a trace either.
        let is_lost = || has_no_new_privileges(notification.pid) && !has_no_new_privileges(std::process::id());
        if gains_privileges(&path) && is_lost() {
            self.access_log.record_unprivileged_program(&path);
        }
    }

    fn record_stat(&mut self, path: &Path, follow: bool, reads_content: bool) {
        // Bits 0 and 7; those of an open are 1 to 6, so that no stat equals an open.
        let access = u64::from(follow) | u64::from(reads_content) << 7;
        if !self.insert_recorded(access, path) || !self.access_log.scope.can_be_tracked(path, true) {
            return;
        }
        let found = self.resolve_as_dependency(path, follow);
        match &found.metadata {
            Some(metadata) => self.access_log.record_stat(&found.path, Some(metadata), reads_content),
            None => self.access_log.record_absent(&found.path),
        }
    }

    pub(super) fn record_read(&mut self, found: &ResolvedPath) {
        match &found.metadata {
            Some(metadata) => self.access_log.record_read(&found.path, Some(metadata)),
            None => self.access_log.record_absent(&found.path),
        }
    }

    fn record_open(&mut self, process: u32, path: &Path, flags: u64) {
        let has = |flag: i32| flags & u64::from(flag.cast_unsigned()) == u64::from(flag.cast_unsigned());
        if has(libc::O_TMPFILE) {
            return; // the file has no name unless it is linked later
        }
        let mode = flags & 3;
        let writes = (mode != 0 || has(libc::O_TRUNC)) && !has(libc::O_PATH);
        let creates = has(libc::O_CREAT);
        let reading = !writes && !creates;
        // Bit 1 is set for an open; bits 2 and 3 are the mode, 4 to 6 the flags that matter.
        let access =
            2 | mode << 2 | u64::from(writes) << 4 | u64::from(creates) << 5 | u64::from(has(libc::O_TRUNC)) << 6;
        if !self.insert_recorded(access, path) || (reading && !self.access_log.scope.can_be_tracked(path, true)) {
            return;
        }
        let new_only = creates && has(libc::O_EXCL);
        let found = self.resolve_as_dependency(path, !has(libc::O_NOFOLLOW) && !new_only);
        match &found.metadata {
            None if creates => {
                let kind =
                    if has(libc::O_TRUNC) || new_only { PathChangeKind::Overwrite } else { PathChangeKind::Modify };
                self.record_change(process, &found, kind);
            }
            Some(metadata) if metadata.is_dir() => {}
            Some(metadata) if writes && !new_only => {
                if mode != 1 && !has(libc::O_TRUNC) {
                    self.access_log.record_read(&found.path, Some(metadata));
                }
                let kind = if has(libc::O_TRUNC) { PathChangeKind::Overwrite } else { PathChangeKind::Modify };
                self.record_existing_change(process, &found, kind);
            }
            _ => self.record_read(&found),
        }
    }

    pub(super) fn record_change(&mut self, process: u32, found: &ResolvedPath, kind: PathChangeKind) {
        self.access_log.record_change(&found.path, found.metadata.as_ref(), kind, || program_name(process));
    }

    /// Records a change that has no effect if the file does not exist.
    fn record_existing_change(&mut self, process: u32, found: &ResolvedPath, kind: PathChangeKind) {
        match &found.metadata {
            None => self.access_log.record_absent(&found.path),
            Some(metadata) if is_special_file(metadata) || metadata.is_dir() => {}
            Some(_) => self.record_change(process, found, kind),
        }
    }

    fn record_listing(&mut self, process: u32, fd: u64) {
        let Some(path) = descriptor_path(process, fd) else { return };
        if self.insert_recorded(3, &path) && self.access_log.scope.can_be_tracked(&path, true) {
            let found = self.resolve_as_dependency(&path, true);
            self.access_log.record_listing(&found.path);
        }
    }

    fn record_removal(&mut self, notification: &SeccompNotification, at: PathArg) {
        let Some(path) = self.read_path(notification, at) else { return };
        let found = self.resolve_path(&path, false);
        match &found.metadata {
            None => self.access_log.record_absent(&found.path),
            Some(metadata) => {
                if metadata.is_symlink() {
                    self.forget_recorded_if_dependency(&found.path);
                }
                self.record_change(notification.pid, &found, PathChangeKind::Remove);
            }
        }
    }

    fn record_rename(&mut self, notification: &SeccompNotification, from: PathArg, to: PathArg, flags: u64) {
        let Some(from) = self.read_path(notification, from) else { return };
        let Some(to) = self.read_path(notification, to) else { return };
        let (from, to) = (self.resolve_path(&from, false), self.resolve_path(&to, false));
        let Some(metadata) = &from.metadata else { return self.access_log.record_absent(&from.path) };
        let kinds = [Some(metadata), to.metadata.as_ref()];
        if kinds.iter().flatten().any(|metadata| metadata.is_dir()) {
            self.forget_recorded(); // the directory may contain links
        } else if kinds.iter().flatten().any(|metadata| metadata.is_symlink()) {
            self.forget_recorded_if_dependency(&from.path);
            self.forget_recorded_if_dependency(&to.path);
        }
        if metadata.is_dir() {
            self.record_moved_files(notification.pid, &from.path, &to.path);
        }
        let swaps = flags & u64::from(libc::RENAME_EXCHANGE) != 0;
        if swaps && to.metadata.as_ref().is_some_and(Metadata::is_dir) {
            self.record_moved_files(notification.pid, &to.path, &from.path);
        }
        self.record_change(
            notification.pid,
            &from,
            if swaps { PathChangeKind::Overwrite } else { PathChangeKind::Remove },
        );
        self.record_change(notification.pid, &to, PathChangeKind::Overwrite);
    }

    /// Records all files of a renamed directory.
    fn record_moved_files(&mut self, process: u32, from: &Path, to: &Path) {
        let mut count = 0;
        for entry in walkdir::WalkDir::new(from).min_depth(1).into_iter().flatten() {
            count += 1;
            let Ok(rest) = entry.path().strip_prefix(from) else { continue };
            let new = to.join(rest);
            self.access_log.record_change(entry.path(), None, PathChangeKind::Remove, || program_name(process));
            self.access_log.record_change(&new, None, PathChangeKind::Overwrite, || program_name(process));
            if count >= MAX_MOVED_FILES {
                return self.access_log.mark_incomplete("it renames a directory with too many files");
            }
        }
    }

    fn record_hard_link(&mut self, notification: &SeccompNotification, from: PathArg, to: PathArg) {
        // The source may have no name (`O_TMPFILE`); then only the new name counts.
        if let Some(from) =
            self.read_path(notification, from).filter(|from| self.access_log.scope.can_be_tracked(from, true))
        {
            let found = self.resolve_path(&from, false);
            self.record_read(&found);
            self.access_log.record_hard_link(&found.path, found.metadata.as_ref());
            if let Some(to) = self.read_path(notification, to) {
                let named = self.resolve_path(&to, false);
                self.access_log.record_hard_link(&named.path, found.metadata.as_ref());
            }
        }
        let Some(to) = self.read_path(notification, to) else { return };
        let to = self.resolve_path(&to, false);
        match &to.metadata {
            None => {
                self.forget_recorded_if_dependency(&to.path); // the source of the hard link may be a symbolic link
                self.record_change(notification.pid, &to, PathChangeKind::Overwrite);
            }
            metadata => self.access_log.record_read(&to.path, metadata.as_ref()),
        }
    }
}

fn is_special_file(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device() || kind.is_socket() || kind.is_fifo()
}
