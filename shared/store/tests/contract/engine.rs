//! The embedded DynamoDB with the template's tables, on a port of its own.
//!
//! Owns: one engine a test, in memory, that ends with it.
//! Must not know: what is stored.
//! Source: the tables are those of `infra/template.json`.

use std::net::Ipv4Addr;

use dynoxide::{Database, actions::create_table::CreateTableRequest};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tokio::{net::TcpListener, sync::oneshot};

const TEMPLATE: &str = include_str!("../../../../infra/template.json");

/// A running engine and the tables in it.
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) database: Database,
    _stop: oneshot::Sender<()>,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let database = Database::memory().unwrap();
        for table in template_tables() {
            database.create_table(table).unwrap();
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serve = dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            stopped.await.ok();
        });
        tokio::spawn(serve);
        let var = move |name: &str| match name {
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(url.clone()),
            _ => None,
        };
        let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
        Self { store, database, _stop: stop }
    }
}

/// What CloudFormation would create: its properties are those of `CreateTable`, but for the names of the stream's.
fn template_tables() -> Vec<CreateTableRequest> {
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let resources = template["Resources"].as_object().unwrap().values();
    let tables = resources.filter(|resource| resource["Type"] == "AWS::DynamoDB::Table");
    let create = |resource: &Value| {
        let properties = &resource["Properties"];
        let names =
            ["TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
        let mut request = json!({"BillingMode": "PAY_PER_REQUEST"});
        for name in names {
            if let Some(value) = properties.get(name) {
                request[name] = value.clone();
            }
        }
        serde_json::from_value(request).unwrap()
    };
    tables.map(create).collect()
}
