//! Subcommands: settings in, exit code out.
#![allow(clippy::print_stderr)] // the last word where no reporter is

mod args;
mod argv;
mod audience;
mod failure;
mod mistakes;
mod nox_flags;
mod opened;
mod run;
mod screen;

pub use args::{
    Cli, Command, Format, Global, GraphArgs, GraphFormat, HostArgs, ListArgs, ReplayArgs, Rerun, RunArgs, Running,
    Shown,
};
pub use mistakes::mistakes;
pub use nox_flags::{Behaviour, Environments, Selection};

use std::process::ExitCode;

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let screen = screen::Screen::new(&cli.global);
    let done = (|| {
        if let Some(path) = cli.global.directory.clone() {
            std::env::set_current_dir(&path).map_err(|source| failure::Failure::Folder { path, source })?;
        }
        match &cli.command {
            Command::Run(args) => run::run(args, &screen),
            _ => Ok(0),
        }
    })();
    match done {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            say(&screen.err, &format!("error: {failure}"));
            if let failure::Failure::Settings(errors) = &failure { for e in errors { say(&screen.err, &e.to_string()); } }
            for hint in failure.hints() {
                say(&screen.err, &hint);
            }
            ExitCode::from(failure.exit())
        }
    }
}

/// One line on the error stream; a stream that is closed is no reason to fail.
fn say(_paint: &crate::output::Paint, text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "noxide: {text}");
}
