//! Several backends as one: the near one is asked first, and all are written.

use std::ops::Range;

use crate::cache::backend::{BackendCapabilities, BackendError, CacheBackend, StoredObject};
use crate::cache::http::RequestBody;

/// Backends, the nearest first.
#[derive(Debug)]
pub struct TieredBackend {
    tiers: Vec<Box<dyn CacheBackend>>,
}

impl TieredBackend {
    /// These, the nearest first.
    pub fn new(tiers: Vec<Box<dyn CacheBackend>>) -> Self {
        Self { tiers }
    }

    /// The first answer that is one; an error only where none has an answer.
    fn first_found<T>(
        &self,
        mut ask: impl FnMut(&dyn CacheBackend) -> Result<Option<T>, BackendError>,
    ) -> Result<Option<T>, BackendError> {
        let mut failed = None;
        for tier in self.tiers.iter().filter(|tier| tier.capabilities().can_read) {
            match ask(tier.as_ref()) {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Does the same to all that can; an error only where none could.
    fn apply_to_all(
        &self,
        can: impl Fn(BackendCapabilities) -> bool,
        act: impl Fn(&dyn CacheBackend) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut done = false;
        let mut failed = BackendError::Unsupported("none of the tiers takes that");
        for tier in self.tiers.iter().filter(|tier| can(tier.capabilities())) {
            match act(tier.as_ref()) {
                Ok(()) => done = true,
                Err(error) => failed = error,
            }
        }
        if done { Ok(()) } else { Err(failed) }
    }
}

impl CacheBackend for TieredBackend {
    fn display_name(&self) -> String {
        self.tiers.iter().map(|tier| tier.display_name()).collect::<Vec<_>>().join(", then ")
    }

    fn capabilities(&self) -> BackendCapabilities {
        let any = |can: fn(BackendCapabilities) -> bool| self.tiers.iter().any(|tier| can(tier.capabilities()));
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

    fn put_object(&self, key: &str, payload: RequestBody<'_>) -> Result<(), BackendError> {
        self.apply_to_all(|tier| tier.can_write, |tier| tier.put_object(key, payload))
    }

    fn list_objects(&self, prefix: &str) -> Result<Vec<StoredObject>, BackendError> {
        let mut found: Vec<StoredObject> = Vec::new();
        let mut failed = None;
        for tier in self.tiers.iter().filter(|tier| tier.capabilities().can_read) {
            match tier.list_objects(prefix) {
                Ok(objects) => {
                    for object in objects {
                        if !found.iter().any(|known| known.key == object.key) {
                            found.push(object);
                        }
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if found.is_empty() { failed.map_or(Ok(found), Err) } else { Ok(found) }
    }

    fn delete_object(&self, key: &str) -> Result<(), BackendError> {
        self.apply_to_all(|tier| tier.can_delete, |tier| tier.delete_object(key))
    }
}
