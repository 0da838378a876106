//! YAML as a tree whose every node knows its bytes.

mod node;
mod parser;

pub use node::{YamlKind, YamlNode, YamlStyle};
pub use parser::{MAX_BYTES, MAX_DEPTH, MAX_NODES, YamlError, parse_document};
