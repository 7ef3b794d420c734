//! What an event costs that is put ahead of its predecessor.

use crate::{Rig, STEADY};

#[tokio::test]
async fn a_gap_costs_a_write_of_the_projection_and_reads_of_it_and_of_what_waits() {
    let rig = Rig::start().await;
    rig.deliver(1..=1).await;
    let [read, log] = ["GetItem order_projections, consistent", "Query order_stream, consistent"];
    let deliveries: [(u64, &[&str], f64); 5] = [
        (3, &[read, log, STEADY[0]], 4.0),
        // It is noted that an event of this version waits.
        (3, &[read, log], 2.0),
        // The event that was missing: those that wait are read, and no other.
        (2, &[read, log, STEADY[0], STEADY[1]], 5.0),
        (4, &STEADY, 3.0),
        (5, &STEADY, 3.0),
    ];
    for (version, calls, capacity_units) in deliveries {
        let (bill, _posts) = rig.deliver(version..=version).await;
        println!("event {version}: {} capacity units, calls {:?}", bill.capacity_units, bill.calls);
        assert_eq!(
            (&bill.calls[..], bill.capacity_units),
            (&calls.iter().map(ToString::to_string).collect::<Vec<_>>()[..], capacity_units),
            "event {version}"
        );
    }
    let waiting = rig.connections.take_deferred();
    assert_eq!(waiting.len(), 2);
    for message in waiting {
        assert_eq!(rig.handle(&message).await.calls, [read], "whoever waited in vain reads the projection alone");
    }
}
