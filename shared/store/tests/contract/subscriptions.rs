//! The subscriptions and connections: read and removed whole, in both directions.

use std::collections::BTreeSet;

use domain::{
    Allowance, ConnectionId, Exhausted, Identity, OrderId, Principal, PrincipalId, Stage, Subscription, Version,
    fan_out::Page,
};
use serde_json::{Value, json};
use store::{Connection, Forgotten, Store, Subscribers, Witness, forget, forget_gone};

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

fn stage(name: &str) -> Stage {
    Stage::new(format!("https://{name}.example/live"))
}

fn subscription(order_id: &str, connection_id: &str) -> Subscription {
    // Every other one reads all, so that both shapes of a row are on every page.
    let principal = Principal { reads_all: connection_id.contains('0'), ..principal() };
    Subscription::new(order(order_id), ConnectionId::new(connection_id), principal, 1_606_006_805)
}

#[tokio::test]
async fn every_subscriber_of_an_order_is_found_over_all_pages() {
    let store = &open().await;
    store.subscriptions.put(&subscription("p", "c0000=")).await.unwrap();
    let mut expected = Vec::new();
    for number in 0..3_000 {
        let subscription = subscription("o", &format!("c{number:04}="));
        store.subscriptions.put(&subscription).await.unwrap();
        expected.push(store.subscriptions.put(&subscription).await.unwrap());
    }
    store.subscriptions.delete(&order("o"), &ConnectionId::new("c0007=")).await.unwrap();
    store.subscriptions.delete(&order("o"), &ConnectionId::new("nobody=")).await.unwrap();
    expected.remove(7);
    assert_eq!(
        store.subscriptions.of_order(&order("o")).await.unwrap(),
        Subscribers { readable: expected, broken: vec![] }
    );
}

#[tokio::test]
async fn pages_of_any_size_have_every_subscriber_once() {
    let store = &open().await;
    store.subscriptions.put(&subscription("p", "c00=")).await.unwrap();
    let mut expected = Vec::new();
    for number in 0..12 {
        expected.push(store.subscriptions.put(&subscription("o", &format!("c{number:02}="))).await.unwrap());
    }
    for size in 1..=13 {
        let (first, end) = store.subscriptions.first_of_order(&order("o"), size).await.unwrap();
        assert_eq!(first.readable, expected[..size.min(12)]);
        let page = Page { after: None, last: end.clone() };
        let mut found = store.subscriptions.of_page(&order("o"), &page).await.unwrap();
        assert_eq!(found, first);
        let mut after = end;
        while let Some(begin) = after {
            let (count, end) = store.subscriptions.page_end(&order("o"), &begin, size).await.unwrap();
            let page = Page { after: Some(begin), last: end.clone() };
            let on_page = store.subscriptions.of_page(&order("o"), &page).await.unwrap();
            assert_eq!(on_page.readable.len(), count);
            found.readable.extend(on_page.readable);
            after = end;
        }
        assert_eq!(found.readable, expected, "pages of {size}");
    }
    assert_eq!(store.subscriptions.first_of_order(&order("nobody"), 1).await.unwrap(), (Subscribers::default(), None));
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
        let left = store.subscriptions.of_order(&order(&format!("o{number}"))).await.unwrap().readable;
        assert_eq!(left.iter().map(|left| left.connection_id.as_str()).collect::<Vec<_>>(), ["stays="]);
    }
}

#[tokio::test]
async fn a_connection_is_forgotten_if_its_own_stage_calls_it_gone_and_no_other() {
    let store = &open().await;
    let forget_as = async |connection_id: &str, name: &str, trusts_unknown: bool| {
        let (Store { connections, subscriptions, .. }, stage) = (store, stage(name));
        let witness = Witness { stage: &stage, trusts_unknown };
        forget_gone(connections, subscriptions, &ConnectionId::new(connection_id), witness).await.unwrap()
    };
    let is_subscribed = async |connection_id: &str| {
        let rows = store.subscriptions.of_order(&order("a")).await.unwrap().readable;
        rows.iter().any(|row| row.connection_id.as_str() == connection_id)
    };
    for connection_id in ["own=", "old=", "older="] {
        store.connections.put(&connection(connection_id)).await.unwrap();
        store.subscriptions.put(&subscription("a", connection_id)).await.unwrap();
    }
    make_room(store, "own=", &["a"], 1).await;
    for trusts_unknown in [false, true] {
        assert_eq!(forget_as("own=", "other", trusts_unknown).await, Forgotten::OfAnotherStage);
    }
    assert!(is_subscribed("own=").await, "it may be alive on its own stage");
    assert_eq!(forget_as("own=", "own", false).await, Forgotten::Yes);
    assert!(!is_subscribed("own=").await);
    // A row of an earlier release names no stage, and neither does one that is gone already.
    assert_eq!(forget_as("old=", "own", false).await, Forgotten::OfUnknownStage);
    assert!(is_subscribed("old=").await);
    assert_eq!(forget_as("old=", "own", true).await, Forgotten::Yes);
    assert!(!is_subscribed("old=").await);
    store.connections.delete(&ConnectionId::new("older=")).await.unwrap();
    assert_eq!(forget_as("older=", "own", false).await, Forgotten::OfUnknownStage);
    assert_eq!(forget_as("older=", "own", true).await, Forgotten::Yes);
    assert!(!is_subscribed("older=").await);
}

#[tokio::test]
async fn the_newest_connection_names_the_stage_and_another_dynamodb_has_no_tag() {
    let store = &open().await;
    assert_eq!(store.connections.newest_stage().await.unwrap(), None);
    assert_eq!(store.connections.local_stage().await.unwrap(), None);
    for (connected_at_ms, name) in [(7, "old"), (9, "new"), (8, "middle")] {
        let connection = Connection { connected_at_ms, ..connection(name) };
        let order_id = order("a");
        let room = store.connections.make_room(&connection, &stage(name), &BTreeSet::from([&order_id]), 1).await;
        assert_eq!(room.unwrap().0.len(), 1);
    }
    store.connections.put(&Connection { connected_at_ms: 10, ..connection("without an order") }).await.unwrap();
    assert_eq!(store.connections.newest_stage().await.unwrap(), Some(stage("new")));
}

#[tokio::test]
async fn a_row_that_was_written_again_is_not_deleted_by_who_read_the_one_before() {
    let store = &open().await;
    let first = store.subscriptions.put(&subscription("o", "c=")).await.unwrap();
    let second = store.subscriptions.put(&first).await.unwrap();
    assert_ne!(first.row, second.row);
    assert!(!store.subscriptions.delete_row(&first).await.unwrap());
    assert_eq!(store.subscriptions.of_order(&order("o")).await.unwrap().readable, std::slice::from_ref(&second));
    assert!(store.subscriptions.delete_row(&second).await.unwrap());
    assert!(!store.subscriptions.delete_row(&second).await.unwrap(), "somebody else did");
    assert_eq!(store.subscriptions.of_order(&order("o")).await.unwrap(), Subscribers::default());
}

/// A row as an operator or another release writes it.
async fn put_row(tables: &Tables, connection_id: &str, more: Value) {
    let mut item = json!({"orderId": {"S": "o"}, "connectionId": {"S": connection_id}});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tables.dynamodb("PutItem", &json!({"TableName": "subscriptions", "Item": item})).await;
}

#[tokio::test]
async fn a_row_of_a_release_that_wrote_no_ids_is_deleted_while_it_has_none() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let subscriptions = &tables.store.subscriptions;
    let row = json!({"principalId": {"S": "p"}, "expiresAt": {"N": "5"}, "ofTomorrow": {"BOOL": true}});
    for is_written_again in [false, true] {
        put_row(&tables, "c=", row.clone()).await;
        let read = subscriptions.of_order(&order("o")).await.unwrap().readable.remove(0);
        assert_eq!(read.row, None);
        if is_written_again {
            subscriptions.put(&read).await.unwrap();
        }
        assert_eq!(subscriptions.hide(&read, Version::new(7)).await.unwrap(), !is_written_again);
        assert_eq!(subscriptions.delete_row(&read).await.unwrap(), !is_written_again);
        assert!(!subscriptions.delete_row(&read).await.unwrap());
        assert!(!subscriptions.hide(&read, Version::new(7)).await.unwrap(), "it makes no row");
    }
}

#[tokio::test]
async fn a_row_says_at_which_version_its_order_was_hidden() {
    let store = &open().await;
    let first = store.subscriptions.put(&subscription("o", "c=")).await.unwrap();
    assert!(store.subscriptions.hide(&first, Version::new(7)).await.unwrap());
    let hidden = Subscription { hidden_at: Some(Version::new(7)), ..first.clone() };
    assert_eq!(store.subscriptions.of_order(&order("o")).await.unwrap().readable, [hidden]);
    let second = store.subscriptions.put(&subscription("o", "c=")).await.unwrap();
    assert!(!store.subscriptions.hide(&first, Version::new(8)).await.unwrap(), "the row is another one");
    assert_eq!(store.subscriptions.of_order(&order("o")).await.unwrap().readable, [second]);
}

/// Rows of four connections, of whom the second and the last are broken; and the good ones.
async fn rows_of_which_some_are_broken(tables: &Tables) -> Vec<Subscription> {
    put_row(tables, "c2=", json!({"principalId": {"N": "7"}, "expiresAt": {"N": "5"}, "row": {"L": []}})).await;
    put_row(tables, "c4=", json!({})).await;
    let put = async |id| tables.store.subscriptions.put(&subscription("o", id)).await.unwrap();
    vec![put("c1=").await, put("c3=").await]
}

#[tokio::test]
async fn a_broken_row_holds_up_no_other_and_a_page_may_end_at_it() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let subscriptions = &tables.store.subscriptions;
    let good = rows_of_which_some_are_broken(&tables).await;
    let whole = subscriptions.of_order(&order("o")).await.unwrap();
    assert_eq!((whole.readable, whole.broken.len()), (good.clone(), 2));
    for size in 1..=4 {
        let (mut found, end) = subscriptions.first_of_order(&order("o"), size).await.unwrap();
        assert_eq!(found.rows(), size);
        let mut after = end;
        while let Some(begin) = after {
            let (count, end) = subscriptions.page_end(&order("o"), &begin, size).await.unwrap();
            let page = Page { after: Some(begin), last: end.clone() };
            let on_page = subscriptions.of_page(&order("o"), &page).await.unwrap();
            assert_eq!(on_page.rows(), count);
            found.readable.extend(on_page.readable);
            found.broken.extend(on_page.broken);
            after = end;
        }
        assert_eq!((found.readable, found.broken.len()), (good.clone(), 2), "pages of {size}");
    }
}

#[tokio::test]
async fn a_broken_row_is_deleted_unless_it_was_written_again() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let subscriptions = &tables.store.subscriptions;
    let mut good = rows_of_which_some_are_broken(&tables).await;
    let broken = subscriptions.of_order(&order("o")).await.unwrap().broken;
    let keys: Vec<&str> = broken.iter().map(|row| row.error.key.as_str()).collect();
    assert_eq!(keys, [r#"orderId="o" connectionId="c2=""#, r#"orderId="o" connectionId="c4=""#]);
    good.push(subscriptions.put(&subscription("o", "c4=")).await.unwrap());
    assert!(subscriptions.delete_broken(&broken[0]).await.unwrap());
    assert!(!subscriptions.delete_broken(&broken[1]).await.unwrap(), "its browser subscribed again");
    assert_eq!(subscriptions.of_order(&order("o")).await.unwrap(), Subscribers { readable: good, broken: vec![] });
}

#[tokio::test]
async fn a_connection_with_broken_rows_is_forgotten() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let (store, c) = (&tables.store, ConnectionId::new("c="));
    store.connections.put(&connection("c=")).await.unwrap();
    put_row(&tables, "c=", json!({"principalId": {"L": []}})).await;
    let too_long = json!({"orderId": {"S": "o".repeat(300)}, "connectionId": {"S": "c="}});
    tables.dynamodb("PutItem", &json!({"TableName": "subscriptions", "Item": too_long})).await;
    forget(&store.connections, &store.subscriptions, &c).await.unwrap();
    for table in ["subscriptions", "connections"] {
        assert_eq!(tables.dynamodb("Scan", &json!({"TableName": table})).await["Count"], 0, "{table}");
    }
}

#[tokio::test]
async fn a_connection_whose_row_is_broken_takes_and_frees_room() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let store = &tables.store;
    for orders in [json!({"L": [{"S": "a"}]}), json!({"S": "a"}), json!({"N": "7"}), json!({"NS": ["7"]})] {
        let item = json!({"connectionId": {"S": "c="}, "orders": orders});
        let put = json!({"TableName": "connections", "Item": item});
        tables.dynamodb("PutItem", &put).await;
        store.connections.free_room(&ConnectionId::new("c="), &order("a")).await.unwrap();
        tables.dynamodb("PutItem", &put).await;
        assert_eq!(make_room(store, "c=", &["a", "b", "c"], 2).await, ["a", "b"], "{orders}");
        assert_eq!(make_room(store, "c=", &["c"], 2).await, [""; 0]);
    }
}

/// Takes room for orders of these names, and gives the names of those that have it.
async fn make_room(store: &Store, connection_id: &str, names: &[&str], max: usize) -> Vec<String> {
    let order_ids: Vec<OrderId> = names.iter().map(|name| order(name)).collect();
    let wanted: BTreeSet<&OrderId> = order_ids.iter().collect();
    let (connection, stage) = (connection(connection_id), stage("own"));
    let (with_room, _) = store.connections.make_room(&connection, &stage, &wanted, max).await.unwrap();
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
async fn an_allowance_is_shared_by_all_who_spend_of_it() {
    let store = &open().await;
    let allowance = Allowance { at_once: 100, a_minute: 60 };
    let now_ms = 1_800_000_000_000;
    let spend = async |payer: &'static str, cost, now_ms| {
        store.connections.spend(payer, allowance, cost, now_ms).await.unwrap()
    };
    let racing = (0..8).map(|_| spend("alice", 20, now_ms));
    let spent = futures_util::future::join_all(racing).await;
    assert_eq!(spent.iter().filter(|spent| spent.is_ok()).count(), 5, "{spent:?}");
    assert_eq!(spend("alice", 1, now_ms).await, Err(Exhausted { retry_after_ms: 1_000 }));
    assert_eq!(spend("bob", 100, now_ms).await, Ok(()), "each has an allowance of their own");
    assert_eq!(spend("alice", 1, now_ms + 1_000).await, Ok(()));
    assert_eq!(spend("alice", 100, now_ms + 200_000).await, Ok(()), "it grows full again");
    assert_eq!(store.connections.newest_stage().await.unwrap(), None, "its row is no connection");
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
