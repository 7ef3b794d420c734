//! The feed's state: one lease, a fence, a mark a document.

use domain::OrderId;
use store::{
    FaunaFeed, TableName, aws,
    fauna_feed::{Mark, Place, Progress, Saved, Taken},
};

use crate::{engine::ChangeFeed, order, tables::Tables};

async fn feed() -> FaunaFeed {
    let tables = Tables::make(ChangeFeed::Off).await;
    let client = aws::dynamodb(&tables.sdk);
    FaunaFeed::new(client, TableName::fauna_feed(|_| None).unwrap(), "order_stream")
}

fn progress(through_us: i64) -> Progress {
    let place = Place::Tail { through_us, through_id: Some(7) };
    Progress { place, last_seen_us: 1, removals_from_us: 2, collection_us: 3 }
}

fn mark(ts_us: i64, order_id: Option<OrderId>) -> Mark {
    Mark { ts_us, order_id }
}

#[tokio::test]
async fn one_feed_holds_the_lease_until_it_ends() {
    let feed = feed().await;
    let Taken::Ours(first, None) = feed.take(1_000, 2_000).await.unwrap() else { panic!("it is free") };
    assert_eq!(feed.take(1_999, 3_000).await.unwrap(), Taken::Held { until_ms: 2_000 });
    assert_eq!(feed.save(&first, &progress(5), 2_500).await.unwrap(), Saved::Stored);
    assert_eq!(feed.take(2_499, 3_000).await.unwrap(), Taken::Held { until_ms: 2_500 });
    assert_eq!(feed.hold(&first, 0).await.unwrap(), Saved::Stored);
    let taken = feed.take(2_400, 3_000).await.unwrap();
    assert!(matches!(&taken, Taken::Ours(_, Some(known)) if *known == progress(5)), "{taken:?}");
}

#[tokio::test]
async fn a_feed_that_was_replaced_moves_nothing_on() {
    let feed = feed().await;
    let Taken::Ours(stalled, _) = feed.take(1_000, 2_000).await.unwrap() else { panic!("it is free") };
    let Taken::Ours(next, _) = feed.take(2_000, 3_000).await.unwrap() else { panic!("it has ended") };
    assert_eq!(feed.save(&stalled, &progress(5), 9_000).await.unwrap(), Saved::Superseded);
    assert_eq!(feed.hold(&stalled, 0).await.unwrap(), Saved::Superseded);
    assert_eq!(feed.progress().await.unwrap(), None);
    assert_eq!(feed.save(&next, &progress(6), 9_000).await.unwrap(), Saved::Stored);
    assert_eq!(feed.progress().await.unwrap(), Some(progress(6)));
}

#[tokio::test]
async fn a_document_is_claimed_once() {
    let feed = feed().await;
    assert_eq!(feed.marked(7).await.unwrap(), None);
    assert_eq!(feed.claim(7, &mark(1, Some(order("o")))).await.unwrap(), None);
    assert_eq!(feed.claim(7, &mark(2, Some(order("p")))).await.unwrap(), Some(mark(1, Some(order("o")))));
    assert_eq!(feed.claim(8, &mark(2, None)).await.unwrap(), None);
    feed.mark(8, &mark(3, Some(order("p")))).await.unwrap();
    assert_eq!(feed.marked(8).await.unwrap(), Some(mark(3, Some(order("p")))));
    assert_eq!(feed.marked(7).await.unwrap(), Some(mark(1, Some(order("o")))));
}
