//! What rules offer as fixes: each a value made of edits and the change they must make.

pub mod cache;
pub mod coverage;
pub mod gate;
pub mod gather;
pub mod join;
pub mod log;
pub mod matrix;
pub mod merge;
pub mod paths;
pub mod piece;
pub mod place;
pub mod recipe;
pub mod root;
pub mod shell;
pub mod step;
pub mod tested;

pub use place::risky;
