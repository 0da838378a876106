//! Several backends as one: the near one is asked first, and all are written.

use std::ops::Range;

use crate::cache::backend::{Abilities, Backend, BackendError, Object};
use crate::cache::http::Payload;

/// Backends, the nearest first.
#[derive(Debug)]
pub struct Tiered {
    tiers: Vec<Box<dyn Backend>>,
}

impl Tiered {
    /// These, the nearest first.
    pub fn new(tiers: Vec<Box<dyn Backend>>) -> Self {
        Self { tiers }
    }

    /// The first answer that is one; an error only where none has an answer.
    fn first<T>(
        &self,
        mut ask: impl FnMut(&dyn Backend) -> Result<Option<T>, BackendError>,
    ) -> Result<Option<T>, BackendError> {
        let mut failed = None;
        for tier in self.tiers.iter().filter(|tier| tier.abilities().reads) {
            match ask(tier.as_ref()) {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Does the same to all that can; an error only where none could.
    fn all(
        &self,
        can: impl Fn(Abilities) -> bool,
        act: impl Fn(&dyn Backend) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut done = false;
        let mut failed = BackendError::Mode("none of the tiers takes that");
        for tier in self.tiers.iter().filter(|tier| can(tier.abilities())) {
            match act(tier.as_ref()) {
                Ok(()) => done = true,
                Err(error) => failed = error,
            }
        }
        if done { Ok(()) } else { Err(failed) }
    }
}

impl Backend for Tiered {
    fn title(&self) -> String {
        self.tiers.iter().map(|tier| tier.title()).collect::<Vec<_>>().join(", then ")
    }

    fn abilities(&self) -> Abilities {
        let any = |can: fn(Abilities) -> bool| self.tiers.iter().any(|tier| can(tier.abilities()));
        Abilities {
            reads: any(|tier| tier.reads),
            writes: any(|tier| tier.writes),
            lists: self.tiers.iter().all(|tier| tier.abilities().lists),
            deletes: any(|tier| tier.deletes),
        }
    }

    fn get(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, BackendError> {
        self.first(|tier| tier.get(key, range.clone()))
    }

    fn put(&self, key: &str, payload: Payload<'_>) -> Result<(), BackendError> {
        self.all(|tier| tier.writes, |tier| tier.put(key, payload))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, BackendError> {
        let mut found: Vec<Object> = Vec::new();
        let mut failed = None;
        for tier in self.tiers.iter().filter(|tier| tier.abilities().reads) {
            match tier.list(prefix) {
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

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.all(|tier| tier.deletes, |tier| tier.delete(key))
    }
}
