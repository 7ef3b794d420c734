//! What comes into the world: events, and what API Gateway hands to a function.
//!
//! Owns: their shapes, small and large.
//! Must not know: when they come.
//! Source: `examples/order_stream.json`; MESSAGE events of API Gateway.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{Event, EventData, EventRef, OrderId};
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
    let data = EventData::new(data.as_object().unwrap().clone()).unwrap();
    Event { event_ref: EventRef::parse(&number.to_string()).unwrap(), ts_us: 0, data }
}

/// Far enough ahead that no connection grows old while a world lasts.
const CONNECTED_AT_MS: i64 = 4_000_000_000_000;

/// What API Gateway hands to a function.
pub(super) fn invocation(connection_id: &str, message: u64, body: Option<String>) -> ApiGatewayWebsocketProxyRequest {
    let context = json!({
        "connectionId": connection_id, "requestId": format!("r{message}"), "connectedAt": CONNECTED_AT_MS,
        "requestTimeEpoch": CONNECTED_AT_MS, "identity": {"sourceIp": "127.0.0.1"},
    });
    serde_json::from_value(json!({"requestContext": context, "body": body, "isBase64Encoded": false})).unwrap()
}
