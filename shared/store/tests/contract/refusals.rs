//! Calls that DynamoDB does not serve, told apart by whether a retry can help.

use domain::{Fields, Projection, Version};
use store::{ProjectionWrite, Projections, TableName, aws, error::CallErrorKind, projections::PutError};

use crate::{engine::ChangeFeed, order, tables::Tables};

#[tokio::test]
async fn a_table_that_is_not_there_is_no_fault_of_the_order() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let absent = TableName::order_projections(|_| Some("absent".to_owned())).unwrap();
    let projections = Projections::new(aws::dynamodb(&tables.sdk), absent);
    let projection = Projection::stored(Version::FIRST, Fields::new());
    let put = projections.put(&order("o"), &projection, ProjectionWrite::default()).await;
    let Err(PutError::Call(error)) = put else { panic!("{put:?}") };
    assert_eq!(error.kind(), CallErrorKind::Denied, "{error}");
}
