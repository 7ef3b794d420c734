//! The embedded DynamoDB alone, with the template's tables.
//!
//! Owns: one engine a test, in memory.
//! Must not know: what is stored.
//! Source: the tables are those of `infra/template.json`.

use std::net::Ipv4Addr;

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TEMPLATE: &str = include_str!("../../infra/template.json");

/// What CloudFormation's properties and `CreateTable` have in common.
const PROPERTIES: [&str; 5] =
    ["TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"];

/// The variables of a process that works on the DynamoDB at this address, and on nothing else, for whoever comes.
pub fn variables(dynamodb_url: String) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(dynamodb_url.clone()),
        "ALLOWED_ORIGINS" => Some("*".to_owned()),
        "ANONYMOUS_SCOPE" => Some("orders:read:all".to_owned()),
        _ => None,
    }
}

/// A running engine.
pub struct Engine {
    /// The engine, without HTTP between.
    pub database: Database,
    /// Its address.
    pub url: String,
}

impl Engine {
    /// Starts an engine with empty tables. It ends with the test's runtime.
    pub async fn start() -> Self {
        let database = tables(ChangeFeed::Off);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        Self { database, url }
    }
}

/// Whether writes are recorded; each record makes the next one slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeFeed {
    /// The log has its change feed.
    On,
    /// No table has one.
    Off,
}

/// The template's tables, empty and in memory.
#[must_use]
pub fn tables(change_feed: ChangeFeed) -> Database {
    let database = Database::memory().unwrap();
    for request in create_requests(change_feed) {
        database.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }
    database
}

/// The template's tables, as `CreateTable` takes them.
#[must_use]
pub fn create_requests(change_feed: ChangeFeed) -> Vec<Value> {
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let resources = template["Resources"].as_object().unwrap().values();
    let tables = resources.filter(|resource| resource["Type"] == "AWS::DynamoDB::Table");
    let request = |table: &Value| {
        let properties = &table["Properties"];
        let mut request = json!({"BillingMode": "PAY_PER_REQUEST"});
        for name in PROPERTIES {
            if let Some(value) = properties.get(name) {
                request[name] = value.clone();
            }
        }
        let view = &properties["StreamSpecification"]["StreamViewType"];
        if change_feed == ChangeFeed::On && view.is_string() {
            request["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
        }
        request
    };
    tables.map(request).collect()
}
