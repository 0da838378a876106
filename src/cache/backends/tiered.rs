//! Several backends as one: reads try the nearest first, writes go to all.

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
        let mut last_error = None;
        for tier in self.tiers.iter().filter(|tier| tier.capabilities().can_read) {
            match tier.list_objects(prefix) {
                Ok(objects) => {
                    for object in objects {
                        if !found.iter().any(|known| known.key == object.key) {
                            found.push(object);
                        }
                    }
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
