//! Fixes as data: edits of bytes, and the change of meaning that they must make and no other.

mod edit;
mod validate;

pub use edit::{Fix, SemanticChange, TextEdit, YamlPathSegment};
pub use validate::FixError;
pub(crate) use validate::{validate_text_fix, validate_yaml_fix};
