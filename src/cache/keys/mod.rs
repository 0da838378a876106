//! Keys of what sessions install: facts, the recipe that names those that count, the key made of them, entries kept.

mod asked;
mod facts;
mod kept;
mod key;
mod recipe;

pub use asked::{Asked, asked};
pub use facts::{Fact, FactKind, Surroundings};
pub use kept::{Difference, Held, Kept, KeptError, Keys};
pub use key::{Key, KeyParts};
pub use recipe::{RECIPE_VERSION, Recipe};
