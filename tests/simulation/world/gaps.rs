//! A producer that counts for itself, and puts an event ahead of its predecessor: the gap between them closes later, or
//! another producer takes the place.

use domain::{Event, Version};

use super::World;

impl World {
    /// The places of two events of one good order that nobody has begun to append: who counts for itself sends no event twice.
    pub(super) fn pair_of_due(&self) -> Option<(usize, usize)> {
        let is_good = |event: &Event| !self.bad.orders.contains_key(event.order_id());
        let is_new = |event: &Event| !self.begun_refs.contains(&event.event_ref);
        let good = || self.due.iter().enumerate().filter(|(_, event)| is_good(event) && is_new(event));
        good().find_map(|(first, event)| {
            let mut later = good().skip_while(|(place, _)| *place <= first);
            later.find(|(_, other)| other.order_id() == event.order_id()).map(|(second, _)| (first, second))
        })
    }

    /// Puts the second of them one version beyond the next one, which is left to the first.
    pub(super) async fn put_ahead(&mut self) {
        let (first, second) = self.pair_of_due().unwrap();
        let ahead = self.due.remove(second).unwrap();
        let missing = self.due.remove(first).unwrap();
        let head = self.truth.event_log.head(ahead.order_id()).await.unwrap();
        let appended = self.truth.event_log.append(&ahead, Some(head.next())).await.unwrap();
        self.report.fault("event ahead of its predecessor");
        let order_id = ahead.order_id().clone();
        self.tell(format!("event {} of {order_id} is put ahead, at version {}", ahead.event_ref, appended.version));
        self.gapped.insert(order_id);
        self.gaps.push((missing, head));
    }

    /// Puts one of the missing events into its gap, or at the end if another event is there.
    pub(super) async fn fill_gap(&mut self) {
        let index = self.random.usize(0..self.gaps.len());
        let (event, head): (_, Version) = self.gaps.swap_remove(index);
        let appended = self.truth.event_log.append(&event, Some(head)).await.unwrap();
        self.tell(format!("event {} of {} is put at version {}", event.event_ref, event.order_id(), appended.version));
    }
}
