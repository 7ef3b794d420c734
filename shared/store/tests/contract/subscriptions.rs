//! The subscriptions and connections: read and removed whole, in both directions.

use domain::{ConnectionId, PrincipalId, Subscription};
use store::{Connection, forget};

use crate::{open, order};

fn subscription(order_id: &str, connection_id: &str) -> Subscription {
    Subscription {
        order_id: order(order_id),
        connection_id: ConnectionId::new(connection_id),
        principal_id: PrincipalId::from_authorizer(Some(&"p".repeat(1_000))),
        expires_at_s: 1_606_006_805,
    }
}

#[tokio::test]
async fn every_subscriber_of_an_order_is_found_over_all_pages() {
    let store = &open().await;
    let mut expected: Vec<Subscription> =
        (0..1_200).map(|number| subscription("o", &format!("c{number:04}="))).collect();
    for subscription in expected.iter().chain([&subscription("p", "c0000=")]) {
        store.subscriptions.put(subscription).await.unwrap();
        store.subscriptions.put(subscription).await.unwrap();
    }
    store.subscriptions.delete(&order("o"), &ConnectionId::new("c0007=")).await.unwrap();
    store.subscriptions.delete(&order("o"), &ConnectionId::new("nobody=")).await.unwrap();
    expected.remove(7);
    assert_eq!(store.subscriptions.of_order(&order("o")).await.unwrap(), expected);
}

#[tokio::test]
async fn a_forgotten_connection_leaves_nothing_and_nobody_else_notices() {
    let store = &open().await;
    let (gone, stays) = (ConnectionId::new("gone="), ConnectionId::new("stays="));
    for connection_id in [&gone, &stays] {
        let principal_id = PrincipalId::from_authorizer(None);
        let connection = Connection { connection_id: connection_id.clone(), principal_id, connected_at_ms: 5 };
        store.connections.put(&connection).await.unwrap();
        for number in 0..60 {
            store.subscriptions.put(&subscription(&format!("o{number}"), connection_id.as_str())).await.unwrap();
        }
    }
    for _ in 0..2 {
        forget(&store.connections, &store.subscriptions, &gone).await.unwrap();
    }
    for number in 0..60 {
        let left = store.subscriptions.of_order(&order(&format!("o{number}"))).await.unwrap();
        assert_eq!(left, [subscription(&format!("o{number}"), "stays=")]);
    }
}
