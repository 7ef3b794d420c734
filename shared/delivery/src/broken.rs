//! Rows that are no subscriptions. They are reported and removed, and hold up nobody.

use futures_util::{StreamExt, stream};
use store::BrokenRow;

use crate::{Delivery, deliver::SETTLEMENTS_IN_FLIGHT_MAX};

impl Delivery {
    /// Reports these rows and removes them, unless they were written again since. A row that cannot be removed is read again
    /// with the order's next event.
    pub(crate) async fn remove_broken(&self, rows: &[BrokenRow]) {
        let removals = rows.iter().map(|row| async move {
            let removed = self.store.subscriptions.delete_broken(row).await.is_ok_and(|removed| removed);
            tracing::error!(key = row.error.key, reason = row.error.reason, removed, "a row is no subscription");
        });
        stream::iter(removals).for_each_concurrent(SETTLEMENTS_IN_FLIGHT_MAX, |removal| removal).await;
    }
}
