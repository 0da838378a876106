//! Test harness: projects, the built noxide, the host, servers, deadlines, and what they share.

mod deadline;
mod dispatch;
mod environment;
mod host;
mod manifests;
mod noxide;
mod process;
mod project;
mod random;
mod server;
mod terminal;

pub(crate) use deadline::{ChildDeadline, CommandDeadline, Deadline, POLL_DEADLINE, wait_until};
pub(crate) use dispatch::{Dispatch, EventLog, FnLauncher, finished};
pub(crate) use environment::{
    build_once, copy_example, nox_release_path, nox_releases, python, rounds, rounds_from, run_checked, shared_dir,
    test_environment, tool_path, venv,
};
pub(crate) use host::{HostArgs, next_message, run_host};
pub(crate) use manifests::{covered_session, manifest, rule, session};
pub(crate) use noxide::{NoxideRun, RunningNoxide, noxide_command, noxide_in, run, run_flags, shell_session};
pub(crate) use process::{has_ended, is_zombie, living_processes, send_signal};
pub(crate) use project::{Project, write_script, write_wheel};
pub(crate) use random::Random;
pub(crate) use server::{HttpRequest, HttpResponse, HttpServer, ServerProgram, free_port};
pub(crate) use terminal::type_keys;
