//! A document of FaunaDB, and the event that it is.
//!
//! Owns: reading pages of documents and of removals, and why a document is no event.
//! Must not know: HTTP, tables.
//! Source: FaunaDB's answers; what an event is says `domain::EventData`.

use domain::{Event, EventData, EventRef, Json};

use crate::{conversion, error::FaunaError};

/// A document as of its last version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// A signed 64-bit number.
    pub(crate) id: i64,
    /// The commit of this version, in microseconds since 1970.
    pub(crate) ts_us: i64,
    /// As the wire has it; absent if the document has none.
    data: Option<Json>,
}

/// A page of documents.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) documents: Vec<Document>,
    /// There are more behind it.
    pub(crate) has_more: bool,
}

/// A page of what joined and left the collection.
#[derive(Debug)]
pub(crate) struct Removals {
    /// The ids of what left.
    pub(crate) removed: Vec<i64>,
    /// Where the next page begins; `None` for the last one.
    pub(crate) after: Option<Json>,
    /// The time of the page's last change.
    pub(crate) last_us: Option<i64>,
}

impl Page {
    pub(crate) fn read(resource: Json) -> Result<Self, FaunaError> {
        let Json::Object(mut page) = resource else { return Err(FaunaError::Unreadable) };
        let Some(Json::Array(documents)) = page.remove("data") else { return Err(FaunaError::Unreadable) };
        let documents = documents.into_iter().map(Document::read).collect::<Option<_>>();
        Ok(Self { documents: documents.ok_or(FaunaError::Unreadable)?, has_more: page.contains_key("after") })
    }
}

impl Removals {
    pub(crate) fn read(resource: Json) -> Result<Self, FaunaError> {
        let Json::Object(mut page) = resource else { return Err(FaunaError::Unreadable) };
        let changes = page.get("data").and_then(Json::as_array).ok_or(FaunaError::Unreadable)?;
        let mut removed = Vec::new();
        for change in changes {
            if change.get("action").and_then(Json::as_str) == Some("remove") {
                removed.push(change.get("document").and_then(id).ok_or(FaunaError::Unreadable)?);
            }
        }
        let last_us = changes.last().and_then(|change| change.get("ts")).and_then(Json::as_i64);
        Ok(Self { removed, last_us, after: page.remove("after") })
    }
}

/// The id of a document's ref.
fn id(reference: &Json) -> Option<i64> {
    reference.get("@ref")?.get("id")?.as_str()?.parse().ok()
}

impl Document {
    fn read(document: Json) -> Option<Self> {
        let Json::Object(mut document) = document else { return None };
        let id = id(document.get("ref")?)?;
        Some(Self { id, ts_us: document.get("ts")?.as_i64()?, data: document.remove("data") })
    }

    /// The event that it is, or why it is none. The reason has nothing of its content.
    pub(crate) fn event(self) -> Result<Event, String> {
        let event_ref = EventRef::parse(&self.id.to_string()).map_err(|invalid| invalid.to_string())?;
        let data = self.data.ok_or("the document has no data")?;
        let fields = conversion::from_wire(data).map_err(|not_fql| not_fql.to_string())?;
        let data = EventData::new(fields.ok_or("data must be an object")?).map_err(|invalid| invalid.to_string())?;
        let event = Event { event_ref, ts_us: self.ts_us, data };
        store::event_log::check(&event).map_err(|not_storable| format!("it cannot be stored: {not_storable}"))?;
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(id: &str, data: Value) -> Json {
        Json::from(document_value(id, data))
    }

    fn document_value(id: &str, data: Value) -> Value {
        let collection = json!({"@ref": {"id": "order_stream", "collection": {"@ref": {"id": "collections"}}}});
        let mut document = json!({"ref": {"@ref": {"id": id, "collection": collection}}, "ts": 5});
        if !data.is_null() {
            document["data"] = data;
        }
        document
    }

    fn reason(id: &str, data: Value) -> String {
        Document::read(document(id, data)).unwrap().event().unwrap_err()
    }

    #[test]
    fn a_document_is_an_event_or_there_is_a_reason_without_content() {
        let good = json!({"eventName": "A", "orderId": "o", "at": {"@ts": "2020-11-21T22:50:05.510Z"}});
        let event = Document::read(document("282842364888744451", good.clone())).unwrap().event().unwrap();
        assert_eq!((event.event_ref.to_string().as_str(), event.ts_us), ("282842364888744451", 5));
        assert_eq!(Json::Object(event.data.into_fields()), good);
        assert_eq!(reason("1", Value::Null), "the document has no data");
        assert_eq!(reason("1", json!({"eventName": "A", "secret": 1})), "data.orderId must be a string");
        assert_eq!(reason("1", json!({"eventName": "A", "orderId": ["a", "b"]})), "data.orderId must be a string");
        assert_eq!(reason("1", json!({"orderId": "o"})), "data.eventName must be a string that is not empty");
        assert_eq!(Document::read(document("-1", good)).unwrap().event().unwrap().event_ref.as_str(), "-1");
        let large = json!({"eventName": "A", "orderId": "o", "note": "x".repeat(500_000)});
        assert!(reason("1", large).starts_with("it cannot be stored: it takes 50"));
        assert!(reason("1", json!({"eventName": "A", "orderId": "o", "": 1})).ends_with("whose name is empty"));
    }

    #[test]
    fn a_page_that_is_none_cannot_be_read() {
        let page = Page::read(json!({"data": [document_value("1", json!({}))], "after": []}).into()).unwrap();
        assert!(page.has_more && page.documents.len() == 1);
        let bad = [json!([]), json!({}), json!({"data": [7]}), json!({"data": [{"ref": {}, "ts": 1}]})];
        for resource in bad {
            assert!(Page::read(resource.clone().into()).is_err(), "{resource}");
        }
        assert!(Removals::read(json!({"data": [{"action": "remove", "ts": 1}]}).into()).is_err());
    }
}
