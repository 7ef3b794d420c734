//! From a message to the frames on the wire.
//!
//! Owns: the JSON's field names, and where a long run of events is cut.
//! Must not know: what a client does with it.
//! Source: README.md of this crate; the limit is API Gateway's.

use domain::{Fields, limits::MESSAGE_BYTES_MAX};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Message, SentEvent, Update};
use crate::{error::ErrorMessage, parts};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireUpdate<'a> {
    r#type: &'a str,
    order_id: &'a str,
    version: u64,
    events: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    projection: Option<&'a Fields>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
}

#[derive(Serialize)]
struct WireEvent<'a> {
    version: u64,
    r#ref: String,
    ts: i64,
    data: &'a Fields,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireError<'a> {
    r#type: &'a str,
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireUnsubscribed<'a> {
    r#type: &'a str,
    order_id: &'a str,
}

#[derive(Serialize)]
struct WirePong<'a> {
    r#type: &'a str,
}

impl Message {
    /// The text frames that carry this message, each at most [`MESSAGE_BYTES_MAX`] bytes; they are to be sent in order.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        let texts = match self {
            Self::Update(update) => update_texts("update", update),
            Self::History(update) => update_texts("history", update),
            Self::Unsubscribed(order_id) => {
                vec![json(&WireUnsubscribed { r#type: "unsubscribed", order_id: order_id.as_str() })]
            }
            Self::Pong => vec![json(&WirePong { r#type: "pong" })],
            Self::Error(error) => vec![error_text(error)],
        };
        texts.into_iter().flat_map(parts::split).collect()
    }
}

fn error_text(error: &ErrorMessage) -> String {
    json(&WireError {
        r#type: "error",
        code: error.code.as_str(),
        message: &error.message,
        request_id: &error.request_id,
        order_id: error.order_id.as_ref().map(domain::OrderId::as_str),
    })
}

/// One text, or, for a run of events that is too long for one message, several: all but the last say `more` and have no
/// projection. The last may still be over the limit. An update without projection says `more` in all its texts.
fn update_texts(r#type: &str, update: &Update) -> Vec<String> {
    let wire = |version, events: &[Box<RawValue>], more| {
        let more = more || update.projection.is_none();
        json(&WireUpdate {
            r#type,
            order_id: update.order_id.as_str(),
            version,
            events,
            projection: if more { None } else { update.projection.as_ref().map(domain::Redacted::fields) },
            more,
            reset: update.reset,
        })
    };
    let events: Vec<(u64, Box<RawValue>)> =
        update.events.iter().map(|event| (event.version.get(), event_json(event))).collect();
    let head_bytes = wire(u64::MAX, &[], true).len();
    let tail_bytes = wire(u64::MAX, &[], false).len();

    let mut texts = Vec::new();
    let mut run: Vec<Box<RawValue>> = Vec::new();
    let mut run_bytes = 0;
    let mut left_bytes: usize = events.iter().map(|(_, event)| event.get().len() + 1).sum();
    let mut run_version = update.version.get();
    for (version, event) in events {
        let event_bytes = event.get().len() + 1;
        let rest_fits = tail_bytes + run_bytes + left_bytes <= MESSAGE_BYTES_MAX;
        let is_last = left_bytes == event_bytes;
        let this_fits = head_bytes + run_bytes + event_bytes <= MESSAGE_BYTES_MAX;
        if !run.is_empty() && !rest_fits && (is_last || !this_fits) {
            texts.push(wire(run_version, &run, true));
            run.clear();
            run_bytes = 0;
        }
        run.push(event);
        run_bytes += event_bytes;
        left_bytes -= event_bytes;
        run_version = version;
    }
    texts.push(wire(update.version.get(), &run, false));
    texts
}

fn event_json(event: &SentEvent) -> Box<RawValue> {
    let wire = WireEvent {
        version: event.version.get(),
        r#ref: event.event_ref.to_string(),
        ts: event.ts_us,
        data: event.data.fields(),
    };
    #[expect(clippy::expect_used, reason = "maps with text keys and plain values always serialize")]
    serde_json::value::to_raw_value(&wire).expect("an event is JSON")
}

fn json(wire: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "maps with text keys and plain values always serialize")]
    serde_json::to_string(wire).expect("a message is JSON")
}
