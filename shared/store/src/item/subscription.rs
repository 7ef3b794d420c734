//! A subscription in `subscriptions`: `{orderId S, connectionId S, principalId S, readsAll BOOL, expiresAt N, row S, hiddenAt N}`.
//!
//! `readsAll` is there if it is true, `expiresAt` is in seconds since 1970. `row` is absent from rows of releases that wrote
//! none, `hiddenAt` unless the order was answered as one without events. Other attributes are left alone.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ConnectionId, OrderId, Principal, PrincipalId, RowId, Subscription};

use super::{BrokenItem, Item, is_set, key_text, number, text, version};

/// The table's key.
const KEY: [&str; 2] = ["orderId", "connectionId"];

/// The item of a subscription.
#[must_use]
pub fn to_item(subscription: &Subscription) -> Item {
    let mut item = key(&subscription.order_id, &subscription.connection_id);
    item.insert("principalId".to_owned(), AttributeValue::S(subscription.principal.id.as_str().to_owned()));
    if subscription.principal.reads_all {
        item.insert("readsAll".to_owned(), AttributeValue::Bool(true));
    }
    item.insert("expiresAt".to_owned(), AttributeValue::N(subscription.expires_at_s.to_string()));
    item.extend(subscription.row.as_ref().map(|row| ("row".to_owned(), AttributeValue::S(row.as_str().to_owned()))));
    item.extend(subscription.hidden_at.map(|version| ("hiddenAt".to_owned(), AttributeValue::N(version.to_string()))));
    item
}

/// The key of a subscription.
#[must_use]
pub fn key(order_id: &OrderId, connection_id: &ConnectionId) -> Item {
    Item::from([
        ("orderId".to_owned(), AttributeValue::S(order_id.as_str().to_owned())),
        ("connectionId".to_owned(), AttributeValue::S(connection_id.as_str().to_owned())),
    ])
}

/// The key of an item as it is stored, whatever it holds.
#[must_use]
pub fn key_of(item: &Item) -> Item {
    let attribute = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
    KEY.into_iter().filter_map(attribute).collect()
}

/// The connection alone, of an item that may hold its key alone.
///
/// # Errors
/// [`BrokenItem`] for an item without a connection id.
pub fn connection_id_of(item: &Item) -> Result<ConnectionId, BrokenItem> {
    connection_id(item).map_err(|reason| BrokenItem { key: key_text(item, &KEY), reason })
}

/// The subscription of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is no subscription.
pub fn from_item(item: &Item) -> Result<Subscription, BrokenItem> {
    read(item).map_err(|reason| BrokenItem { key: key_text(item, &KEY), reason })
}

fn read(item: &Item) -> Result<Subscription, String> {
    let principal_id = PrincipalId::new(text(item, "principalId")?).map_err(|invalid| invalid.to_string())?;
    Ok(Subscription {
        order_id: OrderId::new(text(item, "orderId")?).map_err(|invalid| invalid.to_string())?,
        connection_id: connection_id(item)?,
        principal: Principal { id: principal_id, reads_all: is_set(item, "readsAll")? },
        expires_at_s: number(item, "expiresAt")?,
        row: item.contains_key("row").then(|| text(item, "row")).transpose()?.map(RowId::new),
        hidden_at: item.contains_key("hiddenAt").then(|| version(item, "hiddenAt")).transpose()?,
    })
}

fn connection_id(item: &Item) -> Result<ConnectionId, String> {
    match text(item, "connectionId")? {
        "" => Err("the attribute connectionId is empty".to_owned()),
        id => Ok(ConnectionId::new(id)),
    }
}

#[cfg(test)]
mod tests {
    use domain::Version;

    use super::*;

    fn subscription() -> Subscription {
        let principal = Principal { id: PrincipalId::new("user_1").unwrap(), reads_all: true };
        Subscription::new(OrderId::new("guid_1").unwrap(), ConnectionId::new("L0SM9cOFvHcCIhw="), principal, 5)
    }

    #[test]
    fn what_is_read_is_what_was_stored() {
        let written = Subscription { row: Some(RowId::new("00ff")), ..subscription() };
        let hidden = Subscription { hidden_at: Some(Version::new(7)), ..written.clone() };
        for subscription in [subscription(), written, hidden] {
            assert_eq!(from_item(&to_item(&subscription)), Ok(subscription));
        }
    }

    #[test]
    fn an_attribute_of_another_release_is_ignored() {
        let mut item = to_item(&subscription());
        item.insert("ofTomorrow".to_owned(), AttributeValue::Bool(true));
        assert_eq!(from_item(&item), Ok(subscription()));
    }

    #[test]
    fn a_row_that_is_no_subscription_is_named_by_its_key() {
        let changes = [
            ("connectionId", Some(AttributeValue::S(String::new())), "the attribute connectionId is empty"),
            ("connectionId", Some(AttributeValue::N("7".into())), "the attribute connectionId must be a string"),
            ("principalId", None, "the attribute principalId is missing"),
            ("principalId", Some(AttributeValue::N("7".into())), "the attribute principalId must be a string"),
            ("readsAll", Some(AttributeValue::S("yes".into())), "the attribute readsAll must be true or false"),
            ("expiresAt", Some(AttributeValue::N("1.5".into())), "the attribute expiresAt must be a whole number"),
            ("row", Some(AttributeValue::N("7".into())), "the attribute row must be a string"),
            (
                "hiddenAt",
                Some(AttributeValue::N("-1".into())),
                "the attribute hiddenAt must be from 0 to 9007199254740991",
            ),
        ];
        for (name, value, reason) in changes {
            let mut item = to_item(&subscription());
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            let broken = from_item(&item).unwrap_err();
            assert_eq!(broken.reason, reason);
            assert!(broken.key.starts_with("orderId=\"guid_1\" connectionId="), "{}", broken.key);
        }
        for id in [String::new(), "p".repeat(257)] {
            let mut item = to_item(&subscription());
            item.insert("principalId".to_owned(), AttributeValue::S(id));
            assert!(from_item(&item).is_err());
        }
    }
}
