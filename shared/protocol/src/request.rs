//! What a browser asks.
//!
//! Owns: reading a message into a request that is valid by construction, naming what is wrong with a bad one, and the
//! client's half: writing a subscribe.
//! Must not know: who asks, what the answer is. Nothing of a bad message is repeated in its error.
//! Source: README.md of this crate.

use domain::{
    EventRef, Fields, OrderId, Version,
    limits::{EVENT_REF_BYTES_MAX, ORDERS_PER_MESSAGE_MAX},
    order_id::InvalidOrderId,
};
use serde_json::{Value, json};

/// A message of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send the updates of these orders from here on; each is answered for itself.
    Subscribe(Vec<Result<Wanted, RequestError>>),
    /// Send no more updates of these orders.
    Unsubscribe(Vec<Result<OrderId, RequestError>>),
    /// Send a part of an order's log.
    History(HistoryRange),
    /// Say which of these orders the browser is not level with.
    Heads(Vec<Result<Known, BadHead>>),
    /// Answer, so that the connection is not idle.
    Ping,
}

/// An order, and the version up to which a browser has its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The order.
    pub order_id: OrderId,
    /// The last version that the browser has.
    pub version: Version,
}

/// An entry of `heads` that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHead {
    /// The order, if its id can be one.
    pub order_id: Option<OrderId>,
    /// What is wrong.
    pub error: RequestError,
}

/// An order to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The order.
    pub order_id: OrderId,
    /// Where the browser stands, if it resumes.
    pub since: Option<Since>,
}

/// Where a browser stands in an order's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The last version that it has.
    pub version: Version,
    /// The ref of the event at that version, as proof that the log is still the same one.
    pub event_ref: Option<EventRef>,
}

/// The message that subscribes to orders, each from where the browser stands.
#[must_use]
pub fn subscribe(wanted: &[Wanted]) -> String {
    let orders: Vec<Value> = wanted.iter().map(Wanted::json).collect();
    json!({"action": "subscribe", "orders": orders}).to_string()
}

/// The message that asks which of these orders the browser is not level with.
#[must_use]
pub fn heads(known: &[Known]) -> String {
    let versions: Fields = known.iter().map(|known| (known.order_id.to_string(), known.version.get().into())).collect();
    json!({"action": "heads", "orders": versions}).to_string()
}

impl Wanted {
    fn json(&self) -> Value {
        let order_id = self.order_id.as_str();
        match &self.since {
            None => json!({"orderId": order_id}),
            Some(Since { version, event_ref: None }) => json!({"orderId": order_id, "since": version.get()}),
            Some(Since { version, event_ref: Some(event_ref) }) => {
                json!({"orderId": order_id, "since": version.get(), "ref": event_ref.as_str()})
            }
        }
    }
}

/// Versions `from` to `to` of an order, both included; `from` is at least 1 and at most `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRange {
    /// The order.
    pub order_id: OrderId,
    /// The first version.
    pub from: Version,
    /// The last version.
    pub to: Version,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The text is no JSON.
    #[error("the message is not JSON")]
    NotJson,
    /// The JSON is no object.
    #[error("the message must be a JSON object")]
    NotAnObject,
    /// There is no `action`, or it is no string.
    #[error("the message needs an \"action\": subscribe, unsubscribe, history, heads or ping")]
    NoAction,
    /// The `action` is none of ours.
    #[error("the \"action\" is unknown: it must be subscribe, unsubscribe, history, heads or ping")]
    UnknownAction,
    /// There is neither `orderId` nor `orders`.
    #[error("the message needs an \"orderId\" or \"orders\"")]
    NoOrder,
    /// There are both `orderId` and `orders`.
    #[error("the message must have either \"orderId\" or \"orders\"")]
    OrderTwice,
    /// `orders` is no list of 1 to 100 entries.
    #[error("\"orders\" must be a list of 1 to {ORDERS_PER_MESSAGE_MAX} orders")]
    Orders,
    /// An entry of `orders` has the wrong type.
    #[error("each of \"orders\" must be an object with an \"orderId\" to subscribe, a string to unsubscribe")]
    OrdersEntry,
    /// `orderId` is no string.
    #[error("\"orderId\" must be a string")]
    OrderIdType,
    /// `orderId` breaks a rule.
    #[error("{0}")]
    OrderId(InvalidOrderId),
    /// `since` is no version.
    #[error("\"since\" must be a version: a whole number from 0")]
    Since,
    /// `ref` is no ref, or stands without `since`.
    #[error(
        "\"ref\" must be a string of 1 to {EVENT_REF_BYTES_MAX} bytes without control characters, beside \"since\""
    )]
    Ref,
    /// `orders` of `heads` is no object of 1 to 100 entries.
    #[error("\"orders\" must be an object that names 1 to {ORDERS_PER_MESSAGE_MAX} orders, each with its version")]
    Heads,
    /// The version of an order in `heads` is none.
    #[error("each of \"orders\" must be a version: a whole number from 0")]
    Head,
    /// `from` or `to` is no version, or they are the wrong way round.
    #[error("\"from\" and \"to\" must be versions, with 1 <= from <= to")]
    Range,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// [`RequestError`] says what is wrong with the message as a whole. In a message with `orders`, what is wrong with
    /// one of them stands in its place.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let value: Value = serde_json::from_str(text).map_err(|_unreadable| RequestError::NotJson)?;
        let Value::Object(fields) = value else { return Err(RequestError::NotAnObject) };
        match fields.get("action").and_then(Value::as_str) {
            Some("subscribe") => Ok(Self::Subscribe(orders(&fields, |entry| match entry {
                Value::Object(fields) => wanted(fields),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    Err(RequestError::OrdersEntry)
                }
            })?)),
            Some("unsubscribe") => Ok(Self::Unsubscribe(orders(&fields, |entry| match entry {
                Value::Object(fields) => order_id(fields.get("orderId")),
                Value::String(_) => order_id(Some(entry)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(RequestError::OrdersEntry),
            })?)),
            Some("history") => history(&fields).map(Self::History),
            Some("heads") => known(&fields).map(Self::Heads),
            Some("ping") => Ok(Self::Ping),
            Some(_) => Err(RequestError::UnknownAction),
            None => Err(RequestError::NoAction),
        }
    }
}

/// Reads `orderId` of the message, or each entry of `orders`. What is wrong with a single order is wrong with the message.
fn orders<T>(
    fields: &Fields,
    read: impl Fn(&Value) -> Result<T, RequestError>,
) -> Result<Vec<Result<T, RequestError>>, RequestError> {
    match (fields.get("orderId"), fields.get("orders")) {
        (Some(_), Some(_)) => Err(RequestError::OrderTwice),
        (None, None) => Err(RequestError::NoOrder),
        (Some(_), None) => read(&Value::Object(fields.clone())).map(|order| vec![Ok(order)]),
        (None, Some(Value::Array(entries))) if (1..=ORDERS_PER_MESSAGE_MAX).contains(&entries.len()) => {
            Ok(entries.iter().map(read).collect())
        }
        (None, Some(_)) => Err(RequestError::Orders),
    }
}

fn wanted(fields: &Fields) -> Result<Wanted, RequestError> {
    let order_id = order_id(fields.get("orderId"))?;
    let since = match (fields.get("since"), fields.get("ref")) {
        (None, None) => None,
        (None, Some(_)) => return Err(RequestError::Ref),
        (Some(since), event_ref) => Some(Since {
            version: version(since).ok_or(RequestError::Since)?,
            event_ref: event_ref.map(parse_ref).transpose()?,
        }),
    };
    Ok(Wanted { order_id, since })
}

fn history(fields: &Fields) -> Result<HistoryRange, RequestError> {
    let order_id = order_id(fields.get("orderId"))?;
    let bound = |name| fields.get(name).and_then(version).ok_or(RequestError::Range);
    let (from, to) = (bound("from")?, bound("to")?);
    if from < Version::FIRST || to < from {
        return Err(RequestError::Range);
    }
    Ok(HistoryRange { order_id, from, to })
}

fn known(fields: &Fields) -> Result<Vec<Result<Known, BadHead>>, RequestError> {
    let orders = fields.get("orders").and_then(Value::as_object).ok_or(RequestError::Heads)?;
    if !(1..=ORDERS_PER_MESSAGE_MAX).contains(&orders.len()) {
        return Err(RequestError::Heads);
    }
    let read = |(name, value): (&String, &Value)| {
        let bad = |order_id, error| BadHead { order_id, error };
        let order_id = OrderId::new(name.as_str()).map_err(|invalid| bad(None, RequestError::OrderId(invalid)))?;
        match version(value) {
            Some(version) => Ok(Known { order_id, version }),
            None => Err(bad(Some(order_id), RequestError::Head)),
        }
    };
    Ok(orders.iter().map(read).collect())
}

fn order_id(value: Option<&Value>) -> Result<OrderId, RequestError> {
    let value = value.ok_or(RequestError::NoOrder)?;
    let text = value.as_str().ok_or(RequestError::OrderIdType)?;
    OrderId::new(text).map_err(RequestError::OrderId)
}

fn version(value: &Value) -> Option<Version> {
    value.as_u64().and_then(Version::checked)
}

fn parse_ref(value: &Value) -> Result<EventRef, RequestError> {
    let text = value.as_str().ok_or(RequestError::Ref)?;
    EventRef::parse(text).map_err(|_not_a_ref| RequestError::Ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    #[test]
    fn a_subscribe_names_one_order_or_many() {
        let one = Request::parse(r#"{"action":"subscribe","orderId":"a","since":7,"ref":"9"}"#).unwrap();
        let since = Some(Since { version: Version::new(7), event_ref: Some(EventRef::parse("9").unwrap()) });
        assert_eq!(one, Request::Subscribe(vec![Ok(Wanted { order_id: order("a"), since })]));

        let many = r#"{"action":"subscribe","orders":[{"orderId":"a"},{"orderId":""},"b",{"orderId":"c","since":-1}]}"#;
        let Request::Subscribe(wanted) = Request::parse(many).unwrap() else { panic!("not a subscribe") };
        assert_eq!(
            wanted,
            [
                Ok(Wanted { order_id: order("a"), since: None }),
                Err(RequestError::OrderId(InvalidOrderId::Empty)),
                Err(RequestError::OrdersEntry),
                Err(RequestError::Since),
            ]
        );
    }

    #[test]
    fn what_a_client_asks_is_what_the_gateway_reads() {
        let at = |event_ref: Option<&str>| {
            let event_ref = event_ref.map(|text| EventRef::parse(text).unwrap());
            Some(Since { version: Version::new(7), event_ref })
        };
        let wanted = [None, at(None), at(Some("18446744073709551615"))];
        let wanted = wanted.map(|since| Wanted { order_id: order("a\"é"), since });
        assert_eq!(Request::parse(&subscribe(&wanted)), Ok(Request::Subscribe(wanted.map(Ok).to_vec())));
    }

    #[test]
    fn an_unsubscribe_lists_ids() {
        let request = Request::parse(r#"{"action":"unsubscribe","orders":["a",7]}"#).unwrap();
        assert_eq!(request, Request::Unsubscribe(vec![Ok(order("a")), Err(RequestError::OrdersEntry)]));
        let request = Request::parse(r#"{"action":"unsubscribe","orderId":"a"}"#).unwrap();
        assert_eq!(request, Request::Unsubscribe(vec![Ok(order("a"))]));
    }

    #[test]
    fn a_history_is_a_range() {
        let request = Request::parse(r#"{"action":"history","orderId":"a","from":1,"to":7}"#).unwrap();
        let range = HistoryRange { order_id: order("a"), from: Version::new(1), to: Version::new(7) };
        assert_eq!(request, Request::History(range));
        for bounds in [r#""from":0,"to":7"#, r#""from":3,"to":2"#, r#""from":1"#, r#""from":"1","to":2"#] {
            let text = format!(r#"{{"action":"history","orderId":"a",{bounds}}}"#);
            assert_eq!(Request::parse(&text), Err(RequestError::Range), "{text}");
        }
    }

    #[test]
    fn what_a_client_asks_about_heads_is_what_the_gateway_reads() {
        let known = ["a\"é", "b"].map(|id| Known { order_id: order(id), version: Version::MAX });
        assert_eq!(Request::parse(&heads(&known)), Ok(Request::Heads(known.map(Ok).to_vec())));
    }

    #[test]
    fn a_bad_entry_of_heads_is_named_if_it_can_be_and_spoils_no_other() {
        let text = r#"{"action":"heads","orders":{"":1,"a":1,"b":-1,"c":"7","d":1.5}}"#;
        let Ok(Request::Heads(read)) = Request::parse(text) else { panic!("no heads") };
        let bad = |id: &str| Err(BadHead { order_id: Some(order(id)), error: RequestError::Head });
        let nameless = BadHead { order_id: None, error: RequestError::OrderId(InvalidOrderId::Empty) };
        let good = Known { order_id: order("a"), version: Version::FIRST };
        assert_eq!(read, [Err(nameless), Ok(good), bad("b"), bad("c"), bad("d")]);
    }

    #[test]
    fn heads_names_1_to_100_orders() {
        let orders = |count: usize| (0..count).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(",");
        let parse = |count| Request::parse(&format!(r#"{{"action":"heads","orders":{{{}}}}}"#, orders(count)));
        assert_eq!(parse(0), Err(RequestError::Heads));
        assert!(matches!(parse(100), Ok(Request::Heads(known)) if known.len() == 100));
        assert_eq!(parse(101), Err(RequestError::Heads));
        for orders in ["", r#","orders":["a"]"#, r#","orderId":"a""#, r#","orders":7"#] {
            assert_eq!(
                Request::parse(&format!(r#"{{"action":"heads"{orders}}}"#)),
                Err(RequestError::Heads),
                "{orders}"
            );
        }
    }

    #[test]
    fn a_bad_message_has_one_clear_error() {
        let long = format!(r#"{{"action":"subscribe","orderId":"{}"}}"#, "x".repeat(10_000));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let many = format!(r#"{{"action":"subscribe","orders":[{}0]}}"#, "0,".repeat(100));
        let cases = [
            ("", RequestError::NotJson),
            ("{", RequestError::NotJson),
            (deep.as_str(), RequestError::NotJson),
            ("[]", RequestError::NotAnObject),
            ("{}", RequestError::NoAction),
            (r#"{"action":7}"#, RequestError::NoAction),
            (r#"{"action":"$connect"}"#, RequestError::UnknownAction),
            (r#"{"action":"subscribe"}"#, RequestError::NoOrder),
            (r#"{"action":"subscribe","orderId":""}"#, RequestError::OrderId(InvalidOrderId::Empty)),
            (long.as_str(), RequestError::OrderId(InvalidOrderId::TooLong { bytes: 10_000 })),
            (r#"{"action":"subscribe","orderId":7}"#, RequestError::OrderIdType),
            (r#"{"action":"subscribe","orderId":"a","orders":[]}"#, RequestError::OrderTwice),
            (r#"{"action":"subscribe","orders":[]}"#, RequestError::Orders),
            (many.as_str(), RequestError::Orders),
            (r#"{"action":"subscribe","orderId":"a","ref":"1"}"#, RequestError::Ref),
            (r#"{"action":"subscribe","orderId":"a","since":1,"ref":1}"#, RequestError::Ref),
            (r#"{"action":"subscribe","orderId":"a","since":1.5}"#, RequestError::Since),
        ];
        for (text, error) in cases {
            assert_eq!(Request::parse(text), Err(error), "{:.80}", text);
        }
    }
}
