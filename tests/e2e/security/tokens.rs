//! Tokens on a running stack: which let a browser in, and for how long.

use authorizer::shared_secret;
use serde_json::json;
use tests::{browser::Browser, stack::Stack};

use super::{
    SECRET, append, guarded,
    issuer::{Issuer, Key},
    now_s, token,
};

/// What a browser with this token is answered, by either way that it has to bring one: 101, or the refusal.
async fn answers(stack: &Stack, token: &str) -> [u16; 2] {
    let offered = format!("foldcast, {token}");
    let as_sub_protocol = Browser::try_connect(&stack.websocket_url, &[("sec-websocket-protocol", &offered)]).await;
    let in_query = Browser::try_connect(&format!("{}?token={token}", stack.websocket_url), &[]).await;
    [as_sub_protocol, in_query].map(|answer| answer.map_or_else(|status| status, |_| 101))
}

#[tokio::test]
async fn only_a_good_token_lets_a_browser_in() {
    let stack = guarded();
    let signed = |secret: &str, from_s, to_s| shared_secret::token(secret, "user_123", "", from_s, to_s).unwrap();
    let good = token("user_123", "");
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    assert_eq!(answers(&stack, &good).await, [101, 101]);
    assert_eq!(answers(&stack, &good).await, [101, 101], "a token is a key, and not a ticket");
    for (bad, what) in [
        (signed("another secret, of the same length or so", now_s(), now_s() + 60), "forged"),
        (signed(SECRET, now_s() - 60, now_s() - 6), "expired"),
        (format!("{unsigned}."), "stripped of its signature"),
        (unsigned.to_owned(), "two parts"),
        ("x".to_owned(), "no token"),
        (token("", ""), "nobody's"),
    ] {
        assert_eq!(answers(&stack, &bad).await, [403, 403], "{what}");
    }
    assert_eq!(Browser::try_connect(&stack.websocket_url, &[]).await.err(), Some(403), "none");
    let twice = format!("{}?token={good}&token={good}x", stack.websocket_url);
    assert_eq!(Browser::try_connect(&twice, &[]).await.err(), Some(403), "the last one counts");
}

#[tokio::test]
async fn a_development_token_is_made_by_one_command() {
    let stack = Stack::start_with(&["--auth"]);
    append(&stack, "o", 1, &json!({"userId": "user_123"}));
    let made = stack.run(&["token", "--sub", "user_123"]);
    let token = String::from_utf8(made.stdout).unwrap();
    let tail = |token: &str| stack.run(&["tail", "o", "--count", "1", "--token", token]);
    let line: serde_json::Value = serde_json::from_slice(&tail(token.trim()).stdout).unwrap();
    assert_eq!(line["version"], 1);
    for (token, advice) in [("x", "the token is not accepted"), ("a b", "has characters that no token has")] {
        let refused = tail(token);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(advice) && said.lines().count() == 1, "{said}");
    }
    let refused = stack.run(&["tail", "o"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("it wants a token: --token"));
    assert_eq!(stack.run(&["token", "--sub", ""]).status.code(), Some(2));
}

#[tokio::test]
async fn a_real_issuers_tokens_are_accepted_where_it_is_named() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    let stack = Stack::start_with_variables(
        &["--auth"],
        &[("JWKS_URL", &issuer.url()), ("JWT_ISSUER", "https://issuer.example/"), ("JWT_AUDIENCE", "shop")],
    );
    let signed = |audience: &str| {
        let claims = json!({"iss": "https://issuer.example/", "aud": audience, "sub": "user_123", "exp": now_s() + 60});
        key.token(&claims)
    };
    assert_eq!(answers(&stack, &signed("shop")).await, [101, 101]);
    assert_eq!(answers(&stack, &signed("another shop")).await, [403, 403]);
    assert_eq!(answers(&stack, &token("user_123", "")).await, [403, 403], "no shared secret counts then");
}

#[tokio::test]
async fn a_tail_whose_token_expires_says_so_and_ends() {
    let stack = guarded();
    // Within the skew that clocks are allowed it connects and is served, and an event finds that the token has expired.
    let expired = shared_secret::token(SECRET, "user_123", "", now_s() - 60, now_s() - 1).unwrap();
    let mut tail = stack.command(&["tail", "o"]).env("FOLDCAST_TOKEN", expired).spawn().unwrap();
    for n in 1.. {
        if tail.try_wait().unwrap().is_some() {
            break;
        }
        append(&stack, "o", n, &json!({"userId": "user_123"}));
    }
    let ended = tail.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("was lost; connecting again"), "{said}");
    assert!(said.trim_end().ends_with("the token is not accepted"), "{said}");
}

#[tokio::test]
async fn whoever_is_let_in_within_the_skew_of_clocks_is_served() {
    let stack = guarded();
    append(&stack, "o", 1, &json!({"userId": "user_123"}));
    let expired = shared_secret::token(SECRET, "user_123", "", now_s() - 60, now_s()).unwrap();
    let mut browser = Browser::with_token(&stack.websocket_url, &expired).await;
    assert_eq!(browser.ask(r#"{"action":"subscribe","orderId":"o"}"#).await["version"], 1);
}

#[tokio::test]
async fn a_token_that_expires_ends_its_connection() {
    let stack = guarded();
    append(&stack, "o", 1, &json!({"userId": "user_123"}));
    let short = shared_secret::token(SECRET, "user_123", "", now_s(), now_s() + 3).unwrap();
    let mut says = Browser::with_token(&stack.websocket_url, &short).await;
    let mut hears = Browser::with_token(&stack.websocket_url, &short).await;
    assert_eq!(hears.ask(r#"{"action":"subscribe","orderId":"o"}"#).await["version"], 1);
    assert_eq!(says.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));
    says.ask_until_closed(r#"{"action":"history","orderId":"o","from":1,"to":1}"#).await;
    append(&stack, "o", 2, &json!({"n": 2}));
    hears.closed().await;
}
