//! Attacks on a running stack: who may see what, and what no browser can do to another.
//!
//! The table of docs/security.md names these tests.

mod abuse;
mod discretion;
#[expect(dead_code, reason = "the authorizer's own tests use all of it")]
#[path = "../../functions/authorizer/tests/tokens/issuer.rs"]
mod issuer;
mod ownership;
mod tokens;

use authorizer::shared_secret;
use serde_json::{Value, json};
use tests::stack::Stack;

/// What the stacks of these tests sign tokens with.
const SECRET: &str = "a secret that only the tests of attacks know";

/// A stack that lets in who has a token.
fn guarded() -> Stack {
    Stack::start_with_variables(&["--auth"], &[("JWT_SECRET", SECRET)])
}

fn now_s() -> i64 {
    store::now_ms() / 1_000
}

/// A token of a user, for a minute.
fn token(sub: &str, scope: &str) -> String {
    shared_secret::token(SECRET, sub, scope, now_s(), now_s() + 60).unwrap()
}

/// Appends an event of an order and waits until it is folded.
fn append(stack: &Stack, order_id: &str, event_ref: u64, more: &Value) {
    let mut data = json!({"eventName": "OrderChanged", "orderId": order_id});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let event = json!({"ref": event_ref.to_string(), "ts": 0, "data": data}).to_string();
    assert!(stack.run_with_input(&["append", "-"], &event).status.success());
    super::settled(stack);
}
