//! The projections: one writer at a time moves one forward.

use domain::{LoggedEvent, Origin, Projection, Version};
use serde_json::json;
use store::Written;

use crate::{event, open, order};

fn projection(last: u64) -> Projection {
    let mut projection = Projection::default();
    for version in 1..=last {
        let event = event("o", version, &json!({format!("f{version}"): version}));
        assert!(projection.evolve(&LoggedEvent { version: Version::new(version), event, origin: Origin::default() }));
    }
    projection
}

#[tokio::test]
async fn a_projection_is_written_over_the_version_that_the_writer_knew() {
    let store = &open().await;
    let projections = &store.projections;
    assert_eq!(projections.get(&order("o")).await.unwrap(), Projection::default());
    let put = async |last, before| projections.put(&order("o"), &projection(last), Version::new(before)).await.unwrap();
    assert_eq!(put(1, 0).await, Written::Stored);
    assert_eq!(put(2, 0).await, Written::Outrun, "the first write is there");
    assert_eq!(put(3, 1).await, Written::Stored);
    assert_eq!(put(2, 1).await, Written::Outrun, "a projection never goes back");
    assert_eq!(projections.get(&order("o")).await.unwrap(), projection(3));
}

#[tokio::test]
async fn a_scan_finds_every_projection() {
    let store = &open().await;
    let large = event("o", 1, &json!({"note": "x".repeat(300_000)}));
    let mut folded = Projection::default();
    folded.evolve(&LoggedEvent { version: Version::FIRST, event: large, origin: Origin::default() });
    for number in 0..8 {
        store.projections.put(&order(&format!("o{number}")), &folded, Version::NONE).await.unwrap();
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
