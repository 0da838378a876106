//! A session's processes: its output, its tree, and the signals that reach noxide.

mod keyboard;
mod log_writer;
mod output_channel;
mod process_tree;
mod redact;
mod signals;

pub use keyboard::{KeyListener, Keyboard};
pub use log_writer::LogWriter;
pub use output_channel::{OutputChannel, open_output_channel};
pub use process_tree::{
    ProcessTree, become_subreaper, interrupt_descendants, kill_run_processes, kill_tagged_processes, signal_group,
    suspend_all,
};
pub use redact::SecretRedactor;
pub use signals::{SignalEvent, SignalListener};
