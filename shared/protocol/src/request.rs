//! What a browser asks.
//!
//! Owns: reading a message into a request that is valid by construction, naming what is wrong with a bad one, and the
//! client's half: writing a subscribe.
//! Must not know: who asks, what the answer is. Nothing of a bad message is repeated in its error.
//! Source: README.md of this crate.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use domain::{
    EventRef, Fields, Json, OrderId, Version,
    json::JsonError,
    limits::{EVENT_REF_BYTES_MAX, ORDERS_PER_MESSAGE_MAX},
    order_id::InvalidOrderId,
};
use serde_json::{Value, json};

/// A message of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send the updates of these orders from here on; each is answered for itself. No order is named twice.
    Subscribe(Vec<Result<Wanted, BadRequest>>),
    /// Send no more updates of these orders. No order is named twice.
    Unsubscribe(Vec<Result<OrderId, BadRequest>>),
    /// Send a part of an order's log.
    History(HistoryRange),
    /// Say which of these orders the browser is not level with.
    Heads(Vec<Result<Known, BadRequest>>),
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

/// A message, or one order of it, that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// The order, if its id can be one.
    pub order_id: Option<OrderId>,
    /// The order's place in the message's list, from 0; a single order has place 0. Absent if the whole message is meant, and
    /// in `heads`, which has no list.
    pub index: Option<usize>,
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
    let versions: BTreeMap<_, _> = known.iter().map(|known| (known.order_id.as_str(), known.version.get())).collect();
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
    /// Its lists and objects are one in another.
    #[error("the message is nested too deeply")]
    TooDeep,
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
    /// [`BadRequest`] says what is wrong with the message as a whole, or with the one order of a `history`. What is wrong with
    /// an order of any other message stands in its place among the others.
    pub fn parse(text: &str) -> Result<Self, BadRequest> {
        let parsed = Json::parse(text).or_else(|_unreadable| Json::parse(&*without_halves(text)));
        let value = parsed.map_err(|error| match error {
            JsonError::TooDeep => RequestError::TooDeep,
            JsonError::Syntax { .. } | JsonError::DuplicateKey(_) => RequestError::NotJson,
        })?;
        let Json::Object(fields) = value else { return Err(RequestError::NotAnObject.into()) };
        match fields.get("action").and_then(Json::as_str) {
            Some("subscribe") => {
                Ok(Self::Subscribe(orders(&fields, |entry| entry.as_object().map(wanted), |wanted| &wanted.order_id)?))
            }
            Some("unsubscribe") => {
                let read = |entry: &Json| match entry {
                    Json::Object(fields) => Some(order_id(fields.get("orderId")).map_err(BadRequest::from)),
                    Json::String(_) => Some(order_id(Some(entry)).map_err(BadRequest::from)),
                    Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => None,
                };
                Ok(Self::Unsubscribe(orders(&fields, read, |order_id| order_id)?))
            }
            Some("history") => history(&fields).map(Self::History),
            Some("heads") => Ok(known(&fields).map(Self::Heads)?),
            Some("ping") => Ok(Self::Ping),
            Some(_) => Err(RequestError::UnknownAction.into()),
            None => Err(RequestError::NoAction.into()),
        }
    }
}

impl From<RequestError> for BadRequest {
    fn from(error: RequestError) -> Self {
        Self { order_id: None, index: None, error }
    }
}

impl BadRequest {
    fn about(order_id: &OrderId, error: RequestError) -> Self {
        Self { order_id: Some(order_id.clone()), index: None, error }
    }
}

/// Reads `orderId` of the message, or each entry of `orders`; `read` has no answer to an entry of the wrong type. An order that
/// is named again counts as it was named first.
fn orders<T>(
    fields: &Fields,
    read: impl Fn(&Json) -> Option<Result<T, BadRequest>>,
    order_id: impl Fn(&T) -> &OrderId,
) -> Result<Vec<Result<T, BadRequest>>, RequestError> {
    let single;
    let entries = match (fields.get("orderId"), fields.get("orders")) {
        (Some(_), Some(_)) => return Err(RequestError::OrderTwice),
        (None, None) => return Err(RequestError::NoOrder),
        (Some(_), None) => {
            single = [Json::Object(fields.clone())];
            &single[..]
        }
        (None, Some(Json::Array(entries))) if (1..=ORDERS_PER_MESSAGE_MAX).contains(&entries.len()) => entries,
        (None, Some(_)) => return Err(RequestError::Orders),
    };
    let mut named = BTreeSet::new();
    let read = entries.iter().enumerate().map(|(index, entry)| {
        let read = read(entry).unwrap_or_else(|| Err(RequestError::OrdersEntry.into()));
        read.map_err(|bad| BadRequest { index: Some(index), ..bad })
    });
    Ok(read.filter(|order| order.as_ref().map_or(true, |order| named.insert(order_id(order).clone()))).collect())
}

fn wanted(fields: &Fields) -> Result<Wanted, BadRequest> {
    let order_id = order_id(fields.get("orderId"))?;
    match since(fields) {
        Ok(since) => Ok(Wanted { order_id, since }),
        Err(error) => Err(BadRequest::about(&order_id, error)),
    }
}

fn since(fields: &Fields) -> Result<Option<Since>, RequestError> {
    match (fields.get("since"), fields.get("ref")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(RequestError::Ref),
        (Some(since), event_ref) => Ok(Some(Since {
            version: version(since).ok_or(RequestError::Since)?,
            event_ref: event_ref.map(parse_ref).transpose()?,
        })),
    }
}

fn history(fields: &Fields) -> Result<HistoryRange, BadRequest> {
    let named = order_id(fields.get("orderId"));
    let order_id = named.map_err(|error| BadRequest { index: Some(0), ..error.into() })?;
    let bound = |name| fields.get(name).and_then(version);
    match (bound("from"), bound("to")) {
        (Some(from), Some(to)) if from >= Version::FIRST && to >= from => Ok(HistoryRange { order_id, from, to }),
        (_, _) => Err(BadRequest { index: Some(0), ..BadRequest::about(&order_id, RequestError::Range) }),
    }
}

fn known(fields: &Fields) -> Result<Vec<Result<Known, BadRequest>>, RequestError> {
    let orders = fields.get("orders").and_then(Json::as_object).ok_or(RequestError::Heads)?;
    if !(1..=ORDERS_PER_MESSAGE_MAX).contains(&orders.len()) {
        return Err(RequestError::Heads);
    }
    let read = |(name, value): (&String, &Json)| {
        let order_id = OrderId::new(name.as_str()).map_err(RequestError::OrderId)?;
        match version(value) {
            Some(version) => Ok(Known { order_id, version }),
            None => Err(BadRequest::about(&order_id, RequestError::Head)),
        }
    };
    Ok(orders.iter().map(read).collect())
}

/// JSON in which half a surrogate pair is a control character: the text that it is in is no order's id then, and the rest can
/// be read. A browser writes such a half as an escape, since it is no character. Source: `JSON.stringify`, RFC 8259, section 8.2.
fn without_halves(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (is_first, is_second) =
        (|unit| matches!(unit, Some(0xD800..=0xDBFF)), |unit| matches!(unit, Some(0xDC00..=0xDFFF)));
    let (mut whole, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(escape) = rest.find('\\') {
        let (before, from) = rest.split_at(escape);
        whole.push_str(before);
        let unit_here = unit(from);
        let after = from.get(6..).unwrap_or_default();
        let length = match unit_here {
            Some(_) if is_first(unit_here) && is_second(unit(after)) => 12,
            Some(_) => 6,
            None => 1 + from.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (sequence, next) = from.split_at(length);
        let is_half = length == 6 && (is_first(unit_here) || is_second(unit_here));
        whole.push_str(if is_half { "\\u0000" } else { sequence });
        rest = next;
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

fn order_id(value: Option<&Json>) -> Result<OrderId, RequestError> {
    let value = value.ok_or(RequestError::NoOrder)?;
    let text = value.as_str().ok_or(RequestError::OrderIdType)?;
    OrderId::new(text).map_err(RequestError::OrderId)
}

fn version(value: &Json) -> Option<Version> {
    value.as_u64().and_then(Version::checked)
}

fn parse_ref(value: &Json) -> Result<EventRef, RequestError> {
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
                bad(None, 1, RequestError::OrderId(InvalidOrderId::Empty)),
                bad(None, 2, RequestError::OrdersEntry),
                bad(Some("c"), 3, RequestError::Since),
            ]
        );
    }

    fn bad<T>(order_id: Option<&str>, index: usize, error: RequestError) -> Result<T, BadRequest> {
        Err(BadRequest { order_id: order_id.map(order), index: Some(index), error })
    }

    #[test]
    fn an_order_that_is_named_again_counts_as_it_was_named_first() {
        let text = r#"{"action":"subscribe","orders":[{"orderId":"a","since":7},{"orderId":"b"},{"orderId":"a"}]}"#;
        let Request::Subscribe(wanted) = Request::parse(text).unwrap() else { panic!("not a subscribe") };
        let since = Some(Since { version: Version::new(7), event_ref: None });
        let once = [Wanted { order_id: order("a"), since }, Wanted { order_id: order("b"), since: None }];
        assert_eq!(wanted, once.map(Ok));
        let request = Request::parse(r#"{"action":"unsubscribe","orders":["a","b",{"orderId":"a"}]}"#);
        assert_eq!(request, Ok(Request::Unsubscribe(vec![Ok(order("a")), Ok(order("b"))])));
    }

    #[test]
    fn half_a_surrogate_pair_spoils_its_own_order_and_no_other() {
        let control = RequestError::OrderId(InvalidOrderId::ControlCharacter);
        let text = r#"{"action":"subscribe","orders":[{"orderId":"a"},{"orderId":"x\ud800"},{"orderId":"\udc00\\\u00e9"},
            {"orderId":"\ud83d\ude00\\ud800\""}]}"#;
        let Request::Subscribe(wanted) = Request::parse(text).unwrap() else { panic!("not a subscribe") };
        let good = |id: &str| Ok(Wanted { order_id: order(id), since: None });
        assert_eq!(wanted, [good("a"), bad(None, 1, control), bad(None, 2, control), good("😀\\ud800\"")]);
        let text = r#"{"action":"unsubscribe","orders":["\uDFFF\uD800","a"]}"#;
        assert_eq!(Request::parse(text), Ok(Request::Unsubscribe(vec![bad(None, 0, control), Ok(order("a"))])));
        let Ok(Request::Heads(read)) = Request::parse(r#"{"action":"heads","orders":{"\udbff":1,"a":1}}"#) else {
            panic!("no heads")
        };
        assert_eq!(read, [Err(control.into()), Ok(Known { order_id: order("a"), version: Version::FIRST })]);
        for broken in [r#"{"action":"ping","x":"\ud800\u12"}"#, r#"{"action":"ping","x":"\ud800\"#, "\\ud800", "\\é"] {
            assert_eq!(Request::parse(broken), Err(RequestError::NotJson.into()), "{broken}");
        }
    }

    #[test]
    fn what_a_client_asks_is_what_the_gateway_reads() {
        let at = |event_ref: Option<&str>| {
            let event_ref = event_ref.map(|text| EventRef::parse(text).unwrap());
            Some(Since { version: Version::new(7), event_ref })
        };
        let wanted = [("a", None), ("\"é", at(None)), ("b", at(Some("18446744073709551615")))];
        let wanted = wanted.map(|(id, since)| Wanted { order_id: order(id), since });
        assert_eq!(Request::parse(&subscribe(&wanted)), Ok(Request::Subscribe(wanted.map(Ok).to_vec())));
    }

    #[test]
    fn an_unsubscribe_lists_ids() {
        let request = Request::parse(r#"{"action":"unsubscribe","orders":["a",7]}"#).unwrap();
        assert_eq!(request, Request::Unsubscribe(vec![Ok(order("a")), bad(None, 1, RequestError::OrdersEntry)]));
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
            assert_eq!(Request::parse(&text), bad(Some("a"), 0, RequestError::Range), "{text}");
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
        let bad = |id: &str| Err(BadRequest::about(&order(id), RequestError::Head));
        let nameless = BadRequest::from(RequestError::OrderId(InvalidOrderId::Empty));
        let good = Known { order_id: order("a"), version: Version::FIRST };
        assert_eq!(read, [Err(nameless), Ok(good), bad("b"), bad("c"), bad("d")]);
    }

    #[test]
    fn heads_names_1_to_100_orders() {
        let orders = |count: usize| (0..count).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(",");
        let parse = |count| Request::parse(&format!(r#"{{"action":"heads","orders":{{{}}}}}"#, orders(count)));
        assert_eq!(parse(0), Err(RequestError::Heads.into()));
        assert!(matches!(parse(100), Ok(Request::Heads(known)) if known.len() == 100));
        assert_eq!(parse(101), Err(RequestError::Heads.into()));
        for orders in ["", r#","orders":["a"]"#, r#","orderId":"a""#, r#","orders":7"#] {
            assert_eq!(
                Request::parse(&format!(r#"{{"action":"heads"{orders}}}"#)),
                Err(RequestError::Heads.into()),
                "{orders}"
            );
        }
    }

    #[test]
    fn a_bad_message_has_one_clear_error() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let many = format!(r#"{{"action":"subscribe","orders":[{}0]}}"#, "0,".repeat(100));
        let cases = [
            ("", RequestError::NotJson),
            ("{", RequestError::NotJson),
            (deep.as_str(), RequestError::TooDeep),
            ("[]", RequestError::NotAnObject),
            ("{}", RequestError::NoAction),
            (r#"{"action":7}"#, RequestError::NoAction),
            (r#"{"action":"$connect"}"#, RequestError::UnknownAction),
            (r#"{"action":"subscribe"}"#, RequestError::NoOrder),
            (r#"{"action":"subscribe","orderId":"a","orders":[]}"#, RequestError::OrderTwice),
            (r#"{"action":"subscribe","orders":[]}"#, RequestError::Orders),
            (many.as_str(), RequestError::Orders),
        ];
        for (text, error) in cases {
            assert_eq!(Request::parse(text), Err(error.into()), "{:.80}", text);
        }
    }

    #[test]
    fn what_is_wrong_with_a_single_order_names_it() {
        let long = format!(r#"{{"action":"subscribe","orderId":"{}"}}"#, "x".repeat(10_000));
        let cases = [
            (r#"{"action":"subscribe","orderId":""}"#, None, RequestError::OrderId(InvalidOrderId::Empty)),
            (long.as_str(), None, RequestError::OrderId(InvalidOrderId::TooLong { bytes: 10_000 })),
            (r#"{"action":"subscribe","orderId":7}"#, None, RequestError::OrderIdType),
            (r#"{"action":"subscribe","orderId":"a","ref":"1"}"#, Some("a"), RequestError::Ref),
            (r#"{"action":"subscribe","orderId":"a","since":1,"ref":1}"#, Some("a"), RequestError::Ref),
            (r#"{"action":"subscribe","orderId":"a","since":1.5}"#, Some("a"), RequestError::Since),
        ];
        for (text, order_id, error) in cases {
            let expected = Request::Subscribe(vec![bad(order_id, 0, error)]);
            assert_eq!(Request::parse(text), Ok(expected), "{:.80}", text);
        }
        let history = r#"{"action":"history","orderId":7,"from":1,"to":1}"#;
        assert_eq!(Request::parse(history), bad(None, 0, RequestError::OrderIdType));
    }
}
