//! Orders of others: what a browser learns of them.

use serde_json::{Value, json};
use tests::{browser::Browser, stack::Stack};

use super::{append, guarded, token};

async fn browser(stack: &Stack, sub: &str, scope: &str) -> Browser {
    Browser::with_token(&stack.websocket_url, &token(sub, scope)).await
}

/// Everything that can be asked about an order.
fn questions(order_id: &str) -> [String; 7] {
    [
        json!({"action": "subscribe", "orderId": order_id}),
        json!({"action": "subscribe", "orderId": order_id, "since": 0}),
        json!({"action": "subscribe", "orderId": order_id, "since": 1, "ref": "1"}),
        json!({"action": "history", "orderId": order_id, "from": 1, "to": 7}),
        json!({"action": "unsubscribe", "orderId": order_id}),
        json!({"action": "heads", "orders": {order_id: 0}}),
        json!({"action": "heads", "orders": {order_id: 1}}),
    ]
    .map(|question| question.to_string())
}

#[tokio::test]
async fn an_order_of_another_is_answered_as_an_order_that_does_not_exist() {
    let stack = guarded();
    append(&stack, "order_1", 1, &json!({"userId": "owner"}));
    let mut guesser = browser(&stack, "guesser", "orders:read").await;
    for (about_one, about_none) in questions("order_1").into_iter().zip(questions("order_2")) {
        guesser.send(&about_one).await;
        let answer = guesser.next_text().await;
        guesser.send(&about_none).await;
        assert_eq!(answer.replace("order_1", "order_2"), guesser.next_text().await, "{about_one}");
    }
    let mut owner = browser(&stack, "owner", "").await;
    let update = owner.ask(&questions("order_1")[0]).await;
    assert_eq!((&update["version"], &update["projection"]["userId"]), (&json!(1), &json!("owner")));
    assert_eq!(owner.ask(&questions("order_1")[3]).await["events"].as_array().unwrap().len(), 1);
    let heads = [owner.ask(&questions("order_1")[5]).await, owner.ask(&questions("order_1")[6]).await];
    assert_eq!(heads.map(|answer| answer["orders"].clone()), [json!({"order_1": 1}), json!({})]);
}

#[tokio::test]
async fn who_subscribes_before_there_is_an_order_sees_it_if_it_is_his_and_hears_nothing_if_not() {
    let stack = guarded();
    let mut owner = browser(&stack, "owner", "").await;
    let mut early = browser(&stack, "early", "").await;
    let mut support = browser(&stack, "support", "orders:read:all").await;
    for browser in [&mut owner, &mut early, &mut support] {
        let answer = browser.ask(&questions("o")[0]).await;
        assert_eq!((&answer["version"], &answer["projection"]), (&json!(0), &json!({})));
    }
    append(&stack, "o", 1, &json!({"userId": "owner"}));
    append(&stack, "o", 2, &json!({"n": 2}));
    for browser in [&mut owner, &mut support] {
        assert_eq!(browser.next().await["version"], 1);
        assert_eq!(browser.next().await["version"], 2);
    }
    // Whatever had been sent to it would come before this.
    assert_eq!(early.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn an_order_that_gets_another_owner_leaves_the_one_and_comes_to_the_other() {
    let stack = guarded();
    append(&stack, "o", 1, &json!({"userId": "old"}));
    let mut old = browser(&stack, "old", "").await;
    let mut new = browser(&stack, "new", "").await;
    assert_eq!(old.ask(&questions("o")[0]).await["version"], 1);
    assert_eq!(new.ask(&questions("o")[0]).await["version"], 0);
    append(&stack, "o", 2, &json!({"userId": "new", "secret": "of the new owner"}));
    let lost = old.next().await;
    assert_eq!((&lost["type"], &lost["code"], &lost["orderId"]), (&json!("error"), &json!("forbidden"), &json!("o")));
    assert!(!lost.to_string().contains("new owner"));
    let update = new.next().await;
    assert_eq!((&update["version"], &update["events"][0]["version"]), (&json!(2), &json!(2)));
    append(&stack, "o", 3, &json!({"n": 3}));
    assert_eq!(new.next().await["version"], 3);
    // Whoever lost it hears no more, and is told as little as anybody when he asks.
    let asked: Value = old.ask(&json!({"action": "subscribe", "orderId": "o", "since": 1}).to_string()).await;
    assert_eq!((&asked["version"], &asked["reset"], &asked["projection"]), (&json!(0), &json!(true), &json!({})));
}
