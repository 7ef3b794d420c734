//! A producer that counts for itself, and puts an event ahead of its predecessor: the gap between them closes later.

use domain::{Event, Version};

use super::World;

impl World {
    /// The places of two events of one good order to which no other producer has appended: who counts is alone on its order.
    pub(super) fn pair_of_due(&self) -> Option<(usize, usize)> {
        let is_good = |event: &Event| !self.bad.orders.contains_key(event.order_id());
        let is_alone = |event: &Event| !self.appended_to.contains(event.order_id());
        let good = || self.due.iter().enumerate().filter(|(_, event)| is_good(event) && is_alone(event));
        good().find_map(|(first, event)| {
            let mut later = good().skip_while(|(place, _)| *place <= first);
            later.find(|(_, other)| other.order_id() == event.order_id()).map(|(second, _)| (first, second))
        })
    }

    /// The places of the events that other producers may append: those of orders without a gap.
    pub(super) fn due_without_gaps(&self) -> Vec<usize> {
        let has_gap = |event: &Event| self.gaps.iter().any(|(missing, _)| missing.order_id() == event.order_id());
        self.due.iter().enumerate().filter(|(_, event)| !has_gap(event)).map(|(place, _)| place).collect()
    }

    /// Puts the second of them one version beyond the next one, which is left to the first.
    pub(super) async fn put_ahead(&mut self) {
        let (first, second) = self.pair_of_due().unwrap();
        let ahead = self.due.remove(second).unwrap();
        let missing = self.due.remove(first).unwrap();
        let head = self.truth.event_log.head(ahead.order_id()).await.unwrap();
        let appended = self.truth.event_log.append(&ahead, Some(head.next())).await.unwrap();
        self.feed.read();
        self.report.fault("event ahead of its predecessor");
        let order_id = ahead.order_id().clone();
        self.tell(format!("event {} of {order_id} is put ahead, at version {}", ahead.event_ref, appended.version));
        self.gapped.insert(order_id);
        self.gaps.push((missing, head));
    }

    /// Puts one of the missing events into its gap.
    pub(super) async fn fill_gap(&mut self) {
        let index = self.random.usize(0..self.gaps.len());
        let (event, head): (_, Version) = self.gaps.swap_remove(index);
        let appended = self.truth.event_log.append(&event, Some(head)).await.unwrap();
        // Its record is due from here on.
        self.feed.read();
        self.tell(format!("event {} of {} is put at version {}", event.event_ref, event.order_id(), appended.version));
    }
}
