//! Processes: session output and process trees, signals and keys that reach noxide.

mod credentials;
mod interrupt_watch;
mod keyboard;
mod log_writer;
mod output_channel;
mod process_tree;
mod projected_text;
mod redact;
mod secret_forms;
mod secret_paths;
mod signal_guard;
mod signals;

pub(crate) use interrupt_watch::InterruptWatch;
pub(crate) use keyboard::{KeyListener, Keyboard};
pub(crate) use log_writer::LogWriter;
pub use output_channel::OutputChannel;
pub(crate) use output_channel::open_output_channel;
pub(crate) use process_tree::{
    ProcessTree, become_subreaper, kill_run_processes, kill_tagged_processes, signal_group, suspend_all,
};
pub use redact::SecretRedactor;
pub(crate) use signal_guard::SignalGuard;
pub use signals::SignalEvent;
