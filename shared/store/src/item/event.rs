//! An event in `order_stream`.
//!
//! Owns: the format `{orderId S, version N, ref S, ts N, data M}`, which any producer may write, and `{appendedAt N, trace S}`,
//! which it may leave out.
//! Must not know: the projection it is folded into.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Event, EventData, EventRef, LoggedEvent, OrderId, Origin, TraceId, Version, limits::WHOLE_NUMBER_MAX};

use super::{BrokenItem, Item, NotStorable, json, key_text, size, text, time, version};

/// The table's key.
pub const KEY: [&str; 2] = ["orderId", "version"];

/// The attributes of the item's entry in the index `order_events_by_ref`, which projects the keys alone.
const BY_REF: [&str; 3] = ["orderId", "ref", "version"];

/// The item of an event.
///
/// # Errors
/// [`NotStorable`] says which of DynamoDB's limits the event passes.
pub fn to_item(logged: &LoggedEvent) -> Result<Item, NotStorable> {
    let LoggedEvent { version, event, origin } = logged;
    if *version > Version::MAX {
        return Err(NotStorable::OutOfRange { name: "version" });
    }
    if event.ts_us.unsigned_abs() > WHOLE_NUMBER_MAX {
        return Err(NotStorable::OutOfRange { name: "ts" });
    }
    let mut item = Item::from([
        ("orderId".to_owned(), AttributeValue::S(event.order_id().as_str().to_owned())),
        ("version".to_owned(), AttributeValue::N(version.to_string())),
        ("ref".to_owned(), AttributeValue::S(event.event_ref.to_string())),
        ("ts".to_owned(), AttributeValue::N(event.ts_us.to_string())),
        ("data".to_owned(), json::to_map(event.data.fields())?),
    ]);
    let appended_at = origin.appended_at_ms.map(|ms| ("appendedAt".to_owned(), AttributeValue::N(ms.to_string())));
    let trace = origin.trace_id.as_ref().map(|id| ("trace".to_owned(), AttributeValue::S(id.as_str().to_owned())));
    item.extend(appended_at.into_iter().chain(trace));
    size::checked_with_index(item, &BY_REF)
}

/// The event of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is no event.
pub fn from_item(mut item: Item) -> Result<LoggedEvent, BrokenItem> {
    read(&mut item).map_err(|reason| BrokenItem { key: key_of(&item), reason })
}

/// The key of an item as a text for people, as far as it can be read.
pub fn key_of(item: &Item) -> String {
    key_text(item, &KEY)
}

/// The version alone, of an item that may hold its key alone.
///
/// # Errors
/// [`BrokenItem`] for an item without a version.
pub fn version_of(item: &Item) -> Result<Version, BrokenItem> {
    version(item, "version").map_err(|reason| BrokenItem { key: key_of(item), reason })
}

/// The order alone, of an item that may hold its key alone.
///
/// # Errors
/// [`BrokenItem`] for an item without an order id.
pub fn order_id_of(item: &Item) -> Result<OrderId, BrokenItem> {
    let order_id = text(item, "orderId").and_then(|id| OrderId::new(id).map_err(|invalid| invalid.to_string()));
    order_id.map_err(|reason| BrokenItem { key: key_of(item), reason })
}

fn read(item: &mut Item) -> Result<LoggedEvent, String> {
    let version = version(item, "version")?;
    if version == Version::NONE {
        return Err("the attribute version must be at least 1".to_owned());
    }
    let event_ref = EventRef::parse(text(item, "ref")?).map_err(|invalid| invalid.to_string())?;
    let ts_us = time(item, "ts")?;
    let fields = match item.remove("data") {
        Some(AttributeValue::M(attributes)) => json::from_map(attributes)?,
        Some(_) => return Err("the attribute data must be a map".to_owned()),
        None => return Err("the attribute data is missing".to_owned()),
    };
    let data = EventData::new(fields).map_err(|invalid| invalid.to_string())?;
    if data.order_id().as_str() != text(item, "orderId")? {
        return Err("data.orderId is not the item's orderId".to_owned());
    }
    Ok(LoggedEvent { version, event: Event { event_ref, ts_us, data }, origin: origin(item) })
}

/// Where an event's way began; what says nothing of it is no broken event.
fn origin(item: &Item) -> Origin {
    Origin {
        appended_at_ms: time(item, "appendedAt").ok(),
        trace_id: text(item, "trace").ok().and_then(TraceId::parse),
    }
}

#[cfg(test)]
mod tests {
    use domain::Json;
    use serde_json::json;

    use super::*;

    fn event() -> Event {
        let data = json!({"eventName":"A","orderId":"guid_1","amount":1.5,"gone":null});
        let data = EventData::new(Json::from(data).into_object().unwrap()).unwrap();
        Event { event_ref: EventRef::parse("282842364888744451").unwrap(), ts_us: 1_605_999_005_510_000, data }
    }

    fn logged(event: Event) -> LoggedEvent {
        LoggedEvent { version: Version::new(7), event, origin: Origin::default() }
    }

    #[test]
    fn an_origin_that_cannot_be_read_is_none_and_the_event_is_good() {
        let mut item = to_item(&logged(event())).unwrap();
        item.insert("appendedAt".to_owned(), AttributeValue::S("today".to_owned()));
        item.insert("trace".to_owned(), AttributeValue::S("Root=1".to_owned()));
        assert_eq!(from_item(item), Ok(logged(event())));
    }

    #[test]
    fn what_is_read_is_what_was_stored() {
        let bare = Origin::default();
        let traced = Origin { appended_at_ms: Some(1_605_999_005_512), trace_id: Some(TraceId::new(5_000, 7)) };
        for origin in [bare, traced] {
            let logged = LoggedEvent { version: Version::new(7), event: event(), origin };
            assert_eq!(from_item(to_item(&logged).unwrap()), Ok(logged));
        }
    }

    #[test]
    fn an_item_that_is_no_event_is_named_by_its_key() {
        let out_of_range = "the attribute version must be from 0 to 9007199254740991";
        let changes: [(&str, Option<AttributeValue>, &str); 10] = [
            ("version", Some(AttributeValue::N("9007199254740992".into())), out_of_range),
            ("version", Some(AttributeValue::N(u64::MAX.to_string())), out_of_range),
            ("version", Some(AttributeValue::N("9".repeat(38))), out_of_range),
            (
                "ts",
                Some(AttributeValue::N(i64::MIN.to_string())),
                "the attribute ts must be from -9007199254740991 to 9007199254740991",
            ),
            ("version", Some(AttributeValue::N("0".into())), "the attribute version must be at least 1"),
            ("version", Some(AttributeValue::N("1.5".into())), "the attribute version must be a whole number"),
            ("ts", None, "the attribute ts is missing"),
            ("data", Some(AttributeValue::S("{}".into())), "the attribute data must be a map"),
            ("data", Some(AttributeValue::M([].into())), "data.eventName must be a string that is not empty"),
            ("orderId", Some(AttributeValue::S("guid_2".into())), "data.orderId is not the item's orderId"),
        ];
        for (name, value, reason) in changes {
            let mut item = to_item(&logged(event())).unwrap();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            let broken = from_item(item).unwrap_err();
            assert_eq!(broken.reason, reason);
            assert!(broken.key.contains("orderId=\"guid_"), "{}", broken.key);
        }
    }

    #[test]
    fn a_number_that_no_browser_holds_is_refused() {
        let highest = LoggedEvent {
            version: Version::MAX,
            event: Event { ts_us: -9_007_199_254_740_991, ..event() },
            ..logged(event())
        };
        assert_eq!(from_item(to_item(&highest).unwrap()), Ok(highest.clone()));
        let beyond = LoggedEvent { version: Version::MAX.next(), ..highest };
        assert_eq!(to_item(&beyond), Err(NotStorable::OutOfRange { name: "version" }));
        for ts_us in [i64::MIN, -9_007_199_254_740_992, 9_007_199_254_740_992] {
            assert_eq!(
                to_item(&logged(Event { ts_us, ..event() })),
                Err(NotStorable::OutOfRange { name: "ts" }),
                "{ts_us}"
            );
        }
    }

    #[test]
    fn an_event_over_400_kb_is_refused() {
        let data = json!({"eventName":"A","orderId":"guid_1","note":"x".repeat(410_000)});
        let data = EventData::new(Json::from(data).into_object().unwrap()).unwrap();
        let refused = to_item(&logged(Event { data, ..event() }));
        assert!(matches!(refused, Err(NotStorable::TooLarge { bytes: 410_000.. })), "{refused:?}");
    }
}
