//! YAML as a tree whose every node knows its bytes.

mod node;
mod read;

pub use node::{Kind, Node, Style};
pub use read::{MAX_BYTES, MAX_DEPTH, MAX_NODES, YamlError, read};
