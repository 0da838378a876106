//! YAML documents as trees with byte spans.

mod node;
mod parser;

pub use node::{YamlKind, YamlNode, YamlStyle};
pub use parser::YamlError;
pub(crate) use parser::{MAX_BYTES, measure_nodes, parse_document};
