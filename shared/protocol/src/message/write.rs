//! From a message to the frames on the wire.
//!
//! Owns: the JSON's field names, and where a long run of events is cut.
//! Must not know: what a client does with it.
//! Source: README.md of this crate; the limit is API Gateway's.

use std::{collections::BTreeMap, ops::Range};

use domain::{
    Version,
    json::{write_fields, write_string},
    limits::MESSAGE_BYTES_MAX,
};
use serde::Serialize;

use super::{Message, SentEvent, Update};
use crate::{error::ErrorMessage, parts};

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireError<'a> {
    r#type: &'a str,
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    /// The order's place in the list of the message that is answered, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The same message may succeed after so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireUnsubscribed<'a> {
    r#type: &'a str,
    order_id: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WireHeads<'a> {
    r#type: &'a str,
    /// The version of each order that the browser is not level with, by `orderId`.
    orders: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WirePong<'a> {
    r#type: &'a str,
}

impl Message {
    /// The whole message as one text, however long.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Update(update) => Run::of("update", update).text(0..update.events.len(), false),
            Self::History(update) => Run::of("history", update).text(0..update.events.len(), false),
            Self::Unsubscribed(order_id) => {
                json(&WireUnsubscribed { r#type: "unsubscribed", order_id: order_id.as_str() })
            }
            Self::Heads(heads) => {
                let orders = heads.iter().map(|(order_id, version)| (order_id.as_str(), version.get())).collect();
                json(&WireHeads { r#type: "heads", orders })
            }
            Self::Pong => json(&WirePong { r#type: "pong" }),
            Self::Error(error) => error_text(error),
        }
    }

    /// The text frames that carry this message, each at most [`MESSAGE_BYTES_MAX`] bytes; they are to be sent in order.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        let run = match self {
            Self::Update(update) => Run::of("update", update),
            Self::History(update) => Run::of("history", update),
            Self::Unsubscribed(_) | Self::Heads(_) | Self::Pong | Self::Error(_) => return vec![self.text()],
        };
        let texts = run.texts().into_iter();
        texts.flat_map(|(version, text)| parts::split(text, &run.update.order_id, version)).collect()
    }
}

fn error_text(error: &ErrorMessage) -> String {
    json(&WireError {
        r#type: "error",
        code: error.code.as_str(),
        message: &error.message,
        request_id: &error.request_id,
        order_id: error.order_id.as_ref().map(domain::OrderId::as_str),
        index: error.index,
        retry_after_ms: error.retry_after_ms,
    })
}

/// An update whose events and projection are JSON already, each once.
struct Run<'a> {
    r#type: &'a str,
    update: &'a Update,
    events: Vec<String>,
    projection: Option<String>,
}

impl<'a> Run<'a> {
    fn of(r#type: &'a str, update: &'a Update) -> Self {
        let events = update.events.iter().map(event_text).collect();
        let projection = update.projection.as_ref().map(|projection| {
            let mut text = String::new();
            write_fields(projection.fields(), &mut text);
            text
        });
        Self { r#type, update, events, projection }
    }

    /// The version up to which these of its events bring an order.
    fn version(&self, range: &Range<usize>) -> Version {
        let last = range.end.checked_sub(1).and_then(|index| self.update.events.get(index));
        last.map_or(self.update.version, |event| event.version)
    }

    /// The update with these of its events. With `more`, or if it has no projection, it says that more follows.
    fn text(&self, range: Range<usize>, more: bool) -> String {
        let mut text = format!("{{\"type\":\"{}\",\"orderId\":", self.r#type);
        write_string(self.update.order_id.as_str(), &mut text);
        text.push_str(&format!(",\"version\":{},\"events\":[", self.version(&range)));
        text.push_str(&self.events.get(range).unwrap_or_default().join(","));
        text.push(']');
        match &self.projection {
            Some(projection) if !more => {
                text.push_str(",\"projection\":");
                text.push_str(projection);
            }
            Some(_) | None => text.push_str(",\"more\":true"),
        }
        if self.update.reset {
            text.push_str(",\"reset\":true");
        }
        if self.update.refolded {
            text.push_str(",\"refolded\":true");
        }
        text.push('}');
        text
    }

    /// One text, or, for a run that is too long for one message, several, each with its version: all but the last say that
    /// more follows and have no projection. The last may still be over the limit, with one event.
    fn texts(&self) -> Vec<(Version, String)> {
        let event_bytes = |index: usize| self.events.get(index).map_or(0, |event| event.len() + 1);
        let count = self.events.len();
        let head_bytes = self.text(count..count, true).len();
        let tail_bytes = self.text(count..count, false).len();
        let mut left_bytes: usize = (0..count).map(event_bytes).sum();
        let (mut texts, mut start, mut run_bytes) = (Vec::new(), 0, 0);
        for index in 0..count {
            let bytes = event_bytes(index);
            let rest_fits = tail_bytes + run_bytes + left_bytes <= MESSAGE_BYTES_MAX;
            let this_fits = head_bytes + run_bytes + bytes <= MESSAGE_BYTES_MAX;
            let is_last = index + 1 == count;
            if index > start && !rest_fits && (is_last || !this_fits) {
                texts.push((self.version(&(start..index)), self.text(start..index, true)));
                (start, run_bytes) = (index, 0);
            }
            run_bytes += bytes;
            left_bytes -= bytes;
        }
        texts.push((self.version(&(start..count)), self.text(start..count, false)));
        texts
    }
}

fn event_text(event: &SentEvent) -> String {
    let mut text = format!("{{\"version\":{},\"ref\":", event.version);
    write_string(&event.event_ref.to_string(), &mut text);
    text.push_str(&format!(",\"ts\":{},\"data\":", event.ts_us));
    write_fields(event.data.fields(), &mut text);
    text.push('}');
    text
}

fn json(wire: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "maps with text keys and plain values always serialize")]
    serde_json::to_string(wire).expect("a message is JSON")
}
