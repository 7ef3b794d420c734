//! Sizes of items: what the store takes is what DynamoDB takes, to the byte.

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata, types::AttributeValue};
use domain::{Fields, Json, Projection, Version, limits::ITEM_BYTES_MAX};
use proptest::{prelude::*, test_runner::TestRunner};
use store::{
    ProjectionWrite,
    item::{Item, NotStorable, event, projection},
    projections::PutError,
};
use tokio::runtime::Runtime;

use crate::{engine::ChangeFeed, open, order, tables::Tables};

/// The largest text that an item has beside anything else.
const PADDING_BYTES_MAX: usize = ITEM_BYTES_MAX;

fn number(text: &str) -> Json {
    Json::parse(text).unwrap()
}

#[tokio::test]
async fn a_projection_of_many_small_numbers_is_refused_before_it_is_sent() {
    let store = &open().await;
    let fields = Fields::from([("prices".to_owned(), Json::Array(vec![number("1.2"); 110_000]))]);
    let projection = Projection::stored(Version::FIRST, fields);
    let refused = store.projections.put(&order("o"), &projection, ProjectionWrite::default()).await;
    assert!(matches!(refused, Err(PutError::NotStorable(NotStorable::TooLarge { .. }))), "{refused:?}");
}

/// Numbers in every notation that JSON has and DynamoDB takes.
fn any_number() -> impl Strategy<Value = Json> {
    let digits = prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,18}", "[1-9]0{1,12}"];
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,19}", "\\.0{1,6}[1-9]?0{0,3}"];
    let exponent = prop_oneof![Just(String::new()), "[eE][+-]?[0-9]{1,2}"];
    let parts = (prop::bool::ANY, digits, fraction, exponent);
    parts.prop_map(|(is_negative, digits, fraction, exponent)| {
        number(&format!("{}{digits}{fraction}{exponent}", if is_negative { "-" } else { "" }))
    })
}

fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        6 => any_number(),
        2 => "\\PC{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::btree_map("\\PC{1,6}", inner, 0..8).prop_map(Json::Object),
        ]
    })
}

fn any_fields() -> impl Strategy<Value = Fields> {
    prop::collection::btree_map("\\PC{1,6}", any_value(), 0..12)
}

/// The fields with padding, so long that one byte more is refused.
fn padded_to_the_limit(fields: Fields, to_item: &impl Fn(Fields) -> Result<Item, NotStorable>) -> Item {
    let padded = |bytes: usize| {
        let mut fields = fields.clone();
        fields.insert("padding".to_owned(), "x".repeat(bytes).into());
        to_item(fields)
    };
    let Err(NotStorable::TooLarge { bytes }) = padded(PADDING_BYTES_MAX) else { panic!("it has room for more") };
    let largest = PADDING_BYTES_MAX - (bytes - ITEM_BYTES_MAX);
    assert!(padded(largest + 1).is_err(), "one byte more");
    padded(largest).unwrap()
}

/// The same projection with one byte more of padding.
fn one_byte_more(mut item: Item) -> Item {
    let Some(AttributeValue::M(fields)) = item.get_mut("projection") else { panic!("no map") };
    let Some(AttributeValue::S(padding)) = fields.get_mut("padding") else { panic!("no padding") };
    padding.push('x');
    item
}

#[test]
fn an_item_is_refused_at_the_same_byte_as_by_dynamodb() {
    let runtime = Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::make(ChangeFeed::Off));
    let client = Client::new(&tables.sdk);
    let put = |table: &str, item: Item| {
        let put = runtime.block_on(client.put_item().table_name(table).set_item(Some(item)).send());
        put.map(|_| "stored").unwrap_or_else(|error| match error.as_service_error().and_then(|error| error.code()) {
            Some("ValidationException") => "refused",
            _ => panic!("{error:?}"),
        })
    };
    let mut runner = TestRunner::new(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() });
    let checked = runner.run(&any_fields(), |fields| {
        let to_item = |fields| projection::to_item(&order("o"), &Projection::stored(Version::FIRST, fields), 5, None);
        let item = padded_to_the_limit(fields, &to_item);
        prop_assert_eq!(put("order_projections", item.clone()), "stored");
        prop_assert_eq!(put("order_projections", one_byte_more(item)), "refused");
        Ok(())
    });
    checked.unwrap();
    let checked = runner.run(&any_fields(), |fields| {
        let to_item = |mut fields: Fields| {
            fields.insert("eventName".to_owned(), "A".into());
            fields.insert("orderId".to_owned(), "o".into());
            event::to_item(&crate::logged(fields))
        };
        // Its entry in the index takes some of the room.
        prop_assert_eq!(put("order_stream", padded_to_the_limit(fields, &to_item)), "stored");
        Ok(())
    });
    checked.unwrap();
}
