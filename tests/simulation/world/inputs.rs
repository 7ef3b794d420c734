//! What comes into the world: events, and what API Gateway hands to a function.
//!
//! Owns: their shapes, small and large.
//! Must not know: when they come.
//! Source: `examples/order_stream.json`; MESSAGE events of API Gateway.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{Event, EventData, EventRef, Identity, OrderId, Principal, PrincipalId, principal::READ_ALL_SCOPE};
use fastrand::Rng;
use serde_json::{Value, json};

/// A drawn event of a drawn order.
pub(super) fn event(random: &mut Rng, order_ids: &[OrderId], number: u64) -> Event {
    let order_id = &order_ids[random.usize(0..order_ids.len())];
    let mut data =
        json!({"eventName": "OrderChanged", "orderId": order_id.as_str(), "n": number, "stripeToken": "secret"});
    // Fields come, change and go; now and then an event is so large that updates travel in parts.
    data[format!("field_{}", random.u8(0..4))] = if random.bool() { json!(number) } else { Value::Null };
    if random.u8(0..50) == 0 {
        data["note"] = json!("x".repeat(random.usize(30_000..150_000)));
    }
    // Nobody's order becomes its owner's with some event, the first one or a later one.
    if random.bool() {
        data["userId"] = json!(owner_of(order_id));
    }
    let data = EventData::new(data.as_object().unwrap().clone()).unwrap();
    Event { event_ref: EventRef::parse(&number.to_string()).unwrap(), ts_us: 0, data }
}

/// Whose order it is, or becomes.
fn owner_of(order_id: &OrderId) -> String {
    format!("owner of {order_id}")
}

/// A drawn user: one who may see every order, or the owner of one.
pub(super) fn principal(random: &mut Rng, order_ids: &[OrderId]) -> Principal {
    let owner = PrincipalId::new(owner_of(&order_ids[random.usize(0..order_ids.len())])).unwrap();
    Principal::with_scope(owner, if random.bool() { READ_ALL_SCOPE } else { "" })
}

/// Far enough ahead that no connection grows old while a world lasts.
const CONNECTED_AT_MS: i64 = 4_000_000_000_000;

/// What API Gateway hands to a function.
pub(super) fn invocation(
    connection_id: &str,
    principal: &Principal,
    message: u64,
    body: Option<String>,
) -> ApiGatewayWebsocketProxyRequest {
    let authorizer = Identity { principal: principal.clone(), expires_at_s: None }.to_context();
    let context = json!({
        "connectionId": connection_id, "requestId": format!("r{message}"), "connectedAt": CONNECTED_AT_MS,
        "requestTimeEpoch": CONNECTED_AT_MS, "identity": {"sourceIp": "127.0.0.1"}, "authorizer": authorizer,
    });
    serde_json::from_value(json!({"requestContext": context, "body": body, "isBase64Encoded": false})).unwrap()
}
