//! Output channel of a session: a pipe, or a pseudo-terminal where the user has a terminal.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, fchmod};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

/// Both ends of a session's output.
#[derive(Debug)]
pub struct OutputChannel {
    /// The end that noxide reads.
    pub read: OwnedFd,
    /// The end that becomes the session's stdout and stderr.
    pub write: OwnedFd,
}

/// Opens a pipe, or a pseudo-terminal of this size (columns, rows) whose output arrives byte for byte.
///
/// Nobody can answer a question asked on the pseudo-terminal, so it cannot be read: a prompt fails at once. It must not
/// become a controlling terminal either. When the leader of a POSIX session exits, the kernel hangs up its controlling
/// terminal, which would kill the other processes of that POSIX session before their grace period is over.
///
/// # Errors
/// When the system has no descriptors or no pseudo-terminals left.
pub(crate) fn open_output_channel(terminal: Option<(u16, u16)>) -> io::Result<OutputChannel> {
    let Some((columns, rows)) = terminal else {
        let (read, write) = io::pipe()?;
        return Ok(OutputChannel { read: read.into(), write: write.into() });
    };
    let read = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&read)?;
    unlockpt(&read)?;
    let name = ptsname(&read, Vec::new())?;
    let write = rustix::fs::open(name.as_c_str(), OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    // For programs that open it again by name. Fails only where the owner of terminals is another user.
    let _ = fchmod(&write, Mode::WUSR);
    let mut modes = tcgetattr(&write)?;
    // Otherwise the kernel turns each \n into \r\n, and logs would differ from those of a pipe.
    modes.output_modes.remove(OutputModes::OPOST);
    // root may open it for reading anyway: it then reads the end of the file.
    modes.local_modes.remove(LocalModes::ICANON);
    modes.special_codes[SpecialCodeIndex::VMIN] = 0;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&write, OptionalActions::Now, &modes)?;
    tcsetwinsize(&read, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok(OutputChannel { read, write })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_one_and_passes_bytes_unchanged() {
        let channel = open_output_channel(Some((100, 30))).unwrap();
        assert!(rustix::termios::isatty(&channel.write));
        assert_eq!(rustix::termios::tcgetwinsize(&channel.write).unwrap().ws_col, 100);
        rustix::io::write(&channel.write, b"a\nb\n").unwrap();
        let mut bytes = [0; 16];
        let count = rustix::io::read(&channel.read, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"a\nb\n");
    }

    #[test]
    fn a_terminal_cannot_be_read() {
        let channel = open_output_channel(Some((100, 30))).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(rustix::io::read(&channel.write, &mut bytes), Err(rustix::io::Errno::BADF));
        let name = ptsname(&channel.read, Vec::new()).unwrap();
        match fs_err::File::open(name.to_str().unwrap()) {
            Ok(mut reopened) => assert_eq!(io::Read::read(&mut reopened, &mut bytes).unwrap(), 0, "root may open it"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn a_pipe_is_not_a_terminal() {
        let channel = open_output_channel(None).unwrap();
        assert!(!rustix::termios::isatty(&channel.write));
    }
}
