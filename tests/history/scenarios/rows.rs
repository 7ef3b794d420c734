//! Rows of `subscriptions` that this release did not write.

use serde_json::json;

use super::{alone, orders, watch_all};
use crate::world::{Setup, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_or_pushed_to_holds_up_nobody() {
    let _alone = alone().await;
    let mut world = World::start("rows", Setup::default());
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    watch_all(&mut world, 5..7, &["unreadable".to_owned(), "refused".to_owned()]);
    world.answered().await;
    let unreadable = json!({"orderId": {"S": "unreadable"}, "connectionId": {"S": "JC1dgf9yoAMCK-g="}});
    let refused = json!({"orderId": {"S": "refused"}, "connectionId": {"S": "not an id of API Gateway"},
                         "principalId": {"S": "anybody"}, "readsAll": {"BOOL": true}, "expiresAt": {"N": "99999999999"}});
    for row in [unreadable, refused] {
        world.stack.dynamodb("PutItem", &json!({"TableName": "subscriptions", "Item": row})).await;
    }
    for round in 0..3 {
        world.append("unreadable", json!({"round": round})).await;
        world.append("refused", json!({"round": round})).await;
        world.rounds(&others, 1).await;
    }
    world.judge().await;
}
