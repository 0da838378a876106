//! Exit codes of every subcommand, as documented in `docs/exit-codes.md`.

use crate::run::process::SignalEvent;

/// Message if no session is selected.
pub(super) const NOTHING_SELECTED: &str = "no session is selected; select some with -s, or mark some `default=True`";

/// An exit code, the same for every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExitCode(u8);

/// Codes with their short meaning for `--help` and their meaning in `docs/exit-codes.md`.
const MEANINGS: [(ExitCode, &str, &str); 5] = [
    (ExitCode::SUCCESS, "success", "success: every session passed or was skipped"),
    (
        ExitCode::FAILURE,
        "a session failed, or a check found something",
        "a session failed, timed out, crashed, was cancelled or aborted; in other subcommands: a finding, a conflict, \
         damage, a regression, coverage below `--fail-under`",
    ),
    (
        ExitCode::USAGE,
        "wrong usage or settings",
        "the command line or the settings are wrong, including an unknown session, run or rule",
    ),
    (
        ExitCode::UNAVAILABLE,
        "nox, uv, the noxfile, a file or a server cannot be used",
        "something that noxide needs cannot be used: no nox or uv, a noxfile that does not load (its traceback is printed, reduced to \
         your own frames), a kernel without tracing, or a file or server that cannot be read or written",
    ),
    (ExitCode::NOTHING_SELECTED, "nothing selected", "nothing is selected: no session to run, or no workflow to audit"),
];

impl ExitCode {
    /// Everything succeeded.
    pub(super) const SUCCESS: Self = Self(0);
    /// A session failed, or a check found something.
    pub(super) const FAILURE: Self = Self(1);
    /// The command line or the settings are wrong.
    pub(super) const USAGE: Self = Self(2);
    /// nox, the noxfile, the kernel or the file system cannot be used.
    pub(super) const UNAVAILABLE: Self = Self(3);
    /// There is no session to run or no workflow to audit.
    pub(super) const NOTHING_SELECTED: Self = Self(4);

    /// Returns `FAILURE` if a check failed.
    pub(super) fn from_check(has_failed: bool) -> Self {
        if has_failed { Self::FAILURE } else { Self::SUCCESS }
    }

    /// Returns the code of a program that a signal ended.
    pub(super) fn from_signal(signal: i32) -> Self {
        Self(SignalEvent::exit_code(signal))
    }

    /// Returns the code as a number.
    pub(super) const fn code(self) -> u8 {
        self.0
    }
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// Returns the exit codes as `--help` lists them; the whole table is in `docs/exit-codes.md`.
pub(super) fn exit_codes_help() -> String {
    let lines = MEANINGS.iter().map(|(exit, short, _)| format!("  {}  {short}", exit.code()));
    std::iter::once("Exit codes:".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_code_with_its_meaning() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/exit-codes.md");
        let text = fs_err::read_to_string(path).unwrap();
        for (exit, _, meaning) in MEANINGS {
            let row = format!("| {} | {meaning} |", exit.code());
            assert!(text.contains(&row), "docs/exit-codes.md lacks the row\n{row}");
        }
    }
}
