//! From a text on the wire to a message: the client's half.
//!
//! Owns: what a client accepts. Fields that it does not know are passed over, so that the gateway may add some.
//! Must not know: what the client does with the message.
//! Source: README.md of this crate.

use std::collections::BTreeMap;

use domain::{EventRef, Fields, Json, OrderId, Redacted, Redaction, Version};

use super::{Message, SentEvent, Update};
use crate::error::{ErrorCode, ErrorMessage};

/// A text that is no message of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no message of the gateway: {0}")]
pub struct UnreadableMessage(&'static str);

impl Message {
    /// Reads a whole message; parts are put together by [`crate::parts::Assembler`].
    ///
    /// # Errors
    /// [`UnreadableMessage`] names the field that is missing or wrong.
    pub fn read(text: &str) -> Result<Self, UnreadableMessage> {
        let Ok(Json::Object(fields)) = Json::parse(text) else {
            return Err(UnreadableMessage("it is no JSON object"));
        };
        match text_of(&fields, "type") {
            Some("update") => update(fields).map(Self::Update),
            Some("history") => update(fields).map(Self::History),
            Some("unsubscribed") => order_id(&fields).map(Self::Unsubscribed),
            Some("heads") => heads(&fields).map(Self::Heads),
            Some("pong") => Ok(Self::Pong),
            Some("error") => error(&fields).map(Self::Error),
            Some(_) | None => Err(UnreadableMessage("type")),
        }
    }
}

fn text_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Json::as_str)
}

fn flag(fields: &Fields, name: &str) -> bool {
    fields.get(name).and_then(Json::as_bool).unwrap_or(false)
}

fn order_id(fields: &Fields) -> Result<OrderId, UnreadableMessage> {
    let text = text_of(fields, "orderId").ok_or(UnreadableMessage("orderId"))?;
    OrderId::new(text).map_err(|_not_an_order_id| UnreadableMessage("orderId"))
}

fn version(fields: &Fields) -> Result<Version, UnreadableMessage> {
    fields.get("version").and_then(Json::as_u64).and_then(Version::checked).ok_or(UnreadableMessage("version"))
}

fn heads(fields: &Fields) -> Result<BTreeMap<OrderId, Version>, UnreadableMessage> {
    let orders = fields.get("orders").and_then(Json::as_object).ok_or(UnreadableMessage("orders"))?;
    let head = |(order_id, version): (&String, &Json)| {
        Some((OrderId::new(order_id).ok()?, Version::checked(version.as_u64()?)?))
    };
    orders.iter().map(head).collect::<Option<_>>().ok_or(UnreadableMessage("orders"))
}

fn object(fields: &mut Fields, name: &'static str) -> Result<Redacted, UnreadableMessage> {
    let object = fields.remove(name).and_then(Json::into_object).ok_or(UnreadableMessage(name))?;
    Ok(Redaction::default().take(object))
}

fn update(mut fields: Fields) -> Result<Update, UnreadableMessage> {
    let version = version(&fields)?;
    let Some(Json::Array(entries)) = fields.remove("events") else { return Err(UnreadableMessage("events")) };
    let events: Vec<SentEvent> = entries.into_iter().map(event).collect::<Result<_, _>>()?;
    let mut expected = version;
    for event in events.iter().rev() {
        if event.version != expected || expected == Version::NONE {
            return Err(UnreadableMessage("events are no run that ends at version"));
        }
        expected = expected.previous();
    }
    let projection = if flag(&fields, "more") { None } else { Some(object(&mut fields, "projection")?) };
    Ok(Update {
        order_id: order_id(&fields)?,
        version,
        events,
        projection,
        reset: flag(&fields, "reset"),
        refolded: flag(&fields, "refolded"),
    })
}

fn event(value: Json) -> Result<SentEvent, UnreadableMessage> {
    let mut fields = value.into_object().ok_or(UnreadableMessage("events"))?;
    let text = text_of(&fields, "ref").ok_or(UnreadableMessage("ref"))?;
    Ok(SentEvent {
        version: version(&fields)?,
        event_ref: EventRef::parse(text).map_err(|_not_a_ref| UnreadableMessage("ref"))?,
        ts_us: fields.get("ts").and_then(Json::as_i64).ok_or(UnreadableMessage("ts"))?,
        data: object(&mut fields, "data")?,
    })
}

fn error(fields: &Fields) -> Result<ErrorMessage, UnreadableMessage> {
    let number = |name| fields.get(name).and_then(Json::as_u64);
    let field = |name| text_of(fields, name).ok_or(UnreadableMessage(name));
    Ok(ErrorMessage {
        code: ErrorCode::from_wire(field("code")?).ok_or(UnreadableMessage("code"))?,
        message: field("message")?.to_owned(),
        request_id: field("requestId")?.to_owned(),
        order_id: order_id(fields).ok(),
        index: number("index").and_then(|index| index.try_into().ok()),
        retry_after_ms: number("retryAfterMs"),
    })
}
