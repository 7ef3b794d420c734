//! The projections that this process stored last.
//!
//! Owns: how many there are, and that each is given out once.
//! Must not know: whether they are still what is stored; whoever takes one writes over exactly it.
//! Source: a function's process serves the same orders again and again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    OrderId,
    limits::{PROJECTION_REMEMBERED_BYTES_MAX, PROJECTIONS_REMEMBERED_MAX},
};

use crate::item::projection::StoredProjection;

/// Projections by their orders, the one that was stored last first. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<VecDeque<(OrderId, StoredProjection)>>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(OrderId, StoredProjection)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an order's projection out, and has it no more.
    pub(super) fn take(&self, order_id: &OrderId) -> Option<StoredProjection> {
        let mut remembered = self.lock();
        let place = remembered.iter().position(|(remembered, _)| remembered == order_id)?;
        remembered.remove(place).map(|(_, stored)| stored)
    }

    /// Remembers what was stored in so many bytes, in the place of what was remembered of its order.
    pub(super) fn put(&self, order_id: &OrderId, stored: StoredProjection, bytes: usize) {
        self.take(order_id);
        if bytes <= PROJECTION_REMEMBERED_BYTES_MAX {
            let mut remembered = self.lock();
            remembered.truncate(PROJECTIONS_REMEMBERED_MAX - 1);
            remembered.push_front((order_id.clone(), stored));
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Fields, Projection, Version};

    use super::*;

    fn order(number: usize) -> OrderId {
        OrderId::new(number.to_string()).unwrap()
    }

    fn stored(version: u64) -> StoredProjection {
        let projection = Projection::stored(Version::new(version), Fields::default());
        StoredProjection { projection, updated_at_ms: Some(0), ahead: None }
    }

    #[test]
    fn what_was_stored_last_is_given_out_once() {
        let memory = Memory::default();
        memory.put(&order(1), stored(1), 100);
        memory.put(&order(2), stored(1), 100);
        memory.put(&order(1), stored(2), 100);
        assert_eq!(memory.take(&order(1)), Some(stored(2)));
        assert_eq!(memory.take(&order(1)), None);
        assert_eq!(memory.take(&order(2)), Some(stored(1)));
    }

    #[test]
    fn the_oldest_and_the_largest_are_forgotten() {
        let memory = Memory::default();
        for number in 0..=PROJECTIONS_REMEMBERED_MAX {
            memory.put(&order(number), stored(1), PROJECTION_REMEMBERED_BYTES_MAX);
        }
        assert_eq!(memory.take(&order(0)), None);
        assert_eq!(memory.take(&order(1)), Some(stored(1)));
        memory.put(&order(2), stored(2), PROJECTION_REMEMBERED_BYTES_MAX + 1);
        assert_eq!(memory.take(&order(2)), None, "not the one before either");
    }
}
