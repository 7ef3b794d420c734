//! Who gets a push: the owner, who he was and who he is.

use std::time::Duration;

use domain::{OrderId, Projection, Version};
use local::websocket_api::Limits;
use queues::batch::BatchResponse;
use serde_json::{Value, json};
use tests::{browser::Browser, gateway::InProcess};
use tokio::time::Instant;

const LATER: i64 = i64::MAX;

/// An event of the order `o` that gives it to an owner, as the log and the change feed have it.
fn image(version: u64, owner: &str) -> Value {
    let data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": "o"}, "userId": {"S": owner}});
    json!({"orderId": {"S": "o"}, "version": {"N": version.to_string()}, "ref": {"S": version.to_string()},
           "ts": {"N": "0"}, "data": {"M": data}})
}

fn batch(version: u64, owner: &str) -> Value {
    let image = image(version, owner);
    json!({"Records": [{"dynamodb": {"SequenceNumber": version.to_string(), "NewImage": image}}]})
}

async fn deliver(gateway: &InProcess, version: u64, owner: &str) {
    assert_eq!(gateway.handle(&batch(version, owner)).await, BatchResponse::default());
}

/// A browser of a user, that subscribes to the order `o`.
async fn browser_of(gateway: &InProcess, user: &str, expires_at_s: i64) -> Browser {
    let known = connections(gateway).await;
    let (browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let own = connections(gateway).await.into_iter().find(|id| !known.contains(id)).unwrap();
    gateway.record_subscription_of("o", &own, user, "", expires_at_s).await;
    browser
}

async fn connections(gateway: &InProcess) -> Vec<String> {
    let subscriptions = gateway.store.subscriptions.of_order(&OrderId::new("o").unwrap()).await.unwrap();
    subscriptions.readable.into_iter().map(|subscription| subscription.connection_id.as_str().to_owned()).collect()
}

pub(crate) async fn hears_nothing(browser: &mut Browser) {
    // Whatever had been sent to it would come before this.
    assert_eq!(browser.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn who_lost_the_order_is_told_once_also_by_an_event_that_comes_again() {
    for died_before_the_push in [false, true] {
        let gateway = InProcess::start().await;
        gateway.put("order_stream", image(1, "old"));
        gateway.put("order_stream", image(2, "new"));
        deliver(&gateway, 1, "old").await;
        let mut old = browser_of(&gateway, "old", LATER).await;
        let mut other = browser_of(&gateway, "other", LATER).await;
        let mut new = browser_of(&gateway, "new", LATER).await;
        if died_before_the_push {
            let order_id = OrderId::new("o").unwrap();
            let stored = gateway.store.projections.get_stored(&order_id).await.unwrap();
            let (over, mut folded) = (stored.write(), stored.projection);
            let second = gateway.store.event_log.range(&order_id, Version::new(2)..=Version::new(2)).await.unwrap();
            assert!(folded.evolve(&second[0]));
            gateway.store.projections.put(&order_id, &folded, over).await.unwrap();
        }
        for _ in 0..2 {
            deliver(&gateway, 2, "new").await;
            assert_eq!(new.next().await["version"], 2);
        }
        let told = old.next().await;
        assert_eq!((&told["code"], &told["orderId"]), (&json!("forbidden"), &json!("o")));
        hears_nothing(&mut old).await;
        hears_nothing(&mut other).await;
        assert_eq!(connections(&gateway).await.len(), 2, "the one that lost it subscribes no more");
    }
}

#[tokio::test]
async fn who_lost_the_order_is_told_on_the_page_he_is_on() {
    let gateway = InProcess::start_in_pages(Limits::default(), 1).await;
    gateway.put("order_stream", image(1, "old"));
    gateway.put("order_stream", image(2, "new"));
    deliver(&gateway, 1, "old").await;
    let mut old = browser_of(&gateway, "old", LATER).await;
    let mut new = browser_of(&gateway, "new", LATER).await;
    deliver(&gateway, 2, "new").await;
    assert_eq!((gateway.pages().len(), gateway.work_on_pages().await), (2, 0));
    assert_eq!(new.next().await["version"], 2);
    assert_eq!(old.next().await["code"], "forbidden");
    assert_eq!(connections(&gateway).await.len(), 1);
}

#[tokio::test]
async fn the_log_is_read_for_a_former_owner_only_if_somebody_may_not_see_an_event_that_comes_again() {
    let gateway = InProcess::start().await;
    gateway.put("order_stream", image(1, "owner"));
    deliver(&gateway, 1, "owner").await;
    let mut owner = browser_of(&gateway, "owner", LATER).await;
    let again = ["GetItem order_projections, consistent", "Query subscriptions, consistent"];
    gateway.put("order_stream", image(2, "owner"));
    drop(gateway.counted.take());
    deliver(&gateway, 2, "owner").await;
    assert_eq!(gateway.counted.take().calls, ["PutItem order_projections", "Query subscriptions, consistent"]);
    deliver(&gateway, 2, "owner").await;
    assert_eq!(gateway.counted.take().calls, again);
    let _other = browser_of(&gateway, "other", LATER).await;
    drop(gateway.counted.take());
    deliver(&gateway, 2, "owner").await;
    assert_eq!(gateway.counted.take().calls, [again[0], again[1], "Query order_stream, consistent"]);
    for _ in 0..3 {
        assert_eq!(owner.next().await["version"], 2);
    }
}

#[tokio::test]
async fn a_subscription_whose_token_has_expired_gets_nothing_and_its_connection_ends() {
    let gateway = InProcess::start().await;
    gateway.put("order_stream", image(1, "owner"));
    let mut valid = browser_of(&gateway, "owner", LATER).await;
    let mut expired = browser_of(&gateway, "owner", store::now_ms() / 1_000).await;
    deliver(&gateway, 1, "owner").await;
    assert_eq!(valid.next().await["version"], 1);
    expired.closed().await;
    assert_eq!(connections(&gateway).await.len(), 1);
    assert_ne!(gateway.store.projections.get(&OrderId::new("o").unwrap()).await.unwrap(), Projection::default());
}

/// The versions at which the subscriptions of the order `o` were answered as those of an order without events.
async fn hidden_at(gateway: &InProcess) -> Vec<Option<Version>> {
    let rows = gateway.store.subscriptions.of_order(&OrderId::new("o").unwrap()).await.unwrap();
    rows.readable.into_iter().map(|subscription| subscription.hidden_at).collect()
}

#[tokio::test]
async fn the_row_of_an_order_that_is_not_shown_says_at_which_version() {
    let gateway = InProcess::start().await;
    for version in 1..=2 {
        gateway.put("order_stream", image(version, "owner"));
        deliver(&gateway, version, "owner").await;
    }
    let subscribe = json!({"action": "subscribe", "orderId": "o"});
    let shown = gateway.say("owner", "L0SM9cOFvHcCIh1=", &subscribe).await;
    assert_eq!((&shown["version"], hidden_at(&gateway).await), (&json!(2), vec![None]));
    let hidden = gateway.say("other", "L0SM9cOFvHcCIh2=", &subscribe).await;
    assert_eq!((&hidden["version"], &hidden["projection"]), (&json!(0), &json!({})));
    assert_eq!(hidden_at(&gateway).await, [None, Some(Version::new(2))]);
    let nobody = json!({"action": "subscribe", "orderId": "without events"});
    gateway.say("other", "L0SM9cOFvHcCIh2=", &nobody).await;
    let rows = gateway.store.subscriptions.of_order(&OrderId::new("without events").unwrap()).await.unwrap();
    assert_eq!(rows.readable[0].hidden_at, None, "there is nothing to hide");
}

#[tokio::test]
async fn a_row_that_a_push_removed_before_it_said_that_its_order_is_hidden_is_written_again() {
    let gateway = InProcess::start().await;
    gateway.put("order_stream", image(1, "owner"));
    deliver(&gateway, 1, "owner").await;
    let other = "L0SM9cOFvHcCIh2=";
    let key = json!({"orderId": {"S": "o"}, "connectionId": {"S": other}});
    // The row is written before the projection is read, and says that the order is hidden afterwards.
    gateway.counted.before("GetItem", gateway.deletion("subscriptions", key));
    let subscribe = json!({"action": "subscribe", "orderId": "o"});
    let hidden = gateway.say("other", other, &subscribe).await;
    assert_eq!(hidden["version"], 0);
    assert_eq!(hidden_at(&gateway).await, [Some(Version::FIRST)]);
}

#[tokio::test]
async fn who_subscribes_again_to_a_lost_order_hears_of_it_when_it_is_theirs_again() {
    let gateway = InProcess::start().await;
    for (version, owner) in [(1, "alice"), (2, "bob"), (3, "alice")] {
        gateway.put("order_stream", image(version, owner));
    }
    deliver(&gateway, 1, "alice").await;
    let mut alice = browser_of(&gateway, "alice", LATER).await;
    let alices = connections(&gateway).await.remove(0);
    deliver(&gateway, 2, "bob").await;
    assert_eq!(alice.next().await["code"], "forbidden");
    // The page subscribes again the moment it is told; and then the batch is delivered once more.
    let subscribe = json!({"action": "subscribe", "orderId": "o"});
    assert_eq!(gateway.say("alice", &alices, &subscribe).await["version"], 0);
    deliver(&gateway, 2, "bob").await;
    hears_nothing(&mut alice).await;
    assert_eq!(connections(&gateway).await, [alices]);
    deliver(&gateway, 3, "alice").await;
    assert_eq!(alice.next().await["version"], 3);
}

#[tokio::test]
async fn a_row_that_was_written_again_since_it_was_read_is_not_ended() {
    let gateway = InProcess::start().await;
    for (version, owner) in [(1, "alice"), (2, "bob")] {
        gateway.put("order_stream", image(version, owner));
    }
    deliver(&gateway, 1, "alice").await;
    let mut alice = browser_of(&gateway, "alice", LATER).await;
    let item = json!({"orderId": {"S": "o"}, "connectionId": {"S": connections(&gateway).await[0]}, "principalId": {"S": "alice"},
                      "expiresAt": {"N": "9999999999"}, "row": {"S": "written again"}});
    // It subscribes again after it was told, and before the row that was read is deleted.
    gateway.counted.before("DeleteItem", gateway.putting("subscriptions", item));
    deliver(&gateway, 2, "bob").await;
    assert_eq!(alice.next().await["code"], "forbidden");
    assert_eq!(connections(&gateway).await.len(), 1);
}

#[tokio::test]
async fn who_could_not_be_told_that_they_lost_the_order_is_told_later() {
    let gateway = InProcess::start().await;
    for (version, owner) in [(1, "alice"), (2, "bob")] {
        gateway.put("order_stream", image(version, owner));
    }
    deliver(&gateway, 1, "alice").await;
    let mut alice = browser_of(&gateway, "alice", LATER).await;
    let batch = batch(2, "bob").to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    let response = gateway.handler_without_connections().handle(&batch, deadline).await.unwrap();
    assert_eq!((response, connections(&gateway).await.len()), (BatchResponse::default(), 1));
    assert_eq!(gateway.work_on_pages().await, 0);
    assert_eq!(alice.next().await["code"], "forbidden");
    assert_eq!(connections(&gateway).await, [""; 0]);
}

#[tokio::test]
async fn a_resume_of_an_order_of_another_starts_over_with_an_order_without_events() {
    let gateway = InProcess::start().await;
    for version in 1..=3 {
        gateway.put("order_stream", image(version, "owner"));
        deliver(&gateway, version, "owner").await;
    }
    for since in [json!({"since": 2}), json!({"since": 2, "ref": "2"}), json!({"since": 9})] {
        let mut resume = json!({"action": "subscribe", "orderId": "o"});
        resume.as_object_mut().unwrap().extend(since.as_object().unwrap().clone());
        let answer = gateway.say("other", "L0SM9cOFvHcCIh2=", &resume).await;
        assert_eq!(
            (&answer["version"], &answer["reset"], &answer["projection"]),
            (&json!(0), &json!(true), &json!({}))
        );
    }
}

#[tokio::test]
async fn an_expired_connection_that_cannot_be_closed_is_closed_later() {
    let gateway = InProcess::start().await;
    gateway.put("order_stream", image(1, "owner"));
    let mut expired = browser_of(&gateway, "owner", store::now_ms() / 1_000).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let handler = gateway.handler_without_connections();
    let response = handler.handle(&batch(1, "owner").to_string(), deadline).await.unwrap();
    assert_eq!((response, connections(&gateway).await.len()), (BatchResponse::default(), 1));
    assert_eq!(gateway.work_on_pages().await, 0);
    expired.closed().await;
    assert_eq!(connections(&gateway).await, [""; 0]);
}

#[tokio::test]
async fn who_lost_an_order_is_told_later_if_the_former_owner_cannot_be_read_now() {
    let gateway = InProcess::start().await;
    for (version, owner) in [(1, "alice"), (2, "bob")] {
        gateway.put("order_stream", image(version, owner));
        // Whoever folded it died before the push.
        let key = OrderId::new("o").unwrap();
        let stored = gateway.store.projections.get_stored(&key).await.unwrap();
        let (over, mut folded) = (stored.write(), stored.projection);
        let at = Version::new(version)..=Version::new(version);
        assert!(folded.evolve(&gateway.store.event_log.range(&key, at).await.unwrap()[0]));
        gateway.store.projections.put(&key, &folded, over).await.unwrap();
    }
    let mut alice = browser_of(&gateway, "alice", LATER).await;
    let mut bob = browser_of(&gateway, "bob", LATER).await;
    gateway.put("order_stream", json!({"orderId": {"S": "o"}, "version": {"N": "1"}}));
    deliver(&gateway, 2, "bob").await;
    assert_eq!(bob.next().await["version"], 2);
    hears_nothing(&mut alice).await;
    gateway.put("order_stream", image(1, "alice"));
    assert_eq!(gateway.work_on_pages().await, 0);
    assert_eq!(alice.next().await["code"], "forbidden");
    hears_nothing(&mut bob).await;
}

#[tokio::test]
async fn who_lost_an_order_while_its_log_was_folded_bit_by_bit_is_told() {
    let gateway = InProcess::start().await;
    gateway.put("order_stream", image(1, "alice"));
    deliver(&gateway, 1, "alice").await;
    let mut alice = browser_of(&gateway, "alice", LATER).await;
    for version in 2..=6 {
        let owner = if version < 3 { "alice" } else { "bob" };
        let data = json!({"eventName": "A", "orderId": "o", "userId": owner, "note": "x".repeat(300_000)});
        gateway.append_data("o", version, &data).await;
    }
    let body = json!({"orderId": "o", "first": 6, "last": 6, "round": 1, "deferredAt": store::now_ms()});
    let mut body = body.to_string();
    while gateway.pages().is_empty() {
        let batch = json!({"Records": [{"messageId": "m", "body": body}]}).to_string();
        assert_eq!(gateway.handler().handle(&batch, Instant::now()).await.unwrap(), BatchResponse::default());
        body = gateway.deferred().pop().unwrap().body;
    }
    assert_eq!(gateway.work_on_pages().await, 0);
    assert_eq!(alice.next().await["code"], "forbidden");
}
