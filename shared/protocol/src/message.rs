//! What the gateway sends.
//!
//! Owns: the JSON of every message to a browser, in both directions, and cutting it into frames that API Gateway takes.
//! Must not know: which connection it goes to. It takes redacted values alone, so nothing else can be sent.
//! Source: README.md of this crate.

mod read;
pub(crate) mod write;

pub use read::UnreadableMessage;

use std::collections::BTreeMap;

use domain::{EventRef, LoggedEvent, OrderId, Projection, Redacted, Redaction, Version};

use crate::error::ErrorMessage;

/// A message to a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Events and the projection after them.
    Update(Update),
    /// A part of the log that was asked for.
    History(Update),
    /// No more updates of this order.
    Unsubscribed(OrderId),
    /// The head of each order that was asked about and that the browser is not level with: the version as it may see the
    /// order.
    Heads(BTreeMap<OrderId, Version>),
    /// The answer to a ping.
    Pong,
    /// The message that is answered was not served.
    Error(ErrorMessage),
}

/// A run of events of one order, and the fold up to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The order.
    pub order_id: OrderId,
    /// The version of the projection, and of the last event if there is one.
    pub version: Version,
    /// Events without a gap, the last one at `version`; or none.
    pub events: Vec<SentEvent>,
    /// The fold of events 1 to `version`; absent if more of the same answer follows.
    pub projection: Option<Redacted>,
    /// The client starts over from this update.
    pub reset: bool,
    /// The projection of this version is another one than was sent before.
    pub refolded: bool,
}

/// An event as a browser sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// Its place in the log.
    pub version: Version,
    /// Its own id.
    pub event_ref: EventRef,
    /// When its producer wrote it, in microseconds since 1970.
    pub ts_us: i64,
    /// What happened, without redacted fields.
    pub data: Redacted,
}

impl Update {
    /// An update of what a browser may see: `events` must be a run that ends at the projection's version, or empty.
    #[must_use]
    pub fn redacted(order_id: OrderId, events: &[LoggedEvent], projection: &Projection, redaction: &Redaction) -> Self {
        Self {
            order_id,
            version: projection.version(),
            events: events.iter().map(|logged| SentEvent::redacted(logged, redaction)).collect(),
            projection: Some(redaction.apply(projection.fields())),
            reset: false,
            refolded: false,
        }
    }
}

impl SentEvent {
    fn redacted(logged: &LoggedEvent, redaction: &Redaction) -> Self {
        let LoggedEvent { version, event, origin: _ } = logged;
        let data = redaction.apply(event.data.fields());
        Self { version: *version, event_ref: event.event_ref.clone(), ts_us: event.ts_us, data }
    }
}

#[cfg(test)]
mod tests {
    use domain::limits::MESSAGE_BYTES_MAX;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        error::ErrorCode,
        parts::{Assembled, Assembler},
    };

    fn redacted(value: &serde_json::Value) -> Redacted {
        Redaction::default().take(domain::Json::from(value.clone()).into_object().unwrap())
    }

    fn update(first: u64, last: u64, event_bytes: usize, projection_bytes: usize) -> Update {
        let event = |version: u64| SentEvent {
            version: Version::new(version),
            event_ref: EventRef::parse(&version.to_string()).unwrap(),
            ts_us: 1_605_999_005_510_000,
            data: redacted(&json!({"eventName": "A", "orderId": "guid_1", "note": "\"".repeat(event_bytes / 2)})),
        };
        Update {
            order_id: OrderId::new("guid_1").unwrap(),
            version: Version::new(last),
            events: (first..=last).map(event).collect(),
            projection: Some(redacted(&json!({"note": "é".repeat(projection_bytes / 2)}))),
            reset: false,
            refolded: false,
        }
    }

    /// What a client has after the frames: the messages, their events, and the last projection.
    fn receive(frames: &[String]) -> Vec<Message> {
        let mut assembler = Assembler::default();
        for frame in frames {
            assert!(frame.len() <= MESSAGE_BYTES_MAX, "{} bytes", frame.len());
        }
        let whole = frames.iter().filter_map(|frame| match assembler.accept(frame) {
            Assembled::Whole(text) => Some(text),
            Assembled::Incomplete => None,
            Assembled::Lost(lost) => panic!("{lost:?}"),
        });
        whole.map(|text| Message::read(&text).unwrap()).collect()
    }

    #[test]
    fn every_message_on_the_wire() {
        let order_id = OrderId::new("guid_1").unwrap();
        let error = ErrorMessage::new(ErrorCode::BadRequest, "the message is not JSON", "XfGLwFTktjMFsLg=");
        let about_one = error.clone().about(order_id.clone());
        let in_a_list = ErrorMessage { index: Some(7), ..error.clone() };
        let too_soon = ErrorMessage { retry_after_ms: Some(30_000), ..about_one.clone() };
        let messages = [
            Message::Update(update(7, 7, 2, 2)),
            Message::Update(Update { events: vec![], reset: true, ..update(7, 7, 2, 2) }),
            Message::Update(Update { events: vec![], refolded: true, ..update(7, 7, 2, 2) }),
            Message::History(update(1, 2, 2, 2)),
            Message::Unsubscribed(order_id.clone()),
            Message::Heads(BTreeMap::from([(order_id, Version::new(9))])),
            Message::Heads(BTreeMap::new()),
            Message::Pong,
            Message::Error(error),
            Message::Error(about_one),
            Message::Error(in_a_list),
            Message::Error(too_soon),
        ];
        let frames: Vec<String> = messages.iter().flat_map(Message::frames).collect();
        insta::assert_snapshot!(frames.join("\n"));
        assert_eq!(receive(&frames), messages);
    }

    #[test]
    fn a_long_resume_travels_as_several_updates_and_the_last_has_the_projection() {
        let sent = update(1, 1_000, 1_000, 1_000);
        let received = receive(&Message::Update(sent.clone()).frames());
        assert!(received.len() > 5, "{} updates", received.len());
        let mut events = Vec::new();
        for (index, message) in received.iter().enumerate() {
            let Message::Update(update) = message else { panic!("{message:?}") };
            assert_eq!(update.events.last().unwrap().version, update.version);
            assert_eq!(update.projection.is_some(), index + 1 == received.len());
            events.extend(update.events.iter().cloned());
        }
        assert_eq!(events, sent.events);
    }

    #[test]
    fn an_event_of_300_kb_and_a_projection_of_390_kb_arrive_whole() {
        let sent = Message::Update(update(7, 7, 300_000, 390_000));
        assert_eq!(receive(&sent.frames()), [sent]);
    }

    #[test]
    fn each_part_names_the_version_of_its_own_message() {
        let frames = Message::Update(update(1, 3, 200_000, 100)).frames();
        let version = |frame: &String| serde_json::from_str::<serde_json::Value>(frame).unwrap()["version"].as_u64();
        let versions: Vec<u64> = frames.iter().filter_map(version).collect();
        assert_eq!(versions.len(), frames.len());
        assert!(versions.is_sorted(), "{versions:?}");
        assert_eq!(versions.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{versions:?}");
    }

    #[test]
    fn heads_of_a_hundred_of_the_longest_ids_fit_a_frame() {
        let order_id =
            |n: usize| OrderId::new(format!("{n:03}{}", "\"".repeat(domain::limits::ORDER_ID_BYTES_MAX - 3)));
        let heads = (0..domain::limits::ORDERS_PER_MESSAGE_MAX)
            .map(|n| (order_id(n).unwrap(), Version::MAX))
            .collect::<BTreeMap<_, _>>();
        assert_eq!(receive(&Message::Heads(heads.clone()).frames()), [Message::Heads(heads)]);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_sent(
            first in 1u64..5, count in 0u64..12, event_bytes in 0usize..60_000, projection_bytes in 0usize..200_000,
        ) {
            let mut sent = update(first, first + count, event_bytes, projection_bytes);
            let received = receive(&Message::Update(sent.clone()).frames());
            let mut events = Vec::new();
            for message in &received {
                let Message::Update(update) = message else { panic!("{message:?}") };
                events.extend(update.events.iter().cloned());
            }
            prop_assert_eq!(&events, &sent.events);
            let Some(Message::Update(last)) = received.last() else { panic!("nothing arrived") };
            sent.events.clone_from(&last.events);
            prop_assert_eq!(last, &sent);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            prop_assert!(Message::read(&text).is_err());
        }
    }
}
