//! What rules offer as fixes: each a value made of edits and the change they must make.

pub mod cache;
pub mod gate;
pub mod log;
pub mod place;
pub mod recipe;
pub mod root;
pub mod shell;
pub mod step;
pub mod tested;

pub use place::risky;
