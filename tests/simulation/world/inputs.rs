//! What comes into the world: events, and what API Gateway hands to a function.
//!
//! Their shapes are those of `examples/order_stream.json` and of API Gateway's CONNECT, MESSAGE and DISCONNECT events.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{Event, EventData, EventRef, Identity, OrderId, Principal, PrincipalId, principal::READ_ALL_SCOPE};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::fate::Kinds;

/// A drawn event of a drawn order.
pub(super) fn event(random: &mut Rng, kinds: Kinds, order_ids: &[OrderId], number: u64) -> Event {
    let order = random.usize(0..order_ids.len());
    let mut data = json!({"eventName": "OrderChanged", "orderId": order_ids[order].as_str(), "n": number, "stripeToken": "secret"});
    // Fields come, change and go; now and then an event is so large that updates travel in parts.
    data[format!("field_{}", random.u8(0..4))] = if random.bool() { json!(number) } else { Value::Null };
    if random.u8(0..50) == 0 || kinds.large {
        data["note"] = json!("x".repeat(random.usize(30_000..150_000)));
    }
    // Nobody's order becomes its owner's with some event, the first one or a later one; and then another one's.
    if random.bool() {
        let owner = if kinds.owners { random.usize(0..OWNERS) } else { order };
        data["userId"] = json!(owner_name(owner));
    }
    let data = EventData::new(domain::Json::from(data).into_object().unwrap()).unwrap();
    Event { event_ref: EventRef::parse(&number.to_string()).unwrap(), ts_us: 0, data }
}

/// Owners of a world.
const OWNERS: usize = 3;

fn owner_name(owner: usize) -> String {
    format!("owner {}", owner % OWNERS)
}

/// A drawn user: one who may see every order, or the owner of some.
pub(super) fn principal(random: &mut Rng) -> Principal {
    let owner = PrincipalId::new(owner_name(random.usize(0..OWNERS))).unwrap();
    Principal::with_scope(owner, if random.bool() { READ_ALL_SCOPE } else { "" })
}

/// Far enough ahead that no connection grows old while a world lasts.
const CONNECTED_AT_MS: i64 = 4_000_000_000_000;

/// When a token that has ended did so.
pub(super) const EXPIRED_AT_S: i64 = 1;

/// What API Gateway hands to a function.
pub(super) fn invocation(
    connection_id: &str,
    principal: &Principal,
    has_expired: bool,
    message: u64,
    body: Option<String>,
) -> ApiGatewayWebsocketProxyRequest {
    let authorizer =
        Identity { principal: principal.clone(), expires_at_s: has_expired.then_some(EXPIRED_AT_S) }.to_context();
    let context = json!({
        "connectionId": connection_id, "requestId": format!("r{message}"), "connectedAt": CONNECTED_AT_MS,
        "requestTimeEpoch": CONNECTED_AT_MS, "identity": {"sourceIp": "127.0.0.1"}, "authorizer": authorizer,
    });
    serde_json::from_value(json!({"requestContext": context, "body": body, "isBase64Encoded": false})).unwrap()
}
