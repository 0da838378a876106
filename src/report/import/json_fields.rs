//! Fields of an answer, each known by its place when it is not what it should be.

use serde_json::Value;

use crate::record::ImportedRun;

/// What an answer tells: runs, and how many entries say nothing because they are not over.
pub(super) type ParsedRuns = (Vec<ImportedRun>, usize);

/// Names are cut there.
const MAX_NAME_CHARS: usize = 200;

/// A value in an answer and where it stands, such as `jobs[3]`.
#[derive(Clone, Debug)]
pub(super) struct LocatedJson<'a> {
    pub(super) value: &'a Value,
    path: String,
}

impl<'a> LocatedJson<'a> {
    /// A value at a place.
    pub(super) fn new(value: &'a Value, place: impl Into<String>) -> Self {
        Self { value, path: place.into() }
    }

    /// Members of the list `name`, each with its place.
    pub(super) fn list_field(&self, name: &str) -> Result<Vec<LocatedJson<'a>>, String> {
        let list = self.value.get(name).ok_or_else(|| self.field_error(name, "is missing"))?;
        self.located_items(list, &self.field_path(name))
    }

    /// Members of this list itself.
    pub(super) fn list_items(&self) -> Result<Vec<LocatedJson<'a>>, String> {
        self.located_items(self.value, &self.path)
    }

    fn located_items(&self, list: &'a Value, place: &str) -> Result<Vec<LocatedJson<'a>>, String> {
        let members = match list {
            Value::Array(members) => members.as_slice(),
            // Go writes an empty list so.
            Value::Null => &[],
            other => return Err(format!("{place} is {}, not a list", json_type_name(other))),
        };
        let member = |(number, value): (usize, &'a Value)| match value {
            Value::Object(_) => Ok(LocatedJson::new(value, format!("{place}[{number}]"))),
            other => Err(format!("{place}[{number}] is {}, not an object", json_type_name(other))),
        };
        members.iter().enumerate().map(member).collect()
    }

    /// Whether it has a field that is not null.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }

    /// The text of the first of these fields that is there; empty text is none.
    pub(super) fn text_field(&self, names: &[&str]) -> Result<Option<String>, String> {
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

    /// The number or text that tells one from others.
    pub(super) fn id_field(&self, name: &str) -> Result<String, String> {
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

    /// What is wrong with a field, with its place.
    pub(super) fn field_error(&self, name: &str, what: &str) -> String {
        format!("{} {what}", self.field_path(name))
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

/// A name without control characters, of bounded length.
pub(super) fn sanitize_name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_NAME_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}
