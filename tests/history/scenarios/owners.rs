//! Orders that are lost and found.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::browser::Browser;
use tokio::{sync::watch, time::timeout};

use super::alone;
use crate::{
    checker::Expected,
    world::{LEVEL_MAX, Setup, World},
};

const BOB: u32 = 1_000;

fn guarded(name: &'static str) -> World {
    World::start(name, Setup { auth: true, ..Setup::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_lose_an_order_hear_of_it_again_when_it_comes_back() {
    let _alone = alone().await;
    let mut world = guarded("owners");
    world.append("o", json!({"userId": "alice"})).await;
    for client in 0..60 {
        world.open(client, "alice");
        world.watch(client, ["o"]);
    }
    world.open(BOB, "bob");
    world.watch(BOB, ["o"]);
    world.answered().await;
    for owner in ["bob", "alice", "bob", "alice"] {
        world.append("o", json!({"userId": owner})).await;
        if !world.level(Expected::Eventual, LEVEL_MAX).await {
            break;
        }
    }
    world.judge().await;
}

/// What a bare connection saw: how often it was told that it lost the order, and whether the order came back to it.
async fn lose_and_find(mut browser: Browser, hidden: watch::Sender<usize>) -> (usize, bool) {
    let subscribe = json!({"action": "subscribe", "orderId": "o"}).to_string();
    let mut told = 0;
    let came_back = async {
        loop {
            let message: Value = browser.next().await;
            match (message["code"].as_str(), message["version"].as_u64()) {
                (Some("forbidden"), _) => {
                    told += 1;
                    browser.send(&subscribe).await;
                }
                (None, Some(0)) => hidden.send_modify(|count| *count += 1),
                (None, Some(3)) => return,
                _ => {}
            }
        }
    };
    let came_back = timeout(Duration::from_secs(20), came_back).await.is_ok();
    (told, came_back)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_subscribe_again_at_once_are_told_once_and_hear_of_the_order_again() {
    let _alone = alone().await;
    let world = guarded("owners-bare");
    world.append("o", json!({"userId": "alice"})).await;
    let subscribe = json!({"action": "subscribe", "orderId": "o"}).to_string();
    let mut browsers = Vec::new();
    while browsers.len() < 60 {
        let mut browser = Browser::with_token(&world.stack.websocket_url, &world.token("alice", "")).await;
        if browser.ask(&subscribe).await["version"] == 1 {
            browsers.push(browser);
        }
    }
    let hidden = watch::Sender::new(0);
    let pages = browsers.into_iter().map(|browser| tokio::spawn(lose_and_find(browser, hidden.clone())));
    let pages: Vec<_> = pages.collect();
    world.append("o", json!({"userId": "bob"})).await;
    let is_hidden_from_all = || *hidden.borrow() >= pages.len();
    assert!(world.until(LEVEL_MAX, is_hidden_from_all).await, "who lost it is told, and finds it hidden");
    world.append("o", json!({"userId": "alice"})).await;
    let seen: Vec<(usize, bool)> = join_all(pages).await.into_iter().map(Result::unwrap).collect();
    let came_back = seen.iter().filter(|(_, came_back)| *came_back).count();
    let told = seen.iter().map(|(told, _)| *told).max().unwrap();
    println!(
        "owners-bare: {came_back} of {} connections heard of the order again, told at most {told} times",
        seen.len()
    );
    assert_eq!((came_back, told), (seen.len(), 1));
}
