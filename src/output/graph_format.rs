//! Formats of the session graph.

use clap::ValueEnum;

use super::graph::{render_graph_dot, render_graph_json, render_graph_mermaid, render_graph_text};
use super::list::ListedSession;
use super::theme::OutputTheme;

/// Format of a graph.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document with a `version` key.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid, which forges render in Markdown.
    Mermaid,
}

impl GraphFormat {
    /// Renders the graph of these sessions.
    pub(crate) fn render(self, sessions: &[ListedSession], theme: OutputTheme) -> String {
        match self {
            Self::Text => render_graph_text(sessions, theme),
            Self::Json => format!("{:#}\n", render_graph_json(sessions)),
            Self::Dot => render_graph_dot(sessions),
            Self::Mermaid => render_graph_mermaid(sessions),
        }
    }
}
