//! The messages as JSON Schema, for those who write no Rust.
//!
//! Owns: `schema.json` beside `src/`, from the types that are written on the wire and the messages that are read.
//! Must not know: who reads the schema: docs/asyncapi.yaml and the types of `client/` do.
//! Source: the types; `SCHEMA=write cargo test -p protocol schema` writes the file anew.

use std::collections::{BTreeMap, BTreeSet};

use domain::{EventRef, Fields, OrderId, Redaction, Version};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    ErrorCode, Message, Request, SentEvent, Update,
    message::write::{WireError, WireHeads, WirePong, WireUnsubscribed},
    parts::WirePart,
    request::{Known, Wanted, heads, subscribe},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

// An update, as it is written.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is written by hand")]
#[schemars(rename_all = "camelCase")]
struct WireUpdate {
    r#type: String,
    order_id: String,
    version: u64,
    events: Vec<WireEvent>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    projection: Option<Map<String, Value>>,
    #[schemars(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    #[schemars(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    #[schemars(skip_serializing_if = "std::ops::Not::not")]
    refolded: bool,
}

// An event of an update.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is written by hand")]
struct WireEvent {
    version: u64,
    r#ref: String,
    ts: i64,
    data: Map<String, Value>,
}

/// An order to subscribe to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WantedOrder {
    /// 1 to 256 bytes of UTF-8 without control characters.
    order_id: String,
    /// The last version that the browser has.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The ref of the event at that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#ref: Option<String>,
}

/// What a browser sends.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Sent {
    /// Updates of orders from here on.
    Subscribe {
        /// 1 to 100 orders; a single one may stand in the message itself.
        orders: Vec<WantedOrder>,
    },
    /// No more updates of orders.
    Unsubscribe {
        /// 1 to 100 orders.
        orders: Vec<String>,
    },
    /// A part of an order's log.
    History {
        /// The order.
        order_id: String,
        /// The first version, from 1 on.
        from: u64,
        /// The last version.
        to: u64,
    },
    /// Which of these orders is the browser not level with?
    Heads {
        /// 1 to 100 orders: the last version that the browser has, by `orderId`.
        orders: BTreeMap<String, u64>,
    },
    /// A sign of life.
    Ping,
}

fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let of = |generator: &mut SchemaGenerator, schema: schemars::Schema, name: &str, r#type: &str| {
        let mut schema = schema.to_value();
        // The types have numbers of Rust's own widths; JSON has one.
        schema["title"] = json!(name);
        schema["properties"]["type"] = json!({"const": r#type});
        generator.definitions_mut().insert(name.to_owned(), schema);
    };
    let update = WireUpdate::json_schema(&mut generator);
    of(&mut generator, update.clone(), "Update", "update");
    of(&mut generator, update, "History", "history");
    let unsubscribed = WireUnsubscribed::json_schema(&mut generator);
    of(&mut generator, unsubscribed, "Unsubscribed", "unsubscribed");
    let heads = WireHeads::json_schema(&mut generator);
    of(&mut generator, heads, "Heads", "heads");
    let pong = WirePong::json_schema(&mut generator);
    of(&mut generator, pong, "Pong", "pong");
    let mut error = WireError::json_schema(&mut generator);
    let codes = ErrorCode::ALL.map(ErrorCode::as_str);
    error.pointer_mut("/properties/code").unwrap().clone_from(&json!({"enum": codes}));
    of(&mut generator, error, "Error", "error");
    let part = WirePart::json_schema(&mut generator);
    of(&mut generator, part, "Part", "part");
    generator.subschema_for::<Sent>();
    let mut definitions = json!(generator.take_definitions(true));
    let fields = definitions.as_object_mut().unwrap();
    if let Some(event) = fields.remove("WireEvent") {
        fields.insert("Event".to_owned(), event);
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages between a browser and Foldcast",
        "$defs": definitions,
    });
    let text = schema.to_string().replace("#/$defs/WireEvent", "#/$defs/Event");
    without_null(serde_json::from_str(&text).unwrap())
}

/// What is absent is left out on the wire: nothing is null.
fn without_null(schema: Value) -> Value {
    match schema {
        Value::Array(values) => match values.as_slice() {
            [one, null] if null == "null" => one.clone(),
            _ => values.into_iter().map(without_null).collect(),
        },
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, without_null(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema,
    }
}

#[test]
fn the_schema_is_the_one_of_the_types() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var("SCHEMA").is_ok_and(|wish| wish == "write") {
        std::fs::write(FILE, &schema).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == schema, "schema.json is stale: SCHEMA=write cargo test -p protocol schema");
}

#[test]
fn what_the_schema_says_of_a_browsers_message_is_read() {
    let wanted = WantedOrder { order_id: "o".into(), since: Some(7), r#ref: Some("8".into()) };
    let sent = [
        Sent::Subscribe { orders: vec![wanted] },
        Sent::Unsubscribe { orders: vec!["o".into()] },
        Sent::History { order_id: "o".into(), from: 1, to: 2 },
        Sent::Heads { orders: BTreeMap::from([("o".into(), 7)]) },
        Sent::Ping,
    ];
    for message in sent {
        let text = serde_json::to_string(&message).unwrap();
        let read = Request::parse(&text).unwrap();
        let written = match read {
            Request::Subscribe(orders) => subscribe(&orders.into_iter().map(Result::unwrap).collect::<Vec<Wanted>>()),
            Request::Heads(orders) => heads(&orders.into_iter().map(Result::unwrap).collect::<Vec<Known>>()),
            Request::Unsubscribe(_) | Request::History(_) | Request::Ping => continue,
        };
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json!(message));
    }
}

#[test]
fn an_update_is_written_with_the_fields_that_the_schema_says() {
    let fields = || Redaction::default().take(Fields::new());
    let event =
        SentEvent { version: Version::FIRST, event_ref: EventRef::parse("7").unwrap(), ts_us: 5, data: fields() };
    let whole = Update {
        order_id: OrderId::new("o").unwrap(),
        version: Version::FIRST,
        events: vec![event],
        projection: Some(fields()),
        reset: true,
        refolded: true,
    };
    let unfinished = Update { projection: None, reset: false, refolded: false, ..whole.clone() };
    let written = [whole, unfinished].map(|update| Message::Update(update).text());
    let written = written.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let schema = schema();
    let of = |name: &str| names(&schema["$defs"][name]["properties"]);
    assert_eq!(&names(&written[0]) | &names(&written[1]), of("Update"));
    assert_eq!(names(&written[0]["events"][0]), of("Event"));
    for required in schema["$defs"]["Update"]["required"].as_array().unwrap() {
        assert!(written.iter().all(|update| update.get(required.as_str().unwrap()).is_some()), "{required}");
    }
}
