//! The host as a process: start, commands, messages, shutdown.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::error::{HostError, LoadFailure, TracebackFrame, parse_faulthandler_frames};
use super::load_advice::load_advice;
use super::message::{HostCommand, HostMessage, HostRunRequest, LoadMessage};
use super::output_tail::OutputTail;
use super::program::{BOOTSTRAP, boot_payload};
use crate::project::{CREDENTIAL_VARIABLES, ManifestIndex, NoxPython, NoxfileManifest, contradicted_color_variable};

/// Maximum time to create a noxfile's own environment (PEP 723), which may download an interpreter.
const ENVIRONMENT_TIMEOUT: Duration = Duration::from_secs(900);
/// Maximum time for the host to stop its sessions and exit; its own grace periods add up to four seconds.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(6);

/// Options for starting the host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The directory in which nox is started.
    pub root: PathBuf,
    /// The interpreter that runs nox.
    pub python: NoxPython,
    /// Flags for nox; posargs are separate.
    pub nox_flags: Vec<OsString>,
    /// Arguments after `--`.
    pub posargs: Vec<OsString>,
    /// Variables to set, or with `None` to unset, for the host and all its sessions.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// Whether nox prints colors if neither its flags nor `NO_COLOR` decide that.
    pub color: bool,
    /// Whether sessions will be run: the host then prepares for them while the noxfile loads.
    pub will_run_sessions: bool,
    /// How long the noxfile may take to load.
    pub load_timeout: Duration,
    /// noxide's cache directory for the compiled host program; with `None` it is compiled each time.
    pub cache_directory: Option<PathBuf>,
}

/// A host process with its noxfile loaded.
#[derive(Debug)]
pub struct Host {
    child: Child,
    writer: Mutex<UnixStream>,
    reader: Option<BufReader<UnixStream>>,
    output_tail: OutputTail,
}

impl Host {
    /// Starts the host and waits until it has loaded the noxfile.
    pub fn start(options: HostOptions) -> Result<(Self, NoxfileManifest), HostError> {
        let (python, root) = (options.python.clone(), options.root.clone());
        let noxfile = noxfile_argument(&options);
        let timeout = options.load_timeout;
        let mut host = Self::spawn(options)
            .map_err(|source| HostError::Start { executable: python.executable.clone(), source })?;
        match host.await_manifest(timeout) {
            Ok(manifest) => Ok((host, manifest)),
            Err(ManifestWaitError::Failed(mut failure)) => {
                failure.advice = load_advice(&failure, &python, &root, &noxfile);
                Err(HostError::Load(failure))
            }
            Err(ManifestWaitError::TimedOut) => Err(host.into_timeout_error(noxfile, timeout)),
            Err(ManifestWaitError::Died) => Err(host.into_exit_error()),
        }
    }

    fn spawn(options: HostOptions) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (output, input) = io::pipe()?;
        let mut process = Process::new(&options.python.executable);
        process.args(["-c", BOOTSTRAP]).args(&options.nox_flags);
        if !options.posargs.is_empty() {
            process.arg("--").args(&options.posargs);
        }
        let mut path = env::var_os("PATH").unwrap_or_default();
        for (name, value) in options.env {
            if name == "PATH" {
                path = value.unwrap_or_default();
                process.env(name, &path);
            } else if let Some(value) = value {
                process.env(name, value);
            } else {
                process.env_remove(name);
            }
        }
        let contradicted = contradicted_color_variable(&options.nox_flags, &|name| env::var_os(name).is_some());
        // Neither the noxfile nor a session gets the credentials of noxide itself.
        for name in CREDENTIAL_VARIABLES.into_iter().chain(contradicted) {
            process.env_remove(name);
        }
        if let Some(path) = options.python.extended_path(&path) {
            process.env("PATH", path);
        }
        process
            .current_dir(&options.root)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(input.try_clone()?)
            .stderr(input)
            // A Ctrl-C in the terminal must reach noxide only, which then signals the sessions.
            .process_group(0);
        let child = process.spawn()?;
        drop(process); // it has copies of the socket and the pipe, which must be closed
        let host = Self {
            child,
            reader: Some(BufReader::new(ours.try_clone()?)),
            writer: Mutex::new(ours),
            output_tail: OutputTail::follow(output)?,
        };
        // If the interpreter has exited already, the next read from the socket fails.
        host.lock_writer()
            .write_all(&boot_payload(options.color, options.will_run_sessions, options.cache_directory.as_deref()))
            .ok();
        Ok(host)
    }

    fn lock_writer(&self) -> std::sync::MutexGuard<'_, UnixStream> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_manifest(&mut self, timeout: Duration) -> Result<NoxfileManifest, ManifestWaitError> {
        let mut deadline = Instant::now() + timeout;
        loop {
            let line = self.read_line(deadline)?;
            match serde_json::from_slice(&line) {
                Ok(LoadMessage::Loading) => deadline = Instant::now() + timeout,
                Ok(LoadMessage::Preparing) => deadline = Instant::now() + timeout.max(ENVIRONMENT_TIMEOUT),
                Ok(LoadMessage::Manifest(manifest)) => {
                    if let Some(reader) = &self.reader {
                        reader.get_ref().set_read_timeout(None).map_err(|_| ManifestWaitError::Died)?;
                    }
                    return Ok(*manifest);
                }
                Ok(LoadMessage::Error(mut failure)) => {
                    self.child.wait().ok();
                    failure.output = self.output_tail.final_text(Duration::from_millis(300));
                    return Err(ManifestWaitError::Failed(failure));
                }
                Err(_) => return Err(ManifestWaitError::Died),
            }
        }
    }

    fn read_line(&mut self, deadline: Instant) -> Result<Vec<u8>, ManifestWaitError> {
        let reader = self.reader.as_mut().ok_or(ManifestWaitError::Died)?;
        let mut line = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ManifestWaitError::TimedOut);
            }
            reader.get_ref().set_read_timeout(Some(left)).map_err(|_| ManifestWaitError::Died)?;
            match reader.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => return Ok(line),
                Ok(_) => return Err(ManifestWaitError::Died),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return Err(ManifestWaitError::Died),
            }
        }
    }

    /// Gets a traceback from a host that takes too long to load, then kills its process group.
    fn into_timeout_error(mut self, noxfile: PathBuf, waited: Duration) -> HostError {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::USR1).ok();
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut output = self.output_tail.text();
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
            let before = std::mem::replace(&mut output, self.output_tail.text());
            if output == before && output.contains("(most recent call first):") {
                break;
            }
        }
        self.kill_group();
        let mut frames = parse_faulthandler_frames(&output);
        frames.iter_mut().for_each(add_source_line);
        HostError::LoadTimeout { noxfile, waited, frames, output }
    }

    fn into_exit_error(mut self) -> HostError {
        let status = self.await_exit(Duration::from_secs(2)).map_or_else(|| "still alive".to_owned(), describe_status);
        self.kill_group();
        HostError::Died { status, output: self.output_tail.final_text(Duration::from_millis(300)) }
    }

    /// Makes the host do work once that each session would repeat: find uv, import modules, compile code.
    ///
    /// Errors are reported when the first session is started.
    pub(crate) fn warm_up(&self) {
        self.send_command(&HostCommand::WarmUp);
    }

    /// Tells a session whose interrupted command exited with 0 whether it goes on.
    pub(crate) fn allow_continue(&self, id: ManifestIndex, allowed: bool) {
        self.send_command(&HostCommand::Continue { id, allowed });
    }

    /// Asks the host to stop its sessions and exit, without waiting; [`Host::close`] waits.
    pub(crate) fn request_exit(&self) {
        self.send_command(&HostCommand::Exit);
    }

    fn send_command(&self, command: &HostCommand<'_>) {
        if let Ok(line) = encode_command(command) {
            self.lock_writer().write_all(&line).ok();
        }
    }

    /// Runs a session; its stdout and stderr go to these descriptors, which the caller may close afterwards.
    pub fn run_session(
        &self,
        request: &HostRunRequest,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send_run_request(request, &[stdout, stderr])
    }

    /// Runs a session like [`Host::run_session`]; the session sends its seccomp listener over `listener_socket` before nox runs
    /// it.
    pub(crate) fn run_session_traced(
        &self,
        request: &HostRunRequest,
        stdout: BorrowedFd<'_>,
        stderr: BorrowedFd<'_>,
        listener_socket: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send_run_request(request, &[stdout, stderr, listener_socket])
    }

    fn send_run_request(&self, request: &HostRunRequest, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let line = encode_command(&HostCommand::Run(request))?;
        let writer = self.lock_writer();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(writer.as_fd(), &[IoSlice::new(&line)], &mut ancillary, SendFlags::empty())
        })?;
        (&*writer).write_all(&line[sent..])
    }

    /// Returns the stream of the host's messages, to be read on a separate thread; the stream of a second call is
    /// empty.
    pub fn take_messages(&mut self) -> HostMessages {
        HostMessages { reader: self.reader.take() }
    }

    /// Returns the pid of the host, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the noxfile and nox printed while they were loaded; if it is long, the end of it, after a note.
    pub(crate) fn loading_output(&self) -> String {
        let text = self.output_tail.text();
        if !self.output_tail.is_cut() {
            return text;
        }
        // The first line may be cut.
        let rest = text.split_once('\n').map_or(text.as_str(), |(_, rest)| rest);
        format!("... (earlier output of the noxfile is left out)\n{rest}")
    }

    /// Returns the end of the host's own output as it is, for tests.
    pub fn captured_output(&self) -> String {
        self.output_tail.text()
    }

    /// Describes the exit status of the host; `None` while it runs.
    pub(crate) fn exit_description(&mut self) -> Option<String> {
        self.await_exit(Duration::from_secs(1)).map(describe_status)
    }

    /// Asks the host to stop its sessions and exit; kills it if it does not exit in time.
    pub fn close(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.send_command(&HostCommand::Exit);
        self.lock_writer().shutdown(Shutdown::Write).ok();
        if self.await_exit(SHUTDOWN_TIMEOUT).is_none() {
            self.kill_group();
        }
    }

    fn await_exit(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if !wait_for_exit(&self.child, left) {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        }
    }

    fn kill_group(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Messages of the host about its sessions, in order; ends when the host exits.
#[derive(Debug)]
pub struct HostMessages {
    reader: Option<BufReader<UnixStream>>,
}

impl Iterator for HostMessages {
    type Item = HostMessage;

    fn next(&mut self) -> Option<HostMessage> {
        let reader = self.reader.as_mut()?;
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    }
}

/// Sleeps until a child exits or `timeout` has passed; returns false if the system does not support that.
fn wait_for_exit(child: &Child, timeout: Duration) -> bool {
    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    if let Ok(descriptor) = rustix::process::pidfd_open(Pid::from_child(child), rustix::process::PidfdFlags::empty()) {
        let timeout = rustix::event::Timespec::try_from(timeout).ok();
        let mut ends = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
        return rustix::event::poll(&mut ends, timeout.as_ref()).is_ok();
    }
    let _ = (child, timeout);
    false
}

/// Reasons why no manifest was received.
enum ManifestWaitError {
    TimedOut,
    Died,
    Failed(Box<LoadFailure>),
}

fn encode_command(command: &HostCommand<'_>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    Ok(line)
}

fn describe_status(status: ExitStatus) -> String {
    status.to_string()
}

/// Returns the path of the noxfile as the arguments name it, for error messages.
fn noxfile_argument(options: &HostOptions) -> PathBuf {
    let flags = &options.nox_flags;
    let separate =
        flags.windows(2).rfind(|pair| pair[0] == "-f" || pair[0] == "--noxfile").map(|pair| pair[1].as_os_str());
    let joined = || flags.iter().rev().find_map(|flag| flag.to_str()?.strip_prefix("--noxfile=")).map(OsStr::new);
    separate.or_else(joined).unwrap_or(OsStr::new("noxfile.py")).into()
}

/// Adds the source line to a frame.
fn add_source_line(frame: &mut TracebackFrame) {
    if let Ok(source) = fs_err::read(Path::new(&frame.file)) {
        let source = String::from_utf8_lossy(&source);
        let line = source.lines().nth((frame.line as usize).saturating_sub(1));
        frame.text = line.unwrap_or_default().trim().to_owned();
    }
}
