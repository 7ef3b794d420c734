//! The subscriptions and connections: read and removed whole, in both directions.

use std::collections::BTreeSet;

use domain::{ConnectionId, Identity, OrderId, Principal, PrincipalId, Subscription, fan_out::Page};
use serde_json::json;
use store::{Connection, Store, forget};

use crate::{engine::ChangeFeed, open, order, tables::Tables};

fn principal() -> Principal {
    Principal::with_scope(PrincipalId::new("p".repeat(256)).unwrap(), "")
}

fn connection(connection_id: &str) -> Connection {
    Connection {
        connection_id: ConnectionId::new(connection_id),
        identity: Identity { principal: principal(), expires_at_s: None },
        connected_at_ms: 5,
    }
}

fn subscription(order_id: &str, connection_id: &str) -> Subscription {
    Subscription {
        order_id: order(order_id),
        connection_id: ConnectionId::new(connection_id),
        // Every other one reads all, so that both shapes of a row are on every page.
        principal: Principal { reads_all: connection_id.contains('0'), ..principal() },
        expires_at_s: 1_606_006_805,
    }
}

#[tokio::test]
async fn every_subscriber_of_an_order_is_found_over_all_pages() {
    let store = &open().await;
    let mut expected: Vec<Subscription> =
        (0..3_000).map(|number| subscription("o", &format!("c{number:04}="))).collect();
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
async fn pages_of_any_size_have_every_subscriber_once() {
    let store = &open().await;
    let expected: Vec<Subscription> = (0..12).map(|number| subscription("o", &format!("c{number:02}="))).collect();
    for subscription in expected.iter().chain([&subscription("p", "c00=")]) {
        store.subscriptions.put(subscription).await.unwrap();
    }
    for size in 1..=13 {
        let (first, end) = store.subscriptions.first_of_order(&order("o"), size).await.unwrap();
        assert_eq!(first, expected[..size.min(12)]);
        let page = Page { after: None, last: end.clone() };
        let mut found = store.subscriptions.of_page(&order("o"), &page).await.unwrap();
        assert_eq!(found, first);
        let mut after = end;
        while let Some(begin) = after {
            let (count, end) = store.subscriptions.page_end(&order("o"), &begin, size).await.unwrap();
            let page = Page { after: Some(begin), last: end.clone() };
            let on_page = store.subscriptions.of_page(&order("o"), &page).await.unwrap();
            assert_eq!(on_page.len(), count);
            found.extend(on_page);
            after = end;
        }
        assert_eq!(found, expected, "pages of {size}");
    }
    assert_eq!(store.subscriptions.first_of_order(&order("nobody"), 1).await.unwrap(), (vec![], None));
}

#[tokio::test]
async fn a_forgotten_connection_leaves_nothing_and_nobody_else_notices() {
    let store = &open().await;
    let (gone, stays) = (ConnectionId::new("gone="), ConnectionId::new("stays="));
    for connection_id in [&gone, &stays] {
        store.connections.put(&connection(connection_id.as_str())).await.unwrap();
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

/// Takes room for orders of these names, and gives the names of those that have it.
async fn make_room(store: &Store, connection_id: &str, names: &[&str], max: usize) -> Vec<String> {
    let order_ids: Vec<OrderId> = names.iter().map(|name| order(name)).collect();
    let wanted: BTreeSet<&OrderId> = order_ids.iter().collect();
    let with_room = store.connections.make_room(&connection(connection_id), &wanted, max).await.unwrap();
    with_room.into_iter().map(|order_id| order_id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_connection_has_no_more_subscriptions_than_it_may_have() {
    let store = &open().await;
    store.connections.put(&connection("c=")).await.unwrap();
    assert_eq!(make_room(store, "c=", &["a", "b"], 3).await, ["a", "b"]);
    assert_eq!(make_room(store, "c=", &["a"], 3).await, ["a"], "once more is once");
    assert_eq!(make_room(store, "c=", &["b", "c", "d"], 3).await, ["b", "c"], "as many as there is room for");
    assert_eq!(make_room(store, "c=", &["d"], 3).await, [""; 0]);
    assert_eq!(make_room(store, "c=", &["c"], 3).await, ["c"], "what it has, it keeps when it is full");
    assert_eq!(make_room(store, "other=", &["d"], 3).await, ["d"], "each connection has its own room");
    let (c, b) = (ConnectionId::new("c="), order("b"));
    for _ in 0..2 {
        store.connections.free_room(&c, &b).await.unwrap();
    }
    assert_eq!(make_room(store, "c=", &["d", "e"], 3).await, ["d"]);
    assert_eq!(make_room(store, "c=", &["e"], 0).await, [""; 0]);
    assert_eq!(make_room(store, "new=", &["a", "b", "c"], 2).await, ["a", "b"], "more than a connection may have");
}

#[tokio::test]
async fn racing_subscriptions_do_not_get_more_room_than_there_is() {
    let store = &open().await;
    let names: Vec<String> = (0..24).map(|number| format!("o{number}")).collect();
    let racing = names.iter().map(|name| async move { make_room(store, "c=", &[name.as_str()], 10).await.len() });
    let got_room: usize = futures_util::future::join_all(racing).await.into_iter().sum();
    assert_eq!(got_room, 10);
}

#[tokio::test]
async fn a_connection_that_was_forgotten_has_a_row_again_and_freeing_makes_none() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let (store, gone) = (&tables.store, ConnectionId::new("gone="));
    store.connections.free_room(&gone, &order("a")).await.unwrap();
    assert_eq!(tables.dynamodb("Scan", &json!({"TableName": "connections"})).await["Count"], 0);
    forget(&store.connections, &store.subscriptions, &gone).await.unwrap();
    assert_eq!(make_room(store, "gone=", &["a"], 1).await, ["a"]);
    assert_eq!(make_room(store, "gone=", &["b"], 1).await, [""; 0]);
    forget(&store.connections, &store.subscriptions, &gone).await.unwrap();
    assert_eq!(make_room(store, "gone=", &["b"], 1).await, ["b"], "what is forgotten takes no room");
}
