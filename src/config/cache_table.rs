//! The table `cache` of a settings file.

use std::time::Duration;

use schemars::JsonSchema;
use toml::de::DeTable;

use super::error::LocatedValue;
use super::schema_types::{AgeText, DurationText, MemoryText, WordText, nothing_required, schema_keys};
use super::toml_reader::TomlReader;
use crate::provision::CacheMode;

/// How dependencies are kept and had.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "cache", rename_all = "kebab-case", deny_unknown_fields, transform = nothing_required)]
pub struct CacheTable {
    /// Whether the cache is used; "require" fails a run whose cache fails.
    #[schemars(with = "WordText<CacheMode>", extend("default" = "auto"))]
    pub(crate) mode: Option<LocatedValue<CacheMode>>,
    /// Whether installs that ignore uv.lock get its versions all the same.
    #[schemars(with = "bool", extend("default" = false))]
    pub(crate) locked: Option<LocatedValue<bool>>,
    /// How old an answer of the package index may be; 0 asks it each time.
    #[schemars(with = "DurationText", extend("default" = 0))]
    pub(crate) max_age: Option<LocatedValue<Duration>>,
    /// Bytes that the store may hold; more is pruned, what was used longest ago first.
    #[schemars(with = "MemoryText", extend("default" = "20GB"))]
    pub(crate) max_size: Option<LocatedValue<u64>>,
    /// How long an entry of the store may go unused.
    #[schemars(with = "AgeText", extend("default" = "60d"))]
    pub(crate) max_unused: Option<LocatedValue<Duration>>,
    /// Further folders that are kept with the wheels; `~` is the home folder.
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub(crate) folders: Vec<LocatedValue<String>>,
    /// Whether bytecode of installed packages is kept for later environments; without a word where `CI` is set.
    #[schemars(with = "bool")]
    pub(crate) bytecode: Option<LocatedValue<bool>>,
}

impl CacheTable {
    pub(super) fn read(reader: &mut TomlReader, table: &DeTable<'_>) -> Self {
        let mut cache = Self::default();
        for (key, node) in table {
            match key.get_ref().as_ref() {
                key @ "mode" => cache.mode = reader.read_choice(key, node),
                key @ "locked" => cache.locked = reader.read_bool(key, node),
                key @ "max-age" => cache.max_age = reader.read_duration(key, node),
                key @ "max-size" => cache.max_size = reader.read_memory(key, node),
                key @ "max-unused" => cache.max_unused = reader.read_age(key, node),
                key @ "folders" => cache.folders = reader.read_strings(key, node, |text| Ok(text.to_owned())),
                key @ "bytecode" => cache.bytecode = reader.read_bool(key, node),
                unknown => reader.report_unknown_key(unknown, key.span(), &schema_keys::<Self>()),
            }
        }
        cache
    }
}
