//! JSON schema of the values in a settings file.

use std::any::type_name;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::parse::MAX_JOBS;
use crate::run::NamedChoice;

thread_local! {
    static TABLE_KEYS: RefCell<HashMap<&'static str, Vec<String>>> = RefCell::default();
}

/// Returns the keys of a table, from its schema.
pub(super) fn schema_keys<T: JsonSchema>() -> Vec<String> {
    // Once: a file can have many unknown keys.
    TABLE_KEYS.with_borrow_mut(|known| known.entry(type_name::<T>()).or_insert_with(read_schema_keys::<T>).clone())
}

fn read_schema_keys<T: JsonSchema>() -> Vec<String> {
    let schema = schema_generator().into_root_schema_for::<T>().to_value();
    let table = match schema.get("anyOf").and_then(Value::as_array) {
        Some(kinds) => kinds.iter().find(|kind| kind.get("properties").is_some()),
        None => Some(&schema),
    };
    let properties = table.and_then(|table| table.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// Returns a generator for the newest draft that editors support.
pub(super) fn schema_generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Removes `required`: every key is optional.
pub(super) fn remove_required(schema: &mut Schema) {
    schema.remove("required");
}

/// Schema of a choice.
pub(super) struct ChoiceSchema<T>(PhantomData<T>);

impl<T: NamedChoice> JsonSchema for ChoiceSchema<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = T::CHOICES.iter().map(|(name, _)| *name).collect();
        json_schema!({ "enum": names })
    }
}

/// Declares types that only carry the schema of a value.
macro_rules! value_schemas {
    ($(#[doc = $doc:literal] $name:ident = $schema:tt;)*) => {$(
        #[doc = $doc]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

value_schemas! {
    /// `"10m"`, `"1h 30m"`, `"30d"`, or seconds.
    DurationSchema = { "type": ["string", "integer"], "minimum": 0, "examples": ["10m", "1h 30m", "30d", 90] };
    /// A number of at least 1, or `"auto"`.
    JobsSchema = { "anyOf": [{ "type": "integer", "minimum": 1, "maximum": MAX_JOBS }, { "const": "auto" }] };
    /// A number of at least 1, or `"all"`.
    CpusSchema = { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] };
    /// `"800MiB"`.
    MemorySchema = {
        "type": "string",
        "pattern": "^\\s*[0-9]+(\\.[0-9]*)?\\s*([kKmMgGtT][iI]?)?[bB]\\s*$",
        "examples": ["800MiB", "1.5GB"]
    };
    /// Reaction to a failure.
    FailFastSchema = { "enum": ["wait", "kill", true, false] };
    /// A count, or a table.
    RetriesSchema = {
        "anyOf": [
            { "type": "integer", "minimum": 0 },
            {
                "type": "object",
                "properties": {
                    "count": { "type": "integer", "minimum": 0 },
                    "delay": { "type": ["string", "integer"], "minimum": 0 },
                    "backoff": { "enum": ["fixed", "exponential"] }
                },
                "required": ["count"],
                "additionalProperties": false
            }
        ]
    };
}
