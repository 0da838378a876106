//! A session's processes: its output, its tree, and the signals that reach noxide.

mod channel;
mod keys;
mod log;
mod mask;
mod signals;
mod tree;

pub use channel::{Channel, open_channel};
pub use keys::{Keyboard, Keys};
pub use log::Log;
pub use mask::Mask;
pub use signals::{Caught, Signals};
pub use tree::{Tree, become_subreaper, end_marked, end_run, interrupt_descendants, signal_group, stop_self};
