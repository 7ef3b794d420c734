//! Every reader of JSON from outside, on the same bytes: each refuses them or takes them, and none panics.

use std::collections::BTreeMap;

use domain::{Json, json};
use protocol::{Message, Request, parts::Assembler};

#[path = "../../../cli/src/append/input.rs"]
mod input;

/// Reads the bytes in every way.
///
/// # Panics
/// If what was read is not read again as it was written.
pub(crate) fn read(data: &[u8]) {
    if let Ok(value) = Json::parse(data) {
        let text = value.to_string();
        assert_eq!(Json::parse(&text).as_ref(), Ok(&value), "what was written is read");
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "another parser takes it");
        fauna_feed::conversion::from_wire(value).ok();
    }
    Json::parse_strict(data).ok();
    input::read(data, |_line| true).ok();
    drop(fauna_feed::FaunaError::read(400, data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    for field in [None, Some("Records")] {
        for element in json::elements(text, field).ok().flatten().unwrap_or_default() {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(element).is_ok(), "an element is JSON of its own");
        }
    }
    store::change_feed::read(text).ok();
    Request::parse(text).ok();
    Message::read(text).ok();
    Assembler::default().accept(text);
    drop(queues::Content::read(text));
    if let Ok(template) = serde_json::from_str(text) {
        local::template::read(&template, &BTreeMap::new()).ok();
    }
}
