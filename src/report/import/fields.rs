//! Fields of an answer, each known by its place when it is not what it should be.

use serde_json::Value;

use crate::record::ImportedRun;

/// What an answer tells: runs, and how many entries say nothing because they are not over.
pub(super) type Told = (Vec<ImportedRun>, usize);

/// Names are cut there.
const LONGEST_NAME: usize = 200;

/// A value in an answer and where it stands, such as `jobs[3]`.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    place: String,
}

impl<'a> At<'a> {
    /// A value at a place.
    pub(super) fn new(value: &'a Value, place: impl Into<String>) -> Self {
        Self { value, place: place.into() }
    }

    /// Members of the list `name`, each with its place.
    pub(super) fn members(&self, name: &str) -> Result<Vec<At<'a>>, String> {
        let list = self.value.get(name).ok_or_else(|| self.wrong(name, "is missing"))?;
        self.listed(list, &self.below(name))
    }

    /// Members of this list itself.
    pub(super) fn own_members(&self) -> Result<Vec<At<'a>>, String> {
        self.listed(self.value, &self.place)
    }

    fn listed(&self, list: &'a Value, place: &str) -> Result<Vec<At<'a>>, String> {
        let members = match list {
            Value::Array(members) => members.as_slice(),
            // Go writes an empty list so.
            Value::Null => &[],
            other => return Err(format!("{place} is {}, not a list", kind(other))),
        };
        let member = |(number, value): (usize, &'a Value)| match value {
            Value::Object(_) => Ok(At::new(value, format!("{place}[{number}]"))),
            other => Err(format!("{place}[{number}] is {}, not an object", kind(other))),
        };
        members.iter().enumerate().map(member).collect()
    }

    /// Whether it has a field that is not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }

    /// The text of the first of these fields that is there; empty text is none.
    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, String> {
        for name in names {
            match self.value.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => return Ok(Some(clean(text))),
                Some(other) => return Err(self.wrong(name, &format!("is {}, not text", kind(other)))),
            }
        }
        Ok(None)
    }

    /// The number or text that tells one from others.
    pub(super) fn id(&self, name: &str) -> Result<String, String> {
        match self.value.get(name) {
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::String(text)) if !text.is_empty() => Ok(clean(text)),
            Some(other) => Err(self.wrong(name, &format!("is {}, not a number", kind(other)))),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    fn below(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// What is wrong with a field, with its place.
    pub(super) fn wrong(&self, name: &str, what: &str) -> String {
        format!("{} {what}", self.below(name))
    }
}

fn kind(value: &Value) -> &'static str {
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
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_NAME).collect::<String>().trim().to_owned()
}
