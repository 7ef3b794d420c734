//! An event, its ref, and its place in the log.
//!
//! Owns: what makes an event valid.
//! Must not know: how an event is stored or sent.
//! Source: `docs/tables.md`.

use std::fmt;

use crate::{
    Fields, Json, OrderId, Origin,
    json::are_same,
    limits::{EVENT_REF_BYTES_MAX, WHOLE_NUMBER_MAX},
    order_id::InvalidOrderId,
};

/// An event's place in its order's log: 1, 2, 3, … without gaps. [`Version::NONE`] is the empty log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of a log without events.
    pub const NONE: Self = Self(0);
    /// The version of a log's first event.
    pub const FIRST: Self = Self(1);
    /// The highest version that an event can have.
    pub const MAX: Self = Self(WHOLE_NUMBER_MAX);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The version with a number that comes from outside; `None` above [`Version::MAX`].
    #[must_use]
    pub fn checked(number: u64) -> Option<Self> {
        (number <= WHOLE_NUMBER_MAX).then_some(Self(number))
    }

    /// The number, from 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The version so many events later.
    #[must_use]
    pub const fn plus(self, events: u64) -> Self {
        Self(self.0.saturating_add(events))
    }

    /// The version before this one; [`Version::NONE`] stays.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's own id, which its producer gave it: 1 to 128 bytes of UTF-8 without control characters. It is a text even if
/// it looks like a number, so that a 64-bit one keeps its digits in every JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef(Box<str>);

/// A text that is no [`EventRef`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ref must be 1 to {EVENT_REF_BYTES_MAX} bytes without control characters")]
pub struct InvalidEventRef;

impl EventRef {
    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidEventRef`] for one that is empty, too long, or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidEventRef> {
        let is_ref = (1..=EVENT_REF_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if is_ref { Ok(Self(text.into())) } else { Err(InvalidEventRef) }
    }

    /// The ref as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event's `data`: an object with at least a text `eventName` and a valid `orderId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventData {
    order_id: OrderId,
    fields: Fields,
}

/// Why an object is no event's `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventData {
    /// `eventName` is absent, empty or no string.
    #[error("data.eventName must be a string that is not empty")]
    EventName,
    /// `orderId` is absent or no string.
    #[error("data.orderId must be a string")]
    OrderIdMissing,
    /// `orderId` is a string that is no order id.
    #[error("data.orderId: {0}")]
    OrderId(InvalidOrderId),
}

impl EventData {
    /// Checks an object.
    ///
    /// # Errors
    /// [`InvalidEventData`] names the broken rule.
    pub fn new(fields: Fields) -> Result<Self, InvalidEventData> {
        match fields.get("eventName") {
            Some(Json::String(name)) if !name.is_empty() => {}
            Some(_) | None => return Err(InvalidEventData::EventName),
        }
        let Some(Json::String(order_id)) = fields.get("orderId") else {
            return Err(InvalidEventData::OrderIdMissing);
        };
        let order_id = OrderId::new(order_id.as_str()).map_err(InvalidEventData::OrderId)?;
        Ok(Self { order_id, fields })
    }

    /// The order that the event belongs to.
    #[must_use]
    pub fn order_id(&self) -> &OrderId {
        &self.order_id
    }

    /// All fields, `eventName` and `orderId` included.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// All fields, without a copy.
    #[must_use]
    pub fn into_fields(self) -> Fields {
        self.fields
    }
}

/// A fact about an order, as its producer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's own id, by which an order has an event once.
    pub event_ref: EventRef,
    /// When the producer wrote it, in microseconds since 1970. It never orders anything.
    pub ts_us: i64,
    /// What happened.
    pub data: EventData,
}

impl Event {
    /// The order that the event belongs to.
    #[must_use]
    pub fn order_id(&self) -> &OrderId {
        self.data.order_id()
    }

    /// Whether both have the same `ts` and `data`, numbers by their value.
    #[must_use]
    pub fn has_content_of(&self, other: &Self) -> bool {
        self.ts_us == other.ts_us && are_same(self.data.fields(), other.data.fields())
    }
}

/// An event and its place in its order's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// 1 for the order's first event.
    pub version: Version,
    /// The event.
    pub event: Event,
    /// Where its way began.
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Json::parse(json).unwrap().into_object().unwrap()
    }

    #[test]
    fn a_ref_is_any_short_text_without_control_characters() {
        let longest = "é".repeat(EVENT_REF_BYTES_MAX / 2);
        for text in [
            "0",
            "007",
            "282842364888744451",
            "-1",
            "0192f0c1-7b5e-7cc3-98c4-dc0c0c07398f",
            "01JDS9W2Z8",
            "a b",
            &longest,
        ] {
            assert_eq!(EventRef::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a\n", "\u{7f}", "\u{85}", &format!("{longest}x")] {
            assert_eq!(EventRef::parse(text), Err(InvalidEventRef), "{text}");
        }
    }

    #[test]
    fn data_carries_a_name_and_a_valid_order_id() {
        assert_eq!(EventData::new(fields(r#"{"orderId":"a"}"#)), Err(InvalidEventData::EventName));
        assert_eq!(EventData::new(fields(r#"{"orderId":"a","eventName":""}"#)), Err(InvalidEventData::EventName));
        assert_eq!(EventData::new(fields(r#"{"eventName":"A"}"#)), Err(InvalidEventData::OrderIdMissing));
        assert_eq!(EventData::new(fields(r#"{"eventName":"A","orderId":7}"#)), Err(InvalidEventData::OrderIdMissing));
        assert_eq!(
            EventData::new(fields(r#"{"eventName":"A","orderId":""}"#)),
            Err(InvalidEventData::OrderId(InvalidOrderId::Empty))
        );
        let data = EventData::new(fields(r#"{"eventName":"A","orderId":"guid_1","x":null}"#)).unwrap();
        assert_eq!(data.order_id().as_str(), "guid_1");
        assert_eq!(data.fields().len(), 3);
    }
}
