//! JSON fields of an API response, with their location for error messages.

use serde_json::Value;

use crate::record::ImportedRun;

/// Parsed runs, and the number of entries skipped because they are unfinished.
pub(super) type ParsedRuns = (Vec<ImportedRun>, usize);

/// Longer names are truncated.
const MAX_NAME_CHARS: usize = 200;

/// An API response, or a part of it, that has an unexpected format.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ResponseFormatError(pub(super) String);

/// A JSON value and its location in the response, such as `jobs[3]`.
#[derive(Clone, Debug)]
pub(super) struct LocatedJson<'a> {
    pub(super) value: &'a Value,
    path: String,
}

impl<'a> LocatedJson<'a> {
    /// Creates a value with a location.
    pub(super) fn new(value: &'a Value, location: impl Into<String>) -> Self {
        Self { value, path: location.into() }
    }

    /// Returns the items of the list `name`, with their locations.
    pub(super) fn list_field(&self, name: &str) -> Result<Vec<LocatedJson<'a>>, ResponseFormatError> {
        let list = self.value.get(name).ok_or_else(|| self.field_error(name, "is missing"))?;
        self.located_items(list, &self.field_path(name))
    }

    /// Returns the items of this list.
    pub(super) fn list_items(&self) -> Result<Vec<LocatedJson<'a>>, ResponseFormatError> {
        self.located_items(self.value, &self.path)
    }

    fn located_items(&self, list: &'a Value, location: &str) -> Result<Vec<LocatedJson<'a>>, ResponseFormatError> {
        let items = match list {
            Value::Array(items) => items.as_slice(),
            // Go encodes an empty list as null.
            Value::Null => &[],
            other => return Err(ResponseFormatError(format!("{location} is {}, not a list", json_type_name(other)))),
        };
        let item = |(number, value): (usize, &'a Value)| match value {
            Value::Object(_) => Ok(LocatedJson::new(value, format!("{location}[{number}]"))),
            other => {
                Err(ResponseFormatError(format!("{location}[{number}] is {}, not an object", json_type_name(other))))
            }
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Returns whether a field is present and not null.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }

    /// Returns the text of the first field that is present and not empty.
    pub(super) fn text_field(&self, names: &[&str]) -> Result<Option<String>, ResponseFormatError> {
        for name in names {
            match self.value.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => return Ok(Some(sanitize_name(text))),
                Some(other) => return Err(self.field_error(name, &format!("is {}, not text", json_type_name(other)))),
            }
        }
        Ok(None)
    }

    /// Returns a number or text that identifies the entry.
    pub(super) fn id_field(&self, name: &str) -> Result<String, ResponseFormatError> {
        match self.value.get(name) {
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::String(text)) if !text.is_empty() => Ok(sanitize_name(text)),
            Some(other) => Err(self.field_error(name, &format!("is {}, not a number", json_type_name(other)))),
            None => Err(self.field_error(name, "is missing")),
        }
    }

    fn field_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Describes an invalid field, with its location.
    pub(super) fn field_error(&self, name: &str, problem: &str) -> ResponseFormatError {
        ResponseFormatError(format!("{} {problem}", self.field_path(name)))
    }
}

fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns a name without control characters and of bounded length.
pub(super) fn sanitize_name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_NAME_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}
