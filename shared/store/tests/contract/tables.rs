//! The template's tables, empty, on one of two engines.
//!
//! Owns: which engine, and a set of tables for each test alone.
//! Must not know: what is stored.
//! Source: `DYNAMODB_LOCAL_URL` is set by `cargo xtask test --dynamodb-local`; without it the embedded engine is taken.

use std::net::Ipv4Addr;

use dynoxide::Database;
use serde_json::{Value, json};
use store::{SdkConfig, Store, aws::sdk_config};
use tokio::net::TcpListener;

use crate::{
    aws_json::call,
    engine::{ChangeFeed, create_requests, variables},
};

/// A set of tables.
pub(crate) struct Tables {
    pub(crate) store: Store,
    pub(crate) sdk: SdkConfig,
    url: String,
    /// DynamoDB Local keeps the tables of each access key apart.
    access_key_id: String,
}

impl Tables {
    pub(crate) async fn make(change_feed: ChangeFeed) -> Self {
        let url = match std::env::var("DYNAMODB_LOCAL_URL") {
            Ok(url) => url,
            Err(_absent) => embedded().await,
        };
        let access_key_id = format!("test{:016x}", fastrand::u64(..));
        for request in create_requests(change_feed) {
            call(&url, &access_key_id, "DynamoDB_20120810.CreateTable", &request).await;
        }
        let variables = variables(url.clone());
        let var = |name: &str| {
            if name == "AWS_ACCESS_KEY_ID" { Some(access_key_id.clone()) } else { variables(name) }
        };
        let sdk = sdk_config(var).unwrap();
        let store = Store::from_vars(&sdk, var).unwrap();
        Self { store, sdk, url, access_key_id }
    }

    /// Calls DynamoDB as a foreign program does.
    pub(crate) async fn dynamodb(&self, operation: &str, request: &Value) -> Value {
        call(&self.url, &self.access_key_id, &format!("DynamoDB_20120810.{operation}"), request).await
    }

    /// All records of the log's change feed, as Lambda hands them over.
    pub(crate) async fn records(&self) -> Vec<Value> {
        let streams = async |operation: &str, request: Value| {
            call(&self.url, &self.access_key_id, &format!("DynamoDBStreams_20120810.{operation}"), &request).await
        };
        let listed = streams("ListStreams", json!({"TableName": "order_stream"})).await;
        let arn = &listed["Streams"][0]["StreamArn"];
        let described = streams("DescribeStream", json!({"StreamArn": arn})).await;
        let mut records = Vec::new();
        for shard in described["StreamDescription"]["Shards"].as_array().unwrap() {
            let begin = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
            let mut iterator = streams("GetShardIterator", begin).await["ShardIterator"].clone();
            while iterator.is_string() {
                let read = streams("GetRecords", json!({"ShardIterator": iterator})).await;
                let page = read["Records"].as_array().unwrap();
                if page.is_empty() {
                    break;
                }
                records.extend(page.iter().cloned());
                iterator = read["NextShardIterator"].clone();
            }
        }
        records
    }
}

async fn embedded() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    url
}
