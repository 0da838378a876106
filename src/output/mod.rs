//! All that people see: boards, lines, tables, errors.

mod board;
mod clean;
mod diagnostic;
mod duration;
pub mod findings;
mod graph;
mod list;
mod listed;
mod log;
mod matrix;
mod options;
mod paint;
mod pipe;
mod place;
mod plan;
mod plural;
mod remaining;
mod replay;
mod reporter;
pub mod reporters;
mod row;
mod running;
mod screen;
mod showing;
mod size;
mod state;
#[cfg(test)]
mod story;
mod summary;
#[cfg(test)]
mod terminal;
mod transfer;
mod workflow_command;

pub use board::{BoardState, frame};
pub use clean::{clean_line, last_line};
pub use diagnostic::{Diagnostic, Excerpt, Frame, Severity, errors_document};
pub use duration::duration;
pub use graph::{graph_dot, graph_json, graph_mermaid, graph_text};
pub use list::{list_json, list_text};
pub use listed::ListedSession;
pub use log::log_tail;
pub use matrix::{MatrixEntry, matrix_json, matrix_yaml};
pub use options::{Actions, Forge, OutputOptions, Size, Streams, Style, UnknownStyle};
pub use paint::Paint;
pub(crate) use paint::Tone;
use pipe::Pipe;
pub use plan::{PlannedSession, plan_json, plan_text};
pub use plural::plural;
pub use remaining::{Left, remaining};
pub use replay::{Replayed, replay};
pub use reporter::Reporter;
pub use running::snapshot_running;
pub use showing::{Progress, Showing, Stuck};
pub use size::size;
pub use state::{Counts, RunState, Running, SessionView, Status};
pub use transfer::TransferBar;
