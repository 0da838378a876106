//! Everything that is printed: board, lines, findings, diagnostics, summaries.

mod best_effort_writer;
mod board_view;
mod cache_progress;
mod conflict_list;
mod diagnostic;
#[cfg(test)]
mod event_builder;
mod event_reporter;
mod failure_location;
pub(crate) mod findings;
mod graph;
mod graph_format;
mod job_verdicts;
mod list;
mod matrix;
mod options;
mod output_context;
mod phase_line;
mod plan;
mod remaining_time;
mod replay;
mod reporter_thread;
pub mod reporters;
mod run_list;
mod run_printer;
mod run_state;
mod run_summary;
mod session_logs;
mod session_rows;
mod subscribers;
mod theme;
#[cfg(test)]
mod virtual_terminal;
mod waiting_reason;
mod workflow_command;

use best_effort_writer::BestEffortWriter;
pub(crate) use conflict_list::{AccessConflictView, ConflictReportView, SessionConflictView, render_conflicts};
pub(crate) use diagnostic::DiagnosticFrame;
pub use diagnostic::{Diagnostic, SourceExcerpt};
pub use event_reporter::{EventReporter, ReplaySummary, replay_events};
pub use graph_format::GraphFormat;
pub(crate) use job_verdicts::{JobVerdictView, render_job_verdicts};
pub(crate) use list::{ListedSession, render_list_json, render_list_text};
pub(crate) use matrix::{MatrixEntry, render_matrix_json, render_matrix_yaml};
pub use options::{ActionsContext, ActionsForge, OutputOptions, OutputStreams, SessionOutputStyle, TerminalSizeQuery};
pub(crate) use output_context::{OutputContext, is_ci, print_command_line_error, terminal_size};
pub(crate) use phase_line::PhaseLength;
pub(crate) use plan::{SimulatedSession, render_plan_json, render_plan_text};
pub(crate) use remaining_time::{RemainingTime, estimate_remaining};
pub(crate) use reporter_thread::WriteCounter;
pub(crate) use run_list::{render_run_list, run_list_json};
pub(crate) use run_state::{RunState, SessionStatus};
pub(crate) use session_logs::RecordedLogs;
pub(crate) use session_rows::render_running_sessions;
pub(crate) use subscribers::Subscribers;
pub use theme::OutputTheme;
