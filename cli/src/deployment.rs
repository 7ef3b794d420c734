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
pub(crate) fn orders(target: &Target, management_url: Option<&str>) -> anyhow::Result<Orders> {
    let endpoint = || {
        let set = var(MANAGEMENT_VARIABLE).filter(|url| !url.is_empty());
        management_url.map(str::to_owned).or(set).or_else(|| (!target.aws).then(|| LOCAL_MANAGEMENT.to_owned()))
    };
    let var = |name: &str| if name == MANAGEMENT_VARIABLE { endpoint() } else { chosen(target, var, name) };
    let sdk = sdk_config(var).context("the credentials of AWS are incomplete")?;
    Orders::with_sdk(&sdk, &var)
}

/// Opens the deployment's failure queue. The local stack has it on the port of the WebSocket API.
pub(crate) fn failure_queue(target: &Target, queue_url: Option<&str>) -> anyhow::Result<FailureQueue> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let given = queue_url.map(str::to_owned).or_else(|| set(FAILURE_QUEUE_VARIABLE));
    let url = match given {
        None if !target.aws => Some(up::variable_of("event-handler", FAILURE_QUEUE_VARIABLE)?),
        given => given,
    };
    let local = || origin(&set(MANAGEMENT_VARIABLE).unwrap_or_else(|| LOCAL_MANAGEMENT.to_owned()));
    let endpoint = (!target.aws).then(|| set(SQS_ENDPOINT_VARIABLE).unwrap_or_else(local));
    let sdk = sdk_config(|name: &str| chosen(target, var, name)).context("the credentials of AWS are incomplete")?;
    let queue = FailureQueue::from_vars(&sdk, |name| match name {
        FAILURE_QUEUE_VARIABLE => url.clone(),
        SQS_ENDPOINT_VARIABLE => endpoint.clone(),
        _ => None,
    });
    queue.context("--queue-url names the failure queue; the deployment's outputs have its address")
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
