//! Deserialization of lists, sets and maps with a maximum number of items: a few compressed bytes of a remote cache can
//! contain millions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deserializes a list of at most `MAX` items.
pub(in crate::cache) fn limited_list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
}

/// Deserializes a set of at most `MAX` texts.
pub(in crate::cache) fn limited_set<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeSet<String>, D::Error> {
    Ok(LimitedSet::<MAX>::deserialize(deserializer)?.0)
}

/// Deserializes a map of at most `MAX` items.
pub(in crate::cache) fn limited_map<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    deserializer.deserialize_map(MapVisitor::<T, MAX>(PhantomData))
}

/// Deserializes a map of at most `MAX` sets, each with at most `MAX` items.
pub(in crate::cache) fn limited_map_of_sets<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeMap<String, BTreeSet<String>>, D::Error> {
    let sets = limited_map::<D, LimitedSet<MAX>, MAX>(deserializer)?;
    Ok(sets.into_iter().map(|(name, set)| (name, set.0)).collect())
}

/// A set of at most `MAX` texts.
struct LimitedSet<const MAX: usize>(BTreeSet<String>);

impl<'de, const MAX: usize> Deserialize<'de> for LimitedSet<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(limited_list::<D, String, MAX>(deserializer)?.into_iter().collect()))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() >= MAX {
                return Err(A::Error::custom(format!("a list has more than {MAX} items")));
            }
            list.push(item);
        }
        Ok(list)
    }
}

struct MapVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for MapVisitor<T, MAX> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {MAX} items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<BTreeMap<String, T>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, item)) = items.next_entry()? {
            if map.len() >= MAX {
                return Err(A::Error::custom(format!("a map has more than {MAX} items")));
            }
            map.insert(name, item);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Limited {
        #[serde(default, deserialize_with = "limited_list::<_, _, 2>")]
        list: Vec<u8>,
        #[serde(default, deserialize_with = "limited_map::<_, _, 2>")]
        map: BTreeMap<String, u8>,
        #[serde(default, deserialize_with = "limited_map_of_sets::<_, 2>")]
        sets: BTreeMap<String, BTreeSet<String>>,
    }

    #[test]
    fn more_items_than_allowed_are_refused() {
        let parse = |text: &str| serde_json::from_str::<Limited>(text);
        let fits = parse(r#"{"list": [1, 2], "map": {"a": 1, "b": 2}, "sets": {"a": ["x", "y"]}}"#).unwrap();
        assert_eq!((fits.list.len(), fits.map.len(), fits.sets["a"].len()), (2, 2, 2));
        for text in [
            r#"{"list": [1, 2, 3]}"#,
            r#"{"map": {"a": 1, "b": 2, "c": 3}}"#,
            r#"{"sets": {"a": ["x", "y", "z"]}}"#,
            r#"{"sets": {"a": [], "b": [], "c": []}}"#,
        ] {
            assert!(parse(text).unwrap_err().to_string().contains("more than 2 items"), "{text}");
        }
        assert!(parse(r#"{"list": 1}"#).unwrap_err().to_string().contains("at most 2 items"));
        assert!(parse(r#"{"map": 1}"#).unwrap_err().to_string().contains("at most 2 items"));
    }
}
