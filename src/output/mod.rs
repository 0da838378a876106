//! All that people see: boards, lines, tables, errors.

mod best_effort_writer;
mod board_view;
mod cache_progress;
mod diagnostic;
mod duration;
#[cfg(test)]
mod event_builder;
mod event_reporter;
mod failure_location;
pub mod findings;
mod graph;
mod list;
mod listed_session;
mod log_reader;
mod matrix;
mod options;
mod plan;
mod plural;
mod remaining_time;
mod replay;
mod reporter_thread;
pub mod reporters;
mod run_printer;
mod run_state;
mod run_summary;
mod running_sessions;
mod sanitize;
mod session_row;
mod size;
mod theme;
#[cfg(test)]
mod virtual_terminal;
mod workflow_command;

use best_effort_writer::BestEffortWriter;
pub use board_view::{BoardView, render_board};
pub use cache_progress::CacheProgressBar;
pub use diagnostic::{Diagnostic, DiagnosticFrame, DiagnosticSeverity, SourceExcerpt, errors_document};
pub use duration::format_duration;
pub use event_reporter::EventReporter;
pub use graph::{render_graph_dot, render_graph_json, render_graph_mermaid, render_graph_text};
pub use list::{render_list_json, render_list_text};
pub use listed_session::ListedSession;
pub use log_reader::log_tail_text;
pub use matrix::{MatrixEntry, render_matrix_json, render_matrix_yaml};
pub use options::{
    ActionsContext, ActionsForge, OutputOptions, OutputStreams, SessionOutputStyle, TerminalSizeQuery,
    UnknownOutputStyle,
};
pub use plan::{SimulatedSession, render_plan_json, render_plan_text};
pub use plural::pluralize;
pub use remaining_time::{RemainingTime, estimate_remaining};
pub use replay::{ReplaySummary, replay_events};
pub use reporter_thread::{ReporterBlocked, ReporterThread, WriteCounter};
pub use run_state::{AttemptProgress, RunState, SessionStatus, SessionView, StatusCounts};
pub use running_sessions::render_running_sessions;
pub use sanitize::{last_visible_line, sanitize_line};
pub use size::format_size;
pub use theme::OutputTheme;
pub(crate) use theme::TextStyle;
