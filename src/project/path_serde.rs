//! Paths in JSON: as text if they are UTF-8, else as bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path in either form.
#[derive(Deserialize)]
#[serde(untagged)]
enum PathRepr {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<PathRepr> for PathBuf {
    fn from(repr: PathRepr) -> Self {
        match repr {
            PathRepr::Text(text) => text.into(),
            PathRepr::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => path.as_os_str().as_bytes().serialize(serializer),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    PathRepr::deserialize(deserializer).map(PathBuf::from)
}

/// The same for an optional path.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, PathBuf, PathRepr, Serializer};

    #[allow(clippy::ref_option, reason = "the signature that serde requires")]
    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => super::serialize(path, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<PathRepr>::deserialize(deserializer)?.map(PathBuf::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(default, with = "super::optional")]
        two: Option<PathBuf>,
    }

    #[test]
    fn every_path_survives_a_round_trip() {
        let odd = PathBuf::from(OsString::from_vec(b"caf\xe9".to_vec()));
        for (paths, json) in [
            (Paths { one: "a b".into(), two: None }, r#"{"one":"a b","two":null}"#),
            (Paths { one: odd.clone(), two: Some(odd) }, r#"{"one":[99,97,102,233],"two":[99,97,102,233]}"#),
        ] {
            assert_eq!(serde_json::to_string(&paths).unwrap(), json);
            assert_eq!(serde_json::from_str::<Paths>(json).unwrap(), paths);
        }
    }
}
