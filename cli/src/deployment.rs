//! Which deployment a command works on.
//!
//! Owns: the choice between the local stack and AWS, and the local stack's credentials.
//! Must not know: the commands.
//! Source: README.md, "Commands": without any address it is the local stack, so that a slip of the hand is harmless.

use anyhow::Context as _;
use event_handler::Orders;
use queues::{FAILURE_QUEUE_VARIABLE, FailureQueue, SQS_ENDPOINT_VARIABLE};
use store::{
    FaunaFeed, Store, TableName,
    aws::{DYNAMODB_ENDPOINT_VARIABLE, dynamodb, sdk_config},
};

use crate::{args::Target, up};

const LOCAL_DYNAMODB: &str = "http://127.0.0.1:8000";
const ENDPOINT_VARIABLES: [&str; 2] = [DYNAMODB_ENDPOINT_VARIABLE, "AWS_ENDPOINT_URL"];
const MANAGEMENT_VARIABLE: &str = "MANAGEMENT_ENDPOINT";
const LOCAL_MANAGEMENT: &str = "http://127.0.0.1:3001/local";
const LOCAL_VARIABLES: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

/// The environment of this process.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Opens the tables of the deployment.
pub(crate) fn open(target: &Target) -> anyhow::Result<Store> {
    let var = |name: &str| chosen(target, var, name);
    let sdk = sdk_config(var).context("the credentials of AWS are incomplete")?;
    Ok(Store::from_vars(&sdk, var)?)
}

/// Opens what folds and pushes the deployment's orders.
pub(crate) async fn orders(target: &Target, management_url: Option<&str>) -> anyhow::Result<Orders> {
    let endpoint = match management_url.map(str::to_owned).or_else(|| set(MANAGEMENT_VARIABLE)) {
        None => management_endpoint(target).await?,
        given => given,
    };
    let endpoint = endpoint.context(
        "no connection names the API's stage: --management-url does, and the deployment's outputs have its address",
    )?;
    let var = |name: &str| if name == MANAGEMENT_VARIABLE { Some(endpoint.clone()) } else { chosen(target, var, name) };
    let sdk = sdk_config(var).context("the credentials of AWS are incomplete")?;
    Orders::with_sdk(&sdk, &var)
}

/// Opens the deployment's failure queue. The local stack has it on the port of the WebSocket API.
pub(crate) async fn failure_queue(target: &Target, queue_url: Option<&str>) -> anyhow::Result<FailureQueue> {
    let given = queue_url.map(str::to_owned).or_else(|| set(FAILURE_QUEUE_VARIABLE));
    let url = match given {
        None if !target.aws => Some(up::variable_of("event-handler", FAILURE_QUEUE_VARIABLE)?),
        given => given,
    };
    let endpoint = match set(SQS_ENDPOINT_VARIABLE) {
        // Of the stack that has the tables, whatever else is set: its messages are about their orders.
        None if !target.aws => management_endpoint(target).await?.map(|management| origin(&management)),
        given => given.filter(|_| !target.aws),
    };
    let sdk = sdk_config(|name: &str| chosen(target, var, name)).context("the credentials of AWS are incomplete")?;
    let queue = FailureQueue::from_vars(&sdk, |name| match name {
        FAILURE_QUEUE_VARIABLE => url.clone(),
        SQS_ENDPOINT_VARIABLE => endpoint.clone(),
        _ => None,
    });
    queue.context("--queue-url names the failure queue; the deployment's outputs have its address")
}

/// The address of `@connections` that belongs to the tables: a local stack tags its tables with it, and on AWS the newest
/// connection names it.
async fn management_endpoint(target: &Target) -> anyhow::Result<Option<String>> {
    let connections = open(target)?.connections;
    let found = if target.aws { connections.newest_stage().await } else { connections.local_stage().await };
    let found = found.context("cannot find the address of @connections: --management-url names it")?;
    // What is not a local stack on this machine has no connections: nobody can be reached there by mistake.
    let local = || (!target.aws).then(|| LOCAL_MANAGEMENT.to_owned());
    Ok(found.map(|stage| stage.as_str().to_owned()).or_else(local))
}

/// A variable of this process, unless it is empty.
fn set(name: &str) -> Option<String> {
    var(name).filter(|value| !value.is_empty())
}

/// The deployment's name: its log, and where that is.
pub(crate) fn name(target: &Target, store: &Store) -> String {
    let place = |name: &str| chosen(target, var, name);
    let place =
        place(DYNAMODB_ENDPOINT_VARIABLE).or_else(|| place("AWS_REGION")).or_else(|| place("AWS_DEFAULT_REGION"));
    format!("{} at {}", store.event_log.table(), place.unwrap_or_default())
}

/// An address without its path.
fn origin(url: &str) -> String {
    let path = url.find("://").and_then(|scheme| url.get(scheme + 3..)?.find('/').map(|path| scheme + 3 + path));
    url.get(..path.unwrap_or(url.len())).unwrap_or(url).to_owned()
}

/// Opens what the deployment knows of a collection of FaunaDB.
pub(crate) fn fauna_feed(target: &Target, collection: &str) -> anyhow::Result<FaunaFeed> {
    let var = |name: &str| chosen(target, var, name);
    let sdk = sdk_config(var).context("the credentials of AWS are incomplete")?;
    Ok(FaunaFeed::new(dynamodb(&sdk), TableName::fauna_feed(var)?, collection))
}

/// A variable as the command sees it: the address that was asked for, and, on the local stack, its credentials.
fn chosen(target: &Target, var: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let asked = || target.endpoint_url.clone().or_else(|| ENDPOINT_VARIABLES.into_iter().find_map(set));
    let endpoint = (!target.aws).then(|| asked().unwrap_or_else(|| LOCAL_DYNAMODB.to_owned()));
    if ENDPOINT_VARIABLES.contains(&name) {
        return endpoint;
    }
    let is_local =
        endpoint.is_some_and(|url| url.starts_with("http://127.0.0.1:") || url.starts_with("http://localhost:"));
    let local = || LOCAL_VARIABLES.iter().find(|(local, _)| *local == name).map(|(_, value)| (*value).to_owned());
    set(name).or_else(|| if is_local { local() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_aws(name: &str) -> Option<String> {
        matches!(name, "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY").then(|| "mine".to_owned())
    }

    #[test]
    fn without_an_address_it_is_the_local_stack() {
        let target = Target { endpoint_url: None, aws: false };
        assert_eq!(chosen(&target, |_| None, DYNAMODB_ENDPOINT_VARIABLE).unwrap(), LOCAL_DYNAMODB);
        assert_eq!(chosen(&target, |_| None, "AWS_ACCESS_KEY_ID").unwrap(), "local");
        assert_eq!(chosen(&target, on_aws, DYNAMODB_ENDPOINT_VARIABLE).unwrap(), LOCAL_DYNAMODB);
    }

    #[test]
    fn an_origin_has_no_path() {
        for url in ["http://127.0.0.1:3001/local", "http://127.0.0.1:3001/", "http://127.0.0.1:3001"] {
            assert_eq!(origin(url), "http://127.0.0.1:3001");
        }
    }

    #[test]
    fn aws_takes_what_the_environment_has_and_nothing_else() {
        let target = Target { endpoint_url: None, aws: true };
        assert_eq!(chosen(&target, on_aws, DYNAMODB_ENDPOINT_VARIABLE), None);
        assert_eq!(chosen(&target, on_aws, "AWS_REGION").unwrap(), "mine");
        assert_eq!(chosen(&target, |_| None, "AWS_REGION"), None);
    }
}
