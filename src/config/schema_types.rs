//! What single values look like in a settings file, for its JSON schema.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::run::NamedChoice;

/// The keys of a table, from its schema.
pub(super) fn schema_keys<T: JsonSchema>() -> Vec<String> {
    let schema = schema_generator().into_root_schema_for::<T>().to_value();
    let table = match schema.get("anyOf").and_then(Value::as_array) {
        Some(kinds) => kinds.iter().find(|kind| kind.get("properties").is_some()),
        None => Some(&schema),
    };
    let properties = table.and_then(|table| table.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// Makes schemas of the newest draft that editors know.
pub(super) fn schema_generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Nothing in a settings file has to be there.
pub(super) fn nothing_required(schema: &mut Schema) {
    schema.remove("required");
}

/// One of a few words.
pub(super) struct WordText<T>(PhantomData<T>);

impl<T: NamedChoice> JsonSchema for WordText<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = T::CHOICES.iter().map(|(word, _)| *word).collect();
        json_schema!({ "enum": words })
    }
}

/// Declares what a value looks like in a file, as a type for the schema alone.
macro_rules! shape {
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

shape! {
    /// `"10m"`, `"1h 30m"`, or seconds.
    DurationText = { "type": ["string", "integer"], "minimum": 0, "examples": ["10m", "1h 30m", 90] };
    /// `"30d"`, `"8w"`, a duration, or seconds.
    AgeText = { "type": ["string", "integer"], "minimum": 0, "examples": ["30d", "8w", "36h"] };
    /// A number from 1 up, or `"auto"`.
    CountOrAuto = { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "auto" }] };
    /// A number from 1 up, or `"all"`.
    CountOrAll = { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] };
    /// `"800MiB"`.
    MemoryText = {
        "type": "string",
        "pattern": "^\\s*[0-9]+(\\.[0-9]*)?\\s*([kKmMgGtT][iI]?)?[bB]\\s*$",
        "examples": ["800MiB", "1.5GB"]
    };
    /// What a failure does.
    FailFastText = { "enum": ["wait", "kill", true, false] };
    /// A count, or a table.
    RetriesText = {
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
