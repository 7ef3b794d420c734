//! Does a redacted value leave, in whatever message, at whatever depth, cut wherever?
//!
//! Owns: logs in which secrets stand at every depth, and looking for them in every frame.
//! Must not know: how redaction is done.
//! Source: "Who may see what" of the design: redacted fields are in nothing that is sent to a browser.

use domain::{Event, EventData, EventRef, Fields, Json, LoggedEvent, OrderId, Origin, Projection, Redaction, Version};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    message::{Message, Update},
    parts::{Assembled, Assembler},
};

/// What stands in each redacted field and nowhere else.
const SECRET: &str = "sk_live_51";

/// Values with redacted fields between others, one below the other.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![any::<i64>().prop_map(Json::from), "[a-z\"\\\\é]{0,12}".prop_map(Json::from)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            fields(inner).prop_map(Json::Object)
        ]
    })
}

/// An object in which some fields are redacted: their values carry the secret, plainly or deep down.
fn fields(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = Fields> {
    let secret =
        prop_oneof![Just(json!(SECRET)), Just(json!({"a": [SECRET, {"stripeToken": SECRET}]})), Just(json!([SECRET]))]
            .prop_map(Json::from);
    let redacted = prop::collection::btree_map("stripeToken|cvc", secret, 0..3);
    let open = prop::collection::btree_map("[a-e]", inner, 0..4);
    (redacted, open).prop_map(|(redacted, open)| redacted.into_iter().chain(open).collect())
}

/// A log of one order; now and then an event is so large that messages are cut.
fn log() -> impl Strategy<Value = Vec<LoggedEvent>> {
    let note = prop_oneof![3 => Just(0usize), 1 => 50_000usize..150_000];
    prop::collection::vec((fields(value()), note), 1..6).prop_map(|events| {
        let logged = |(index, (mut data, note)): (usize, (Fields, usize))| {
            data.insert("eventName".to_owned(), Json::from("OrderChanged"));
            data.insert("orderId".to_owned(), Json::from("o"));
            data.insert("note".to_owned(), Json::from("\"".repeat(note / 2)));
            let version = Version::new(u64::try_from(index).unwrap() + 1);
            let event_ref = EventRef::parse(&version.to_string()).unwrap();
            LoggedEvent {
                version,
                event: Event { event_ref, ts_us: 0, data: EventData::new(data).unwrap() },
                origin: Origin::default(),
            }
        };
        events.into_iter().enumerate().map(logged).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_redacted_value_is_in_any_frame(log in log()) {
        let redaction = Redaction::from_list("stripeToken, cvc");
        let mut projection = Projection::default();
        log.iter().for_each(|logged| assert!(projection.evolve(logged)));
        let update = || Update::redacted(OrderId::new("o").unwrap(), &log, &projection, &redaction);
        let resumed = Update { projection: None, ..update() };
        let begun_anew = Update { reset: true, events: Vec::new(), ..update() };
        for message in
            [Message::Update(update()), Message::History(update()), Message::Update(resumed), Message::Update(begun_anew)]
        {
            let mut assembler = Assembler::default();
            for frame in message.frames() {
                for name in [SECRET, "stripeToken", "cvc"] {
                    prop_assert!(!frame.contains(name), "{name} is in {frame:.200}");
                }
                // A secret that was cut in two would be whole again here.
                if let Assembled::Whole(whole) = assembler.accept(&frame) {
                    prop_assert!(!whole.contains(SECRET));
                }
            }
        }
    }
}
