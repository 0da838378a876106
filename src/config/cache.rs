//! The table `cache` of a settings file.

use std::time::Duration;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::place::Placed;
use super::reader::Reader;
use super::shape::{AgeText, DurationText, MemoryText, WordText, keys_of, nothing_required};
use crate::run::CacheMode;

/// How dependencies are kept and had.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "cache", rename_all = "kebab-case", deny_unknown_fields, transform = nothing_required)]
pub struct CacheTable {
    /// Whether the cache is used; "require" fails a run whose cache fails.
    #[schemars(with = "WordText<CacheMode>", extend("default" = "auto"))]
    pub mode: Option<Placed<CacheMode>>,
    /// Whether installs that ignore uv.lock get its versions all the same.
    #[schemars(with = "bool", extend("default" = false))]
    pub locked: Option<Placed<bool>>,
    /// How old an answer of the package index may be; 0 asks it each time.
    #[schemars(with = "DurationText", extend("default" = 0))]
    pub max_age: Option<Placed<Duration>>,
    /// Bytes that the store may hold; more is pruned, what was used longest ago first.
    #[schemars(with = "MemoryText", extend("default" = "20GB"))]
    pub max_size: Option<Placed<u64>>,
    /// How long an entry of the store may go unused.
    #[schemars(with = "AgeText", extend("default" = "60d"))]
    pub max_unused: Option<Placed<Duration>>,
    /// Further folders that are kept with the wheels; `~` is the home folder.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub folders: Vec<Placed<String>>,
    /// Whether bytecode of installed packages is kept for later environments; without a word where `CI` is set.
    #[schemars(with = "bool")]
    pub bytecode: Option<Placed<bool>>,
}

impl CacheTable {
    pub(super) fn read(reader: &mut Reader, table: &DeTable<'_>) -> Self {
        let mut cache = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "mode" => cache.mode = reader.word(key, node),
                key @ "locked" => cache.locked = reader.boolean(key, node),
                key @ "max-age" => cache.max_age = reader.duration(key, node),
                key @ "max-size" => cache.max_size = reader.memory(key, node),
                key @ "max-unused" => cache.max_unused = reader.age(key, node),
                key @ "folders" => cache.folders = reader.texts(key, node, |text| Ok(text.to_owned())),
                key @ "bytecode" => cache.bytecode = reader.boolean(key, node),
                unknown => reader.unknown(unknown, key.span(), &keys_of::<Self>()),
            }
        }
        cache
    }
}
