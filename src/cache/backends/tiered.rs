//! Several backends as one: reads try the nearest first, writes go to all.

use std::collections::HashSet;
use std::ops::Range;

use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject};
use crate::cache::http::RequestBody;

/// Several backends, the nearest first.
#[derive(Debug)]
pub struct TieredBackend {
    tiers: Vec<Box<dyn CacheBackend>>,
}

impl TieredBackend {
    /// Combines backends, the nearest first.
    pub fn new(tiers: Vec<Box<dyn CacheBackend>>) -> Self {
        Self { tiers }
    }

    /// Returns the first result; an error only if no backend has one.
    fn first_found<T>(
        &self,
        mut read: impl FnMut(&dyn CacheBackend) -> Result<Option<T>, BackendError>,
    ) -> Result<Option<T>, BackendError> {
        let mut last_error = None;
        for tier in self.tiers.iter().filter(|tier| tier.capabilities().can_read) {
            match read(tier.as_ref()) {
                Ok(Some(result)) => return Ok(Some(result)),
                Ok(None) => {}
                Err(error) => last_error = Some(error),
            }
        }
        last_error.map_or(Ok(None), Err)
    }

    /// Applies an operation to all backends that support it; an error only if none succeeds.
    fn apply_to_all(
        &self,
        is_supported: impl Fn(BackendCapabilities) -> bool,
        operation: impl Fn(&dyn CacheBackend) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut any_succeeded = false;
        let mut last_error = BackendError::Unsupported("no backend supports this operation");
        for tier in self.tiers.iter().filter(|tier| is_supported(tier.capabilities())) {
            match operation(tier.as_ref()) {
                Ok(()) => any_succeeded = true,
                Err(error) => last_error = error,
            }
        }
        if any_succeeded { Ok(()) } else { Err(last_error) }
    }
}

impl CacheBackend for TieredBackend {
    fn display_name(&self) -> String {
        self.tiers.iter().map(|tier| tier.display_name()).collect::<Vec<_>>().join(", then ")
    }

    fn capabilities(&self) -> BackendCapabilities {
        let any = |is_supported: fn(BackendCapabilities) -> bool| {
            self.tiers.iter().any(|tier| is_supported(tier.capabilities()))
        };
        BackendCapabilities {
            can_read: any(|tier| tier.can_read),
            can_write: any(|tier| tier.can_write),
            lists_all: self.tiers.iter().all(|tier| tier.capabilities().lists_all),
            can_delete: any(|tier| tier.can_delete),
        }
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        self.first_found(|tier| tier.get_range(key, range.clone()))
    }

    fn put_object(&self, key: &str, body: RequestBody<'_>) -> Result<(), BackendError> {
        self.apply_to_all(|tier| tier.can_write, |tier| tier.put_object(key, body))
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let mut found: Vec<StoredObject> = Vec::new();
        // A set: each cache may list as many objects as its limit allows.
        let mut known_keys: HashSet<String> = HashSet::new();
        let mut last_error = None;
        for tier in self.tiers.iter().filter(|tier| tier.capabilities().can_read) {
            match tier.list_objects(prefix) {
                Ok(objects) => {
                    found.extend(objects.into_iter().filter(|object| known_keys.insert(object.key.clone())));
                }
                Err(error) => last_error = Some(error),
            }
        }
        if found.is_empty() { last_error.map_or(Ok(found), Err) } else { Ok(found) }
    }

    fn delete_object(&self, key: &str) -> Result<(), BackendError> {
        self.apply_to_all(|tier| tier.can_delete, |tier| tier.delete_object(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend with these objects.
    #[derive(Debug)]
    struct ListedObjects(Vec<StoredObject>);

    impl CacheBackend for ListedObjects {
        fn display_name(&self) -> String {
            "list".to_owned()
        }

        fn capabilities(&self) -> BackendCapabilities {
            BackendCapabilities { can_read: true, can_write: false, lists_all: true, can_delete: false }
        }

        fn get_range(&self, _: &str, _: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
            Ok(None)
        }

        fn put_object(&self, _: &str, _: RequestBody<'_>) -> Result<(), BackendError> {
            Ok(())
        }

        fn list_objects(&self, _: &str) -> Result<Vec<StoredObject>, BackendError> {
            Ok(self.0.clone())
        }

        fn delete_object(&self, _: &str) -> Result<(), BackendError> {
            Ok(())
        }
    }

    #[test]
    fn an_object_of_several_backends_is_listed_once() {
        let objects = |written_at: i64, keys: std::ops::Range<usize>| -> Box<dyn CacheBackend> {
            let object = |number| StoredObject { key: format!("o{number}"), written_at: Some(written_at) };
            Box::new(ListedObjects(keys.map(object).collect()))
        };
        let tiered = TieredBackend::new(vec![objects(1, 0..3), objects(2, 1..5)]);
        let listed = tiered.list_objects("").unwrap();
        let listed: Vec<(&str, Option<i64>)> =
            listed.iter().map(|object| (object.key.as_str(), object.written_at)).collect();
        // That of the nearest backend.
        let expected = [("o0", Some(1)), ("o1", Some(1)), ("o2", Some(1)), ("o3", Some(2)), ("o4", Some(2))];
        assert_eq!(listed, expected);
    }
}
