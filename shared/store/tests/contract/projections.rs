//! The projections: one writer at a time moves one forward.

use domain::{Fields, LoggedEvent, OrderId, Origin, Projection, Version};
use serde_json::{Value, json};
use store::{ProjectionWrite, StoredProjection, Written, projections::Head};

use crate::{engine::ChangeFeed, event, open, order, tables::Tables};

fn projection(last: u64) -> Projection {
    let mut projection = Projection::default();
    for version in 1..=last {
        let event = event("o", version, &json!({format!("f{version}"): version}));
        assert!(projection.evolve(&LoggedEvent { version: Version::new(version), event, origin: Origin::default() }));
    }
    projection
}

#[tokio::test]
async fn a_projection_is_written_over_what_the_writer_knew() {
    let store = &open().await;
    let projections = &store.projections;
    let nothing = projections.get_stored(&order("o")).await.unwrap();
    assert_eq!(nothing, StoredProjection::default());
    let put = async |last, over: &StoredProjection| {
        projections.put(&order("o"), &projection(last), over.write()).await.unwrap()
    };
    assert_eq!(put(1, &nothing).await, Written::Stored);
    assert_eq!(put(2, &nothing).await, Written::Outrun, "the first write is there");
    let first = projections.get_stored(&order("o")).await.unwrap();
    assert_eq!(put(3, &first).await, Written::Stored);
    assert_eq!(put(2, &first).await, Written::Outrun, "a projection never goes back");
    assert_eq!(projections.get(&order("o")).await.unwrap(), projection(3));
}

#[tokio::test]
async fn a_projection_that_was_rebuilt_is_not_written_over_by_who_knew_the_one_before_it() {
    let store = &open().await;
    let projections = &store.projections;
    let put = async |projection: &Projection, over| projections.put(&order("o"), projection, over).await.unwrap();
    let wrong = Projection::stored(Version::FIRST, Fields::default());
    assert_eq!(put(&wrong, ProjectionWrite::default()).await, Written::Stored);
    let known = projections.get_stored(&order("o")).await.unwrap().write();
    assert_eq!(put(&projection(1), known).await, Written::Stored, "the same version, rebuilt");
    assert_eq!(put(&projection(2), known).await, Written::Outrun, "folded onto the wrong one");
    let remembered = projections.take_remembered(&order("o")).unwrap().write();
    assert_eq!(put(&projection(2), remembered).await, Written::Stored, "folded onto the right one");
}

#[tokio::test]
async fn a_projection_without_its_time_is_written_over_too() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let item = json!({"orderId": {"S": "o"}, "version": {"N": "1"}, "projection": {"M": {}}});
    tables.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": item})).await;
    let projections = &tables.store.projections;
    let known = projections.get_stored(&order("o")).await.unwrap().write();
    let put = async || projections.put(&order("o"), &projection(2), known).await.unwrap();
    assert_eq!([put().await, put().await], [Written::Stored, Written::Outrun]);
}

#[tokio::test]
async fn a_scan_finds_every_projection() {
    let store = &open().await;
    let large = event("o", 1, &json!({"note": "x".repeat(300_000)}));
    let mut folded = Projection::default();
    folded.evolve(&LoggedEvent { version: Version::FIRST, event: large, origin: Origin::default() });
    for number in 0..8 {
        store.projections.put(&order(&format!("o{number}")), &folded, ProjectionWrite::default()).await.unwrap();
    }
    let (mut scan, mut pages, mut found) = (store.projections.scan(), 0, Vec::new());
    while let Some(page) = scan.next_page().await.unwrap() {
        pages += 1;
        found.extend(page.into_iter().map(|stored| stored.unwrap().0.to_string()));
    }
    found.sort();
    assert!(pages > 1, "DynamoDB's pages end at 1 MB");
    assert_eq!(found, (0..8).map(|number| format!("o{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn heads_are_versions_and_owners_and_a_malformed_item_spoils_no_other() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let put = async |item: Value| {
        tables.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": item})).await;
    };
    put(json!({"orderId": {"S": "owned"}, "version": {"N": "7"}, "projection": {"M": {"userId": {"S": "user_1"}, "a": {"N": "1"}}}})).await;
    put(json!({"orderId": {"S": "nobodys"}, "version": {"N": "8"}, "projection": {"M": {"userId": {"N": "1"}}}})).await;
    put(json!({"orderId": {"S": "malformed"}, "version": {"S": "8"}, "projection": {"M": {}}})).await;
    let asked = ["owned", "nobodys", "malformed", "none", "owned"].map(order);
    let (heads, _) = tables.store.projections.heads(&asked.iter().collect::<Vec<_>>()).await.unwrap();
    let read: Vec<(&str, Option<&Head>)> = heads.iter().map(|(id, head)| (id.as_str(), head.as_ref().ok())).collect();
    let owned = Head { version: Version::new(7), owner: Some("user_1".to_owned()) };
    let nobodys = Head { version: Version::new(8), owner: None };
    assert_eq!(read, [("malformed", None), ("nobodys", Some(&nobodys)), ("owned", Some(&owned))]);
}

#[tokio::test]
async fn the_heads_of_more_than_one_call_can_read_are_read_in_several() {
    let store = &open().await;
    let large = event("o", 1, &json!({"note": "x".repeat(390_000)}));
    let mut folded = Projection::default();
    folded.evolve(&LoggedEvent { version: Version::FIRST, event: large, origin: Origin::default() });
    let orders: Vec<OrderId> = (0..50).map(|number| order(&format!("o{number}"))).collect();
    for order_id in &orders {
        store.projections.put(order_id, &folded, ProjectionWrite::default()).await.unwrap();
    }
    let (heads, read_units) = store.projections.heads(&orders.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(heads.len(), 50, "one call reads 16 MB");
    assert!(read_units >= 50 * 95, "{read_units} for 390 KB each");
    assert!(heads.values().flatten().all(|head| head.version == Version::FIRST));
}
